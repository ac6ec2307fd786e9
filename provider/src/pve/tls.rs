//! The HTTP client, and whom it believes.
//!
//! Does not install a process-wide crypto provider: every TLS configuration names its own.

use std::{error::Error as StdError, fmt, io, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use reqwest::{ClientBuilder, redirect};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, aws_lc_rs::default_provider, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use super::{Fingerprint, Trust};

type Failure = Box<dyn StdError + Send + Sync>;

/// A client that believes `trust`. With `Trust::System` this reads the system's authorities, about 10 ms.
pub(super) fn client(
    trust: &Trust,
    loopback: bool,
    request_timeout: Duration,
) -> Result<reqwest::Client, Failure> {
    let builder = ClientBuilder::new()
        .user_agent(concat!(
            "terraform-provider-pmoves/",
            env!("CARGO_PKG_VERSION")
        ))
        .https_only(true)
        .redirect(redirect::Policy::none())
        .http1_only()
        // A busy node takes seconds for a handshake.
        .connect_timeout(Duration::from_secs(10))
        // pveproxy closes an idle connection after 5 s.
        .pool_idle_timeout(Duration::from_secs(4))
        .timeout(request_timeout);
    let builder = if loopback {
        builder.no_proxy()
    } else {
        builder
    };
    let builder = match verifier(trust)? {
        Some(verifier) => builder.tls_backend_preconfigured(config(verifier)?),
        None => builder,
    };
    Ok(builder.build()?)
}

fn verifier(trust: &Trust) -> Result<Option<Arc<dyn ServerCertVerifier>>, Failure> {
    let provider = Arc::new(default_provider());
    Ok(match trust {
        Trust::System => None,
        Trust::Insecure => Some(Arc::new(Pinned {
            pin: None,
            provider,
        })),
        Trust::Fingerprint(pin) => Some(Arc::new(Pinned {
            pin: Some(*pin),
            provider,
        })),
        Trust::Ca(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(certificate?)?;
            }
            if roots.is_empty() {
                return Err("the PEM text of the certificate authority has no certificate".into());
            }
            Some(WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?)
        }
    })
}

fn config(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Believes one certificate, or any, but always checks that the server has its key.
#[derive(Debug)]
struct Pinned {
    pin: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest = digest::digest(&digest::SHA256, end_entity);
        let seen = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        if self.pin.is_none_or(|pin| pin == seen) {
            Ok(ServerCertVerified::assertion())
        } else {
            let other = OtherError(Arc::new(OtherCertificate(Fingerprint(seen))));
            Err(CertificateError::Other(other).into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[derive(Debug)]
struct OtherCertificate(Fingerprint);

impl fmt::Display for OtherCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server's certificate has the fingerprint {}", self.0)
    }
}

impl StdError for OtherCertificate {}

/// What the TLS layer holds against a certificate.
pub(super) enum Complaint {
    /// It is not the pinned one.
    Other(Fingerprint),
    /// It is not trusted.
    Untrusted(CertificateError),
}

/// Looks for a refused certificate among the causes of `error`.
pub(super) fn complaint(error: &(dyn StdError + 'static)) -> Option<Complaint> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(why)) = error.downcast_ref() {
            let other = match why {
                CertificateError::Other(OtherError(other)) => {
                    other.downcast_ref::<OtherCertificate>()
                }
                _ => None,
            };
            return Some(match other {
                Some(OtherCertificate(seen)) => Complaint::Other(*seen),
                None => Complaint::Untrusted(why.clone()),
            });
        }
        // An io::Error skips the error it wraps when asked for its source.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = wrapped.map(|error| error as _).or_else(|| error.source());
    }
    None
}
