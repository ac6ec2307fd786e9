use super::*;

const ANSWER: &str = r#"{"os_id":"debian","os_version":"13","os_codename":"trixie","kernel":"6.12.0","arch":"x86_64","hostname":"dock1",
"boot_id":"b","virtualization":"kvm","proxmox":[],"packages":{"docker.io":"26.1.5+dfsg1-9"},"held":["docker.io"],
"daemon_json":"e30K","containerd_toml":null,"manifest":null,"units":{"docker.service":"active"},
"docker":{"server":"26.1.5","driver":"overlay2","root":"/opt/docker/data","logging":"local","live_restore":true,"swarm":"inactive","containers":2,"warnings":null,"volumes":1},
"compose":"v2.26.1","nics":[{"mac":"BC:24:11:00:00:65","name":"br0","mtu":1500,"stacked":true,"addresses":["198.51.100.7/24"]},
{"mac":"bc:24:11:00:00:65","name":"eth0","mtu":1400,"stacked":false,"addresses":["2001:db8::7"]}],
"mounts":{"filesystems":[{"target":"/","source":"/dev/sda1","fstype":"ext4","size":10,"used":"5"},{"target":"/x","source":"pool/x","fstype":"zfs","size":null,"used":null}]},
"docker_group":"ann,bob"}"#;

#[test]
fn an_answer_is_read() {
    let facts = parse(ANSWER).unwrap();
    assert_eq!(facts.compose.as_deref(), Some("2.26.1"));
    assert_eq!(facts.daemon_json.as_deref(), Some("{}\n"));
    let nic = &facts.nics["bc:24:11:00:00:65"];
    assert_eq!((nic.name.as_str(), nic.mtu), ("eth0", 1400));
    let addresses: Vec<_> = nic.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["2001:db8::7/128", "198.51.100.7/24"]);
    assert_eq!(
        (
            facts.mounts["/"].size,
            facts.mounts["/"].used,
            facts.mounts["/x"].size
        ),
        (10, 5, 0)
    );
    assert_eq!(facts.docker_group, ["ann", "bob"]);
    assert_eq!(facts.docker.as_ref().unwrap().volumes, 1);
    assert!(guard(&facts).is_ok());
}

#[test]
fn a_proxmox_host_is_refused_by_name() {
    let facts = Facts {
        hostname: "pve1".into(),
        proxmox: vec!["pve-manager".into(), "/etc/pve".into()],
        ..Facts::default()
    };
    let said = guard(&facts).unwrap_err().to_string();
    assert_eq!(
        said,
        "pve1 is a Proxmox host (pve-manager, /etc/pve): Docker never runs there; use a VM or an LXC container"
    );
}

#[test]
fn an_answer_that_is_cut_short_says_so() {
    let said = parse(&ANSWER[..100]).unwrap_err().to_string();
    assert!(
        said.starts_with("unexpected answer to looking at the guest: EOF"),
        "{said}"
    );
}

/// The script only reads, so it can run on the machine of the test, whatever that has.
#[test]
fn the_script_runs_without_docker_and_without_root() {
    crate::guest::sh::check(SCRIPT);
    let run = std::process::Command::new("sh")
        .args(["-c", SCRIPT])
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .output()
        .unwrap();
    let facts = parse(&String::from_utf8(run.stdout).unwrap()).unwrap();
    assert!(!facts.arch.is_empty() && !facts.boot_id.is_empty());
}
