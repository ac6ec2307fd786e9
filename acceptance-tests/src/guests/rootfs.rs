//! The Debian that guests boot from, built once and kept outside the tree.
//!
//! Knows nothing of single guests; what makes one of them is laid above it.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_lc_rs::digest;
use tokio::time::{Instant, interval};

const SUITE: &str = "trixie";
/// What a cloud image of Debian carries, as far as it matters here: no guest agent, no Docker.
const PACKAGES: &str = "systemd,systemd-sysv,systemd-resolved,dbus,udev,iproute2,iputils-ping,cloud-init,openssh-server,\
    sudo,ca-certificates,curl,procps,netbase,kmod,e2fsprogs,fdisk,busybox-static";
const DOCKER_PACKAGES: &str = "docker.io,docker-cli,docker-compose,iptables,qemu-guest-agent";
/// What the lab's node has of a Proxmox VE node.
const NODE_PACKAGES: &str = "lxc,uidmap,ifupdown2";
const SCRIPT: &str = include_str!("../../lab/rootfs.sh");

/// A Debian without and one with Docker and the guest agent, both read-only.
#[derive(Clone, Debug)]
pub struct Rootfs {
    directory: PathBuf,
    mirrors: Mirrors,
}

/// The apt repositories that the machine itself uses.
#[derive(Clone, Debug)]
struct Mirrors {
    main: String,
    security: String,
}

impl Rootfs {
    /// Yields what the cache has, and builds it first where it has nothing. Says on stderr what it does, since that
    /// takes most of a minute.
    ///
    /// # Errors
    /// A sentence and the end of the log, where the build fails.
    pub async fn ready() -> Result<Self, String> {
        let mirrors = Mirrors::of_machine();
        let recipe =
            format!("{SUITE} {PACKAGES} {DOCKER_PACKAGES} {NODE_PACKAGES} {mirrors:?} {SCRIPT}");
        let name = digest::digest(&digest::SHA256, recipe.as_bytes()).as_ref()[..6]
            .iter()
            .fold("rootfs-".to_owned(), |mut name, byte| {
                write!(name, "{byte:02x}").expect("a String takes all that is written to it");
                name
            });
        let rootfs = Self {
            directory: super::cache().join(name),
            mirrors,
        };
        if !rootfs.directory.exists() {
            rootfs.build().await?;
        }
        Ok(rootfs)
    }

    /// The overlay layers of a guest, topmost first.
    pub(crate) fn layers(&self, with_docker: bool) -> Vec<PathBuf> {
        let docker = with_docker.then(|| self.directory.join("docker"));
        docker
            .into_iter()
            .chain([self.directory.join("base")])
            .collect()
    }

    /// Where the layers are, which the lab's node needs all of.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A file that every guest has.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        self.directory.join("base").join(path)
    }

    /// The addresses of the repositories that the guests' apt asks.
    pub(crate) fn mirrors(&self) -> [&str; 2] {
        [&self.mirrors.main, &self.mirrors.security]
    }

    async fn build(&self) -> Result<(), String> {
        let started = Instant::now();
        let this = self.clone();
        let mut build = tokio::task::spawn_blocking(move || this.build_locked());
        let mut tick = interval(Duration::from_secs(10));
        tick.tick().await;
        loop {
            tokio::select! {
                done = &mut build => return done.map_err(|panic| panic.to_string())?,
                _ = tick.tick() => eprintln!("  … {} s", started.elapsed().as_secs()),
            }
        }
    }

    fn build_locked(&self) -> Result<(), String> {
        let cache = super::cache();
        let failed = |error| {
            format!(
                "cannot build the guests' file system in {}: {error}",
                cache.display()
            )
        };
        std::fs::create_dir_all(&cache).map_err(failed)?;
        let lock = File::create(cache.join("rootfs.lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        if self.directory.exists() {
            return Ok(());
        }
        eprintln!(
            "Building the guests' file system, Debian {SUITE} with and without Docker, from {} into {} \
             (once; about 60 s, 580 MB) …",
            self.mirrors.main,
            self.directory.display(),
        );
        let part = self.directory.with_extension("part");
        remove(&part)?;
        std::fs::create_dir(&part).map_err(failed)?;
        let path = cache.join("rootfs.log");
        let log = File::create(&path).map_err(failed)?;
        // The thread that waits here outlives the build, so the build dies with this process and not before.
        let built = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
            ])
            .args(["bash", "-c", SCRIPT, "rootfs.sh"])
            .arg(&part)
            .args([
                SUITE,
                &self.mirrors.main,
                &self.mirrors.security,
                PACKAGES,
                DOCKER_PACKAGES,
                NODE_PACKAGES,
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .status()
            .map_err(failed)?;
        if !built.success() {
            return Err(format!(
                "the build of the guests' file system failed:\n{}",
                tail(&path)
            ));
        }
        std::fs::rename(&part, &self.directory).map_err(failed)
    }
}

impl Mirrors {
    fn of_machine() -> Self {
        let asked = Command::new("apt-get")
            .args(["indextargets", "--format", "$(SITE)"])
            .output();
        Self::of_sites(&asked.map_or_else(
            |_| String::new(),
            |asked| String::from_utf8_lossy(&asked.stdout).into_owned(),
        ))
    }

    /// Picks Debian's from the lines of `apt-get indextargets`; a machine without them gets Debian's own.
    fn of_sites(sites: &str) -> Self {
        let site = |end: &str| {
            sites
                .lines()
                .map(|site| site.trim_end_matches('/'))
                .find(|site| site.ends_with(end))
        };
        let main = site("/debian")
            .unwrap_or("http://deb.debian.org/debian")
            .to_owned();
        let security =
            site("/debian-security").map_or_else(|| format!("{main}-security"), ToOwned::to_owned);
        Self { main, security }
    }
}

/// The last lines of a log, for an error message.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Removes a tree which may not be there.
pub(crate) fn remove(tree: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(tree) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {error}", tree.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Mirrors;

    #[track_caller]
    fn check(sites: &str, expected: [&str; 2]) {
        let mirrors = Mirrors::of_sites(sites);
        assert_eq!([mirrors.main.as_str(), mirrors.security.as_str()], expected);
    }

    #[test]
    fn the_mirror_of_the_machine_is_the_mirror_of_the_guests() {
        check(
            "",
            [
                "http://deb.debian.org/debian",
                "http://deb.debian.org/debian-security",
            ],
        );
        check(
            "https://x.test\nhttp://m.test/debian/\n",
            ["http://m.test/debian", "http://m.test/debian-security"],
        );
        check(
            "http://s.test/debian-security\nhttp://m.test/debian",
            ["http://m.test/debian", "http://s.test/debian-security"],
        );
    }
}
