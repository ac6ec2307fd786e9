//! The catalogue of container templates, and the download of one.
//!
//! It is empty until a test fills it, as on a node that has not fetched it yet.

use std::time::Duration;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::call::{Allow, Call, Route, now, tell};
use super::reply::{Fail, Outcome};
use super::storage::Volume;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        call: "GET /nodes/{node}/aplinfo",
        allow: Allow::Anyone,
        rules: "+node",
        handler: tell!(list),
    },
    Route {
        call: "POST /nodes/{node}/aplinfo",
        allow: Allow::All("/storage/{storage}", &["Datastore.AllocateTemplate"]),
        rules: "+storage; template string len=..255",
        handler: now!(download),
    },
];

/// A template of the catalogue.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Appliance {
    /// The file, such as `debian-13-standard_13.1-2_amd64.tar.zst`.
    pub template: String,
    /// What it holds.
    pub data: Vec<u8>,
}

fn shown(appliance: &Appliance) -> Json {
    let file = &appliance.template;
    let (package, rest) = file.split_once('_').unwrap_or((file, ""));
    let version = rest.split('_').next().unwrap_or_default();
    let os: Vec<&str> = package.split('-').take(2).collect();
    json!({
        "template": file, "package": package, "version": version, "os": os.join("-"),
        "section": "system", "type": "lxc", "architecture": "amd64", "source": "http://download.test",
        "headline": package, "description": package, "infopage": "https://pve.proxmox.com/wiki",
        "maintainer": "Proxmox Support Team <support@proxmox.com>", "manageurl": "",
        "location": format!("http://download.test/images/system/{file}"),
        "sha512sum": super::storage::checksum::of("sha512", &appliance.data),
    })
}

fn list(call: &Call) -> Json {
    let state = call.world.state();
    state.appliances.iter().map(shown).collect()
}

fn download(call: &Call) -> Outcome {
    let (node, storage) = (
        call.node().to_owned(),
        call.params.text("storage").to_owned(),
    );
    let template = call.params.text("template").to_owned();
    let appliance = {
        let state = call.world.state();
        let known = state
            .appliances
            .iter()
            .find(|known| known.template == template);
        let known = known.ok_or_else(|| Fail::param("template", "no such template"))?;
        if !state.storage(&storage)?.has("vztmpl") {
            return Err(Fail::died(format!(
                "storage '{storage}' does not support templates"
            )));
        }
        known.clone()
    };
    Ok(call.start_task("download", "", |worker| async move {
        let id = format!("{storage}:vztmpl/{template}");
        worker.log(format!(
            "downloading http://download.test/images/system/{template}"
        ));
        worker.takes(Duration::from_secs(5)).await?;
        let bytes = appliance.data.len() as u64;
        let data = Bytes::from(appliance.data);
        let volume = Volume::file("vztmpl", &template, bytes, data);
        worker.world.state().put_volume(&node, &id, volume);
        worker.log("download finished");
        Ok(())
    }))
}
