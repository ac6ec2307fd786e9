use std::fs;

use expect_test::expect;

use super::super::Stack;
use super::super::fake::{Answers, Shell};
use super::super::manifest::prepare;
use super::super::ship::ship;
use super::*;

/// Has a container, a network and a volume of the project until they are removed.
const DOCKER: &str = r#"case "$1 $2" in
"ps -aq") echo c1 ;;
"network ls") echo n1 ;;
"volume ls") echo v1 ;;
esac"#;

fn removal(shell: &Shell) -> Removal {
    Removal {
        project: "demo".to_owned(),
        directory: shell.project(),
        compose_files: vec!["compose.yaml".to_owned()],
        delete_volumes: false,
    }
}

async fn shipped(docker: &str) -> Shell {
    let shell = Shell::new(docker);
    let stack = Stack {
        project: "demo".to_owned(),
        directory: shell.project(),
        compose_files: vec![("compose.yaml".to_owned(), String::new())],
        files: [
            ("conf/deep/a".to_owned(), Vec::new()),
            ("data/b".to_owned(), Vec::new()),
        ]
        .into(),
        env: Some(String::new()),
        input_labels: [("web".to_owned(), "0a".to_owned())].into(),
        ..Stack::default()
    };
    prepare(&shell, &stack.directory).await.unwrap();
    ship(&shell, &stack, None).await.unwrap();
    shell.calls("");
    shell
}

#[tokio::test]
async fn compose_takes_the_project_down_and_labels_find_the_rest() {
    let shell = shipped(DOCKER).await;
    down(&shell, &removal(&shell)).await.unwrap();
    expect![[r"
        docker ps -q
        docker compose -p demo --project-directory DIR/project -f DIR/project/compose.yaml -f DIR/project/.pmoves/override.yaml --env-file DIR/project/.env down --remove-orphans
        docker ps -aq --no-trunc --filter label=com.docker.compose.project=demo
        docker stop c1
        docker rm -f c1
        docker network ls -q --filter label=com.docker.compose.project=demo
        docker network rm n1
    "]]
    .assert_eq(&shell.calls("docker"));
    assert!(!shell.path("project").exists());
}

#[tokio::test]
async fn volumes_go_only_when_asked() {
    let shell = shipped(DOCKER).await;
    down(
        &shell,
        &Removal {
            delete_volumes: true,
            ..removal(&shell)
        },
    )
    .await
    .unwrap();
    let calls = shell.calls("docker");
    for call in [
        "down --remove-orphans --volumes\n",
        "docker rm -fv c1\n",
        "docker volume rm v1\n",
    ] {
        assert!(calls.contains(call), "{calls}");
    }
}

#[tokio::test]
async fn without_its_files_the_project_goes_by_label_and_foreign_files_stay() {
    let shell = shipped(DOCKER).await;
    fs::remove_file(shell.path("project/compose.yaml")).unwrap();
    fs::write(shell.path("project/data/mine"), "").unwrap();
    down(&shell, &removal(&shell)).await.unwrap();
    let calls = shell.calls("docker");
    assert!(
        !calls.contains("compose -p") && calls.contains("docker rm -f c1"),
        "{calls}"
    );
    assert_eq!(shell.tree(), "data/ 755\ndata/mine 644\n");
}

#[tokio::test]
async fn a_text_that_compose_refuses_is_no_obstacle() {
    let shell = shipped(r#"[ "$1" != compose ] || { echo 'yaml: line 4' >&2; exit 15; }"#).await;
    down(&shell, &removal(&shell)).await.unwrap();
    assert!(!shell.path("project").exists());
}

#[tokio::test]
async fn an_unknown_project_is_gone_already() {
    let shell = Shell::new("");
    down(&shell, &removal(&shell)).await.unwrap();
    let calls = shell.calls("docker");
    assert!(
        !calls.contains("rm") && !calls.contains("compose -p"),
        "{calls}"
    );
}

#[tokio::test]
async fn a_silent_daemon_is_an_error_and_removes_nothing() {
    let shell = shipped("echo 'Cannot connect to the Docker daemon' >&2; exit 1").await;
    let error = down(&shell, &removal(&shell))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("Cannot connect to the Docker daemon"),
        "{error}"
    );
    assert!(shell.path("project/compose.yaml").exists());
}

#[tokio::test]
async fn files_of_another_project_stay() {
    let shell = shipped("").await;
    down(
        &shell,
        &Removal {
            project: "other".to_owned(),
            ..removal(&shell)
        },
    )
    .await
    .unwrap();
    assert!(shell.path("project/conf/deep/a").exists());
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_is_an_error() {
    let guest = Answers::new(["", "garbage"]);
    assert!(down(&guest, &Removal::default()).await.is_err());
}
