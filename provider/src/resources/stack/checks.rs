//! Checks of single values of `pmoves_stack`. Pure.

use crate::{framework::Value, guest::compose::dotenv, resources::host::HostId};

type Check = Result<(), String>;

/// Where projects live unless told otherwise.
pub(super) const STACKS: &str = "/opt/pmoves/stacks";

/// `qemu/101` or `lxc/102`. Whatever else it is, it is no guest, and Docker belongs nowhere else.
pub(super) fn host_id(value: &Value) -> Check {
    let text = value.as_str().unwrap_or_default();
    match HostId::parse(text) {
        Some(_) => Ok(()),
        None => Err(format!(
            "{text:?} is no guest; a guest looks like qemu/101 or lxc/102. Docker never runs on a Proxmox VE node: use a VM or a container (LXC), such as `pmoves_docker_vm.NAME.id`."
        )),
    }
}

/// As Compose wants the names of projects.
pub(super) fn project_name(value: &Value) -> Check {
    let name = value.as_str().unwrap_or_default();
    let fine = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
    match fine {
        true => Ok(()),
        false => Err(format!(
            "{name:?} is no project name: use lower-case letters, digits, `_` and `-`, beginning with a letter or digit."
        )),
    }
}

/// Most bytes of one file.
const LARGEST: usize = 1 << 20;

pub(super) fn files(value: &Value) -> Check {
    for (path, content) in value.as_map().into_iter().flatten() {
        let fine = !path.starts_with('/')
            && !path.is_empty()
            && path
                .split('/')
                .all(|part| !part.is_empty() && part != "." && part != "..");
        if !fine {
            return Err(format!(
                "{path:?} must be a path below the project directory, without `.` and `..`."
            ));
        }
        if path == ".env" || path == ".pmoves" || path.starts_with(".pmoves/") {
            return Err(format!(
                "{path:?} is written by the provider; variables belong into `env`."
            ));
        }
        if content.as_str().is_some_and(|text| text.len() > LARGEST) {
            return Err(format!("{path:?} is larger than 1 MiB."));
        }
    }
    Ok(())
}

pub(super) fn variables(value: &Value) -> Check {
    match value
        .as_map()
        .into_iter()
        .flatten()
        .find(|(name, _)| !dotenv::is_name(name))
    {
        Some((name, _)) => Err(format!(
            "{name:?} cannot be the name of a variable in an env file."
        )),
        None => Ok(()),
    }
}

pub(super) fn directory(value: &Value) -> Check {
    let path = value.as_str().unwrap_or_default();
    let fine = path.len() > 1
        && path.starts_with('/')
        && !path.ends_with('/')
        && path.split('/').all(|part| part != "..")
        && path.chars().all(|c| !c.is_control());
    match fine {
        true => Ok(()),
        false => Err(format!(
            "{path:?} must be an absolute path without `..` and without a `/` at its end."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_guest_is_a_host() {
        for (text, fine) in [
            ("qemu/101", true),
            ("lxc/102", true),
            ("pve1", false),
            ("node/pve1", false),
            ("101", false),
            ("qemu/0101", false),
            ("qemu/99", false),
        ] {
            assert_eq!(host_id(&text.into()).is_ok(), fine, "{text}");
        }
        assert!(
            host_id(&"node/pve1".into())
                .unwrap_err()
                .contains("use a VM")
        );
    }

    #[test]
    fn files_stay_below_the_project_directory() {
        let files_of = |path: &str| files(&Value::Map([(path.to_owned(), "x".into())].into()));
        for (path, fine) in [
            ("conf/nginx.conf", true),
            ("/etc/passwd", false),
            ("../x", false),
            ("a//b", false),
            (".env", false),
            (".pmoves/key", false),
        ] {
            assert_eq!(files_of(path).is_ok(), fine, "{path}");
        }
    }
}
