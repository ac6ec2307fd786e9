//! Who may log in to a host.

use serde_json::json;

use super::import::{IMPORT, let_go};
use crate::scene::{Block, Scene, web};

const A: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh a@home";
const B: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJi b@home";
const OTHER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGNjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2Nj other";
const FILE: &str = "/home/pmoves/.ssh/authorized_keys";

fn host(keys: &[&str]) -> Block {
    let account = format!("{{ user_account = {{ keys = {keys:?} }} }}");
    web().with("initialization", &account)
}

#[tokio::test]
async fn keys_change_in_the_guest_and_those_of_others_stay() {
    let scene = Scene::new().await;
    scene.settle(&host(&[A])).await;
    scene.sh(100, &format!("echo '{OTHER}' >> {FILE}")).await;
    scene.settle(&host(&[B])).await;
    assert!(scene.writes().is_empty(), "{:?}", scene.writes());
    let keys = scene.sh(100, &format!("cat {FILE}")).await;
    assert_eq!(keys, format!("{OTHER}\n{B}\n"));

    // What fails is tried again.
    let broken = "mv /home/pmoves/.ssh /home/pmoves/kept && touch /home/pmoves/.ssh";
    scene.sh(100, broken).await;
    let said = scene.apply(&host(&[A, B])).await.refused();
    assert!(said.contains("hanging the SSH keys failed"), "{said}");
    let mended = "rm /home/pmoves/.ssh && mv /home/pmoves/kept /home/pmoves/.ssh";
    scene.sh(100, mended).await;
    scene.settle(&host(&[A, B])).await;
    let keys = scene.sh(100, &format!("cat {FILE}")).await;
    assert_eq!(keys, format!("{OTHER}\n{B}\n{A}\n"));

    // To forget them locks nobody out, and those of an import are only noted.
    scene.settle(&web()).await;
    let_go(&scene).await;
    let taken = format!("{IMPORT}{}", host(&[A]));
    scene.ws.write("main.tf", &taken);
    scene.quiet_but_kept().await;
    assert_eq!(scene.sh(100, &format!("cat {FILE}")).await, keys);
    assert_eq!(
        scene.web("/initialization/user_account/keys").await,
        json!([A])
    );
    scene.settle(&host(&[])).await;
    let keys = scene.sh(100, &format!("cat {FILE}")).await;
    assert_eq!(keys, format!("{OTHER}\n{B}\n"));
}

#[tokio::test]
async fn keys_of_a_guest_that_is_off_are_not_changed() {
    let scene = Scene::new().await;
    let off = |keys: &[&str]| host(keys).with("started", "false");
    scene.settle(&off(&[A])).await;
    let said = scene.refused(&off(&[B])).await;
    assert!(said.contains("The guest does not run"), "{said}");
    scene.settle(&host(&[A, B])).await;
    let keys = scene.sh(100, &format!("cat {FILE}")).await;
    assert_eq!(keys, format!("{A}\n{B}\n"));
}
