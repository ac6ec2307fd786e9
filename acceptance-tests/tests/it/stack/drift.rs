//! What somebody did behind our back shows in the next plan, and the next apply heals it.

use acceptance_tests::{
    guests::scripted::{AgentMood, Scenario},
    tofu::Ran,
};
use expect_test::{Expect, expect};

use crate::{
    scene::Block,
    stack::{Site, compose, hello},
};

fn stack() -> Block {
    let text = compose(&[
        ("web", "web:1", "volumes: [\"./a.conf:/a.conf\"]"),
        (
            "db",
            "db:1",
            "depends_on: {migrate: {condition: service_completed_successfully}}",
        ),
    ]) + "  migrate: {image: demo.test/oneshot:1}\n";
    hello(&text)
        .with("files", r#"{ "a.conf" = "ours" }"#)
        .with("env", r#"{ A = "1" }"#)
}

/// Does something on the host, and checks what the next plan shows, and that the apply heals it.
async fn check(site: &Site, done: &str, expected: &Expect) {
    let stack = stack();
    site.sh(done).await;
    expected.assert_eq(&site.changes(&stack).await);
    site.settle(&stack).await;
}

#[tokio::test]
async fn containers_that_somebody_stopped_removed_or_changed_are_healed() {
    let site = Site::with(&stack()).await;
    check(
        &site,
        "docker stop hello-web-1",
        &expect![[r#"
        update
        services.web.state "exited" -> "running"
        status "degraded" -> "running"
    "#]],
    )
    .await;
    check(
        &site,
        "docker kill hello-web-1",
        &expect![[r#"
        update
        services.web.state "exited" -> "running"
        status "degraded" -> "running"
    "#]],
    )
    .await;
    check(
        &site,
        "docker rm -f hello-web-1",
        &expect![[r#"
        update
        services.web.config_hash hash -> ?
        services.web.image_digest sha256 -> ?
        services.web.ports [] -> ?
        services.web.replicas 0 -> 1
        services.web.state "missing" -> "running"
        status "degraded" -> "running"
    "#]],
    )
    .await;
    // Timers prune containers that ended.
    check(
        &site,
        "docker rm -f hello-migrate-1",
        &expect![[r"
        no-op
    "]],
    )
    .await;
    let other = "cd /tmp && mkdir -p x && cd x && sed 's/web:1/web:7/' /opt/pmoves/stacks/hello/compose.yaml >compose.yaml && docker compose -p hello up -d";
    check(
        &site,
        other,
        &expect![[r#"
            update
            services.web.config_hash hash -> ?
            services.web.image "demo.test/web:7" -> "demo.test/web:1"
            services.web.image_digest sha256 -> ?
            services.web.ports [] -> ?
            services.web.state "outdated" -> "running"
        "#]],
    )
    .await;
    check(&site, "docker compose -p hello --project-directory /opt/pmoves/stacks/hello -f /opt/pmoves/stacks/hello/compose.yaml up -d --scale web=2", &expect![[r#"
        update
        services.web.config_hash hash -> ?
        services.web.image_digest sha256 -> ?
        services.web.ports [] -> ?
        services.web.replicas 2 -> 1
        services.web.state "outdated" -> "running"
    "#]]).await;
    check(
        &site,
        "docker ps -aq | xargs docker rm -f",
        &expect![[r#"
        update
        services.db.config_hash hash -> ?
        services.db.image_digest sha256 -> ?
        services.db.ports [] -> ?
        services.db.replicas 0 -> 1
        services.db.state "missing" -> "running"
        services.web.config_hash hash -> ?
        services.web.image_digest sha256 -> ?
        services.web.ports [] -> ?
        services.web.replicas 0 -> 1
        services.web.state "missing" -> "running"
        status "stopped" -> "running"
    "#]],
    )
    .await;
}

#[tokio::test]
async fn files_that_somebody_edited_are_healed() {
    let site = Site::with(&stack()).await;
    check(
        &site,
        "echo theirs >/opt/pmoves/stacks/hello/a.conf",
        &expect![[r#"
            update
            files.a.conf … -> "ours"
            services.web.config_hash hash -> ?
            services.web.image_digest sha256 -> ?
            services.web.ports [] -> ?
        "#]],
    )
    .await;
    check(
        &site,
        "rm /opt/pmoves/stacks/hello/a.conf",
        &expect![[r#"
            update
            files.a.conf null -> "ours"
            services.web.config_hash hash -> ?
            services.web.image_digest sha256 -> ?
            services.web.ports [] -> ?
        "#]],
    )
    .await;
    check(
        &site,
        "echo A=2 >/opt/pmoves/stacks/hello/.env",
        &expect![[r#"
        update
        env.A "2" -> "1"
    "#]],
    )
    .await;
    check(
        &site,
        "sed -i s/web:1/web:2/ /opt/pmoves/stacks/hello/compose.yaml",
        &expect![[r#"
            update
            compose … -> …
            services.web.config_hash hash -> ?
            services.web.image_digest sha256 -> ?
            services.web.ports [] -> ?
        "#]],
    )
    .await;
    check(
        &site,
        "rm /opt/pmoves/stacks/hello/compose.yaml",
        &expect![[r#"
            update
            compose "" -> …
            services.db.config_hash hash -> ?
            services.db.image_digest sha256 -> ?
            services.db.ports [] -> ?
            services.migrate.config_hash hash -> ?
            services.migrate.image_digest sha256 -> ?
            services.migrate.ports [] -> ?
            services.web.config_hash hash -> ?
            services.web.image_digest sha256 -> ?
            services.web.ports [] -> ?
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_stack_that_was_removed_is_made_again() {
    let site = Site::with(&stack()).await;
    site.sh(
        "docker compose -p hello down && rm -rf /opt/pmoves/stacks/hello /etc/pmoves/stacks/hello",
    )
    .await;
    site.scene.ws.write("main.tf", &Site::text(&stack()));
    let plan = site.scene.ws.plan(&[]).await;
    assert_eq!(plan.changes(), ["pmoves_stack.hello: create"]);
    site.settle(&stack()).await;
    // What we wrote is enough to know it by.
    check(
        &site,
        "docker compose -p hello down",
        &expect![[r#"
        update
        services.db.config_hash hash -> ?
        services.db.image_digest sha256 -> ?
        services.db.ports [] -> ?
        services.db.replicas 0 -> 1
        services.db.state "missing" -> "running"
        services.web.config_hash hash -> ?
        services.web.image_digest sha256 -> ?
        services.web.ports [] -> ?
        services.web.replicas 0 -> 1
        services.web.state "missing" -> "running"
        status "stopped" -> "running"
    "#]],
    )
    .await;
}

fn warned(ran: &Ran, words: &str) {
    let said = ran.said();
    assert!(said.contains(words), "{said}");
    assert!(
        said.contains("Warning: The stack hello was not looked at"),
        "{said}"
    );
    // Whether the host itself is to be changed is for the host to say.
    assert!(!said.contains("pmoves_stack.hello will be"), "{said}");
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_a_warning() {
    let site = Site::with(&stack()).await;
    site.sh("systemctl stop docker.socket docker").await;
    let plan = site.scene.ws.run(&["plan", "-no-color"]).await.ok();
    warned(
        &plan,
        "Docker does not answer on its host: docker.service is inactive",
    );
    site.sh("systemctl start docker").await;
    site.scene.quiet().await;
    site.scene.guests.scenario(
        site.vmid,
        Scenario {
            agent: AgentMood::Silent,
            ..Scenario::default()
        },
    );
    let begun = std::time::Instant::now();
    let plan = site.scene.ws.run(&["plan", "-no-color"]).await.ok();
    warned(
        &plan,
        "Its host does not answer; the state keeps what was last known.",
    );
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    site.scene.guests.scenario(site.vmid, Scenario::default());
    site.scene.quiet().await;
}
