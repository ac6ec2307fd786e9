//! A container, and what has become of it by a given time.
//!
//! Nothing runs: the name of the image, the command and the check say how long a container lives,
//! how it exits and whether it is healthy. Image repositories ending in `/oneshot` exit 0, `/fails`
//! exit 3, `/crashloop` exit 1 at once, `/unhealthy` fail their check, `/slow` pass it after 5 s.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::engine::repository;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Container {
    pub(in super::super) id: String,
    pub(in super::super) name: String,
    pub(in super::super) image: String,
    pub(in super::super) image_id: String,
    /// Times in milliseconds since 1970.
    pub(in super::super) created: u64,
    pub(in super::super) labels: BTreeMap<String, String>,
    pub(in super::super) env: Vec<String>,
    pub(in super::super) command: Vec<String>,
    pub(in super::super) health: Option<Health>,
    /// `no`, `always`, `unless-stopped` or `on-failure`.
    pub(in super::super) restart: String,
    pub(in super::super) max_retries: u32,
    pub(in super::super) networks: Vec<String>,
    pub(in super::super) ports: Vec<Port>,
    pub(in super::super) mounts: Vec<serde_json::Value>,
    pub(in super::super) started: Option<u64>,
    /// Since when it is stopped, and the exit status, by a command and not by itself.
    pub(in super::super) stopped: Option<(u64, i64)>,
    /// The daemon stopped it, so that it comes back with the daemon.
    #[serde(default)]
    pub(in super::super) resumes: bool,
    /// Why the last start failed.
    pub(in super::super) error: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Health {
    pub(in super::super) test: Vec<String>,
    pub(in super::super) interval: u64,
    pub(in super::super) timeout: u64,
    pub(in super::super) retries: u64,
    pub(in super::super) start_period: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Port {
    pub(in super::super) ip: String,
    pub(in super::super) host: Option<u16>,
    pub(in super::super) target: u16,
    pub(in super::super) protocol: String,
}

/// A container at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in super::super) struct Live {
    /// `created`, `running`, `restarting` or `exited`.
    pub(in super::super) status: &'static str,
    pub(in super::super) exit_code: i64,
    pub(in super::super) started: Option<u64>,
    pub(in super::super) finished: Option<u64>,
    pub(in super::super) restarts: u32,
    /// `starting`, `healthy` or `unhealthy`.
    pub(in super::super) health: Option<&'static str>,
    pub(in super::super) failing: u64,
}

/// Longest pause between two restarts.
const LONGEST_PAUSE: u64 = 60_000;
/// A check passes after this, however long its interval.
const HEALTHY_AFTER: u64 = 1_000;

impl Container {
    pub(in super::super) fn live(&self, now: u64) -> Live {
        let Some(first) = self.started else {
            return Live {
                status: "created",
                ..Live::default()
            };
        };
        if let Some((at, exit_code)) = self.stopped {
            let restarts = self.run(first, at).restarts;
            return Live {
                status: "exited",
                exit_code,
                started: Some(first),
                finished: Some(at),
                restarts,
                ..Live::default()
            };
        }
        self.run(first, now)
    }

    /// Follows lives and restarts from the first start to `now`.
    fn run(&self, first: u64, now: u64) -> Live {
        let mut live = Live {
            status: "running",
            started: Some(first),
            ..Live::default()
        };
        let Some((lifetime, code)) = self.lifetime() else {
            self.check(&mut live, first, now);
            return live;
        };
        let mut start = first;
        loop {
            let end = start + lifetime;
            live.started = Some(start);
            if now < end {
                self.check(&mut live, start, now);
                return live;
            }
            live.exit_code = code;
            live.finished = Some(end);
            let again = match self.restart.as_str() {
                "always" | "unless-stopped" => true,
                "on-failure" => {
                    code != 0 && (self.max_retries == 0 || live.restarts < self.max_retries)
                }
                _ => false,
            };
            if !again {
                live.status = "exited";
                return live;
            }
            let pause = (100 << live.restarts.min(10)).min(LONGEST_PAUSE);
            if now < end + pause {
                live.status = "restarting";
                return live;
            }
            live.restarts += 1;
            start = end + pause;
        }
    }

    /// How long it lives and with what it exits; nothing if it runs on.
    fn lifetime(&self) -> Option<(u64, i64)> {
        match self.kind() {
            "oneshot" => return Some((300, 0)),
            "fails" => return Some((300, 3)),
            "crashloop" => return Some((50, 1)),
            _ => {}
        }
        let script = match self.command.as_slice() {
            [shell, flag, script] if shell.ends_with("sh") && flag == "-c" => script.clone(),
            words => words.join(" "),
        };
        let mut lifetime = 50;
        for part in script.split([';', '\n']).flat_map(|part| part.split("&&")) {
            match part.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["sleep", seconds] => {
                    let seconds: f64 = seconds.parse().ok()?;
                    let time = Duration::try_from_secs_f64(seconds).ok()?;
                    lifetime += u64::try_from(time.as_millis()).ok()?;
                }
                ["exit", code] => return Some((lifetime, code.parse().ok()?)),
                ["false"] => return Some((lifetime, 1)),
                ["exit" | "true"] | ["echo", ..] => {}
                _ => return None,
            }
        }
        (!script.trim().is_empty()).then_some((lifetime, 0))
    }

    fn kind(&self) -> &str {
        repository(&self.image)
            .rsplit('/')
            .next()
            .unwrap_or_default()
    }

    fn check(&self, live: &mut Live, start: u64, now: u64) {
        let Some(health) = &self.health else { return };
        let age = now.saturating_sub(start);
        let fails = self.kind() == "unhealthy"
            || health.test.last().is_some_and(|test| {
                matches!(test.trim(), "false" | "/bin/false")
                    || test.contains("exit 1") && !test.contains("||")
            });
        let passes_after = if self.kind() == "slow" {
            5_000
        } else {
            health.interval.min(HEALTHY_AFTER)
        };
        let counted = age.saturating_sub(health.start_period) / health.interval.max(1);
        live.health = Some(match fails {
            true if counted >= health.retries => "unhealthy",
            false if age >= passes_after => "healthy",
            _ => "starting",
        });
        live.failing = if fails { counted } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        image: &str,
        restart: &str,
        command: &[&str],
        after: u64,
        expected: (&str, i64, u32, Option<&str>),
    ) {
        let container = Container {
            image: image.to_owned(),
            restart: restart.to_owned(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            started: Some(10_000),
            health: image.ends_with('y').then(|| Health {
                test: vec!["CMD".to_owned(), "true".to_owned()],
                interval: 500,
                timeout: 0,
                retries: 2,
                start_period: 0,
            }),
            ..Container::default()
        };
        let live = container.live(10_000 + after);
        assert_eq!(
            (live.status, live.exit_code, live.restarts, live.health),
            expected
        );
    }

    #[test]
    fn lives_follow_the_image_the_command_and_the_policy() {
        check("nginx:1", "no", &[], 99_999, ("running", 0, 0, None));
        check("x.test/fails:1", "no", &[], 400, ("exited", 3, 0, None));
        check(
            "x.test/oneshot",
            "on-failure",
            &[],
            400,
            ("exited", 0, 0, None),
        );
        check(
            "x.test/crashloop",
            "always",
            &[],
            100,
            ("restarting", 1, 0, None),
        );
        check(
            "x.test/crashloop",
            "always",
            &[],
            1_000,
            ("restarting", 1, 3, None),
        );
        check(
            "busybox",
            "no",
            &["sh", "-c", "sleep 1; exit 7"],
            500,
            ("running", 0, 0, None),
        );
        check(
            "busybox",
            "no",
            &["sh", "-c", "sleep 1; exit 7"],
            1_100,
            ("exited", 7, 0, None),
        );
        check(
            "busybox",
            "no",
            &["sleep", "infinity"],
            1_100,
            ("running", 0, 0, None),
        );
        check(
            "x/unhealthy",
            "no",
            &[],
            900,
            ("running", 0, 0, Some("starting")),
        );
        check(
            "x/unhealthy",
            "no",
            &[],
            1_000,
            ("running", 0, 0, Some("unhealthy")),
        );
        check(
            "x/healthy",
            "no",
            &[],
            500,
            ("running", 0, 0, Some("healthy")),
        );
    }
}
