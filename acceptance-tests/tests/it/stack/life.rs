//! From the first apply to the end.

use crate::stack::{STACK, Site, compose, hello};

#[tokio::test]
async fn one_look_serves_the_host_and_all_its_stacks() {
    let first = hello(&compose(&[
        ("web", "web:1", "ports: [\"80:80\"]"),
        ("db", "db:1", ""),
    ]));
    let second = first.clone().with("name", r#""other""#).with(
        "compose",
        &super::heredoc(&compose(&[("app", "app:1", "")])),
    );
    let second = second.to_string().replace("\"hello\" {", "\"other\" {");
    let site = Site::new().await;
    site.settle(&format!("{first}{second}")).await;
    site.scene.forget();
    site.scene.ws.plan(&[]).await.empty();
    assert_eq!(site.scene.rounds(), 1);
    site.scene.forget();
    site.scene.ws.plan(&["-refresh=false"]).await.empty();
    assert_eq!(site.scene.rounds(), 0);
}

#[tokio::test]
async fn an_edit_changes_its_service_and_no_other_container() {
    let text = |web: &str| compose(&[("web", web, "ports: [\"80:80\"]"), ("db", "db:1", "")]);
    let site = Site::with(&hello(&text("web:1"))).await;
    let before = site.containers().await;
    site.settle(&hello(&text("web:2"))).await;
    let after = site.containers().await;
    assert_eq!(before[0], after[0], "db stays");
    assert_ne!(before[1], after[1], "web is made anew");
    assert!(after[1].contains("web:2"), "{after:?}");
    assert_eq!(site.state("/status").await, "running");
    assert_eq!(site.state("/services/web/ports/0").await, "80:80/tcp");
    site.scene.ws.destroy().await.ok();
    assert!(site.scene.ws.resource(STACK).await.is_none());
}
