//! Files for a storage, which travel as multipart forms.

use std::{
    io,
    path::{Path, PathBuf},
};

use reqwest::multipart::{Form, Part};

use super::{Call, Params, Pve, Result, Upid};

/// A file for a storage, under the name that it gets there.
#[derive(Clone, Debug)]
pub struct File {
    name: String,
    source: Source,
    sha256: Option<String>,
}

#[derive(Clone, Debug)]
enum Source {
    Bytes(Vec<u8>),
    Disk(PathBuf),
}

impl File {
    /// A small file.
    pub fn of(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            name: name.into(),
            source: Source::Bytes(bytes),
            sha256: None,
        }
    }

    /// A file of this machine, sent as it is read. PVE keeps it only if it has the SHA-256 sum, in hex digits.
    pub fn at(name: impl Into<String>, path: &Path, sha256: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            source: Source::Disk(path.to_owned()),
            sha256: Some(sha256.into()),
        }
    }

    /// Whether it may take longer to send than a request usually takes.
    pub(super) fn is_streamed(&self) -> bool {
        matches!(self.source, Source::Disk(_))
    }

    /// PVE reads the parts in order and wants the file last, with a known length.
    pub(super) async fn form(&self, params: &Params) -> io::Result<Form> {
        let order = ["content", "checksum-algorithm", "checksum"];
        let fields = order
            .iter()
            .filter_map(|name| Some((*name, params.value(name)?)));
        let form = fields.fold(Form::new(), |form, (name, value)| {
            form.text(name, value.to_owned())
        });
        let part = match &self.source {
            Source::Bytes(bytes) => Part::bytes(bytes.clone()),
            Source::Disk(path) => Part::file(path).await?,
        };
        Ok(form.part("filename", part.file_name(self.name.clone())))
    }
}

impl Pve {
    /// Stores a file of content `iso`, `vztmpl` or `import` in `storage`, replacing one of the same name. The transfer
    /// of a file of this machine may be cancelled, which leaves nothing behind.
    pub async fn upload(
        &self,
        node: &str,
        storage: &str,
        content: &str,
        file: &File,
    ) -> Result<Upid> {
        let path = format!("/nodes/{node}/storage/{storage}/upload");
        let params = Params::new()
            .with("content", Some(content))
            .with("checksum-algorithm", file.sha256.as_ref().map(|_| "sha256"))
            .with("checksum", file.sha256.as_ref());
        let call = Call::post(path, params).task();
        self.started(&call, Some(file)).await
    }
}
