//! Configurations of a host that cannot work, told in the plan at the attribute.

use acceptance_tests::simulator::{Options, Storage};

use crate::scene::{Block, Scene, dormant, web};

/// The plan must fail, showing this attribute and saying all of this.
async fn check(scene: &Scene, host: &Block, attribute: &str, words: &[&str]) {
    let said = scene.refused(host).await;
    let line = format!("{attribute} = ");
    // The snippet is the line of the configuration.
    let shown = said.contains(&line) || host.get(attribute).is_none();
    assert!(shown, "not at {attribute}: {said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing: {said}");
    }
}

#[tokio::test]
async fn values_that_cannot_be() {
    let scene = Scene::new().await;
    for (attribute, value, words) in [
        ("name", r#""my_host""#, ["is no DNS name", "my_host"]),
        ("vm_id", "7", ["vm_id", "100"]),
        ("tags", r#"["Web"]"#, ["is no tag", "lower-case"]),
        (
            "memory",
            "{ size = 1024, balloon = 2048 }",
            ["memory.balloon", "memory.size"],
        ),
        (
            "os_disk",
            r#"{ datastore_id = "local-lvm", size_gb = 0.1 }"#,
            ["os_disk.size_gb", "MiB"],
        ),
        (
            "data_disk",
            r#"{ size_gb = 2, mount_path = "data" }"#,
            ["data_disk.mount_path", "must begin with `/`"],
        ),
        (
            "initialization",
            r#"{ ip_config = { net0 = { ipv4 = { address = "192.0.2.10" } } } }"#,
            ["has no prefix", "192.0.2.10/24"],
        ),
        (
            "initialization",
            r#"{ ip_config = { net0 = { ipv4 = { gateway = "192.0.2.1" } } } }"#,
            [
                "A gateway needs a static address",
                r#"ip_config["net0"].ipv4.gateway"#,
            ],
        ),
        (
            "initialization",
            r#"{ ip_config = { net1 = { ipv4 = { address = "dhcp" } } } }"#,
            ["No such NIC", "net1"],
        ),
        (
            "initialization",
            r#"{ user_account = { keys = ["~/.ssh/id_ed25519.pub"] } }"#,
            ["is no SSH public key", "ssh-ed25519 AAAA"],
        ),
        (
            "network_device",
            r#"{ net0 = { bridge = "vmbr0", mac_address = "x" } }"#,
            ["MAC address", r#"network_device["net0"].mac_address"#],
        ),
        (
            "docker",
            r#"{ daemon_json = "{ \"mtu\": 1400 }" }"#,
            ["docker.daemon_json", "docker.mtu"],
        ),
    ] {
        check(&scene, &web().with(attribute, value), attribute, &words).await;
    }
    for missing in ["image", "os_disk", "network_device"] {
        check(
            &scene,
            &web().without(missing),
            missing,
            &[missing, "is missing"],
        )
        .await;
    }
}

#[tokio::test]
async fn places_that_are_not_there() {
    let scene = Scene::new().await;
    check(
        &scene,
        &web().with("node_name", r#""pve9""#),
        "node_name",
        &["No such node", "it has pve1, pve2"],
    )
    .await;
    let disk = r#"{ datastore_id = "ceph", size_gb = 4 }"#;
    check(
        &scene,
        &web().with("os_disk", disk),
        "os_disk",
        &["No such storage", "ceph", "local-lvm"],
    )
    .await;
    let disk = r#"{ datastore_id = "local", size_gb = 4 }"#;
    let words = [
        "The storage does not take content images",
        "pvesm set local --content iso,vztmpl,import,backup,images",
    ];
    check(&scene, &web().with("os_disk", disk), "os_disk", &words).await;
    let image = r#"{ id = "local-lvm:import/x.qcow2" }"#;
    check(
        &scene,
        &web().with("image", image),
        "image",
        &["local-lvm", "import"],
    )
    .await;
    scene.stage.simulator.set_online("pve2", false);
    check(
        &scene,
        &web().with("node_name", r#""pve2""#),
        "node_name",
        &["The node is not online"],
    )
    .await;

    scene.settle(&dormant().with("vm_id", "100")).await;
    let second = dormant()
        .with("vm_id", "100")
        .with("name", r#""other""#)
        .labelled("other");
    scene.ws.write("second.tf", &second.to_string());
    let said = scene.ws.run(&["plan", "-no-color"]).await.refused();
    assert!(
        said.contains("The VMID is taken") && said.contains("100 is web on node pve1"),
        "{said}"
    );
}

#[tokio::test]
async fn a_seed_needs_one_storage() {
    let files = "iso,import,backup";
    let storages = |second: &str| {
        vec![
            Storage::dir("local", "/var/lib/vz", "import"),
            Storage::dir("files", "/srv/files", second),
            Storage::lvmthin("local-lvm", "images,rootdir"),
        ]
    };
    let none = Options {
        storages: storages("import"),
        ..Options::default()
    };
    let scene = Scene::with(none).await;
    check(
        &scene,
        &web(),
        "initialization",
        &["No storage for the first boot's seed", "pvesm set"],
    )
    .await;
    let mut two = storages(files);
    two[0] = Storage::dir("local", "/var/lib/vz", files);
    let scene = Scene::with(Options {
        storages: two,
        ..Options::default()
    })
    .await;
    check(
        &scene,
        &web(),
        "initialization",
        &["several file storages", "initialization.datastore_id"],
    )
    .await;
    scene
        .settle(&dormant().with("initialization", r#"{ datastore_id = "files" }"#))
        .await;
    assert!(
        scene
            .stage
            .simulator
            .volumes()
            .contains(&"files:iso/pmoves-seed-100.iso".to_owned())
    );
}

#[tokio::test]
async fn privileges_that_are_missing_come_with_their_commands() {
    let mut scene = Scene::new().await;
    let token = scene
        .stage
        .simulator
        .token_without(&["VM.Config.Memory", "VM.GuestAgent.Unrestricted"]);
    scene.ws.set("PROXMOX_VE_API_TOKEN", token);
    let said = scene.refused(&web()).await;
    for words in [
        "The credential lacks a privilege",
        "it lacks VM.Config.Memory on /vms",
        "pveum role modify PmovesExtra --append 1 --privs \"VM.Config.Memory\"",
        "VM.GuestAgent.Unrestricted",
        "pveum acl modify /vms --users 'limited2@pve' --tokens 'limited2@pve!tf'",
    ] {
        assert!(said.contains(words), "{words:?} is missing: {said}");
    }
}

#[tokio::test]
async fn a_change_needs_privileges_too() {
    let mut scene = Scene::new().await;
    scene.settle(&dormant()).await;
    let token = scene
        .stage
        .simulator
        .token_without(&["VM.Config.Memory", "Datastore.AllocateSpace"]);
    scene.ws.set("PROXMOX_VE_API_TOKEN", token);
    scene.quiet().await;
    let words = ["VM.Config.Memory on /vms/100", "pveum"];
    check(
        &scene,
        &dormant().with("memory", "{ size = 4096 }"),
        "memory",
        &words,
    )
    .await;
    let words = ["Datastore.AllocateSpace on /storage/local-lvm", "data_disk"];
    check(
        &scene,
        &dormant().with("data_disk", "{ size_gb = 4 }"),
        "data_disk",
        &words,
    )
    .await;
}

#[tokio::test]
async fn a_bridge_that_is_not_there_is_known_before_a_vm_is_made() {
    let scene = Scene::new().await;
    let nic = |name: &str| {
        dormant().with(
            "network_device",
            &format!("{{ net0 = {{ bridge = {name} }} }}"),
        )
    };
    let host = nic(r#""vmbr9""#);
    scene.ws.write("main.tf", &host.to_string());
    let said = scene.ws.run(&["plan", "-no-color"]).await.ok().said();
    assert!(
        said.contains("pve1 has no bridge vmbr9; it has vmbr0"),
        "{said}"
    );
    let said = scene.apply(&host).await.refused();
    assert!(said.contains(r#"network_device["net0"].bridge"#), "{said}");
    assert!(scene.writes().is_empty(), "{:?}", scene.writes());

    // One that the same apply makes is there in time.
    let bridge = Block::new(
        r#"resource "pmoves_bridge" "docker""#,
        &[("node_name", r#""pve1""#), ("name", r#""vmbr9""#)],
    );
    let both = format!("{bridge}{}", nic("pmoves_bridge.docker.name"));
    scene.settle(&both).await;
}
