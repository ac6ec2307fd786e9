use expect_test::{Expect, expect};

use super::super::fake::{Answers, Sleep};
use super::*;

/// One o'clock, 2026-11-23.
const NOW: f64 = 1_795_395_600.0;

fn container(service: &str, state: State) -> Container {
    Container {
        id: format!("id-{service}"),
        service: service.to_owned(),
        number: 1,
        state,
        restart_policy: "no".to_owned(),
        started_at: "2026-11-23T00:00:00.5Z".to_owned(),
        ..Container::default()
    }
}

fn wanted(services: &[&str]) -> BTreeMap<String, Wanted> {
    let one = Wanted {
        replicas: 1,
        completes: false,
    };
    services
        .iter()
        .map(|&service| (service.to_owned(), one))
        .collect()
}

#[track_caller]
fn check(container: Container, expected: &Expect) {
    let wanted = wanted(&[&container.service]);
    check_all(&[container], &wanted, expected);
}

#[track_caller]
fn check_all(containers: &[Container], wanted: &BTreeMap<String, Wanted>, expected: &Expect) {
    let verdict = verdict(containers, wanted, &mut History::new(), NOW);
    expected.assert_eq(&text(&verdict));
}

fn text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Ready => "ready".to_owned(),
        Verdict::Waiting(what) => format!("waiting for {what}"),
        Verdict::Failed { service, why, .. } => format!("{service} {why}"),
    }
}

#[test]
fn a_container_with_a_check_is_up_when_healthy() {
    let of = |health| Container {
        health: Some(health),
        ..container("web", State::Running)
    };
    check(of(Health::Healthy), &expect!["ready"]);
    check(
        of(Health::Starting),
        &expect!["waiting for web (health: starting)"],
    );
    check(of(Health::Unhealthy), &expect!["web is unhealthy"]);
    let said = Container {
        health_output: "no\nroute".to_owned(),
        ..of(Health::Unhealthy)
    };
    check(said, &expect!["web is unhealthy: no\nroute"]);
}

#[test]
fn a_container_without_a_check_is_up_once_it_has_settled() {
    let started = |at: &str| {
        let started_at = at.to_owned();
        Container {
            started_at,
            ..container("web", State::Running)
        }
    };
    check(container("web", State::Running), &expect!["ready"]);
    check(
        started("2026-11-23T00:59:56.9Z"),
        &expect!["waiting for web (started just now)"],
    );
    check(started("2026-11-23T00:59:54.9Z"), &expect!["ready"]);
    // The clock of the guest was set back.
    check(
        started("2026-11-24T00:00:00Z"),
        &expect!["waiting for web (started just now)"],
    );
    check(
        started("garbage"),
        &expect!["waiting for web (started just now)"],
    );
}

#[test]
fn one_shots_are_done_with_status_0_and_broken_with_any_other() {
    let exited = |exit_code, policy: &str| {
        let restart_policy = policy.to_owned();
        Container {
            exit_code,
            restart_policy,
            ..container("job", State::Exited)
        }
    };
    check(exited(0, "no"), &expect!["ready"]);
    check(exited(0, "on-failure"), &expect!["ready"]);
    check(exited(0, "always"), &expect!["waiting for job (exited)"]);
    check(exited(3, "no"), &expect!["job exited with status 3"]);
    check(
        exited(137, "unless-stopped"),
        &expect!["job exited with status 137"],
    );
}

#[test]
fn a_container_that_cannot_be_started_is_broken() {
    let created = container("web", State::Created);
    let taken = Container {
        error: "port is already allocated".to_owned(),
        ..created.clone()
    };
    check(created, &expect!["waiting for web (created)"]);
    check(
        taken,
        &expect!["web cannot be started: port is already allocated"],
    );
}

#[test]
fn what_must_complete_is_not_up_while_it_runs() {
    let completes = Wanted {
        replicas: 1,
        completes: true,
    };
    let wanted = [("job".to_owned(), completes)].into();
    let running = container("job", State::Running);
    check_all(
        &[running],
        &wanted,
        &expect!["waiting for job (running to its end)"],
    );
    check_all(
        &[container("job", State::Exited)],
        &wanted,
        &expect!["ready"],
    );
}

#[test]
fn every_replica_counts_and_what_is_not_wanted_does_not() {
    let up = container("web", State::Running);
    let two = [(
        "web".to_owned(),
        Wanted {
            replicas: 2,
            completes: false,
        },
    )]
    .into();
    check_all(
        std::slice::from_ref(&up),
        &two,
        &expect!["waiting for web (1 of 2 containers exist)"],
    );
    let debug = Container {
        oneoff: true,
        number: 2,
        ..up.clone()
    };
    check_all(
        &[up.clone(), debug],
        &two,
        &expect!["waiting for web (1 of 2 containers exist)"],
    );
    let orphan = Container {
        exit_code: 1,
        ..container("old", State::Exited)
    };
    check_all(&[up, orphan], &wanted(&["web"]), &expect!["ready"]);
    check_all(&[], &BTreeMap::new(), &expect!["ready"]);
}

#[test]
fn one_failure_outweighs_what_is_awaited() {
    let broken = Container {
        exit_code: 1,
        ..container("z", State::Exited)
    };
    check_all(
        &[container("a", State::Created), broken],
        &wanted(&["a", "z"]),
        &expect!["z exited with status 1"],
    );
}

#[test]
fn a_crash_loop_is_three_restarts_after_the_first_look() {
    let mut history = History::new();
    let mut look = |state, restart_count| {
        let looped = Container {
            restart_count,
            exit_code: 1,
            ..container("web", state)
        };
        text(&verdict(&[looped], &wanted(&["web"]), &mut history, NOW))
    };
    // It had been restarted before, by whatever.
    assert_eq!(look(State::Restarting, 10), "waiting for web (restarting)");
    assert_eq!(look(State::Running, 12), "ready");
    assert_eq!(
        look(State::Running, 13),
        "web restarts again and again (exit status 1)"
    );
}

const UP: &str = r#"{"is":"container","image":"i","id":"c1","ref":"r","restarts":0,"policy":{"Name":"no"},"ports":{},"labels":{"com.docker.compose.project":"p","com.docker.compose.service":"web"},"state":{"Error":"","ExitCode":0,"StartedAt":"2026-11-23T00:00:00Z","Status":"STATUS"}}"#;

fn look(status: &str) -> String {
    format!(
        "{}\n{{\"is\":\"now\",\"now\":1795395600}}\n",
        UP.replace("STATUS", status)
    )
}

#[tokio::test(start_paused = true)]
async fn the_wait_ends_when_all_is_up() {
    let image = r#"{"is":"image","id":"i","digests":["r@sha256:d"]}"#;
    let up = format!("{}{image}", look("running"));
    let guest = Answers::new([&look("created"), &look("created"), &up]);
    let within = Duration::from_mins(1);
    let containers = wait(&guest, &Sleep, "p", &wanted(&["web"]), within)
        .await
        .unwrap();
    assert_eq!(containers[0].digests, ["sha256:d"]);
    assert_eq!(guest.asked.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_wait_ends_with_what_was_awaited_when_the_time_is_over() {
    let start = Instant::now();
    let looks = look("created");
    let mut answers = [looks.as_str(); 6];
    answers[5] = "last words\n";
    let guest = Answers::new(answers);
    let within = Duration::from_secs(4);
    let error = wait(&guest, &Sleep, "p", &wanted(&["web"]), within)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "still waiting for service web (created) after 4 s; its last output:\nlast words"
    );
    assert_eq!(start.elapsed(), within);
}

#[tokio::test(start_paused = true)]
async fn a_failure_brings_the_log() {
    let exited = look("exited").replace("\"ExitCode\":0", "\"ExitCode\":3");
    let guest = Answers::new([&exited, "first\n\nlast words\n"]);
    let within = Duration::from_secs(4);
    let error = wait(&guest, &Sleep, "p", &wanted(&["web"]), within)
        .await
        .unwrap_err();
    expect![[r#"
        service "web" exited with status 3; its last output:
        first
        last words"#]]
    .assert_eq(&error.to_string());
    assert!(guest.asked.lock().unwrap()[1].contains("docker logs --tail 20 c1"));
}
