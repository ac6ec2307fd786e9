use std::fs;

use expect_test::expect;

use super::super::fake::{Shell, check_syntax};
use super::super::manifest::{prepare, sha256};
use super::super::ship::ship;
use super::super::{SecretFile, Stack};
use super::*;

/// Answers as Engine 26.1 and Compose 2.26 do, for the two containers of two projects.
const DOCKER: &str = r#"container() {
  echo '{"is":"container","image":"sha256:'$1'","id":"'$1'","ref":"'$2'","restarts":0,"policy":{"MaximumRetryCount":0,"Name":"no"},"ports":null,"labels":{"com.docker.compose.project":"'$3'","com.docker.compose.service":"web"},"state":{"Error":"","ExitCode":0,"StartedAt":"2026-11-23T00:00:00Z","Status":"running"}}'
}
case "$1 $2" in
"ps -aq") echo a; echo b ;;
"inspect -f") echo 'WARNING: no config' >&2; container a nginx:1 demo; container b built other ;;
"image inspect")
  echo '{"is":"image","id":"sha256:a","digests":["nginx@sha256:d1"]}'
  echo 'Error: No such image: sha256:b' >&2
  exit 1 ;;
"version -f") echo '{"is":"version","version":"26.1.5+dfsg1"}' ;;
"compose version") echo 2.26.1-4 ;;
esac"#;

async fn shipped(docker: &str) -> (Shell, Known) {
    let shell = Shell::new(docker);
    let stack = Stack {
        project: "demo".to_owned(),
        directory: shell.project(),
        compose_files: vec![("compose.yaml".to_owned(), "services: {}".to_owned())],
        files: [
            ("b.bin".to_owned(), vec![0, 159]),
            ("gone".to_owned(), Vec::new()),
        ]
        .into(),
        secrets: [("db".to_owned(), SecretFile::new("hush"))].into(),
        ..Stack::default()
    };
    prepare(&shell, &stack.directory).await.unwrap();
    let manifest = ship(&shell, &stack, None).await.unwrap();
    let public = manifest
        .files
        .into_iter()
        .filter(|(path, _)| !path.starts_with(PRIVATE));
    let known = Known {
        project: stack.project,
        directory: stack.directory,
        files: public.map(|(path, entry)| (path, entry.sha256)).collect(),
    };
    (shell, known)
}

#[tokio::test]
async fn one_script_tells_of_all_stacks() {
    let (shell, known) = shipped(DOCKER).await;
    shell.calls("");
    let nowhere = Known {
        project: "nowhere".to_owned(),
        directory: "/nonexistent".to_owned(),
        files: [("compose.yaml".to_owned(), "0".to_owned())].into(),
    };
    let round = round(&shell, &[nowhere, known.clone()]).await.unwrap();
    assert_eq!(
        round.docker,
        Docker::Running {
            version: "26.1.5+dfsg1".to_owned(),
            compose: Some("2.26.1-4".to_owned())
        }
    );
    let demo = &round.stacks["demo"];
    assert!(
        demo.files
            .iter()
            .all(|(path, sum)| sum.as_ref() == Some(&known.files[path]))
    );
    assert!(demo.texts.is_empty() && demo.private_changed.is_empty());
    assert_eq!(demo.containers[0].digest.as_deref(), Some("sha256:d1"));
    assert_eq!(round.stacks["other"].containers[0].digest, None);
    assert_eq!(round.stacks["nowhere"].files["compose.yaml"], None);
    assert_eq!(round.stacks["nowhere"].private_changed.len(), 1);
    expect![[r"
        docker ps -aq --no-trunc --filter label=com.docker.compose.project
        docker inspect -f TEMPLATE a b
        docker version -f TEMPLATE
        docker compose version --short
        docker image inspect -f TEMPLATE sha256:a sha256:b
    "]]
    .assert_eq(&without_templates(&shell.calls("docker")));
}

fn without_templates(calls: &str) -> String {
    let short = |line: &str| match line.find('{').zip(line.rfind('}')) {
        Some((from, to)) => format!("{}TEMPLATE{}\n", &line[..from], &line[to + 1..]),
        None => format!("{line}\n"),
    };
    calls.lines().map(short).collect()
}

#[tokio::test]
async fn files_that_differ_come_with_their_content_and_secrets_without() {
    let (shell, known) = shipped("").await;
    fs::write(shell.path("project/b.bin"), [1, 255, 10]).unwrap();
    fs::write(shell.path("project/.pmoves/secrets/db"), "edited").unwrap();
    fs::remove_file(shell.path("project/.pmoves/override.yaml")).unwrap();
    fs::remove_file(shell.path("project/gone")).unwrap();
    let round = round(&shell, &[known]).await.unwrap();
    let demo = &round.stacks["demo"];
    assert_eq!(demo.texts, [("b.bin".to_owned(), vec![1, 255, 10])].into());
    assert_eq!(demo.files["b.bin"], Some(sha256(&[1, 255, 10])));
    assert_eq!(demo.files["gone"], None);
    let changed = [".pmoves/override.yaml", ".pmoves/secrets/db"].map(str::to_owned);
    assert_eq!(demo.private_changed, changed.into());
}

#[tokio::test]
async fn a_silent_daemon_still_tells_of_files() {
    let (shell, known) = shipped("echo 'Cannot connect to the Docker daemon' >&2; exit 1").await;
    let round = round(&shell, &[known]).await.unwrap();
    let message = "Cannot connect to the Docker daemon".to_owned();
    assert_eq!(round.docker, Docker::Down { message });
    assert!(round.stacks["demo"].files["compose.yaml"].is_some());
}

#[tokio::test]
async fn a_daemon_that_was_stopped_is_not_started_by_looking() {
    let (shell, known) = shipped(DOCKER).await;
    shell.stub("systemctl", "echo loaded; echo inactive");
    shell.calls("");
    let round = round(&shell, &[known]).await.unwrap();
    let message = "docker.service: loaded inactive".to_owned();
    assert_eq!(round.docker, Docker::Down { message });
    assert_eq!(shell.calls("docker"), "");
}

#[tokio::test]
async fn a_container_that_goes_away_meanwhile_is_no_failure() {
    let docker = "case $1 in
        ps) [ -e $0.gone ] || echo a; >$0.gone ;;
        inspect) echo 'Error: No such object: a' >&2; exit 1 ;;
        version) echo '{\"is\":\"version\",\"version\":\"1\"}' ;;
        esac";
    let (shell, known) = shipped(docker).await;
    let round = round(&shell, &[known]).await.unwrap();
    assert_eq!(
        round.docker,
        Docker::Running {
            version: "1".to_owned(),
            compose: None
        }
    );
    assert!(round.stacks["demo"].containers.is_empty());
}

#[test]
fn a_guest_without_docker_says_so() {
    let round = parse(&[], "{\"is\":\"absent\"}\n{\"is\":\"end\"}\n", "").unwrap();
    assert_eq!(round.docker, Docker::Absent);
}

#[test]
fn output_that_stops_early_is_an_error() {
    assert!(parse(&[], "{\"is\":\"absent\"}\n", "").is_err());
    assert!(parse(&[], "{\"is\":\"end\"}\n{\"is\":", "").is_err());
    let stray = "{\"is\":\"file\",\"stack\":3,\"file\":0,\"sha256\":\"\"}\n{\"is\":\"end\"}";
    assert!(parse(&[], stray, "").is_err());
}

#[test]
fn odd_names_make_good_shell() {
    let odd = "it's a $HOME `x` \"q\" \\ -n *".to_owned();
    let known = Known {
        directory: odd.clone(),
        files: [(odd, String::new())].into(),
        ..Known::default()
    };
    check_syntax(&script(&[known]));
}
