//! Scripts that install packages with apt, for [`super::detached`].
//!
//! Never purges, never touches configuration files that are there, adds recommended packages only by name.

use super::{quote, write_file};

const APT: &str = include_str!("packages/apt.sh");
const DISTRO: &str = include_str!("packages/distro.sh");
const DOCKER: &str = include_str!("packages/docker.sh");
const INSTALL: &str = include_str!("packages/install.sh");

/// A package repository of the kind that Docker has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Repository {
    /// Base URL, which has a directory `dists`.
    pub(super) url: String,
    /// Code name of the distribution's release.
    pub(super) suite: String,
    /// Its binary key ring.
    pub(super) key: Vec<u8>,
}

/// A script that installs `packages` unless they are there.
pub(super) fn install(packages: &[&str]) -> String {
    let words: Vec<_> = packages.iter().map(|package| quote(package)).collect();
    format!("{APT}refresh\napt install {}\n", words.join(" "))
}

/// A script that installs the distribution's Engine and Compose, held at `version` if there is one.
pub(super) fn distro(version: Option<&str>) -> String {
    format!(
        "{APT}wanted={}\n{DISTRO}{INSTALL}",
        quote(version.unwrap_or_default())
    )
}

/// The same from a repository of Docker's.
pub(super) fn docker(version: Option<&str>, repository: &Repository) -> String {
    const LIST: &str = "/etc/apt/sources.list.d/pmoves-docker.sources";
    const KEY: &str = "/etc/apt/keyrings/pmoves-docker.gpg";
    let Repository { url, suite, key } = repository;
    let list =
        format!("Types: deb\nURIs: {url}\nSuites: {suite}\nComponents: stable\nSigned-By: {KEY}\n");
    let files = [
        write_file(KEY, "0644", key),
        write_file(LIST, "0644", list.as_bytes()),
    ]
    .concat();
    let head = format!(
        "wanted={}\nurl={}\nlist={LIST}\n",
        quote(version.unwrap_or_default()),
        quote(url)
    );
    format!(
        "{APT}{head}{}{INSTALL}",
        DOCKER.replace("  WRITE\n", &files)
    )
}

/// Whether an installed `version` is the `wanted` one or begins with it; an epoch does not count.
pub(super) fn is_version(version: &str, wanted: &str) -> bool {
    let upstream = version
        .split_once(':')
        .map_or(version, |(_, upstream)| upstream);
    let rest = upstream.strip_prefix(wanted);
    version == wanted || rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_are_shell() {
        let repository = Repository {
            url: "https://x.example/debian".into(),
            suite: "trixie".into(),
            key: vec![1; 200],
        };
        for script in [
            install(&["xfsprogs"]),
            distro(None),
            distro(Some("26.1")),
            docker(Some("29"), &repository),
        ] {
            crate::guest::sh::check(&script);
            assert!(
                !script.contains("WRITE") && !script.contains("purge"),
                "{script}"
            );
        }
    }

    #[test]
    fn a_version_may_be_given_in_part() {
        let installed = "5:28.5.2-1~debian.13~trixie";
        for wanted in ["28", "28.5", "28.5.2", installed] {
            assert!(is_version(installed, wanted), "{wanted}");
        }
        for wanted in ["2", "28.50", "29", "5"] {
            assert!(!is_version(installed, wanted), "{wanted}");
        }
    }
}
