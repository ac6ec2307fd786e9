//! What a stack's attributes put on its host: directory, texts, files.

use std::collections::BTreeMap;

use super::{Stack, checks, text};
use crate::{
    framework::{Failure, Result, Value, model::untyped},
    guest::{
        compose::dotenv,
        project::{self, Pull, Recreate, SecretFile},
    },
    resources::host::HostId,
    secret::Secret,
};

impl Stack {
    pub(super) fn vmid(&self) -> Result<u32> {
        HostId::parse(&self.host_id)
            .map(|host| host.vmid)
            .ok_or_else(|| Failure::new(format!("{:?} is no guest", self.host_id)))
    }

    pub(super) fn label(&self) -> String {
        format!("The stack {}", self.name)
    }

    pub(super) fn directory(&self) -> String {
        let default = || format!("{}/{}", checks::STACKS, self.name);
        self.project_directory.clone().unwrap_or_else(default)
    }

    /// This model as a value that still has the names of its write-only entries.
    pub(super) fn with_secret_names(&self) -> Value {
        let mut value = untyped(self);
        for (attribute, entries) in [("env_wo", &self.env_wo), ("secrets_wo", &self.secrets_wo)] {
            if let Some(entries) = entries {
                let hidden = entries.keys().map(|name| (name.clone(), "".into()));
                value.put(attribute, Value::Map(hidden.collect()));
            }
        }
        value
    }

    /// What is written to the host.
    pub(super) fn shipped(&self) -> project::Stack {
        let exposed = |entries: &BTreeMap<String, Secret<String>>| -> BTreeMap<String, String> {
            let entry =
                |(name, value): (&String, &Secret<String>)| (name.clone(), value.expose().clone());
            entries.iter().map(entry).collect()
        };
        let env_secret = |entries| Secret::new(dotenv::write(&exposed(entries)).into_bytes());
        let secret = |(name, value): (&String, &Secret<String>)| {
            (name.clone(), SecretFile::new(value.expose().clone()))
        };
        let file = |(path, text): (&String, &String)| (path.clone(), text.clone().into_bytes());
        project::Stack {
            project: self.name.clone(),
            directory: self.directory(),
            compose_files: text::texts(&untyped(self)),
            files: self.files.iter().flatten().map(file).collect(),
            env: self.env.as_ref().map(dotenv::write),
            env_secret: self.env_wo.as_ref().map(env_secret),
            secrets: self.secrets_wo.iter().flatten().map(secret).collect(),
            input_labels: BTreeMap::new(),
            profiles: self.profiles.iter().flatten().cloned().collect(),
            pull: match self.pull.as_deref() {
                Some("always") => Pull::Always,
                Some("never") => Pull::Never,
                _ => Pull::Missing,
            },
            remove_orphans: self.remove_orphans != Some(false),
            recreate: match self.recreate.as_deref() {
                Some("always") => Recreate::Always,
                Some("never") => Recreate::Never,
                _ => Recreate::Auto,
            },
        }
    }
}
