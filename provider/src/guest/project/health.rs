//! Whether the services of a project are up, and the wait until they are.
//!
//! Does not use `docker compose up --wait`: it misses crash loops and calls a finished one-shot a
//! failure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::containers::{Container, Health, SHOW, Seen, State, TEMPLATE};
use super::shell::{START, last_lines, objects, run, unexpected};
use super::{Error, Pause, Result};
use crate::guest::{Guest, quote};

/// How long a container without a check must run before it counts as up.
const SETTLE: f64 = 5.0;
/// Restarts during one wait that make a crash loop.
const CRASH_LOOP: u64 = 3;
const INTERVAL: Duration = Duration::from_secs(1);
const WHAT: &str = "looking at the containers";

/// What a service shall come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// How many containers.
    pub replicas: u32,
    /// Whether it must run to its end with status 0.
    pub completes: bool,
}

/// Restarts of each container when it was first seen, by id.
pub type History = BTreeMap<String, u64>;

/// How far a project is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All services are as wanted.
    Ready,
    /// Not yet; what is awaited.
    Waiting(String),
    /// A service will not come up.
    Failed {
        /// Name of the service.
        service: String,
        /// Id of the container to blame.
        container: String,
        /// What is wrong, to be read after the name of the service.
        why: String,
    },
}

/// Judges the containers of one project. `now` is the guest's clock in seconds since 1970.
///
/// One failure outweighs all that is awaited. Services that are not in `wanted` do not count.
pub fn verdict(
    containers: &[Container],
    wanted: &BTreeMap<String, Wanted>,
    history: &mut History,
    now: f64,
) -> Verdict {
    let mut waiting = None;
    for (service, wanted) in wanted {
        let own = || {
            containers
                .iter()
                .filter(|c| !c.oneoff && c.service == *service)
        };
        let count = own().count();
        if count < wanted.replicas as usize {
            let replicas = wanted.replicas;
            waiting.get_or_insert(format!(
                "{service} ({count} of {replicas} containers exist)"
            ));
        }
        for container in own() {
            let first = *history
                .entry(container.id.clone())
                .or_insert(container.restart_count);
            match judge(
                container,
                *wanted,
                container.restart_count.saturating_sub(first),
                now,
            ) {
                Step::Up => {}
                Step::Awaited(what) => {
                    waiting.get_or_insert(format!("{service} ({what})"));
                }
                Step::Broken(why) => {
                    let (service, container) = (service.clone(), container.id.clone());
                    return Verdict::Failed {
                        service,
                        container,
                        why,
                    };
                }
            }
        }
    }
    waiting.map_or(Verdict::Ready, Verdict::Waiting)
}

enum Step {
    Up,
    Awaited(String),
    Broken(String),
}

fn judge(container: &Container, wanted: Wanted, restarts: u64, now: f64) -> Step {
    let awaited = |what: &str| Step::Awaited(what.to_owned());
    if restarts >= CRASH_LOOP {
        let code = container.exit_code;
        return Step::Broken(format!("restarts again and again (exit status {code})"));
    }
    match (container.state, container.health) {
        (State::Created, _) if !container.error.is_empty() => {
            Step::Broken(format!("cannot be started: {}", container.error))
        }
        (State::Exited | State::Dead, _) if container.exit_code != 0 => {
            let error = &container.error;
            let error = if error.is_empty() {
                String::new()
            } else {
                format!(": {error}")
            };
            Step::Broken(format!("exited with status {}{error}", container.exit_code))
        }
        (State::Exited, _) if container.is_done() => Step::Up,
        (State::Running, Some(Health::Unhealthy)) => {
            let output = last_lines(&container.health_output, 3);
            let output = if output.is_empty() {
                output
            } else {
                format!(": {output}")
            };
            Step::Broken(format!("is unhealthy{output}"))
        }
        (State::Running, _) if wanted.completes => awaited("running to its end"),
        (State::Running, Some(Health::Starting)) => awaited("health: starting"),
        (State::Running, Some(Health::Healthy)) => Step::Up,
        (State::Running, None) if age(&container.started_at, now) >= SETTLE => Step::Up,
        (State::Running, None) => awaited("started just now"),
        (state, _) => Step::Awaited(format!("{state:?}").to_lowercase()),
    }
}

/// Seconds since a container started. That it is the same start is then certain: a restart would
/// have set the time anew.
fn age(started_at: &str, now: f64) -> f64 {
    let Ok(started) = OffsetDateTime::parse(started_at, &Rfc3339) else {
        return 0.0;
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds of this century are exact"
    )]
    let seconds = started.unix_timestamp() as f64 + f64::from(started.millisecond()) / 1000.0;
    now - seconds
}

/// Waits until the services of a project are as wanted, and returns all of its containers.
pub async fn wait(
    guest: &impl Guest,
    pause: &impl Pause,
    project: &str,
    wanted: &BTreeMap<String, Wanted>,
    within: Duration,
) -> Result<Vec<Container>> {
    let deadline = Instant::now() + within;
    let script = look_script(project);
    let mut history = History::new();
    loop {
        let (containers, now) = parse_look(&run(guest, WHAT, &script).await?)?;
        let waiting_for = match verdict(&containers, wanted, &mut history, now) {
            Verdict::Ready => return Ok(containers),
            Verdict::Waiting(what) => what,
            Verdict::Failed {
                service,
                container,
                why,
            } => {
                let log = logs(guest, &container).await;
                return Err(Error::Unhealthy { service, why, log });
            }
        };
        tracing::debug!(project, waiting_for);
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let of = |container: &&Container| {
                let rest = waiting_for.strip_prefix(&container.service);
                rest.is_some_and(|rest| rest.starts_with(' '))
            };
            let log = match containers.iter().find(of) {
                Some(container) => logs(guest, &container.id).await,
                None => String::new(),
            };
            return Err(Error::TimedOut {
                waiting_for: format!("service {waiting_for}"),
                after: within,
                log,
            });
        }
        pause.pause(INTERVAL.min(left)).await?;
    }
}

/// All containers of a project.
pub async fn containers(guest: &impl Guest, project: &str) -> Result<Vec<Container>> {
    Ok(parse_look(&run(guest, WHAT, &look_script(project)).await?)?.0)
}

/// The inspect of a container that goes away meanwhile fails: the next look counts.
fn look_script(project: &str) -> String {
    let filter = quote(&format!("label=com.docker.compose.project={project}"));
    let template = quote(TEMPLATE);
    format!(
        r#"{START}{SHOW}ids=$(docker ps -aq --no-trunc --filter {filter}) || exit
containers=
[ -z "$ids" ] || containers=$(docker inspect -f {template} $ids)
show
printf '{{"is":"now","now":%s}}\n' "$(date +%s)"
"#
    )
}

fn parse_look(text: &str) -> Result<(Vec<Container>, f64)> {
    let (mut seen, mut now) = (Seen::default(), None);
    for (is, value) in objects(WHAT, text)? {
        if !seen.take(WHAT, &is, &value)? {
            now = value["now"].as_f64();
        }
    }
    let now = now.ok_or_else(|| unexpected(WHAT, text))?;
    Ok((seen.finish(), now))
}

/// Last lines of a container's output; empty if they cannot be had, for they only explain.
async fn logs(guest: &impl Guest, container: &str) -> String {
    let mut script = START.to_owned();
    let _ = writeln!(script, "docker logs --tail 20 {} 2>&1", quote(container));
    guest
        .run(&script)
        .await
        .map(|output| last_lines(&output.stdout, 20))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
