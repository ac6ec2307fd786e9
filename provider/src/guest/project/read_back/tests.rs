use std::fs;

use expect_test::expect;

use super::super::fake::Shell;
use super::super::manifest::prepare;
use super::super::ship::ship;
use super::super::{SecretFile, Stack};
use super::*;
use crate::secret::Secret;

fn labels(pairs: &[(&str, &str)]) -> String {
    let prefix = "com.docker.compose.project";
    let pairs = pairs
        .iter()
        .map(|(name, value)| (format!("{prefix}.{name}"), *value));
    serde_json::to_string(&pairs.collect::<BTreeMap<_, _>>()).unwrap()
}

/// A Docker that knows one container with these labels.
fn docker(labels: &str) -> String {
    format!("case $1 in ps) echo c1; echo c2 ;; inspect) [ $4 = c1 ] && echo '{labels}' ;; esac")
}

#[tokio::test]
async fn a_project_of_someone_else_is_read_by_its_labels() {
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().to_str().unwrap();
    fs::write(files.path().join("docker-compose.yml"), "services: {}\n").unwrap();
    fs::write(files.path().join(".env"), "A=1\n").unwrap();
    let config_files = format!("{directory}/docker-compose.yml,{directory}/lost.yml,/etc/hostname");
    let text = labels(&[("working_dir", directory), ("config_files", &config_files)]);
    let shell = Shell::new(&docker(&text));
    let found = read_back_opt(&shell, "other", "/nonexistent")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.directory, directory);
    let paths: Vec<_> = found
        .compose_files
        .iter()
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(paths, ["docker-compose.yml", "/etc/hostname"]);
    assert_eq!(found.compose_files[0].1, "services: {}\n");
    assert_eq!(found.lost, ["lost.yml"]);
    assert_eq!(found.env.as_deref(), Some("A=1\n"));
    assert!(found.files.is_empty() && found.secrets.is_empty());
}

#[tokio::test]
async fn the_env_file_is_the_one_that_compose_was_told() {
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().to_str().unwrap();
    fs::write(files.path().join(".env"), "A=1\n").unwrap();
    fs::write(files.path().join("prod.env"), "A=2\n").unwrap();
    let env = async |label: &str| {
        let pairs = [("working_dir", directory), ("environment_file", label)];
        let shell = Shell::new(&docker(&labels(&pairs)));
        read_back_opt(&shell, "other", "/nonexistent")
            .await
            .unwrap()
            .unwrap()
            .env
    };
    assert_eq!(
        env(&format!("{directory}/prod.env")).await.as_deref(),
        Some("A=2\n")
    );
    assert_eq!(env("/dev/null").await, None);
    assert_eq!(
        env(&format!("{directory}/.env,{directory}/.pmoves/env"))
            .await
            .as_deref(),
        Some("A=1\n")
    );
}

#[tokio::test]
async fn a_project_of_ours_is_read_by_its_manifest_without_its_secrets() {
    let shell = Shell::new("");
    let stack = Stack {
        project: "demo".to_owned(),
        directory: shell.project(),
        compose_files: ["z.yaml", "a.yaml"]
            .map(|path| (path.to_owned(), path.to_owned()))
            .into(),
        files: [("conf/a".to_owned(), b"content".to_vec())].into(),
        env: Some("A=1\n".to_owned()),
        env_secret: Some(Secret::new(b"B=hush".to_vec())),
        secrets: [("db".to_owned(), SecretFile::new("hush"))].into(),
        ..Stack::default()
    };
    prepare(&shell, &stack.directory).await.unwrap();
    ship(&shell, &stack, None).await.unwrap();
    let mut found = read_back_opt(&shell, "demo", &stack.directory)
        .await
        .unwrap()
        .unwrap();
    found.directory = "DIR".to_owned();
    expect![[r#"
        Found {
            directory: "DIR",
            compose_files: [
                (
                    "z.yaml",
                    "z.yaml",
                ),
                (
                    "a.yaml",
                    "a.yaml",
                ),
            ],
            lost: [],
            env: Some(
                "A=1\n",
            ),
            files: {
                "conf/a": [
                    99,
                    111,
                    110,
                    116,
                    101,
                    110,
                    116,
                ],
            },
            secrets: [
                "db",
            ],
        }
    "#]]
    .assert_debug_eq(&found);
}

#[tokio::test]
async fn an_unknown_project_is_none() {
    let shell = Shell::new("");
    assert_eq!(
        read_back_opt(&shell, "demo", &shell.project())
            .await
            .unwrap(),
        None
    );
}
