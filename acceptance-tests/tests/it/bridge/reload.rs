//! Reloads that fail on the node.

use acceptance_tests::simulator::{Effect, Fault};
use serde_json::{Value, json};

use super::{NETWORK, docker, interfaces, named, other, scene};

/// A reload that fails on the node.
fn failure() -> Fault {
    let exit = "command 'ifreload -a' failed: exit code 1".to_owned();
    Fault::new("PUT", NETWORK, Effect::TaskFails(exit))
}

#[tokio::test]
async fn a_failed_reload_is_taken_back() {
    let scene = scene().await;
    scene.settle(&docker()).await;
    scene.stage.simulator.fault(failure());
    let said = scene.apply(&docker().with("mtu", "9000")).await.refused();
    for words in [
        "could not apply its network",
        "former configuration was put back",
        "ifreload",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let row = other(&scene, "GET", &format!("{NETWORK}/vmbr1"), Value::Null).await;
    assert_eq!(
        (&row["data"]["mtu"], &row["data"]["cidr"]),
        (&Value::Null, &json!("10.10.0.1/24"))
    );
    assert!(!interfaces(&scene).await.1);
    scene.settle(&docker().with("mtu", "9000")).await;

    // A new one leaves nothing, in the state as on the node.
    scene.stage.simulator.fault(failure());
    let more = named("more", "vmbr2");
    scene
        .apply(&format!("{}{more}", docker().with("mtu", "9000")))
        .await
        .refused();
    assert!(scene.ws.resource("pmoves_bridge.more").await.is_none());
    assert!(!interfaces(&scene).await.0.contains(&"vmbr2".to_owned()));
}

#[tokio::test]
async fn a_reload_that_takes_back_may_fail_once() {
    let scene = scene().await;
    scene.settle(&docker()).await;
    let (one, reload) = (format!("PUT {NETWORK}/vmbr1"), format!("PUT {NETWORK}"));
    let budget = [&one, &reload, &one, &reload, &reload];
    for (failures, words) in [
        (2, "former configuration was put back"),
        (3, "former configuration could not be put back"),
    ] {
        scene.stage.simulator.fault(failure().times(failures));
        let said = scene.apply(&docker().with("mtu", "9000")).await.refused();
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{failures}: {said}");
        assert_eq!(scene.writes().iter().collect::<Vec<_>>(), budget);
    }
    scene.ws.write("main.tf", &docker().to_string());
    scene.quiet().await;
}
