//! Uploads, downloads, and what becomes of them.

use axum::Router;
use axum::routing::get;
use serde_json::json;

use super::Lab;

/// A web server on loopback with one file; its address.
async fn web(data: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    let routes = Router::new().route("/disk.img", get(move || std::future::ready(data)));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

fn sha256(data: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, data);
    crate::simulator::storage::checksum::hex(digest.as_ref())
}

#[tokio::test]
async fn a_download_is_checked_and_repeats_only_with_its_checksum() {
    let lab = Lab::new().await;
    let base = web(b"image").await;
    let path = "/nodes/pve1/storage/local/download-url";
    let wanted = |name: &str, sum: Option<&str>| {
        let mut params =
            json!({"content": "import", "filename": name, "url": format!("{base}/disk.img")});
        if let Some(sum) = sum {
            params["checksum"] = json!(sum);
            params["checksum-algorithm"] = json!("sha256");
        }
        params
    };
    let (good, bad) = (sha256(b"image"), "0".repeat(64));
    let text = format!("checksum mismatch: got '{good}' != expect '{bad}'");
    assert_eq!(
        lab.task("POST", path, wanted("a.qcow2", Some(&bad))).await,
        text
    );
    assert!(lab.simulator.volumes().is_empty());
    assert_eq!(
        lab.task("POST", path, wanted("a.qcow2", Some(&good))).await,
        "OK"
    );
    assert_eq!(
        lab.task("POST", path, wanted("a.qcow2", Some(&good))).await,
        "OK"
    );
    assert_eq!(
        lab.task("POST", path, wanted("a.qcow2", Some(&bad))).await,
        format!("{text}, aborting")
    );
    assert_eq!(
        lab.task("POST", path, wanted("../a.qcow2", None)).await,
        "refusing to override existing file '/var/lib/vz/import/a.qcow2'"
    );
    assert_eq!(lab.simulator.volumes(), ["local:import/a.qcow2"]);
    let refused = lab.call("POST", path, wanted("a.img", None)).await;
    assert_eq!(
        refused.body["errors"],
        json!({"filename": "invalid filename or wrong extension"})
    );
    let absent =
        json!({"content": "import", "filename": "b.qcow2", "url": format!("{base}/nosuch")});
    assert_eq!(
        lab.task("POST", path, absent).await,
        "download failed: exit code 8"
    );
    let far = json!({"content": "iso", "filename": "b.iso", "url": "https://example.com/b.iso"});
    let end = lab.task("POST", path, far).await;
    assert!(
        end.starts_with("download failed: Connecting to example.com"),
        "{end}"
    );
}

#[tokio::test]
async fn a_storage_without_the_content_type_refuses() {
    let lab = Lab::with(|options| options.storages[0].content = "iso".to_owned()).await;
    let params = json!({"content": "import", "filename": "a.qcow2", "url": "http://127.0.0.1/a"});
    let download = lab
        .call(
            "POST",
            "/nodes/pve1/storage/local/download-url",
            params.clone(),
        )
        .await;
    assert_eq!(
        download.line(),
        "500 storage 'local' is not configured for content-type 'import'"
    );
    let thin = lab
        .call("POST", "/nodes/pve1/storage/local-lvm/download-url", params)
        .await;
    assert_eq!(
        thin.line(),
        "500 can't upload to storage type 'lvmthin', not a file based storage!"
    );
    let vm = lab
        .call(
            "POST",
            "/nodes/pve1/qemu",
            json!({"vmid": 100, "scsi0": "local:1"}),
        )
        .await;
    assert_eq!(
        vm.body["errors"],
        json!({"storage": "storage 'local' does not support vm images"})
    );
}

async fn upload(
    lab: &Lab,
    fields: &[(&'static str, String)],
    name: &'static str,
    data: Vec<u8>,
) -> super::Answer {
    let form = fields
        .iter()
        .cloned()
        .fold(reqwest::multipart::Form::new(), |form, (k, v)| {
            form.text(k, v)
        });
    let part = reqwest::multipart::Part::bytes(data).file_name(name);
    let form = form.part("filename", part);
    // The length has to be known, so the form is put together first.
    let kind = format!("multipart/form-data; boundary={}", form.boundary());
    let mut stream = form.into_stream();
    let mut body = Vec::new();
    while let Some(Ok(bytes)) = futures_util::StreamExt::next(&mut stream).await {
        body.extend_from_slice(&bytes);
    }
    let request = lab.request("POST", "/nodes/pve1/storage/local/upload");
    lab.send(request.header("content-type", kind).body(body))
        .await
}

#[tokio::test]
async fn an_uploaded_seed_reaches_the_machine() {
    let lab = Lab::new().await;
    let content = ("content", "iso".to_owned());
    let algorithm = ("checksum-algorithm", "sha256".to_owned());
    let sum = ("checksum", sha256(b"seed"));
    let disordered = upload(
        &lab,
        &[content.clone(), sum.clone(), algorithm.clone()],
        "a.iso",
        b"seed".to_vec(),
    )
    .await;
    assert_eq!(disordered.line(), "400 Bad Request");
    assert_eq!(
        upload(
            &lab,
            std::slice::from_ref(&content),
            "a.txt",
            b"seed".to_vec()
        )
        .await
        .body["errors"],
        json!({"filename": "wrong file extension"})
    );
    assert_eq!(
        upload(
            &lab,
            &[("content", "snippets".to_owned())],
            "a.yaml",
            b"seed".to_vec()
        )
        .await
        .body["errors"],
        json!({"content": "value 'snippets' does not have a value in the enumeration 'iso, vztmpl, import'"})
    );
    let good = upload(&lab, &[content, algorithm, sum], "a.iso", b"seed".to_vec()).await;
    let upid = good.body["data"].as_str().expect("it is a UPID");
    assert_eq!(lab.simulator.world.task_end(upid).await, "OK");
    assert_eq!(
        lab.simulator.volume_data("local:iso/a.iso").as_deref(),
        Some(b"seed".as_slice())
    );

    let create = json!({"vmid": 100, "ide2": "local:iso/a.iso,media=cdrom"});
    assert_eq!(lab.task("POST", "/nodes/pve1/qemu", create).await, "OK");
    assert_eq!(
        lab.task("POST", "/nodes/pve1/qemu/100/status/start", json!({}))
            .await,
        "OK"
    );
    assert_eq!(
        lab.machines.started()[0].spec.cdrom.as_deref(),
        Some(b"seed".as_slice())
    );

    let eject = json!({"ide2": "none,media=cdrom"});
    assert_eq!(
        lab.call("PUT", "/nodes/pve1/qemu/100/config", eject)
            .await
            .line(),
        "200 OK"
    );
    assert_eq!(
        lab.get("/nodes/pve1/qemu/100/config?current=1").await["ide2"],
        "none,media=cdrom"
    );
    let path = "/nodes/pve1/storage/local/content/local:iso/a.iso";
    assert_eq!(lab.task("DELETE", path, json!(null)).await, "OK");
    assert!(lab.simulator.volumes().is_empty());
}

#[tokio::test]
async fn an_upload_may_be_larger_than_any_other_body() {
    let lab = Lab::new().await;
    let data = vec![7; 3 << 20];
    let answer = upload(&lab, &[("content", "iso".to_owned())], "big.iso", data).await;
    let upid = answer.body["data"].as_str().expect("it is a UPID");
    assert_eq!(lab.simulator.world.task_end(upid).await, "OK");
    let content = lab
        .get("/nodes/pve1/storage/local/content?content=iso")
        .await;
    assert_eq!(content[0]["size"], 3 << 20);
}
