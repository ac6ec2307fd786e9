//! What a plan says of the services, as a practitioner reads it.

use expect_test::{Expect, expect};

use crate::{
    scene::Block,
    stack::{Site, compose, hello, heredoc},
};

/// Three services, one of which ends.
fn text(web: &str, more: &str) -> String {
    compose(&[
        (
            "web",
            web,
            "ports: [\"80:80\"], environment: {TZ: \"${TZ:-UTC}\"}",
        ),
        ("db", "db:1", "volumes: [\"data:/data\"]"),
        (
            "site",
            "site:1",
            "volumes: [\"./site.conf:/etc/site.conf:ro\"]",
        ),
    ]) + "volumes: {data: {}}\n"
        + more
}

fn stack(text: &str) -> Block {
    hello(text)
        .with("files", r#"{ "site.conf" = "one" }"#)
        .with("env", r#"{ TZ = "UTC" }"#)
}

async fn check(site: &Site, stack: &Block, expected: &Expect) {
    expected.assert_eq(&site.changes(stack).await);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
async fn an_edit_shows_the_services_that_it_changes() {
    let first = stack(&text("web:1", ""));
    let site = Site::with(&first).await;
    let edit = |text: &str| first.clone().with("compose", &heredoc(text));
    check(
        &site,
        &edit(&text("web:2", "")),
        &expect![[r#"
            update
            compose … -> …
            services.web.config_hash hash -> ?
            services.web.image "demo.test/web:1" -> "demo.test/web:2"
            services.web.image_digest sha256 -> ?
            services.web.ports ["80:80/tcp"] -> ?
        "#]],
    )
    .await;
    check(
        &site,
        &edit(&text("web:1", "# a comment\n")),
        &expect![[r"
        update
        compose … -> …
    "]],
    )
    .await;
    check(
        &site,
        &first.clone().with("env", r#"{ TZ = "CET" }"#),
        &expect![[r#"
            update
            env.TZ "UTC" -> "CET"
            services.web.config_hash hash -> ?
            services.web.image_digest sha256 -> ?
            services.web.ports ["80:80/tcp"] -> ?
        "#]],
    )
    .await;
    check(
        &site,
        &first.clone().with("files", r#"{ "site.conf" = "two" }"#),
        &expect![[r#"
            update
            files.site.conf "one" -> "two"
            services.site.config_hash hash -> ?
            services.site.image_digest sha256 -> ?
            services.site.ports [] -> ?
        "#]],
    )
    .await;
    check(
        &site,
        &first.clone().with("pull", r#""always""#),
        &expect![[r#"
        update
        pull "missing" -> "always"
    "#]],
    )
    .await;
    let always = edit(&text("web:1", "# a comment\n")).with("recreate", r#""always""#);
    check(
        &site,
        &always,
        &expect![[r#"
            update
            compose … -> …
            recreate "auto" -> "always"
            services.db.config_hash hash -> ?
            services.db.image_digest sha256 -> ?
            services.db.ports [] -> ?
            services.site.config_hash hash -> ?
            services.site.image_digest sha256 -> ?
            services.site.ports [] -> ?
            services.web.config_hash hash -> ?
            services.web.image_digest sha256 -> ?
            services.web.ports ["80:80/tcp"] -> ?
        "#]],
    )
    .await;
    let pulls = edit(&text("web:1", "# a comment\n")).with("pull", r#""always""#);
    check(
        &site,
        &pulls,
        &expect![[r#"
        update
        compose … -> …
        pull "missing" -> "always"
        services.db.image_digest sha256 -> ?
        services.site.image_digest sha256 -> ?
        services.web.image_digest sha256 -> ?
    "#]],
    )
    .await;
    let scaled = text("web:1", "").replace("db:1\"", "db:1\", scale: 2");
    check(
        &site,
        &edit(&scaled),
        &expect![[r"
        update
        compose … -> …
        services.db.replicas 1 -> 2
    "]],
    )
    .await;
    let without = text("web:1", "");
    let without: String = without
        .lines()
        .filter(|line| !line.contains("site:"))
        .map(|line| format!("{line}\n"))
        .collect();
    check(
        &site,
        &edit(&without).without("files"),
        &expect![[r#"
        update
        compose … -> …
        files.site.conf "one" -> null
        services.site.config_hash hash -> null
        services.site.image "demo.test/site:1" -> null
        services.site.image_digest sha256 -> null
        services.site.ports [] -> null
        services.site.replicas 1 -> null
        services.site.state "running" -> null
    "#]],
    )
    .await;
    let patient = edit(&text("web:2", "")).with("wait", "false");
    check(
        &site,
        &patient,
        &expect![[r#"
            update
            compose … -> …
            services.web.config_hash hash -> ?
            services.web.image "demo.test/web:1" -> "demo.test/web:2"
            services.web.image_digest sha256 -> ?
            services.web.ports ["80:80/tcp"] -> ?
            services.web.state "running" -> ?
            status "running" -> ?
            wait true -> false
        "#]],
    )
    .await;
    let said = site
        .scene
        .refused(&Site::text(&edit(
            &text("web:1", "").replace("{data: {}}", "{data: {driver_opts: {type: tmpfs}}}"),
        )))
        .await;
    assert!(
        said.contains("data: Compose would have to delete the volume with its data."),
        "{said}"
    );
    check(
        &site,
        &first.clone().with("name", r#""renamed""#),
        &expect![[r#"
            delete+create
            id "qemu/100/hello" -> "qemu/100/renamed"
            name "hello" -> "renamed"
            project_directory "/opt/pmoves/stacks/hello" -> "/opt/pmoves/stacks/renamed"
            services.db.config_hash hash -> ?
            services.db.image_digest sha256 -> ?
            services.db.ports [] -> ?
            services.site.config_hash hash -> ?
            services.site.image_digest sha256 -> ?
            services.site.ports [] -> ?
            services.web.config_hash hash -> ?
            services.web.image_digest sha256 -> ?
            services.web.ports ["80:80/tcp"] -> ?
        "#]],
    )
    .await;
}

#[tokio::test]
async fn settings_send_nothing_and_comments_touch_no_container() {
    let first = stack(&text("web:1", ""));
    let site = Site::with(&first).await;
    let before = site.containers().await;
    site.scene
        .apply(&Site::text(
            &first
                .clone()
                .with("wait_timeout", r#""2m""#)
                .with("recreate", r#""always""#),
        ))
        .await
        .ok();
    // The refresh looks, the apply does nothing.
    assert_eq!(site.scene.rounds(), 1);
    site.scene.quiet().await;
    site.settle(&stack(&text("web:1", "# a comment\n"))).await;
    assert_eq!(site.containers().await, before);
}

#[tokio::test]
async fn a_file_makes_only_its_users_anew() {
    let first = stack(&text("web:1", ""));
    let site = Site::with(&first).await;
    let before = site.containers().await;
    site.settle(&first.clone().with("files", r#"{ "site.conf" = "two" }"#))
        .await;
    let after = site.containers().await;
    let changed: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    assert_eq!(changed.len(), 1, "{before:?} {after:?}");
    assert!(changed[0].starts_with("hello-site-1 "), "{changed:?}");
    assert_eq!(
        site.sh("cat /opt/pmoves/stacks/hello/site.conf").await,
        "two"
    );
}

#[tokio::test]
async fn profiles_services_and_replicas_come_and_go() {
    let text = compose(&[
        ("web", "web:1", ""),
        ("debug", "debug:1", "profiles: [debug]"),
    ]);
    let plain = hello(&text);
    let debug = plain.clone().with("profiles", r#"["debug"]"#);
    let site = Site::with(&debug).await;
    assert_eq!(site.containers().await.len(), 2);
    site.settle(&plain).await;
    assert_eq!(site.containers().await.len(), 1);
    let scaled = hello(&compose(&[
        ("web", "web:1", "scale: 2"),
        ("new", "new:1", ""),
    ]));
    site.settle(&scaled).await;
    assert_eq!(site.containers().await.len(), 3);
    assert_eq!(site.state("/services/web/replicas").await, 2);
    site.settle(&hello(&compose(&[("new", "new:1", "")]))).await;
    assert_eq!(site.containers().await.len(), 1);
}

#[tokio::test]
async fn without_waiting_and_with_volumes_to_delete() {
    let text = compose(&[("web", "slow:1", "volumes: [\"data:/data\"]")]) + "volumes: {data: {}}\n";
    let stack = hello(&text)
        .with("wait", "false")
        .with("delete_volumes", "true");
    let site = Site::with(&stack).await;
    assert_eq!(site.sh("docker volume ls -q").await, "hello_data\n");
    site.scene.apply(&Site::text(&"")).await.ok();
    assert_eq!(
        site.sh("docker volume ls -q; docker ps -aq; ls -A /etc/pmoves/stacks /opt/pmoves/stacks")
            .await
            .lines()
            .filter(|line| !line.ends_with(':') && !line.is_empty())
            .count(),
        0
    );
}

#[tokio::test]
async fn a_stack_that_is_kept_runs_on() {
    let stack = hello(&compose(&[("web", "web:1", "")])).with("on_destroy", r#""keep""#);
    let site = Site::with(&stack).await;
    site.scene.apply(&Site::text(&"")).await.ok();
    assert_eq!(site.containers().await.len(), 1);
}

#[tokio::test]
async fn the_host_is_not_known_while_it_is_replaced() {
    let stack = hello(&compose(&[("web", "web:1", "")]));
    let site = Site::with(&stack).await;
    let other = Site::text(&stack).replacen("name = \"web\"", "name = \"web\"\n  vm_id = 120", 1);
    site.scene.ws.write("main.tf", &other);
    let plan = site.scene.ws.plan(&[]).await;
    assert_eq!(
        plan.changes(),
        [
            "pmoves_docker_vm.web: delete+create",
            "pmoves_stack.hello: delete+create"
        ]
    );
    site.scene.settle(&other).await;
    assert_eq!(site.state("/id").await, "qemu/120/hello");
}
