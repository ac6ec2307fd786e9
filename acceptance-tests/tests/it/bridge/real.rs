//! Bridges that the genuine ifreload makes and removes. Needs root.

use acceptance_tests::{simulator::Options, stage::Stage};
use serde_json::Value;

use super::{NETWORK, RIGHTS, docker, named};
use crate::scene::workspace;

#[tokio::test]
async fn a_bridge_is_really_there_until_it_is_destroyed() {
    let stage = Stage::real(Options::default())
        .await
        .expect("this machine runs real guests");
    let lab = stage.lab.clone().expect("the lab is real");
    let mut ws = workspace(&stage);
    ws.set("PROXMOX_VE_API_TOKEN", stage.simulator.token_with(RIGHTS));
    ws.init().await;
    let shown = async || {
        let shown = lab.node_sh("pve1", "ip -j -d address show vmbr1").await?;
        serde_json::from_str::<Value>(&shown).map_err(|error| error.to_string())
    };

    ws.write("main.tf", &docker().to_string());
    ws.apply(&[]).await.ok();
    ws.plan(&[]).await.empty();
    let bridge = shown().await.expect("the bridge is there");
    assert_eq!(bridge[0]["linkinfo"]["info_kind"], "bridge");
    assert_eq!(bridge[0]["addr_info"][0]["local"], "10.10.0.1");
    assert_eq!(bridge[0]["mtu"], 1500);

    let changed = docker()
        .with("address", r#""10.20.0.1/24""#)
        .with("mtu", "1400");
    ws.write("main.tf", &changed.to_string());
    ws.apply(&[]).await.ok();
    ws.plan(&[]).await.empty();
    let bridge = shown().await.expect("the bridge is there");
    assert_eq!(bridge[0]["addr_info"][0]["local"], "10.20.0.1");
    assert_eq!(bridge[0]["mtu"], 1400);

    // A card that has gone: the node fails for real, and the provider puts back what was.
    let pulled = lab.node_sh("pve1", "ip link delete eno2").await;
    pulled.expect("the card is there");
    let broken = changed.clone().with("ports", r#"["eno2"]"#);
    ws.write("main.tf", &broken.to_string());
    let said = ws.apply(&[]).await.refused();
    for words in ["'ifreload -a' failed", "configuration was put back"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let bridge = shown().await.expect("the bridge is there");
    assert_eq!(bridge[0]["addr_info"][0]["local"], "10.20.0.1");

    // A name that something else has: the node fails once more with the former configuration.
    let taken = "ip link add vmbr2 type veth peer name far-vmbr2";
    lab.node_sh("pve1", taken).await.expect("a link is made");
    ws.write("main.tf", &format!("{changed}{}", named("more", "vmbr2")));
    stage.simulator.clear_journal();
    let said = ws.apply(&[]).await.refused();
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("former configuration was put back"), "{said}");
    assert_eq!(stage.simulator.calls("PUT", NETWORK), 3);

    ws.write("main.tf", &changed.to_string());
    ws.plan(&[]).await.empty();
    ws.destroy().await.ok();
    let gone = shown().await;
    assert!(gone.is_err_and(|why| why.contains("does not exist")));
    stage.stop().await;
}
