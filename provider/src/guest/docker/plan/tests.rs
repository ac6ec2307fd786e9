use super::*;
use crate::guest::{
    docker::{Prune, script::script},
    facts::Docker,
};

fn fresh() -> Facts {
    Facts {
        os_id: Some("debian".into()),
        hostname: "dock1".into(),
        ..Facts::default()
    }
}

fn wish() -> DockerWish {
    DockerWish {
        source: Source::Distro,
        mount_path: Some("/opt/docker".into()),
        data_root: Some("/opt/docker/data".into()),
        containerd_root: Some("/opt/docker/containerd".into()),
        live_restore: Some(true),
        prune: Some(Prune {
            schedule: "weekly".into(),
            until: "168h".into(),
            volumes: false,
        }),
        users: ["ann".to_owned()].into(),
        ..DockerWish::default()
    }
}

/// The guest after `wish` was carried out.
fn settled(wish: &DockerWish) -> Facts {
    let plan = plan(wish, &fresh()).unwrap();
    Facts {
        packages: [("docker.io", "26.1.5"), ("docker-compose", "2.26.1-4")]
            .map(|(k, v)| (k.into(), v.into()))
            .into(),
        docker: Some(Docker {
            server: "26.1.5".into(),
            driver: "overlay2".into(),
            root: wish
                .data_root
                .clone()
                .unwrap_or_else(|| "/var/lib/docker".into()),
            live_restore: wish.live_restore == Some(true),
            ..Docker::default()
        }),
        compose: Some("2.26.1".into()),
        containerd_toml: plan.files.get(CONTAINERD_TOML).cloned(),
        files: plan
            .files
            .iter()
            .map(|(path, text)| (path.clone(), sha256(text)))
            .collect(),
        daemon_json: plan.daemon_json,
        manifest: Some(serde_json::to_string(&plan.manifests[1]).unwrap()),
        units: [("docker.service".to_owned(), "active".to_owned())].into(),
        docker_group: wish.users.iter().cloned().collect(),
        ..fresh()
    }
}

#[track_caller]
fn refused(wish: &DockerWish, facts: &Facts, why: &str) {
    let said = plan(wish, facts)
        .and_then(|_| verify(wish, facts))
        .unwrap_err()
        .to_string();
    assert!(said.contains(why), "{said}");
}

#[test]
fn configuration_is_there_before_the_packages() {
    let plan = plan(&wish(), &fresh()).unwrap();
    assert!(plan.install && plan.action == Action::None && plan.left_root.is_none());
    let script = script(&plan, Some("INSTALL\n"));
    crate::guest::sh::check(&script);
    let at = |text: &str| {
        script
            .find(text)
            .unwrap_or_else(|| panic!("no {text} in\n{script}"))
    };
    let order = [
        "mounted /opt/docker",
        "mv -f /etc/pmoves/docker.json.pmoves-new",
        "mv -f /etc/containerd/config.toml.pmoves-new",
        "mv -f /etc/systemd/system/docker.service.d/pmoves.conf.pmoves-new",
        "accept /etc/docker/daemon.json.pmoves",
        "systemctl daemon-reload",
        "INSTALL",
        "\nstart\n",
        "usermod -aG docker ann",
        "enable --quiet pmoves-prune.timer",
    ];
    assert!(order.map(at).is_sorted(), "{script}");
}

#[test]
fn nothing_is_done_twice() {
    let facts = settled(&wish());
    let plan = plan(&wish(), &facts).unwrap();
    assert!(plan.is_empty(&facts), "{plan:?}");
    assert!(verify(&wish(), &facts).is_ok());
}

#[test]
fn what_is_taken_back_goes_away() {
    let less = DockerWish {
        prune: None,
        users: BTreeSet::new(),
        live_restore: None,
        ..wish()
    };
    let plan = plan(&less, &settled(&wish())).unwrap();
    assert_eq!(plan.action, Action::Restart);
    assert_eq!(plan.leave, ["ann".to_owned()].into());
    assert_eq!(plan.removed.len(), 2);
    let script = script(&plan, None);
    crate::guest::sh::check(&script);
    let at = |text: &str| {
        script
            .find(text)
            .unwrap_or_else(|| panic!("no {text} in\n{script}"))
    };
    assert!(
        at("disable --now pmoves-prune.timer") < at("rm -f /etc/systemd/system/pmoves-prune.timer")
    );
}

#[test]
fn a_run_that_broke_off_before_the_restart_is_finished() {
    let less = DockerWish {
        live_restore: None,
        ..wish()
    };
    let begun = plan(&less, &settled(&wish())).unwrap();
    let facts = Facts {
        daemon_json: begun.daemon_json,
        manifest: Some(serde_json::to_string(&begun.manifests[0]).unwrap()),
        ..settled(&wish())
    };
    let again = plan(&less, &facts).unwrap();
    assert_eq!(
        (again.action, again.is_empty(&facts)),
        (Action::Restart, false)
    );
}

#[test]
fn a_member_that_was_there_before_us_stays() {
    let facts = Facts {
        docker_group: vec!["ann".into(), "bob".into()],
        ..settled(&wish())
    };
    let none = DockerWish {
        users: BTreeSet::new(),
        ..wish()
    };
    assert_eq!(
        plan(&none, &facts).unwrap().leave,
        ["ann".to_owned()].into()
    );
}

#[test]
fn a_root_in_use_is_not_moved() {
    let mut facts = settled(&DockerWish {
        source: Source::Distro,
        ..DockerWish::default()
    });
    assert_eq!(
        plan(&wish(), &facts).unwrap().left_root.as_deref(),
        Some("/var/lib/docker")
    );
    assert_eq!(plan(&wish(), &facts).unwrap().action, Action::Move);
    facts.docker.as_mut().unwrap().volumes = 2;
    refused(
        &wish(),
        &facts,
        "0 containers and 2 volumes live in /var/lib/docker",
    );
}

#[test]
fn drift_of_a_drop_in_is_repaired() {
    let mut facts = settled(&wish());
    facts
        .files
        .insert(DOCKER_DROP_IN.to_owned(), "other".to_owned());
    let plan = plan(&wish(), &facts).unwrap();
    assert_eq!(plan.files.keys().collect::<Vec<_>>(), [DOCKER_DROP_IN]);
    assert!(!plan.is_empty(&facts));
}

#[test]
fn another_owner_of_docker_is_respected() {
    let facts = settled(&wish());
    refused(
        &DockerWish {
            source: Source::Docker,
            ..wish()
        },
        &facts,
        "source = \"distro\"",
    );
    refused(
        &DockerWish {
            source: Source::Preinstalled,
            ..wish()
        },
        &fresh(),
        "the guest has no Docker",
    );
    assert!(
        !plan(
            &DockerWish {
                source: Source::Preinstalled,
                ..wish()
            },
            &facts
        )
        .unwrap()
        .install
    );
}

#[test]
fn what_is_installed_stays_and_else_docker_is_its_own() {
    let any = DockerWish {
        source: Source::Installed,
        ..wish()
    };
    assert!(!plan(&any, &settled(&wish())).unwrap().install);
    assert!(plan(&any, &fresh()).unwrap().install);
}

#[test]
fn a_version_is_installed_and_held_or_released() {
    let pinned = DockerWish {
        version: Some("26.1".into()),
        ..wish()
    };
    let mut facts = settled(&pinned);
    let first = plan(&pinned, &facts).unwrap();
    assert!(
        first.install && first.action == Action::Restart,
        "it is not held"
    );
    facts.held = vec!["docker.io".into()];
    assert!(plan(&pinned, &facts).unwrap().is_empty(&facts));
    assert!(plan(&wish(), &facts).unwrap().release);
}

#[test]
fn a_daemon_that_differs_is_an_error() {
    let with = |change: fn(&mut Docker)| {
        let mut facts = settled(&wish());
        change(facts.docker.as_mut().unwrap());
        facts
    };
    let verified = |facts: &Facts, why: &str| {
        let said = verify(&wish(), facts).unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    };
    verified(
        &with(|docker| docker.driver = "vfs".into()),
        "storage driver vfs",
    );
    verified(
        &with(|docker| docker.root = "/x".into()),
        "data root is /x and not /opt/docker/data",
    );
    verified(&with(|docker| docker.live_restore = false), "live-restore");
    verified(
        &Facts {
            compose: Some("1.29.2".into()),
            ..settled(&wish())
        },
        "Compose 1.29.2",
    );
    verified(
        &Facts {
            docker: None,
            ..settled(&wish())
        },
        "does not answer",
    );
    refused(
        &wish(),
        &with(|docker| docker.swarm = "active".into()),
        "swarm",
    );
}
