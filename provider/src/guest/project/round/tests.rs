use std::fs;

use expect_test::expect;

use super::super::fake::Shell;
use super::super::manifest::{prepare, sha256};
use super::super::ship::ship;
use super::super::{SecretFile, Stack};
use super::*;
use crate::guest::Guest as _;

/// Answers as Engine 26.1 and Compose 2.26 do, for the two containers of two projects.
const DOCKER: &str = r#"container() {
  echo '{"is":"container","image":"sha256:'$1'","id":"'$1'","ref":"'$2'","restarts":0,"policy":{"MaximumRetryCount":0,"Name":"no"},"ports":null,"labels":{"com.docker.compose.project":"'$3'","com.docker.compose.project.config_files":"'$4/a.yml,$4/b.yml'","com.docker.compose.project.working_dir":"'$4'","com.docker.compose.service":"web"},"state":{"Error":"","ExitCode":0,"StartedAt":"2026-11-23T00:00:00Z","Status":"running"}}'
}
case "$1 $2" in
"ps -aq") echo a; echo b ;;
"inspect -f") echo 'WARNING: no config' >&2; container a nginx:1 demo /lost; container b built other "${0%/bin/docker}/other" ;;
"image inspect")
  echo '{"is":"image","id":"sha256:a","digests":["nginx@sha256:d1"]}'
  echo 'Error: No such image: sha256:b' >&2
  exit 1 ;;
esac"#;

async fn shipped(docker: &str) -> Shell {
    let shell = Shell::new(docker);
    let stack = Stack {
        project: "demo".to_owned(),
        directory: shell.project(),
        compose_files: vec![("compose.yaml".to_owned(), "services: {}".to_owned())],
        files: [
            (r"it's a $HOME \ file".to_owned(), vec![0, 159]),
            ("gone".to_owned(), Vec::new()),
        ]
        .into(),
        secrets: [("db".to_owned(), SecretFile::new("hush"))].into(),
        ..Stack::default()
    };
    prepare(&shell, &stack.directory).await.unwrap();
    ship(&shell, &stack, None).await.unwrap();
    shell.calls("");
    shell
}

async fn round(shell: &Shell) -> HostRound {
    let output = shell.run(&script()).await.unwrap();
    parse(&output.stdout, &output.stderr).unwrap()
}

/// Files of a project that are not as they were written.
fn changed(round: &HostRound, project: &str) -> Vec<String> {
    let facts = &round.stacks[project];
    let directory = facts.directory.as_ref().unwrap();
    let differs = |(path, sum): &(&String, &String)| {
        round.sums.get(&format!("{directory}/{path}")) != Some(*sum)
    };
    facts
        .written
        .iter()
        .filter(differs)
        .map(|(path, _)| path.clone())
        .collect()
}

#[tokio::test]
async fn one_script_finds_all_stacks() {
    let shell = shipped(DOCKER).await;
    fs::create_dir(shell.path("other")).unwrap();
    fs::write(shell.path("other/a.yml"), "text").unwrap();
    fs::write(shell.path("other/.env"), "A=1").unwrap();
    let round = round(&shell).await;
    assert_eq!(round.docker, Docker::Running);
    assert_eq!(changed(&round, "demo"), Vec::<String>::new());
    let demo = &round.stacks["demo"];
    assert_eq!(demo.directory.as_deref(), Some(shell.project().as_str()));
    assert_eq!(demo.written.len(), 5);
    assert_eq!(demo.containers[0].digests, ["sha256:d1"]);
    let other = &round.stacks["other"];
    assert_eq!((&other.directory, other.containers.len()), (&None, 1));
    let sum = |path: &str| round.sums.get(shell.path(path).to_str().unwrap());
    assert_eq!(sum("other/a.yml"), Some(&sha256(b"text")));
    assert_eq!(sum("other/.env"), Some(&sha256(b"A=1")));
    assert_eq!(sum("other/b.yml"), None);
    expect![[r"
        docker ps -aq --no-trunc --filter label=com.docker.compose.project
        docker inspect -f TEMPLATE a b
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
async fn files_that_differ_are_seen_and_secrets_as_well() {
    let shell = shipped("").await;
    fs::write(shell.path(r"project/it's a $HOME \ file"), "edited").unwrap();
    fs::write(shell.path("project/.pmoves/secrets/db"), "edited").unwrap();
    fs::remove_file(shell.path("project/gone")).unwrap();
    let differing = [".pmoves/secrets/db", "gone", r"it's a $HOME \ file"];
    assert_eq!(changed(&round(&shell).await, "demo"), differing);
}

#[tokio::test]
async fn a_project_whose_directory_is_lost_is_still_known() {
    let shell = shipped("").await;
    fs::remove_dir_all(shell.path("project")).unwrap();
    let round = round(&shell).await;
    assert!(round.stacks["demo"].written.is_empty());
    assert!(round.sums.is_empty());
}

#[tokio::test]
async fn a_project_that_was_removed_is_gone() {
    let shell = shipped("").await;
    super::super::down::remove_files(&shell, "demo", &shell.project())
        .await
        .unwrap();
    assert!(round(&shell).await.stacks.is_empty());
}

#[tokio::test]
async fn a_silent_daemon_still_tells_of_files() {
    let shell = shipped("echo 'Cannot connect to the Docker daemon' >&2; exit 1").await;
    let round = round(&shell).await;
    let message = "Cannot connect to the Docker daemon".to_owned();
    assert_eq!(round.docker, Docker::Down { message });
    assert_eq!(changed(&round, "demo"), Vec::<String>::new());
}

#[tokio::test]
async fn a_daemon_that_was_stopped_is_not_started_by_looking() {
    let shell = shipped(DOCKER).await;
    shell.stub("systemctl", "echo loaded; echo inactive");
    let message = "docker.service is inactive".to_owned();
    assert_eq!(round(&shell).await.docker, Docker::Down { message });
    assert_eq!(shell.calls("docker"), "");
}

#[tokio::test]
async fn a_container_that_goes_away_meanwhile_is_no_failure() {
    let docker = "case $1 in
        ps) [ -e $0.gone ] || echo a; >$0.gone ;;
        inspect) echo 'Error: No such object: a' >&2; exit 1 ;;
        esac";
    let shell = shipped(docker).await;
    let round = round(&shell).await;
    assert_eq!(round.docker, Docker::Running);
    assert!(round.stacks["demo"].containers.is_empty());
}

#[test]
fn a_guest_without_docker_says_so() {
    let round = parse("{\"is\":\"absent\"}\n{\"is\":\"end\"}\n", "").unwrap();
    assert_eq!(round.docker, Docker::Absent);
}

#[test]
fn output_that_stops_early_is_an_error() {
    assert!(parse("{\"is\":\"absent\"}\n", "").is_err());
    assert!(parse("{\"is\":\"end\"}\n{\"is\":", "").is_err());
}
