//! `daemon.json`: which keys are ours, what they say, and what a change of them takes.
//!
//! Does not touch the guest. Values that only the daemon can judge are left to `dockerd --validate` and to its start.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Error, Result,
    docker::{AddressPool, DockerWish, Log, Proxy},
};

/// Keys that a reload applies (moby `daemon/reload.go`, 26 to 29).
const LIVE: [&str; 18] = [
    "allow-nondistributable-artifacts",
    "debug",
    "default-cgroupns-mode",
    "default-ipc-mode",
    "default-runtime",
    "default-shm-size",
    "default-stop-timeout",
    "features",
    "insecure-registries",
    "labels",
    "live-restore",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "network-diagnostic-port",
    "registry-mirrors",
    "runtimes",
    "shutdown-timeout",
];

/// A `daemon.json` with our keys in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The whole file.
    pub text: String,
    /// Keys whose values are new.
    pub set: BTreeSet<String>,
    /// Keys of ours that are gone.
    pub dropped: BTreeSet<String>,
}

/// What makes a running daemon follow its configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing.
    #[default]
    None,
    /// SIGHUP: containers do not notice.
    Reload,
    /// A restart: containers stop unless `live-restore` keeps them.
    Restart,
    /// A stop of Docker and containerd, since a root changes.
    Move,
}

/// The keys that `wish` is about. `engine` is the version that will read them, if it is known.
///
/// # Errors
/// [`Error::Refused`] if the practitioner's own settings name a key that has an attribute with a value.
pub fn keys(wish: &DockerWish, engine: Option<&str>) -> Result<Map<String, Value>> {
    let mut keys = Map::new();
    let mut set =
        |key: &str, value: Option<Value>| keys.extend(value.map(|value| (key.to_owned(), value)));
    set("data-root", wish.data_root.clone().map(Value::from));
    set("live-restore", wish.live_restore.map(Value::from));
    set(
        "registry-mirrors",
        wish.registry_mirrors.clone().map(Value::from),
    );
    set(
        "insecure-registries",
        wish.insecure_registries.clone().map(Value::from),
    );
    if let Some(log) = &wish.log {
        set("log-driver", Some(log.driver.as_str().into()));
        // The daemon takes nothing but strings here.
        let options = [
            ("max-size", log.max_size.clone()),
            ("max-file", log.max_file.map(|n| n.to_string())),
        ];
        let options: Map<_, _> = options
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.into())))
            .collect();
        set("log-opts", (!options.is_empty()).then_some(options.into()));
    }
    let pools = wish.address_pools.as_ref().map(|pools| {
        pools
            .iter()
            .map(|pool| json!({ "base": pool.base.to_string(), "size": pool.size }))
            .collect()
    });
    set("default-address-pools", pools);
    set("mtu", wish.mtu.map(Value::from));
    // `mtu` reaches docker0 alone; Compose makes networks of its own. The key is one of Engine 24.
    if let Some(mtu) = wish
        .mtu
        .filter(|_| engine.is_none_or(|version| major(version) >= 24))
    {
        let options = json!({ "bridge": { "com.docker.network.driver.mtu": mtu.to_string() } });
        set("default-network-opts", Some(options));
    }
    if let Some(proxy) = &wish.proxy {
        let entries = [
            ("http-proxy", &proxy.http),
            ("https-proxy", &proxy.https),
            ("no-proxy", &proxy.no_proxy),
        ];
        let entries = entries.into_iter();
        let entries =
            entries.filter_map(|(key, value)| Some((key.to_owned(), value.clone()?.into())));
        let entries: Map<_, _> = entries.collect();
        set("proxies", (!entries.is_empty()).then_some(entries.into()));
    }
    for (key, value) in &wish.daemon_json {
        if keys.insert(key.clone(), value.clone()).is_some() {
            return Err(Error::Refused(format!(
                "daemon_json sets {key}, which an attribute sets too"
            )));
        }
    }
    Ok(keys)
}

/// `wish` with the settings of a `daemon.json`; keys without an attribute become `daemon_json`.
pub fn observed(keys: &Map<String, Value>, mut wish: DockerWish) -> DockerWish {
    let mut keys = keys.clone();
    let mut take = |key: &str| keys.remove(key);
    let text = |value: Value| value.as_str().map(str::to_owned);
    if let Some(root) = take("data-root").and_then(text) {
        wish.data_root = Some(root);
    }
    wish.live_restore = take("live-restore").and_then(|value| value.as_bool());
    wish.registry_mirrors =
        take("registry-mirrors").and_then(|value| serde_json::from_value(value).ok());
    wish.insecure_registries =
        take("insecure-registries").and_then(|value| serde_json::from_value(value).ok());
    let options = take("log-opts").unwrap_or_default();
    wish.log = take("log-driver").and_then(text).map(|driver| Log {
        driver,
        max_size: options.get("max-size").cloned().and_then(text),
        max_file: options
            .get("max-file")
            .and_then(|value| value.as_str()?.parse().ok()),
    });
    wish.address_pools = take("default-address-pools").and_then(|pools| {
        let pool = |pool: &Value| {
            let size = u8::try_from(pool.get("size")?.as_u64()?).ok()?;
            Some(AddressPool {
                base: pool.get("base")?.as_str()?.parse().ok()?,
                size,
            })
        };
        pools.as_array()?.iter().map(pool).collect()
    });
    wish.mtu = take("mtu").and_then(|value| value.as_u64()?.try_into().ok());
    if wish.mtu.is_some() {
        take("default-network-opts");
    }
    wish.proxy = take("proxies").map(|entries| {
        let entry = |key: &str| entries.get(key).cloned().and_then(text);
        Proxy {
            http: entry("http-proxy"),
            https: entry("https-proxy"),
            no_proxy: entry("no-proxy"),
        }
    });
    wish.daemon_json = keys;
    wish
}

/// Puts `ours` into the file, takes out what was ours `before`, and leaves all other keys alone.
///
/// # Errors
/// [`Error::Refused`] if the existing file is not a JSON object.
pub fn merge(
    existing: Option<&str>,
    ours: &Map<String, Value>,
    before: &BTreeSet<String>,
) -> Result<Merged> {
    let text = existing
        .filter(|text| !text.trim().is_empty())
        .unwrap_or("{}");
    let mut keys: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        Error::Refused(format!(
            "/etc/docker/daemon.json is not a JSON object: {error}"
        ))
    })?;
    let gone = before.iter().filter(|key| !ours.contains_key(*key));
    let dropped = gone
        .filter(|key| keys.remove(*key).is_some())
        .cloned()
        .collect();
    let mut set = BTreeSet::new();
    for (key, value) in ours {
        if keys.insert(key.clone(), value.clone()).as_ref() != Some(value) {
            set.insert(key.clone());
        }
    }
    Ok(Merged {
        text: format!("{:#}\n", Value::from(keys)),
        set,
        dropped,
    })
}

impl Merged {
    /// Whether the file has to be written.
    pub fn is_change(&self) -> bool {
        !self.set.is_empty() || !self.dropped.is_empty()
    }

    /// What a daemon that runs with the old file needs.
    pub fn action(&self) -> Action {
        if self.set.contains("data-root") || self.dropped.contains("data-root") {
            return Action::Move;
        }
        // A key that is gone from the file keeps its value over a reload.
        if !self.dropped.is_empty() || self.set.iter().any(|key| !LIVE.contains(&key.as_str())) {
            return Action::Restart;
        }
        if self.set.is_empty() {
            Action::None
        } else {
            Action::Reload
        }
    }
}

/// First number of a version, 0 if there is none.
pub(super) fn major(version: &str) -> u32 {
    let digits = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    version[..digits].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_setting_has_its_key() {
        let wish = DockerWish {
            data_root: Some("/opt/docker/data".into()),
            live_restore: Some(true),
            log: Some(Log {
                driver: "local".into(),
                max_size: Some("10m".into()),
                max_file: Some(3),
            }),
            registry_mirrors: Some(vec!["https://mirror.example".into()]),
            insecure_registries: Some(vec!["198.51.100.1:5000".into()]),
            address_pools: Some(vec![AddressPool {
                base: "10.64.0.0/16".parse().unwrap(),
                size: 24,
            }]),
            mtu: Some(1400),
            proxy: Some(Proxy {
                http: Some("http://proxy:3128".into()),
                no_proxy: Some("lan".into()),
                ..Proxy::default()
            }),
            daemon_json: serde_json::from_str(r#"{"debug":true}"#).unwrap(),
            ..DockerWish::default()
        };
        expect_test::expect![[r#"{"data-root":"/opt/docker/data","debug":true,"default-address-pools":[{"base":"10.64.0.0/16","size":24}],"default-network-opts":{"bridge":{"com.docker.network.driver.mtu":"1400"}},"insecure-registries":["198.51.100.1:5000"],"live-restore":true,"log-driver":"local","log-opts":{"max-file":"3","max-size":"10m"},"mtu":1400,"proxies":{"http-proxy":"http://proxy:3128","no-proxy":"lan"},"registry-mirrors":["https://mirror.example"]}"#]]
            .assert_eq(&Value::from(keys(&wish, Some("28.5.2")).unwrap()).to_string());
        let read = observed(&keys(&wish, None).unwrap(), DockerWish::default());
        assert_eq!(read, wish);
        assert!(
            !keys(&wish, Some("20.10.24"))
                .unwrap()
                .contains_key("default-network-opts")
        );
        let twice = DockerWish {
            daemon_json: serde_json::from_str(r#"{"mtu":9}"#).unwrap(),
            ..wish
        };
        assert!(matches!(keys(&twice, None), Err(Error::Refused(_))));
    }

    #[track_caller]
    fn check(existing: Option<&str>, ours: &str, before: &[&str], text: &str, action: Action) {
        let ours = serde_json::from_str(ours).unwrap();
        let merged = merge(existing, &ours, &names(before)).unwrap();
        let value: Value = serde_json::from_str(&merged.text).unwrap();
        assert_eq!(
            (value.to_string().as_str(), merged.action()),
            (text, action)
        );
        let again = merge(Some(&merged.text), &ours, &names(before)).unwrap();
        assert!(!again.is_change(), "{again:?}");
    }

    #[test]
    fn foreign_keys_stay_and_ours_go_when_they_are_no_longer_wanted() {
        check(None, "{}", &[], "{}", Action::None);
        check(
            Some("\n"),
            r#"{"live-restore":true}"#,
            &[],
            r#"{"live-restore":true}"#,
            Action::Reload,
        );
        check(
            Some(r#"{"dns":["192.0.2.1"]}"#),
            r#"{"mtu":1400}"#,
            &[],
            r#"{"dns":["192.0.2.1"],"mtu":1400}"#,
            Action::Restart,
        );
        check(
            Some(r#"{"debug":true,"dns":[]}"#),
            "{}",
            &["debug", "mtu"],
            r#"{"dns":[]}"#,
            Action::Restart,
        );
        check(
            Some(r#"{"mtu":1400}"#),
            r#"{"mtu":1400}"#,
            &["mtu"],
            r#"{"mtu":1400}"#,
            Action::None,
        );
        check(
            Some(r#"{"mtu":1400}"#),
            r#"{"data-root":"/x"}"#,
            &["mtu"],
            r#"{"data-root":"/x"}"#,
            Action::Move,
        );
    }

    #[test]
    fn a_broken_file_is_not_replaced() {
        for text in ["{", "[]", "null"] {
            assert!(
                matches!(
                    merge(Some(text), &Map::new(), &names(&[])),
                    Err(Error::Refused(_))
                ),
                "{text}"
            );
        }
    }
}
