//! Secrets are on the host and nowhere else.

use expect_test::expect;

use crate::{
    scene::Block,
    stack::{Site, compose, hello},
};

const SECRET: &str = "sentinel-of-secrets-wo";
const VARIABLE: &str = "sentinel-of-env-wo";

fn stack(secret: &str, version: &str) -> Block {
    let text = compose(&[
        ("db", "db:1", "secrets: [password]"),
        ("app", "app:1", "environment: {TOKEN: \"${TOKEN}\"}"),
        ("web", "web:1", ""),
    ]) + "secrets: {password: {}}\n";
    hello(&text)
        .with("secrets_wo", &format!("{{ password = {secret:?} }}"))
        .with("secrets_wo_version", &format!("{version:?}"))
        .with("env_wo", &format!("{{ TOKEN = {VARIABLE:?} }}"))
        .with("env_wo_version", r#""1""#)
}

#[tokio::test]
async fn secrets_are_on_the_host_and_nowhere_else() {
    let mut site = Site::new().await;
    site.scene.ws.set("TF_LOG", "trace");
    site.scene
        .ws
        .set("TF_LOG_PATH", site.scene.ws.path().join("trace.log"));
    site.scene
        .ws
        .write("main.tf", &Site::text(&stack(SECRET, "1")));
    if !site.scene.ws.takes_write_only().await {
        return;
    }
    let plan = site.scene.ws.plan(&[]).await;
    let ran = site
        .scene
        .ws
        .run(&["apply", "-no-color", "plan.bin"])
        .await
        .ok();
    let journal = format!("{:?}", site.scene.stage.simulator.journal());
    let trace =
        std::fs::read_to_string(site.scene.ws.path().join("trace.log")).expect("there is a log");
    assert!(trace.contains("agent/exec"), "the log tells of the calls");
    for secret in [SECRET, VARIABLE] {
        let places = [
            ("state", site.scene.ws.state_file()),
            ("plan", plan.0.to_string()),
            ("output", ran.said()),
            ("journal", journal.clone()),
            ("trace", trace.clone()),
        ];
        for (place, text) in places {
            // The configuration itself is a part of what a plan holds.
            let text = match place {
                "plan" => plan_without_configuration(&text),
                _ => text,
            };
            assert!(!text.contains(secret), "{secret} in {place}");
        }
    }
    let inspected = site.sh("docker inspect $(docker ps -aq)").await;
    assert!(!inspected.contains(SECRET));
    assert!(
        inspected.contains(VARIABLE),
        "the environment is what it is"
    );
    let shown = site.sh("stat -c '%a %u' /opt/pmoves/stacks/hello/.pmoves /opt/pmoves/stacks/hello/.pmoves/secrets/password; cat /opt/pmoves/stacks/hello/.pmoves/secrets/password").await;
    assert_eq!(shown, format!("700 0\n400 0\n{SECRET}"));
}

fn plan_without_configuration(text: &str) -> String {
    let mut plan: serde_json::Value = serde_json::from_str(text).expect("a plan is JSON");
    plan.as_object_mut()
        .expect("an object")
        .remove("configuration");
    plan.to_string()
}

#[tokio::test]
async fn a_new_version_makes_the_users_anew_and_lost_secrets_are_written_again() {
    let site = Site::new().await;
    let first = stack(SECRET, "1");
    site.scene.ws.write("main.tf", &Site::text(&first));
    if !site.scene.ws.takes_write_only().await {
        return;
    }
    site.settle(&first).await;
    let before = site.containers().await;
    let next = stack("other", "2");
    expect![[r#"
        update
        secrets_wo_version "1" -> "2"
        services.db.config_hash hash -> ?
        services.db.image_digest sha256 -> ?
        services.db.ports [] -> ?
    "#]]
    .assert_eq(&site.changes(&next).await);
    site.settle(&next).await;
    let after = site.containers().await;
    let changed: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    assert_eq!(changed.len(), 1, "{before:?} {after:?}");
    expect![[r#"
        update
        env_wo_version "1" -> "2"
        services.app.config_hash hash -> ?
        services.app.image_digest sha256 -> ?
        services.app.ports [] -> ?
    "#]]
    .assert_eq(
        &site
            .changes(&next.clone().with("env_wo_version", r#""2""#))
            .await,
    );
    site.sh("echo edited >/opt/pmoves/stacks/hello/.pmoves/secrets/password")
        .await;
    expect![[r#"
        update
        secrets_wo_version null -> "2"
        services.db.config_hash hash -> ?
        services.db.image_digest sha256 -> ?
        services.db.ports [] -> ?
    "#]]
    .assert_eq(&site.changes(&next).await);
    site.settle(&next).await;
    assert_eq!(
        site.sh("cat /opt/pmoves/stacks/hello/.pmoves/secrets/password")
            .await,
        "other"
    );
    site.sh("rm -rf /opt/pmoves/stacks/hello/.pmoves").await;
    expect![[r#"
        update
        env_wo_version null -> "1"
        secrets_wo_version null -> "2"
        services.app.config_hash hash -> ?
        services.app.image_digest sha256 -> ?
        services.app.ports [] -> ?
        services.db.config_hash hash -> ?
        services.db.image_digest sha256 -> ?
        services.db.ports [] -> ?
    "#]]
    .assert_eq(&site.changes(&next).await);
    site.settle(&next).await;
    assert_eq!(
        site.sh("cat /opt/pmoves/stacks/hello/.pmoves/secrets/password")
            .await,
        "other"
    );
}
