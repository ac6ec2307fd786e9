//! Containers of Compose projects as `docker inspect` shows them.
//!
//! Does not judge them; `health` and `services` do.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::shell::object;
use crate::guest;

/// Template of one line of `docker inspect`; [`Seen`] reads it.
///
/// Only literal text and `json` of a path: other functions differ between versions, and a path
/// through what may be null (`.State.Health.Status`) fails.
pub(super) const TEMPLATE: &str = concat!(
    r#"{"is":"container","image":{{json .Image}},"id":{{json .Id}},"ref":{{json .Config.Image}},"#,
    r#""created":{{json .Created}},"restarts":{{json .RestartCount}},"policy":{{json .HostConfig.RestartPolicy}},"#,
    r#""ports":{{json .HostConfig.PortBindings}},"labels":{{json .Config.Labels}},"#,
    r#""state":{{json .State}}}"#,
);

/// Shell function that prints the lines in `$containers`, and one for each image that they run;
/// [`Seen`] reads both. An image that was removed by force is not found; the others are printed.
pub(super) const SHOW: &str = r#"show() {
  [ -n "$containers" ] || return 0
  printf '%s\n' "$containers"
  images=$(printf '%s\n' "$containers" | sed -n 's/^{"is":"container","image":"\([^"]*\)".*/\1/p' | sort -u)
  docker image inspect -f '{"is":"image","id":{{json .Id}},"digests":{{json .RepoDigests}}}' $images 2>/dev/null
}
"#;

/// One container of a Compose project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// Id.
    pub id: String,
    /// Project it belongs to.
    pub project: String,
    /// Service it runs.
    pub service: String,
    /// Number among the replicas of the service, from 1.
    pub number: u32,
    /// Whether `docker compose run` made it.
    pub oneoff: bool,
    /// Image as the Compose text names it.
    pub image_ref: String,
    /// Id of the image that it runs.
    pub image_id: String,
    /// `sha256:…` of the image in its registry, which may have several; none if it was never pulled.
    pub digests: Vec<String>,
    /// State.
    pub state: State,
    /// Health; none without a check.
    pub health: Option<Health>,
    /// Last output of the health check.
    pub health_output: String,
    /// Exit status of the last run.
    pub exit_code: i64,
    /// Why it could not be started.
    pub error: String,
    /// How often Docker restarted it.
    pub restart_count: u64,
    /// RFC 3339; year 1 if it never ran.
    pub started_at: String,
    /// `no`, `always`, `unless-stopped` or `on-failure`.
    pub restart_policy: String,
    /// Declared ports, such as `8080:80/tcp`, or `80/tcp` where Docker chooses, sorted.
    pub ports: Vec<String>,
    /// Label `com.docker.compose.config-hash`.
    pub config_hash: String,
    /// Label `com.docker.compose.project.working_dir`.
    pub directory: String,
    /// Label `com.docker.compose.project.config_files`: absolute paths in order.
    pub config_files: Vec<String>,
    /// When it was made; RFC 3339.
    pub created: String,
}

/// State of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words are Docker's")]
pub enum State {
    #[default]
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

/// Health of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are Docker's")]
pub enum Health {
    Starting,
    Healthy,
    Unhealthy,
}

impl Container {
    /// Whether it ended well and Docker does not start it again.
    pub(super) fn is_done(&self) -> bool {
        let stays = matches!(self.restart_policy.as_str(), "" | "no" | "on-failure");
        self.state == State::Exited && self.exit_code == 0 && stays
    }
}

/// Containers and images as their lines come in.
#[derive(Default)]
pub(super) struct Seen {
    containers: Vec<Container>,
    digests: BTreeMap<String, Vec<String>>,
}

impl Seen {
    /// Takes a line that is called `is`; false if it is none of these.
    pub(super) fn take(&mut self, what: &str, is: &str, value: &Value) -> guest::Result<bool> {
        match is {
            "container" => self.containers.push(object::<Line>(what, value)?.into()),
            "image" => {
                let line: ImageLine = object(what, value)?;
                self.digests
                    .insert(line.id, line.digests.unwrap_or_default());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The containers with the digests of their images.
    pub(super) fn finish(mut self) -> Vec<Container> {
        for container in &mut self.containers {
            let known = self.digests.get(&container.image_id);
            container.digests = known
                .map(|known| digests(&container.image_ref, known))
                .unwrap_or_default();
        }
        self.containers
    }
}

/// One line of `docker image inspect`.
#[derive(Debug, Deserialize)]
struct ImageLine {
    id: String,
    digests: Option<Vec<String>>,
}

/// One line of `docker inspect`.
#[derive(Debug, Deserialize)]
struct Line {
    id: String,
    image: String,
    #[serde(default)]
    created: String,
    #[serde(rename = "ref")]
    image_ref: String,
    restarts: u64,
    policy: PolicyLine,
    #[serde(deserialize_with = "null_is_empty")]
    ports: BTreeMap<String, Option<Vec<BindingLine>>>,
    #[serde(deserialize_with = "null_is_empty")]
    labels: BTreeMap<String, String>,
    state: StateLine,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyLine {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BindingLine {
    host_ip: String,
    host_port: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StateLine {
    status: State,
    exit_code: i64,
    error: String,
    started_at: String,
    health: Option<HealthLine>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthLine {
    status: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    log: Vec<CheckLine>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CheckLine {
    #[serde(default)]
    output: String,
}

/// Go prints an empty map or list as `null`.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl From<Line> for Container {
    fn from(line: Line) -> Self {
        let mut labels = line.labels;
        let mut label = |name| labels.remove(&format!("com.docker.compose.{name}"));
        let mut text = |name| label(name).unwrap_or_default();
        let health = line.state.health.as_ref();
        Self {
            id: line.id,
            project: text("project"),
            service: text("service"),
            number: text("container-number").parse().unwrap_or(1),
            oneoff: text("oneoff").eq_ignore_ascii_case("true"),
            image_ref: line.image_ref,
            image_id: line.image,
            digests: Vec::new(),
            state: line.state.status,
            health: health.and_then(|health| match health.status.as_str() {
                "starting" => Some(Health::Starting),
                "healthy" => Some(Health::Healthy),
                "unhealthy" => Some(Health::Unhealthy),
                _ => None,
            }),
            health_output: health
                .and_then(|health| health.log.last())
                .map(|check| check.output.trim().to_owned())
                .unwrap_or_default(),
            exit_code: line.state.exit_code,
            error: line.state.error,
            restart_count: line.restarts,
            started_at: line.state.started_at,
            restart_policy: line.policy.name,
            ports: ports(&line.ports),
            config_hash: text("config-hash"),
            directory: text("project.working_dir"),
            config_files: (text("project.config_files").split(','))
                .filter(|path| !path.is_empty())
                .map(str::to_owned)
                .collect(),
            created: line.created,
        }
    }
}

fn ports(bindings: &BTreeMap<String, Option<Vec<BindingLine>>>) -> Vec<String> {
    let each = bindings
        .iter()
        .flat_map(|(port, hosts)| hosts.iter().flatten().map(move |h| (port, h)));
    let mut ports: Vec<_> = each
        .map(|(port, BindingLine { host_ip, host_port })| {
            match (host_ip.as_str(), host_port.as_str()) {
                ("", "" | "0") => port.clone(),
                ("", host) => format!("{host}:{port}"),
                (ip, host) if ip.contains(':') => format!("[{ip}]:{host}:{port}"),
                (ip, host) => format!("{ip}:{host}:{port}"),
            }
        })
        .collect();
    ports.sort();
    ports
}

/// The digests under which a registry knows an image: those of the repository which the container
/// names, or the only one there is.
fn digests(image_ref: &str, repo_digests: &[String]) -> Vec<String> {
    let pairs = || {
        repo_digests
            .iter()
            .filter_map(|entry| entry.split_once('@'))
    };
    let named = pairs().filter(|(name, _)| repository(name) == repository(image_ref));
    let named: Vec<_> = named.map(|(_, digest)| digest.to_owned()).collect();
    match (named.is_empty(), repo_digests) {
        (true, [_]) => pairs().map(|(_, digest)| digest.to_owned()).collect(),
        _ => named,
    }
}

/// Repository of an image name, without tag and digest, as Docker shortens it.
fn repository(image: &str) -> &str {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// As Engine 26.1 prints a container of Compose 2.26, shortened ids.
    const LINE: &str = r#"{"is":"container","image":"sha256:754d","id":"5dce","created":"2026-11-23T02:39:25Z","ref":"busybox:1.35","restarts":0,"policy":{"MaximumRetryCount":0,"Name":"no"},"ports":{"80/tcp":[{"HostIp":"","HostPort":"8080"}],"81/tcp":[{"HostIp":"","HostPort":""}],"9000/udp":[{"HostIp":"127.0.0.1","HostPort":"9000"}],"53/udp":[{"HostIp":"::1","HostPort":"53"}],"99/tcp":null},"labels":{"com.docker.compose.config-hash":"0667","com.docker.compose.container-number":"2","com.docker.compose.image":"sha256:754d","com.docker.compose.oneoff":"False","com.docker.compose.project":"t","com.docker.compose.project.config_files":"/srv/t/compose.yaml,/srv/t/.pmoves/override.yaml","com.docker.compose.project.working_dir":"/srv/t","com.docker.compose.service":"a"},"state":{"Dead":false,"Error":"","ExitCode":0,"Health":{"Status":"unhealthy","FailingStreak":3,"Log":[{"ExitCode":1,"Output":"no route\n"}]},"StartedAt":"2026-11-23T02:39:25.475924419Z","Status":"running"}}"#;

    #[test]
    fn a_line_of_inspect_is_read() {
        let line: Line = serde_json::from_str(LINE).unwrap();
        expect![[r#"
            Container {
                id: "5dce",
                project: "t",
                service: "a",
                number: 2,
                oneoff: false,
                image_ref: "busybox:1.35",
                image_id: "sha256:754d",
                digests: [],
                state: Running,
                health: Some(
                    Unhealthy,
                ),
                health_output: "no route",
                exit_code: 0,
                error: "",
                restart_count: 0,
                started_at: "2026-11-23T02:39:25.475924419Z",
                restart_policy: "no",
                ports: [
                    "127.0.0.1:9000:9000/udp",
                    "8080:80/tcp",
                    "81/tcp",
                    "[::1]:53:53/udp",
                ],
                config_hash: "0667",
                directory: "/srv/t",
                config_files: [
                    "/srv/t/compose.yaml",
                    "/srv/t/.pmoves/override.yaml",
                ],
                created: "2026-11-23T02:39:25Z",
            }
        "#]]
        .assert_debug_eq(&Container::from(line));
    }

    #[test]
    fn a_container_without_labels_and_ports_is_read() {
        let bare = LINE.replace("{\"80/tcp\"", "null,\"x\":{\"80/tcp\"");
        let line: Line = serde_json::from_str(&bare).unwrap();
        assert!(Container::from(line).ports.is_empty());
    }

    #[track_caller]
    fn check(image: &str, digests: &[&str], expected: &Expect) {
        let digests: Vec<_> = digests.iter().map(|&text| text.to_owned()).collect();
        expected.assert_eq(&super::digests(image, &digests).join(" "));
    }

    #[test]
    fn the_digest_is_that_of_the_named_repository() {
        check(
            "nginx:1",
            &["mirror:5000/nginx@sha256:a", "nginx@sha256:b"],
            &expect!["sha256:b"],
        );
        check(
            "docker.io/library/nginx",
            &["nginx@sha256:b", "x@sha256:c"],
            &expect!["sha256:b"],
        );
        check(
            "mirror:5000/nginx",
            &["x@sha256:a", "mirror:5000/nginx@sha256:b"],
            &expect!["sha256:b"],
        );
        check(
            "nginx:1@sha256:b",
            &["nginx@sha256:b"],
            &expect!["sha256:b"],
        );
        check("renamed", &["nginx@sha256:b"], &expect!["sha256:b"]);
        check("renamed", &["nginx@sha256:b", "x@sha256:c"], &expect![""]);
        check("built", &[], &expect![""]);
    }
}
