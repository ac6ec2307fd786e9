//! Mutual TLS with the core that started us: it knows our certificate from the handshake line, we
//! know its certificate from the environment.
//!
//! No authority is involved: either side trusts exactly one certificate. Core's is marked as an
//! authority, which path building refuses in a leaf, so it is compared as a whole.

use std::{io, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime, pem::PemObject as _},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use time::{Duration, OffsetDateTime};
use tokio_rustls::TlsAcceptor;

/// Who we are for this one run.
pub(super) struct Identity {
    /// Our certificate as the handshake line carries it.
    pub(super) certificate: String,
    /// Accepts core and nobody else.
    pub(super) acceptor: TlsAcceptor,
}

impl Identity {
    /// A fresh identity that accepts only the owner of a certificate.
    pub(super) fn trusting(core: &str) -> io::Result<Self> {
        let core = CertificateDer::from_pem_slice(core.as_bytes()).map_err(|error| {
            io::Error::other(format!("PLUGIN_CLIENT_CERT is no certificate: {error}"))
        })?;
        let (certificate, key) = own_certificate().map_err(io::Error::other)?;
        let crypto = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(Pinned {
            core,
            crypto: Arc::clone(&crypto),
        });
        let encoded = STANDARD_NO_PAD.encode(&certificate);
        let mut config = ServerConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config
                    .with_client_cert_verifier(verifier)
                    .with_single_cert(vec![certificate], key.into())
            })
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // Core connects once.
        config.send_tls13_tickets = 0;
        Ok(Self {
            certificate: encoded,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        })
    }
}

fn own_certificate() -> Result<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>), rcgen::Error>
{
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(["localhost".to_owned()])?;
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::hours(1);
    params.not_after = now + Duration::days(3650);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?;
    Ok((
        certificate.into(),
        PrivatePkcs8KeyDer::from(key.serialize_der()),
    ))
}

/// Accepts one certificate, and the signatures of its key.
#[derive(Debug)]
struct Pinned {
    core: CertificateDer<'static>,
    crypto: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if *end_entity != self.core {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.crypto.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.crypto.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.crypto
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    /// aws-lc looks at the variable when it is built, which is when this test is.
    #[test]
    fn no_start_waits_for_jitter() {
        assert_eq!(
            option_env!("AWS_LC_SYS_NO_JITTER_ENTROPY"),
            Some("1"),
            "every start would take 30 to 45 ms more: build where .cargo/config.toml is seen, or set \
             the variable to 1"
        );
    }
}
