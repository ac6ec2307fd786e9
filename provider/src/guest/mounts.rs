//! Mounts beside that of Docker's data: shares and directories of elsewhere, and how they are taken back again.
//!
//! Each is a systemd unit that bears a mark; units without it are somebody else's. Mounts what it is told to and
//! unmounts only what nothing uses.

use std::collections::BTreeMap;

use super::{Error, Guest, Result, disk, quote, sha256};

/// The line that tells units of ours; systemd skips keys that begin with `X-`.
pub(super) const MARK: &str = "X-Pmoves=mount";
const RELEASE: &str = include_str!("mounts/release.sh");
const MOUNT: &str = include_str!("mounts/mount.sh");

/// A filesystem of elsewhere, mounted before Docker starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// What it is called, for people.
    pub name: String,
    /// `nas.lan:/media`, `//nas.lan/media` or the tag of a device.
    pub source: String,
    /// Mount point: an absolute path of `[A-Za-z0-9/._-]`.
    pub path: String,
    /// `nfs4`, `cifs`, `virtiofs`, …
    pub filesystem: String,
    /// Mount options, separated by commas.
    pub options: Option<String>,
}

impl Share {
    /// Path of its unit in the guest.
    fn file(&self) -> String {
        format!("/etc/systemd/system/{}.mount", escaped(&self.path))
    }

    fn text(&self) -> Result<String> {
        let fine = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
        let options = self.options.as_deref();
        if ![&*self.name, &self.source]
            .into_iter()
            .chain(options)
            .all(fine)
        {
            return Err(Error::Refused(format!(
                "{:?} cannot be mounted",
                self.source
            )));
        }
        // systemd would replace what follows a percent sign.
        let plain = |text: &str| text.replace('%', "%%");
        let target = match &*self.filesystem {
            "virtiofs" => "local-fs.target",
            _ => "remote-fs.target",
        };
        let options = options.map_or_else(String::new, |text| format!("Options={}\n", plain(text)));
        Ok(format!(
            "[Unit]\nDescription=Share {}\n{MARK}\nBefore=docker.service\n\n\
             [Mount]\nWhat={}\nWhere={}\nType={}\n{options}\n\
             [Install]\nWantedBy={target}\n",
            plain(&self.name),
            plain(&self.source),
            self.path.trim_end_matches('/'),
            self.filesystem
        ))
    }

    /// Whether a guest has it just so; `files` are the checksums of its units by path.
    pub fn is_in(&self, files: &BTreeMap<String, String>) -> bool {
        let sum = self.text().ok().map(|text| sha256(&text));
        sum.is_some() && files.get(&self.file()) == sum.as_ref()
    }
}

/// Mounts the share, and at every boot. Safe to repeat.
pub async fn mount(guest: &impl Guest, share: &Share) -> Result<()> {
    let what = format!("mounting {} at {}", share.source, share.path);
    let script = format!(
        "where={} unit={} type={} mark={MARK}\ntext={}\n{MOUNT}",
        quote(share.path.trim_end_matches('/')),
        quote(&share.file()),
        quote(&share.filesystem),
        quote(share.text()?.trim_end()),
    );
    disk::with_tools(guest, &script, &what).await.map(drop)
}

/// Takes the mounts of ours back that are not at one of the paths to `keep`. Safe to repeat.
///
/// # Errors
/// One that is in use is left as it is.
pub async fn release(guest: &impl Guest, keep: &[String]) -> Result<()> {
    let keep: Vec<&str> = keep.iter().map(|path| path.trim_end_matches('/')).collect();
    let keep = format!("\n{}\n", keep.join("\n"));
    let script = format!("mark={MARK} keep={}\n{RELEASE}", quote(&keep));
    guest.run(&script).await?.ok("unmounting").map(drop)
}

/// A path as systemd writes it in the name of a unit.
fn escaped(path: &str) -> String {
    let path = path.trim_matches('/');
    let letters = path.char_indices().map(|(at, c)| match c {
        '/' => "-".to_owned(),
        '.' if at > 0 => c.to_string(),
        c if c.is_ascii_alphanumeric() || c == '_' => c.to_string(),
        c => format!("\\x{:02x}", u32::from(c)),
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn media() -> Share {
        Share {
            name: "media".into(),
            source: "nas.lan:/100% media".into(),
            path: "/mnt/media-1/".into(),
            filesystem: "nfs4".into(),
            options: Some("ro,soft".into()),
        }
    }

    #[test]
    fn a_share_is_a_unit() {
        assert_eq!(media().file(), r"/etc/systemd/system/mnt-media\x2d1.mount");
        expect![[r"
            [Unit]
            Description=Share media
            X-Pmoves=mount
            Before=docker.service

            [Mount]
            What=nas.lan:/100%% media
            Where=/mnt/media-1
            Type=nfs4
            Options=ro,soft

            [Install]
            WantedBy=remote-fs.target
        "]]
        .assert_eq(&media().text().unwrap());
    }

    #[test]
    fn a_unit_that_others_changed_is_not_the_share() {
        let text = media().text().unwrap();
        let files = |text: &str| BTreeMap::from([(media().file(), sha256(text))]);
        assert!(media().is_in(&files(&text)));
        assert!(!media().is_in(&files("[Unit]\n")) && !media().is_in(&BTreeMap::new()));
    }

    #[test]
    fn nothing_odd_gets_into_a_unit() {
        let odd = Share {
            source: "nas:/x\nOptions=suid".into(),
            ..media()
        };
        assert!(odd.text().is_err());
    }

    #[test]
    fn the_scripts_are_shell() {
        for script in [RELEASE, MOUNT] {
            crate::guest::sh::check(script);
        }
    }
}
