//! Keys: an ephemeral resource, open for as long as a command runs.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{
    framework::{Context, EphemeralResource, Lease, Model, Result},
    shelf::Shelves,
};

/// A key that is handed out for one command.
#[derive(Clone, Serialize, Deserialize, Model)]
pub(crate) struct Key {
    /// Whose it is.
    holder: String,
    /// The key.
    #[attr(computed, sensitive)]
    key: Option<String>,
}

pub(crate) struct KeyResource;

impl EphemeralResource for KeyResource {
    const NAME: &'static str = "everything_key";
    type Client = Shelves;
    type Model = Key;

    async fn open(&self, cx: &Context<'_, Shelves>, config: Key) -> Result<(Key, Lease)> {
        cx.client.journal(&format!("open {}", config.holder))?;
        let lease = lease(config.holder.as_bytes());
        let key = format!("key-of-{}", config.holder);
        Ok((
            Key {
                key: Some(key),
                ..config
            },
            lease,
        ))
    }

    async fn renew(&self, cx: &Context<'_, Shelves>, holder: &[u8]) -> Result<Lease> {
        let line = format!("renew {}", String::from_utf8_lossy(holder));
        cx.client.journal(&line)?;
        Ok(lease(holder))
    }

    async fn close(&self, cx: &Context<'_, Shelves>, holder: &[u8]) -> Result<()> {
        let line = format!("close {}", String::from_utf8_lossy(holder));
        cx.client.journal(&line)
    }
}

fn lease(holder: &[u8]) -> Lease {
    Lease {
        private: holder.to_vec(),
        renew_at: Some(SystemTime::now() + Duration::from_secs(600)),
    }
}
