//! The socket that core connects to: alone in a directory that nobody else can enter.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

/// The address of a Unix socket holds 104 bytes on the strictest system, one of them a zero.
const LONGEST: usize = 103;

/// A socket's place in the file system, removed on drop.
pub(super) struct Socket {
    directory: PathBuf,
    path: String,
}

impl Socket {
    /// Listens in a fresh directory below `parent`, or the temporary one, or `/tmp` if that is too long.
    pub(super) fn bind(parent: Option<String>) -> io::Result<(Self, UnixListener)> {
        let parent = parent.map_or_else(std::env::temp_dir, PathBuf::from);
        let name = format!("plugin-{:016x}", random()?);
        let fits = |parent: &Path| {
            let path = parent.join(&name).join("rpc").into_os_string();
            path.into_string().ok().filter(|path| path.len() <= LONGEST)
        };
        let (parent, path) = match fits(&parent) {
            Some(path) => (parent.as_path(), path),
            None => (Path::new("/tmp"), format!("/tmp/{name}/rpc")),
        };
        let directory = parent.join(&name);
        DirBuilder::new().mode(0o700).create(&directory)?;
        let socket = Self { directory, path };
        let listener = UnixListener::bind(&socket.path)?;
        Ok((socket, listener))
    }

    /// Where core finds it.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A directory that somebody has swept away already is as good as removed.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_dir(&self.directory);
    }
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn the_directory_is_private_and_goes_with_the_socket() {
        let parent = tempfile::tempdir().unwrap();
        let (socket, _listener) = Socket::bind(parent.path().to_str().map(Into::into)).unwrap();
        let directory = socket.directory.clone();
        assert!(directory.starts_with(parent.path()));
        let mode = fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(socket);
        assert!(!directory.exists());
    }

    #[tokio::test]
    async fn a_long_temporary_directory_is_avoided() {
        let (socket, _listener) = Socket::bind(Some("/tmp/".to_owned() + &"x".repeat(90))).unwrap();
        assert!(socket.path().len() < 40, "{}", socket.path());
    }
}
