//! Private keys to log in with.

use std::{fmt, sync::Arc};

use russh::keys::{self, Algorithm};

/// A private key that is ready to sign. Its text is nowhere in what is printed of it.
#[derive(Clone)]
pub struct PrivateKey(pub(super) Arc<keys::PrivateKey>);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(***)")
    }
}

impl PrivateKey {
    /// Reads a key in the format of OpenSSH or as PKCS#8.
    ///
    /// # Errors
    /// A sentence without the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let key = keys::decode_secret_key(text, None).map_err(|error| match error {
            keys::Error::KeyIsEncrypted => {
                "The key has a passphrase: give it to an SSH agent and set agent = true, or take one without.".to_owned()
            }
            _ => "Is no private key in the format of OpenSSH; it begins with `-----BEGIN OPENSSH PRIVATE KEY-----`. \
                  RSA keys are taken from an SSH agent only: make one with `ssh-keygen -t ed25519`."
                .to_owned(),
        })?;
        match key.algorithm() {
            Algorithm::Rsa { .. } => Err(
                "RSA keys are taken from an SSH agent only: make one with `ssh-keygen -t ed25519`, or set agent = true."
                    .to_owned(),
            ),
            _ => Ok(Self(Arc::new(key))),
        }
    }
}
