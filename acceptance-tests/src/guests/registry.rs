//! The lab's container registry: its certificate, its configuration, and the images that are pushed to it.
//!
//! The registry itself is Debian's `docker-registry`, in the lab's network. Guests trust its certificate and know its
//! name, so that nothing in their Docker's configuration has to be about it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Certificate, Client, Response, StatusCode};

use super::image::{self, Image};
use super::network::{Forward, Network};
use super::rootfs::Rootfs;

pub(crate) const HOST: &str = "registry.pmoves.test";
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const NAME: &str = "registry.pmoves.test:5000";
/// Where Debian keeps the certificates that everything in a guest trusts.
const TRUSTED: &str = "etc/ssl/certs/ca-certificates.crt";

#[derive(Debug)]
pub(crate) struct Registry {
    certificate: String,
}

impl Registry {
    /// Writes what the registry starts with, and into the guests' layer that they trust it.
    pub(crate) fn write(run: &Path, rootfs: &Rootfs) -> io::Result<Self> {
        let signed =
            rcgen::generate_simple_self_signed([HOST.to_owned()]).map_err(io::Error::other)?;
        let certificate = pem("CERTIFICATE", signed.cert.der());
        std::fs::write(run.join("registry.crt"), &certificate)?;
        std::fs::write(
            run.join("registry.key"),
            pem("PRIVATE KEY", signed.signing_key.serialized_der()),
        )?;
        let run_path = run.display();
        let config = format!(
            "version: 0.1\n\
             log: {{level: warn, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: '{run_path}/registry'}}, delete: {{enabled: true}}}}\n\
             http: {{addr: '{ADDRESS}:5000', tls: {{certificate: '{run_path}/registry.crt', key: '{run_path}/registry.key'}}}}\n"
        );
        std::fs::write(run.join("registry.yml"), config)?;

        let layer = run.join("layer");
        std::fs::create_dir_all(layer.join("etc/ssl/certs"))?;
        std::fs::create_dir_all(layer.join("usr/local/share/ca-certificates"))?;
        std::fs::write(
            layer.join(TRUSTED),
            std::fs::read_to_string(rootfs.file(TRUSTED))? + &certificate,
        )?;
        // An update of the trusted ones starts from this directory.
        std::fs::write(
            layer.join("usr/local/share/ca-certificates/registry.crt"),
            &certificate,
        )?;
        Ok(Self { certificate })
    }

    #[expect(
        clippy::unused_self,
        reason = "only a registry that was written has a name"
    )]
    pub(crate) fn name(&self) -> &'static str {
        NAME
    }

    /// Pushes the demo images, once the registry answers.
    pub(crate) async fn fill(&self, network: &Network, rootfs: &Rootfs) -> Result<(), String> {
        let failed = |error: &dyn std::error::Error| {
            format!(
                "cannot fill the lab's registry: {error} {:?}",
                error.source()
            )
        };
        let door = Forward::into(network, SocketAddr::from((ADDRESS, 5000)))
            .await
            .map_err(|error| failed(&error))?;
        let certificate =
            Certificate::from_pem(self.certificate.as_bytes()).map_err(|error| failed(&error))?;
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([certificate])
            .resolve(HOST, door.address)
            .build()
            .map_err(|error| failed(&error))?;
        let base = format!("https://{HOST}:{}/v2/", door.address.port());
        answering(&client, &base)
            .await
            .map_err(|error| failed(&error))?;
        let busybox =
            std::fs::read(rootfs.file("usr/bin/busybox")).map_err(|error| failed(&error))?;
        for image in image::demo(&busybox) {
            push(&client, &base, &image)
                .await
                .map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

/// Waits for the registry to listen, which takes it a tenth of a second.
async fn answering(client: &Client, base: &str) -> reqwest::Result<Response> {
    let mut tries = tokio::time::interval(std::time::Duration::from_millis(20));
    let mut left = 500;
    loop {
        tries.tick().await;
        left -= 1;
        match client.get(base).send().await {
            Err(_) if left > 0 => {}
            answer => return answer?.error_for_status(),
        }
    }
}

async fn push(client: &Client, base: &str, image: &Image) -> reqwest::Result<()> {
    let repository = format!("{base}{}", image.name);
    for blob in &image.blobs {
        let digest = image::digest(blob);
        let known = client
            .head(format!("{repository}/blobs/{digest}"))
            .send()
            .await?;
        if known.status() != StatusCode::NOT_FOUND {
            known.error_for_status()?;
            continue;
        }
        let upload = client
            .post(format!("{repository}/blobs/uploads/"))
            .send()
            .await?
            .error_for_status()?;
        let location = upload
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .unwrap_or_default();
        let mut target = upload
            .url()
            .join(location)
            .unwrap_or_else(|_| upload.url().clone());
        target.query_pairs_mut().append_pair("digest", &digest);
        client
            .put(target)
            .body(blob.clone())
            .send()
            .await?
            .error_for_status()?;
    }
    let manifest = client
        .put(format!("{repository}/manifests/{}", image.tag))
        .header(CONTENT_TYPE, image::MANIFEST);
    manifest
        .body(image.manifest.clone())
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}

/// The text form of a key or certificate (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in BASE64_STANDARD.encode(der).as_bytes().chunks(64) {
        text += &String::from_utf8_lossy(line);
        text += "\n";
    }
    text + &format!("-----END {label}-----\n")
}
