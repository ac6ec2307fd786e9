//! `upload`: a file that comes in the request, as multipart form.
//!
//! The fields must come in the order that the API server reads them in: content, checksum-algorithm,
//! checksum, file.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use hyper::Request;

use super::Volume;
use super::checksum::Checksum;
use super::download::{check_ending, content_type, normal_name};
use crate::simulator::call::{Allow, Call, Route, now};
use crate::simulator::params::{Raw, Value};
use crate::simulator::reply::{Fail, Outcome};

pub(crate) const ROUTES: &[Route] = &[Route {
    call: "POST /nodes/{node}/storage/{storage}/upload",
    allow: Allow::All("/storage/{storage}", &["Datastore.AllocateTemplate"]),
    rules: "+storage; checksum? string requires=checksum-algorithm
        checksum-algorithm? string enum=md5|sha1|sha224|sha256|sha384|sha512 requires=checksum
        content string pve-storage-content enum=iso|vztmpl|import
        filename string len=..255
        tmpfilename? string pattern=/var/tmp/pveupload-[0-9a-f]+",
    handler: now!(upload),
}];

/// The file of an upload.
pub(crate) struct Upload {
    pub(crate) data: Bytes,
}

/// Reads the form: its fields, and the file.
pub(crate) async fn read(mut request: Request<Body>) -> Result<(Raw, Upload), Fail> {
    let bad = || Fail::bare(400, "Bad Request");
    // An upload has no limit; axum's own would be 2 MiB.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|_| bad())?;
    let mut fields = Raw::new();
    while let Some(field) = form.next_field().await.map_err(|_| bad())? {
        let name = field.name().unwrap_or_default().to_owned();
        if let Some(file) = field.file_name().map(str::to_owned) {
            if name != "filename" {
                return Err(Fail::died(format!(
                    "wrong field name '{name}' for file upload, expected 'filename'"
                )));
            }
            fields.insert(name, Value::Text(file));
            let data = field.bytes().await.map_err(|_| bad())?;
            return Ok((fields, Upload { data }));
        }
        let in_order = match name.as_str() {
            "content" => fields.is_empty(),
            "checksum-algorithm" => {
                fields.contains_key("content") && !fields.contains_key("checksum")
            }
            "checksum" => fields.contains_key("checksum-algorithm"),
            _ => false,
        };
        if !in_order {
            return Err(bad());
        }
        fields.insert(name, Value::Text(field.text().await.map_err(|_| bad())?));
    }
    Err(bad())
}

fn upload(call: &Call) -> Outcome {
    let params = &call.params;
    let content = content_type(params.text("content"));
    let storage = call.world.state().storage(params.text("storage"))?.clone();
    if !storage.is_file_based() {
        return Err(Fail::died(format!(
            "can't upload to storage type '{}', not a file based storage!",
            storage.kind
        )));
    }
    let name = normal_name(params.text("filename"));
    check_ending(content, &name)?;
    if !storage.has(content) {
        let id = &storage.id;
        return Err(Fail::died(format!(
            "storage '{id}' does not support '{content}' content"
        )));
    }
    let data = call
        .upload
        .as_ref()
        .map(|upload| upload.data.clone())
        .unwrap_or_default();
    let wanted = params
        .text_opt("checksum-algorithm")
        .map(|algorithm| (algorithm.to_owned(), params.text("checksum").to_lowercase()));
    let (node, id) = (
        call.node().to_owned(),
        format!("{}:{content}/{name}", storage.id),
    );
    let file = storage.file(&format!("{content}/{name}"));
    Ok(call.start_task("imgcopy", "", |worker| async move {
        let temporary = format!("/var/tmp/pveupload-{}", super::checksum::sha1(&worker.upid));
        let temporary = &temporary[..temporary.len() - 8];
        worker.log(format!("starting file import from: {temporary}"));
        let mut sums = BTreeMap::new();
        if let Some((algorithm, wanted)) = wanted {
            let mut sum = Checksum::new(&algorithm).ok_or("the simulator does not compute md5")?;
            sum.update(&data);
            let got = sum.finish();
            if got != wanted {
                worker.log("calculating checksum...");
                return Err(format!(
                    "checksum mismatch: got '{got}' != expect '{wanted}'"
                ));
            }
            worker.log("calculating checksum...OK, checksum verified");
            sums.insert(algorithm, got);
        }
        worker.log(format!("target node: {node}"));
        worker.log(format!("target file: {file}"));
        worker.log(format!("file size is: {}", data.len()));
        worker.log(format!("command: cp -- {temporary} {file}"));
        worker.takes(Duration::from_millis(500)).await?;
        let volume = Volume {
            sums,
            ..Volume::file(content, &name, data.len() as u64, data)
        };
        worker.world.state().put_volume(&node, &id, volume);
        worker.log("finished file import successfully");
        Ok(())
    }))
}
