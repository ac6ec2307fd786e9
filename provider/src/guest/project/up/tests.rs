use std::fs;

use expect_test::{Expect, expect};

use super::super::SecretFile;
use super::super::fake::{Answers, Shell, Sleep};
use super::super::manifest::prepare;
use super::*;
use crate::secret::Secret;

const WITHIN: Duration = Duration::from_mins(1);

fn stack(directory: &str) -> Stack {
    let compose_files = ["compose.yaml", "more.yaml"];
    Stack {
        project: "demo".to_owned(),
        directory: directory.to_owned(),
        compose_files: compose_files
            .map(|path| (path.to_owned(), String::new()))
            .into(),
        ..Stack::default()
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut Stack), expected: &Expect) {
    let mut stack = stack("/srv/d");
    change(&mut stack);
    let words = command(&stack).join(" ");
    expected.assert_eq(
        words
            .strip_prefix("docker compose -p demo --project-directory /srv/d ")
            .unwrap(),
    );
}

#[test]
fn the_command_says_everything_that_compose_would_otherwise_guess() {
    check(
        |_| {},
        &expect![
            "-f /srv/d/compose.yaml -f /srv/d/more.yaml --env-file /dev/null up -d --quiet-pull"
        ],
    );
    check(
        |stack| {
            stack.compose_files.truncate(1);
            stack.env = Some("A=1".to_owned());
            stack.env_secret = Some(Secret::new(b"hush".to_vec()));
            stack.secrets = [("db".to_owned(), SecretFile::new("hush"))].into();
            stack.profiles = vec!["debug".to_owned()];
            stack.remove_orphans = true;
            stack.pull = Pull::Always;
            stack.recreate = Recreate::Always;
        },
        &expect![
            "-f /srv/d/compose.yaml -f /srv/d/.pmoves/override.yaml --env-file /srv/d/.env --env-file /srv/d/.pmoves/env --profile debug up -d --quiet-pull --pull always --force-recreate --remove-orphans"
        ],
    );
    check(
        |stack| {
            stack.compose_files.truncate(1);
            stack.pull = Pull::Never;
            stack.recreate = Recreate::Never;
        },
        &expect![
            "-f /srv/d/compose.yaml --env-file /dev/null up -d --quiet-pull --pull never --no-recreate"
        ],
    );
}

async fn run_up(docker: &str) -> (Shell, Result<String>) {
    let shell = Shell::new(docker);
    let stack = stack(&shell.project());
    prepare(&shell, &stack.directory).await.unwrap();
    let result = up(&shell, &Sleep, &stack, WITHIN).await;
    (shell, result)
}

#[tokio::test]
async fn it_runs_in_an_environment_without_compose_variables_and_with_stdin_closed() {
    let (shell, result) =
        run_up("env | grep COMPOSE; readlink /proc/self/fd/0; echo HOME=$HOME").await;
    assert_eq!(result.unwrap(), "/dev/null\nHOME=/root");
    expect![[r"
        docker compose -p demo --project-directory DIR/project -f DIR/project/compose.yaml -f DIR/project/more.yaml --env-file /dev/null up -d --quiet-pull
    "]]
    .assert_eq(&shell.calls("docker"));
    let directory = shell.path("project/.pmoves");
    assert_eq!(
        fs::read_to_string(directory.join("up.status")).unwrap(),
        "0\n"
    );
}

#[tokio::test]
async fn a_failure_names_the_service_and_shows_the_last_lines_of_both() {
    let (_, result) = run_up(
        "case $1 in
        ps) echo c1 ;;
        logs) echo oh no ;;
        *) echo 'dependency failed to start: container demo-db-1 exited (1)' >&2; exit 18 ;;
        esac",
    )
    .await;
    expect![[r#"
        docker compose up failed with exit status 18 (service "db"):
        dependency failed to start: container demo-db-1 exited (1)
        last output of its containers:
        oh no"#]]
    .assert_eq(&result.unwrap_err().to_string());
}

#[tokio::test]
async fn a_unit_that_was_killed_is_interrupted() {
    let (_, result) = run_up("echo pulling; kill -KILL $PPID").await;
    let error = result.unwrap_err().to_string();
    assert_eq!(
        error,
        "docker compose up was interrupted on the guest:\npulling"
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_looked_at_until_it_ends() {
    let guest = Answers::new([
        "running\n",
        "running\n Pulling\n",
        "0\n Pulling\n Started\n",
    ]);
    let log = up(&guest, &Sleep, &stack("/srv/d"), WITHIN).await.unwrap();
    assert_eq!(log, " Pulling\n Started");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_time_tells_how_far_it_was() {
    let guest = Answers::new(["running\n Pulling\n"; 6]);
    let error = up(&guest, &Sleep, &stack("/srv/d"), Duration::from_secs(5))
        .await
        .unwrap_err();
    let text = "still waiting for docker compose up after 5 s; its last output:\n Pulling";
    assert_eq!(error.to_string(), text);
}

#[test]
fn only_the_same_stack_is_attached_to() {
    let token = |stack: &Stack| {
        let script = start_script(stack).unwrap();
        let (_, rest) = script.split_once("up.token 2>/dev/null)\" != ").unwrap();
        rest.split_once(' ').unwrap().0.to_owned()
    };
    let (first, mut other) = (stack("/srv/d"), stack("/srv/d"));
    assert_eq!(token(&first), token(&other));
    other.compose_files[0].1.push_str("# changed");
    assert_ne!(token(&first), token(&other));
}

#[test]
fn the_service_to_blame_is_read_from_every_form() {
    let check = |log: &str, expected: Option<&str>| {
        assert_eq!(blamed_service("demo", log).as_deref(), expected, "{log}");
    };
    check(
        " Container demo-a-1  Started\nservice \"b\" didn't complete successfully: exit 3",
        Some("b"),
    );
    check("container demo-my-db-1 is unhealthy", Some("my-db"));
    check(
        "dependency failed to start: container demo-db-12 exited (1)",
        Some("db"),
    );
    check(
        "Error response from daemon: driver failed programming external connectivity on endpoint demo-web-1 (05ce): Bind for 0.0.0.0:80 failed",
        Some("web"),
    );
    check(
        " job Pulling \n job Error Get \"https://registry/v2/\": refused\nError response from daemon: Get",
        Some("job"),
    );
    check(" Container demo-a-1  Started", None);
    check("no space left on device", None);
}
