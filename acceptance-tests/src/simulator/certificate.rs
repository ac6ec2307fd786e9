//! The certificate of the server: a CA of its own, and a node certificate signed by it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

use super::storage::checksum::hex;

/// What the server shows, and what clients need to trust it.
pub(crate) struct Identity {
    pub(crate) tls: Arc<ServerConfig>,
    /// SHA-256 of the node certificate, `AB:CD:…`.
    pub(crate) fingerprint: String,
    /// The CA certificate.
    pub(crate) ca_pem: String,
}

impl Identity {
    /// Makes one for loopback and the names of the nodes.
    pub(crate) fn new(nodes: &[String]) -> Result<Self, rcgen::Error> {
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name
            .push(DnType::CommonName, "Proxmox Virtual Environment");
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;
        let names = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
        let mut leaf = CertificateParams::new([&names, nodes].concat())?;
        leaf.distinguished_name.push(
            DnType::CommonName,
            nodes.first().map_or("pve", |n| n.as_str()),
        );
        let key = KeyPair::generate()?;
        let leaf = leaf.signed_by(&key, &ca)?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, leaf.der());
        let pairs: Vec<String> = digest
            .as_ref()
            .iter()
            .map(|byte| hex(&[*byte]).to_uppercase())
            .collect();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![leaf.der().clone(), ca.der().clone()];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("the certificate is made for this key");
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            tls: Arc::new(tls),
            fingerprint: pairs.join(":"),
            ca_pem: pem(ca.der()),
        })
    }
}

fn pem(der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let lines: Vec<&str> = encoded
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
}
