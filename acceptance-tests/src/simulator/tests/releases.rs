//! What a release has that another one lacks.

use serde_json::json;

use super::{Json, Lab};
use crate::simulator::Release;

async fn lab(release: Release) -> Lab {
    Lab::with(|options| options.release = release).await
}

#[tokio::test]
async fn each_release_tells_its_version() {
    for release in Release::ALL {
        let lab = lab(release).await;
        let version = lab.get("/version").await;
        assert_eq!(version["release"], release.name());
        let whole = version["version"].as_str().expect("it is text");
        assert!(
            whole.starts_with(&format!("{}.", release.name())),
            "{whole}"
        );
        let root = lab.simulator.token_with("Sys.Audit");
        let status = Lab { token: root, ..lab }.get("/nodes/pve1/status").await;
        assert_eq!(status["pveversion"], format!("pve-manager/{whole}/unknown"));
        assert_eq!(
            status["memory"]["available"].is_null(),
            release < Release::V9_0
        );
    }
    assert!("7.4".parse::<Release>().is_err());
}

#[tokio::test]
async fn the_agent_has_privileges_of_its_own_since_9_0() {
    let lab = lab(Release::V8_4).await;
    lab.task(
        "POST",
        "/nodes/pve1/qemu",
        json!({"vmid": 100, "agent": "1"}),
    )
    .await;
    lab.task("POST", "/nodes/pve1/qemu/100/status/start", json!({}))
        .await;
    let ping = "/nodes/pve1/qemu/100/agent/ping";
    assert_eq!(lab.call("POST", ping, json!({})).await.line(), "200 OK");
    let without = lab.simulator.token_without(&["VM.Monitor"]);
    let refused = lab.by(without).call("POST", ping, json!({})).await;
    assert_eq!(
        refused.line(),
        "403 Permission check failed (/vms/100, VM.Monitor)"
    );

    let role = async |release, privileges: &str| {
        let lab = self::lab(release).await;
        let root = lab.simulator.token_with("Sys.Modify");
        let params = json!({"roleid": "agent", "privs": privileges});
        let answer = lab.by(root).call("POST", "/access/roles", params).await;
        answer.body["errors"]["privs"].clone()
    };
    let unknown = |name: &str| json!(format!("invalid format - invalid privilege '{name}'\n"));
    assert_eq!(role(Release::V8_4, "VM.Monitor").await, Json::Null);
    assert_eq!(
        role(Release::V9_0, "VM.Monitor").await,
        unknown("VM.Monitor")
    );
    assert_eq!(
        role(Release::V9_0, "VM.GuestAgent.Audit VM.Replicate").await,
        Json::Null
    );
    assert_eq!(
        role(Release::V8_4, "VM.Replicate").await,
        unknown("VM.Replicate")
    );
    assert_eq!(
        role(Release::V8_4, "VM.GuestAgent.Audit").await,
        unknown("VM.GuestAgent.Audit")
    );
}

/// A VM that is created with these parameters: what is wrong with them, or its configuration.
async fn created(release: Release, params: Json) -> Result<Json, Json> {
    let lab = lab(release).await;
    let mut all = json!({"vmid": 100});
    all.as_object_mut()
        .expect("it is an object")
        .extend(params.as_object().expect("it is an object").clone());
    let root = lab
        .simulator
        .token_with("VM.Allocate VM.Audit VM.Config.Options Sys.Console");
    let lab = lab.by(root);
    let answer = lab.call("POST", "/nodes/pve1/qemu", all).await;
    if answer.status == 200 {
        let upid = answer.body["data"].as_str().expect("it is a UPID");
        lab.simulator.world.task_end(upid).await;
        return Ok(lab.get("/nodes/pve1/qemu/100/config").await);
    }
    Err(if answer.status == 400 {
        answer.body["errors"].clone()
    } else {
        json!(answer.line())
    })
}

#[tokio::test]
async fn what_a_create_takes_depends_on_the_release() {
    const UNKNOWN: &str =
        "property is not defined in schema and the schema does not allow additional properties";
    let managed = json!({"ha-managed": 1});
    assert_eq!(
        created(Release::V9_0, managed.clone()).await,
        Err(json!({"ha-managed": UNKNOWN}))
    );
    assert!(created(Release::V9_1, managed).await.is_ok());

    let tags = json!({"tags": "b,A"});
    let of =
        async |release| created(release, tags.clone()).await.expect("it is made")["tags"].clone();
    assert_eq!(of(Release::V9_1).await, "b,A");
    assert_eq!(of(Release::V9_2).await, "a;b");

    let start = json!({"start": 1});
    assert!(created(Release::V9_1, start.clone()).await.is_ok());
    let refused = "403 Permission check failed (/vms/100, VM.PowerMgmt)";
    assert_eq!(created(Release::V9_2, start).await, Err(json!(refused)));

    let agent = json!({"agent": "1,freeze-fs=0"});
    let old = format!("invalid format - format error\nagent.freeze-fs: {UNKNOWN}\n\n");
    let old = old.replace("\n\n", "\n");
    assert_eq!(
        created(Release::V9_1, agent.clone()).await,
        Err(json!({"agent": old}))
    );
    assert!(created(Release::V9_2, agent).await.is_ok());
    for release in Release::ALL {
        let former = json!({"agent": "1,freeze-fs-on-backup=0"});
        assert!(created(release, former).await.is_ok(), "{release:?}");
    }
}

#[tokio::test]
async fn files_are_read_in_parts_since_9_2() {
    for (release, status, told) in [(Release::V9_1, 400, false), (Release::V9_2, 200, true)] {
        let lab = lab(release).await;
        lab.task(
            "POST",
            "/nodes/pve1/qemu",
            json!({"vmid": 100, "agent": "1"}),
        )
        .await;
        lab.task("POST", "/nodes/pve1/qemu/100/status/start", json!({}))
            .await;
        let agent = "/nodes/pve1/qemu/100/agent";
        let file = json!({"file": "/a", "content": "abc"});
        lab.call("POST", &format!("{agent}/file-write"), file).await;
        let whole = lab.get(&format!("{agent}/file-read?file=/a")).await;
        assert_eq!(whole["content"], "abc");
        assert_eq!(whole["bytes-read"].is_null(), !told);
        let part = format!("{agent}/file-read?file=/a&count=1");
        assert_eq!(lab.call("GET", &part, Json::Null).await.status, status);
    }
}

#[tokio::test]
async fn older_releases_tell_strangers_why() {
    for (release, unknown, wrong) in [
        (
            Release::V9_1,
            "401 no such token 't' for user 'a@pve'",
            "401 invalid token value!",
        ),
        (
            Release::V9_2,
            "401 Authentication failed!",
            "401 Authentication failed!",
        ),
    ] {
        let lab = lab(release).await;
        let version = async |token: &str| {
            let request = lab
                .http
                .get(format!("{}/api2/json/version", lab.simulator.endpoint()));
            let request = request.header("authorization", format!("PVEAPIToken={token}"));
            lab.send(request).await.line()
        };
        assert_eq!(version("a@pve!t=x").await, unknown);
        assert_eq!(version("pmoves@pve!tf=x").await, wrong);
    }
}

#[tokio::test]
async fn containers_are_unprivileged_by_themselves_since_9_0() {
    for (release, expected) in [(Release::V8_4, Json::Null), (Release::V9_0, json!(1))] {
        let lab = lab(release).await;
        let template = "local:vztmpl/debian-13.tar.zst";
        lab.simulator.put_file("pve1", template, vec![0; 4096]);
        let params = json!({
            "vmid": 100, "ostemplate": template, "rootfs": "local-lvm:1", "ssh-public-keys": "",
        });
        let root = lab.simulator.token_with("VM.Allocate VM.Audit VM.Config.Disk \
            VM.Config.Network VM.Config.Options VM.Config.Memory Datastore.AllocateSpace Sys.Modify");
        let lab = lab.by(root);
        let exit = lab.task("POST", "/nodes/pve1/lxc", params).await;
        assert!(exit == "OK" || exit.starts_with("WARNINGS"), "{exit}");
        let config = lab.get("/nodes/pve1/lxc/100/config").await;
        assert_eq!(config["unprivileged"], expected);
    }
}
