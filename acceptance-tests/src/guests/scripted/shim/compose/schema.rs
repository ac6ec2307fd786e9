//! Which keys a Compose file may have, and of which type, in Compose's words.

use serde_json::Value;

const TOP: &[&str] = &[
    "name", "version", "services", "networks", "volumes", "secrets", "configs", "include",
];

const SERVICE: &[&str] = &[
    "annotations",
    "attach",
    "blkio_config",
    "build",
    "cap_add",
    "cap_drop",
    "cgroup",
    "cgroup_parent",
    "command",
    "configs",
    "container_name",
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpu_shares",
    "cpus",
    "cpuset",
    "credential_spec",
    "depends_on",
    "deploy",
    "develop",
    "device_cgroup_rules",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "domainname",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "extends",
    "external_links",
    "extra_hosts",
    "group_add",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "ipc",
    "isolation",
    "labels",
    "links",
    "logging",
    "mac_address",
    "mem_limit",
    "mem_reservation",
    "mem_swappiness",
    "memswap_limit",
    "network_mode",
    "networks",
    "oom_kill_disable",
    "oom_score_adj",
    "pid",
    "pids_limit",
    "platform",
    "ports",
    "privileged",
    "profiles",
    "pull_policy",
    "read_only",
    "restart",
    "runtime",
    "scale",
    "secrets",
    "security_opt",
    "shm_size",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "storage_opt",
    "sysctls",
    "tmpfs",
    "tty",
    "ulimits",
    "user",
    "userns_mode",
    "uts",
    "volumes",
    "volumes_from",
    "working_dir",
];

const HEALTHCHECK: &[&str] = &[
    "disable",
    "interval",
    "retries",
    "test",
    "timeout",
    "start_period",
    "start_interval",
];

const LISTS: &[&str] = &[
    "ports",
    "volumes",
    "devices",
    "cap_add",
    "cap_drop",
    "secrets",
    "configs",
    "profiles",
    "expose",
    "security_opt",
];

const STRINGS: &[&str] = &[
    "image",
    "container_name",
    "hostname",
    "restart",
    "user",
    "working_dir",
    "network_mode",
    "platform",
];

const MAPS_OR_LISTS: &[&str] = &["environment", "labels", "networks", "depends_on"];

/// The first fault of one parsed file called `file`.
pub(super) fn validate(file: &str, value: &Value) -> Result<(), String> {
    let failed = |why: String| Err(format!("validating {file}: {why}"));
    let Some(top) = value.as_object() else {
        return if value.is_null() {
            Err("empty compose file".to_owned())
        } else {
            failed("Top-level object must be a mapping".to_owned())
        };
    };
    if let Some(key) = unknown(top.keys(), TOP) {
        return failed(format!("(root) Additional property {key} is not allowed"));
    }
    for section in ["services", "networks", "volumes", "secrets", "configs"] {
        if top
            .get(section)
            .is_some_and(|value| !value.is_object() && !value.is_null())
        {
            return failed(format!("{section} must be a mapping"));
        }
    }
    let services = top.get("services").and_then(Value::as_object);
    for (name, service) in services.into_iter().flatten() {
        let path = format!("services.{name}");
        let Some(service) = service.as_object() else {
            return failed(format!("{path} must be a mapping"));
        };
        if let Some(key) = unknown(service.keys(), SERVICE) {
            return failed(format!("{path} Additional property {key} is not allowed"));
        }
        for (key, value) in service.iter().filter(|(_, value)| !value.is_null()) {
            let key = key.as_str();
            if LISTS.contains(&key) && !value.is_array() {
                return failed(format!("{path}.{key} must be a list"));
            }
            if STRINGS.contains(&key) && !value.is_string() {
                return failed(format!("{path}.{key} must be a string"));
            }
            if MAPS_OR_LISTS.contains(&key) && !value.is_array() && !value.is_object() {
                return failed(format!("{path}.{key} must be a mapping"));
            }
        }
        let check = service.get("healthcheck").and_then(Value::as_object);
        if let Some(key) = check.and_then(|check| unknown(check.keys(), HEALTHCHECK)) {
            return failed(format!(
                "{path}.healthcheck Additional property {key} is not allowed"
            ));
        }
    }
    Ok(())
}

fn unknown<'a>(mut keys: impl Iterator<Item = &'a String>, known: &[&str]) -> Option<&'a String> {
    keys.find(|key| !known.contains(&key.as_str()) && !key.starts_with("x-"))
}
