//! Projects that are on a host already.

use crate::{
    scene::Block,
    stack::{STACK, Site, compose, hello},
};

const IMPORT: &str = "import {\n  to = pmoves_stack.hello\n  id = \"qemu/100/hello\"\n}\n";

#[tokio::test]
async fn our_own_stack_is_taken_over_as_it_is() {
    let text = compose(&[("web", "web:1", "volumes: [\"./a.conf:/a.conf\"]")]);
    let stack = hello(&text)
        .with("files", r#"{ "a.conf" = "ours" }"#)
        .with("env", r#"{ A = "1" }"#);
    let site = Site::with(&stack).await;
    let before = site.state("").await;
    let by_identity = IMPORT.replace(
        "id = \"qemu/100/hello\"",
        "identity = {\n    host_id = \"qemu/100\"\n    name = \"hello\"\n  }",
    );
    for import in [IMPORT, &by_identity] {
        site.scene.ws.run(&["state", "rm", STACK]).await.ok();
        site.scene
            .ws
            .write("main.tf", &format!("{}{import}", Site::text(&stack)));
        if import == by_identity && !site.scene.ws.takes_identity().await {
            return;
        }
        let plan = site.scene.ws.plan(&[]).await;
        assert_eq!(
            plan.change(STACK)["actions"],
            serde_json::json!(["no-op"]),
            "{:#}",
            plan.change(STACK)
        );
        site.scene.ws.apply(&[]).await.ok();
        assert_eq!(site.state("").await, before);
        site.scene.quiet().await;
    }
}

#[tokio::test]
async fn a_project_of_someone_else_is_taken_over_as_it_is() {
    let site = Site::new().await;
    let text = compose(&[
        ("web", "web:1", "environment: {A: \"${A}\"}"),
        ("db", "db:1", ""),
    ]);
    site.sh(&format!("mkdir -p /srv/hello && cd /srv/hello && cat >docker-compose.yml <<'EOT'\n{text}EOT\nprintf '# by hand\\nA=\"1\"\\n' >.env && docker compose up -d")).await;
    let containers = site.containers().await;
    // Generated.
    site.scene
        .ws
        .write("main.tf", &format!("{}{IMPORT}", Site::text(&"")));
    let plan = site.scene.ws.plan(&["-generate-config-out=stack.tf"]).await;
    assert_eq!(plan.changes(), Vec::<String>::new());
    site.scene.ws.apply(&[]).await.ok();
    site.scene.quiet().await;
    // By hand, with a setting of one's own.
    site.scene.ws.run(&["state", "rm", STACK]).await.ok();
    std::fs::remove_file(site.scene.ws.path().join("stack.tf")).expect("it was generated");
    let stack: Block = hello(text.trim_end())
        .with("env", r#"{ A = "1" }"#)
        .with("project_directory", r#""/srv/hello""#)
        .with("timeouts", r#"{ create = "9m" }"#);
    site.scene
        .ws
        .write("main.tf", &format!("{}{IMPORT}", Site::text(&stack)));
    site.scene.forget();
    site.scene.ws.apply(&[]).await.ok();
    site.scene.quiet().await;
    assert_eq!(site.containers().await, containers);
    assert_eq!(
        site.sh("ls -A /srv/hello").await,
        ".env\ndocker-compose.yml\n"
    );
    // An edit behind our back.
    site.sh("sed -i s/web:1/web:2/ /srv/hello/docker-compose.yml")
        .await;
    let changes = site.changes(&stack).await;
    assert!(changes.contains("compose … -> …"), "{changes}");
}

#[tokio::test]
async fn what_is_not_there_cannot_be_imported() {
    let site = Site::new().await;
    site.scene.ws.write("main.tf", &Site::text(&""));
    for (id, words) in [
        (
            "qemu/100/nothing",
            "Cannot import non-existent remote object",
        ),
        ("pve1/100/hello", "is no stack; write it as qemu/101/NAME"),
    ] {
        let import = IMPORT.replace("qemu/100/hello", id);
        site.scene.ws.write(
            "main.tf",
            &format!(
                "{}{import}",
                Site::text(&hello(&compose(&[("web", "web:1", "")])))
            ),
        );
        let said = site.scene.ws.run(&["plan", "-no-color"]).await.refused();
        assert!(said.contains(words), "{said}");
    }
}
