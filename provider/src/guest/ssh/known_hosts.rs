//! Which host keys are known: a file that OpenSSH reads and adds to.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use tempfile::NamedTempFile;

/// The host keys that are known, and whether new ones become so.
#[derive(Debug, Default)]
pub struct KnownHosts {
    /// Lines that were given.
    text: Option<String>,
    /// Else the file with them.
    file: Option<PathBuf>,
    /// Whether the key of a host that has none yet is taken as it comes.
    pub(super) accept_new: bool,
    written: Mutex<Option<NamedTempFile>>,
}

impl KnownHosts {
    /// Lines, or else a file with them.
    pub fn new(text: Option<String>, file: Option<PathBuf>, accept_new: bool) -> Self {
        Self {
            file: file.filter(|_| text.is_none()),
            text,
            accept_new,
            written: Mutex::default(),
        }
    }

    /// The file. For lines that were given it is a new one, which lasts as long as this: what is learnt is known for
    /// one run.
    ///
    /// # Errors
    /// It cannot be written, or there is no place for it.
    pub(super) fn path(&self) -> io::Result<PathBuf> {
        if let Some(file) = &self.file {
            if let Some(folder) = file.parent().filter(|_| self.accept_new) {
                std::fs::create_dir_all(folder)?;
            }
            return Ok(file.clone());
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let file = if let Some(file) = written.take() {
            file
        } else {
            let mut file = NamedTempFile::with_prefix("pmoves-known-hosts-")?;
            let text = self.text.as_deref().unwrap_or_default();
            file.write_all(format!("{}\n", text.trim_end()).as_bytes())?;
            file
        };
        let path = file.path().to_owned();
        *written = Some(file);
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_were_given_are_a_file_while_they_are_needed() {
        let own = Some(PathBuf::from("/home/me/.ssh/known_hosts"));
        let hosts = KnownHosts::new(Some("a KEY\nb KEY".into()), own.clone(), false);
        let path = hosts.path().unwrap();
        assert_eq!(path, hosts.path().unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a KEY\nb KEY\n");
        drop(hosts);
        assert!(!path.exists());
        assert_eq!(KnownHosts::new(None, own.clone(), false).path().ok(), own);
    }
}
