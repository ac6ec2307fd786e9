//! `docker compose up`, detached from whoever started it: a pull outlasts the patience of a guest
//! agent.
//!
//! Does not wait until services are healthy; `health` does.

use std::time::Duration;

use tokio::time::Instant;

use super::shell::{START, encode, last_lines, run, unexpected};
use super::{Error, PRIVATE, Pause, Pull, Recreate, Result, Stack, manifest, ship};
use crate::guest::{Guest, quote};

const INTERVAL: Duration = Duration::from_secs(1);
const WHAT: &str = "docker compose up";
/// Lines of output that are kept for the practitioner.
const LINES: usize = 20;

/// Starts `docker compose up` as a unit of systemd and waits for its end. One that runs for the
/// same stack already is waited for; one that runs for another text is stopped first.
///
/// Returns the last lines of its output. When the time is over it runs on, for the next call.
pub async fn up(
    guest: &impl Guest,
    pause: &impl Pause,
    stack: &Stack,
    within: Duration,
) -> Result<String> {
    let deadline = Instant::now() + within;
    let look = look_script(stack);
    let mut text = run(guest, WHAT, &start_script(stack)?).await?;
    loop {
        let (status, log) = text
            .split_once('\n')
            .ok_or_else(|| unexpected(WHAT, &text))?;
        let log = last_lines(log, LINES);
        match (status, status.parse()) {
            ("running", _) => tracing::debug!(project = stack.project, log, "compose up runs"),
            ("gone", _) => return Err(Error::Interrupted { log }),
            (_, Ok(0)) => return Ok(log),
            (_, Ok(code)) => {
                let service = blamed_service(&stack.project, &log);
                let output = match &service {
                    Some(service) => logs(guest, &stack.project, service).await,
                    None => String::new(),
                };
                return Err(Error::Up {
                    code,
                    service,
                    log,
                    output,
                });
            }
            _ => return Err(unexpected(WHAT, &text).into()),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::TimedOut {
                waiting_for: WHAT.to_owned(),
                after: within,
                log,
            });
        }
        pause.pause(INTERVAL.min(left)).await?;
        text = run(guest, WHAT, &look).await?;
    }
}

/// The command, word by word.
fn command(stack: &Stack) -> Vec<String> {
    let mut words = compose(&stack.project, &stack.directory);
    let mut add = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    for path in ship::compose_files(stack) {
        add("-f", within(&stack.directory, path));
    }
    for path in ship::env_files(stack) {
        add("--env-file", within(&stack.directory, path));
    }
    if ship::env_files(stack).is_empty() {
        // Or Compose would read a `.env` that is not ours.
        add("--env-file", "/dev/null".to_owned());
    }
    for profile in &stack.profiles {
        add("--profile", profile.clone());
    }
    let mut words: Vec<_> = words.iter().map(String::as_str).collect();
    words.extend(["up", "-d", "--quiet-pull"]);
    // `--pull missing` is left out, for it would overrule a service's own `pull_policy`.
    match stack.pull {
        Pull::Missing => {}
        Pull::Always => words.extend(["--pull", "always"]),
        Pull::Never => words.extend(["--pull", "never"]),
    }
    match stack.recreate {
        Recreate::Auto => {}
        Recreate::Always => words.push("--force-recreate"),
        Recreate::Never => words.push("--no-recreate"),
    }
    if stack.remove_orphans {
        words.push("--remove-orphans");
    }
    words.into_iter().map(str::to_owned).collect()
}

/// `docker compose` for one project, in an environment that holds no `COMPOSE_*`.
pub(super) fn compose(project: &str, directory: &str) -> Vec<String> {
    [
        "docker",
        "compose",
        "-p",
        project,
        "--project-directory",
        directory,
    ]
    .map(str::to_owned)
    .into()
}

/// A path in the project directory; an absolute one stays.
pub(super) fn within(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    format!("{}/{path}", directory.trim_end_matches('/'))
}

/// Words, and more of sh, as a command in an environment that holds nothing that Compose reads.
pub(super) fn line(words: &[String], more: &str) -> String {
    let words: Vec<_> = words.iter().map(|word| quote(word)).collect();
    format!(
        "env -i PATH=\"$PATH\" HOME=/root {} {more} </dev/null",
        words.join(" ")
    )
}

/// Starts the unit. Each start has a name of its own, for systemd refuses that of a unit which was just stopped.
fn start_script(stack: &Stack) -> Result<String> {
    let command = line(&command(stack), "");
    let wanted = ship::manifest(stack)?.to_json();
    let token = manifest::sha256(&[command.as_bytes(), b"\n", &wanted].concat());
    let program = encode(format!("{command} >up.log 2>&1\n{KEEP_STATUS}").as_bytes());
    let (enter, project) = (enter(&stack.directory), &stack.project);
    Ok(format!(
        r#"{enter}if runs && [ "$(cat up.token 2>/dev/null)" != {token} ]; then
  systemctl stop "$unit"
fi
if ! runs; then
  rm -f up.status up.log
  base64 -d >up.sh <<'.'
{program}
.
  unit=pmoves-up-{project}.$(date +%s).$$.service
  echo "$unit" >up.unit
  echo {token} >up.token
  systemd-run --quiet --collect --unit="$unit" --description='docker compose up' \
    --property=WorkingDirectory="$PWD" --setenv=PATH="$PATH" \
    /bin/sh -c 'umask 077; . ./up.sh' >&2
fi
{LOOK}"#
    ))
}

fn look_script(stack: &Stack) -> String {
    enter(&stack.directory) + LOOK
}

/// Words of a script that stops the unit of a project that is being removed.
pub(super) fn stop(directory: &str) -> String {
    let unit = quote(&within(directory, ".pmoves/up.unit"));
    format!("[ ! -s {unit} ] || systemctl stop \"$(cat {unit})\" 2>/dev/null || true\n")
}

fn enter(directory: &str) -> String {
    let directory = quote(&within(directory, PRIVATE));
    format!(
        r#"{START}set -e
cd -- {directory}
unit=$(cat up.unit 2>/dev/null) || true
runs() {{ [ -n "$unit" ] && systemctl is-active --quiet "$unit"; }}
"#
    )
}

const KEEP_STATUS: &str = "echo $? >up.status.new\nmv -f up.status.new up.status\n";

/// Prints `running`, `gone` or the exit status, then the end of the log. The status is written
/// before the unit ends, so a unit that has ended without one was killed.
///
/// Gives the unit a moment: an up without changes needs no second look.
const LOOK: &str = "count=10
while runs && [ $count -gt 0 ]; do
  count=$((count - 1))
  sleep 0.1
done
if runs; then echo running
elif [ -s up.status ]; then cat up.status
else echo gone
fi
tail -c 4000 up.log 2>/dev/null || true
";

/// The service that the output of a failed up blames. Compose writes `service "web" …`,
/// `container p-web-1 …`, and `web Error …` for an image that cannot be pulled.
fn blamed_service(project: &str, log: &str) -> Option<String> {
    let of_container = |word: &str| {
        let name = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let (service, number) = name
            .strip_prefix(project)?
            .strip_prefix('-')?
            .rsplit_once('-')?;
        number.parse::<u32>().is_ok().then(|| service.to_owned())
    };
    let named = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let quoted = line
            .split_once("service \"")
            .and_then(|(_, rest)| rest.split_once('"'));
        let quoted = quoted.map(|(service, _)| service.to_owned());
        let container = || words.iter().find_map(|word| of_container(word));
        let pulled = || match words[..] {
            ["Container" | "Network" | "Volume" | "Image", ..] => None,
            [service, "Error", ..] => Some(service.to_owned()),
            _ => None,
        };
        quoted.or_else(container).or_else(pulled)
    };
    let blames = |line: &&str| {
        let line = line.to_lowercase();
        let words = ["error", "unhealthy", "exited", "failed", "didn't complete"];
        words.iter().any(|word| line.contains(word))
    };
    log.lines().rev().filter(blames).find_map(named)
}

/// Last output of a service's containers, to explain a failure; empty if it cannot be had.
async fn logs(guest: &impl Guest, project: &str, service: &str) -> String {
    let label = |name, value| quote(&format!("label=com.docker.compose.{name}={value}"));
    let (project, service) = (label("project", project), label("service", service));
    let script = format!(
        "{START}for id in $(docker ps -aq --filter {project} --filter {service}); do\n\
         docker logs --tail {LINES} $id 2>&1\ndone\n"
    );
    guest
        .run(&script)
        .await
        .map(|output| last_lines(&output.stdout, LINES))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
