use std::fs;
use std::os::unix::fs::MetadataExt as _;

use expect_test::expect;

use super::super::SecretFile;
use super::super::fake::{Shell, check_syntax};
use super::super::manifest::prepare;
use super::*;
use crate::secret::Secret;

fn stack(shell: &Shell) -> Stack {
    let text = |path: &str, content: &str| (path.to_owned(), content.into());
    Stack {
        project: "demo".to_owned(),
        directory: shell.project(),
        compose_files: vec![("compose.yaml".to_owned(), "services: {}\n".to_owned())],
        files: [
            text("conf/a.conf", "a"),
            text("conf/b.conf", "b"),
            text("run.sh", "#!/bin/sh"),
        ]
        .into(),
        env: Some("A=1\n".to_owned()),
        env_secret: Some(Secret::new(b"B=hush-env".to_vec())),
        secrets: [(
            "db".to_owned(),
            SecretFile {
                uid: 70,
                ..SecretFile::new("hush-db")
            },
        )]
        .into(),
        input_labels: [("web".to_owned(), "0a".to_owned())].into(),
        ..Stack::default()
    }
}

async fn apply(shell: &Shell, stack: &Stack) -> Result<Manifest> {
    let prior = prepare(shell, &stack.directory).await.unwrap();
    ship(shell, stack, prior.manifest.as_ref()).await
}

#[tokio::test]
async fn files_are_written_with_their_modes() {
    let shell = Shell::new("");
    let stack = stack(&shell);
    let manifest = apply(&shell, &stack).await.unwrap();
    expect![[r"
        .env 600
        .pmoves/ 700
        .pmoves/env 600
        .pmoves/inputs.key 600
        .pmoves/manifest.json 600
        .pmoves/override.yaml 600
        .pmoves/secrets/ 700
        .pmoves/secrets/db 400
        .pmoves/sums 600
        compose.yaml 644
        conf/ 755
        conf/a.conf 644
        conf/b.conf 644
        run.sh 755
    "]]
    .assert_eq(&shell.tree());
    assert!(shell.calls("chown").contains("chown 70:0 "));
    let read = |path: &str| fs::read_to_string(shell.path("project").join(path)).unwrap();
    assert_eq!(read("conf/b.conf"), "b");
    assert_eq!(read(".pmoves/secrets/db"), "hush-db");
    assert_eq!(manifest::parse(&read(manifest::PATH)), Some(manifest));
    expect![[r#"
        {
          "secrets": {
            "db": {
              "file": "DIR/.pmoves/secrets/db"
            }
          },
          "services": {
            "web": {
              "labels": {
                "pmoves.inputs": "0a"
              }
            }
          }
        }"#]]
    .assert_eq(&read(OVERRIDE).replace(&stack.directory, "DIR"));
}

#[tokio::test]
async fn only_our_own_stale_files_go() {
    let shell = Shell::new("");
    let mut stack = stack(&shell);
    apply(&shell, &stack).await.unwrap();
    fs::write(shell.path("project/foreign"), "mine").unwrap();
    fs::create_dir_all(shell.path("project/data/x")).unwrap();
    fs::remove_file(shell.path("project/compose.yaml")).unwrap();
    fs::create_dir(shell.path("project/compose.yaml")).unwrap();
    stack.files = [("conf".to_owned(), b"a file where a directory was".to_vec())].into();
    (stack.env, stack.env_secret) = (None, None);
    stack.secrets.clear();
    stack.input_labels.clear();
    apply(&shell, &stack).await.unwrap();
    expect![[r"
        .pmoves/ 700
        .pmoves/inputs.key 600
        .pmoves/manifest.json 600
        .pmoves/sums 600
        compose.yaml 644
        conf 644
        data/ 755
        data/x/ 755
        foreign 644
    "]]
    .assert_eq(&shell.tree());
}

#[tokio::test]
async fn changed_files_are_replaced_equal_ones_stay_and_edited_ones_are_healed_in_place() {
    let shell = Shell::new("");
    let mut stack = stack(&shell);
    apply(&shell, &stack).await.unwrap();
    let inode = |path: &str| {
        fs::metadata(shell.path("project").join(path))
            .unwrap()
            .ino()
    };
    let inodes = || ["compose.yaml", "conf/a.conf", "conf/b.conf"].map(inode);
    let before = inodes();
    fs::write(shell.path("project/conf/a.conf"), "edited on the guest").unwrap();
    stack
        .files
        .insert("conf/b.conf".to_owned(), b"changed".to_vec());
    apply(&shell, &stack).await.unwrap();
    let after = inodes();
    assert_eq!(before[..2], after[..2]);
    assert_ne!(before[2], after[2]);
    assert_eq!(
        fs::read_to_string(shell.path("project/conf/a.conf")).unwrap(),
        "a"
    );
    assert_eq!(
        fs::read_to_string(shell.path("project/conf/b.conf")).unwrap(),
        "changed"
    );
}

#[tokio::test]
async fn a_failure_while_writing_leaves_the_old_files() {
    let shell = Shell::new("");
    let mut stack = stack(&shell);
    apply(&shell, &stack).await.unwrap();
    let prior = prepare(&shell, &stack.directory).await.unwrap().manifest;
    stack.files = [("conf/a.conf".to_owned(), b"new".to_vec())].into();
    let files = files(&stack).unwrap();
    let manifest = manifest_of(&stack, &files);
    let script = script(&stack, &files, &manifest, prior.as_ref());
    let cut = script.replace(&encode(&manifest.to_json()), "*");
    let output = shell.run(&cut).await.unwrap();
    assert_ne!(output.code, 0);
    assert_eq!(
        fs::read_to_string(shell.path("project/conf/a.conf")).unwrap(),
        "a"
    );
    assert!(shell.path("project/run.sh").exists());
    apply(&shell, &stack).await.unwrap();
    assert!(!shell.path("project/.pmoves/new").exists() && !shell.path("project/run.sh").exists());
}

#[tokio::test]
async fn root_does_not_write_through_a_link() {
    let shell = Shell::new("");
    let mut stack = stack(&shell);
    fs::create_dir_all(shell.path("elsewhere")).unwrap();
    fs::create_dir_all(shell.path("project")).unwrap();
    std::os::unix::fs::symlink(shell.path("elsewhere"), shell.path("project/conf")).unwrap();
    let refused = apply(&shell, &stack).await.unwrap_err().to_string();
    assert!(
        refused.contains("conf/a.conf: a directory on the way is a link"),
        "{refused}"
    );
    assert_eq!(fs::read_dir(shell.path("elsewhere")).unwrap().count(), 0);
    // A link in place of the file itself is replaced.
    fs::remove_file(shell.path("project/conf")).unwrap();
    std::os::unix::fs::symlink("/dev/null", shell.path("project/run.sh")).unwrap();
    stack.files.remove("conf/a.conf");
    apply(&shell, &stack).await.unwrap();
    assert!(
        fs::symlink_metadata(shell.path("project/run.sh"))
            .unwrap()
            .is_file()
    );
}

#[tokio::test]
async fn secrets_are_in_no_output() {
    let shell = Shell::new("");
    let stack = stack(&shell);
    prepare(&shell, &stack.directory).await.unwrap();
    let files = files(&stack).unwrap();
    let output = shell
        .run(&script(&stack, &files, &manifest_of(&stack, &files), None))
        .await
        .unwrap();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    assert!(!shell.calls("").contains("hush"));
    assert!(!format!("{stack:?}").contains("hush"));
}

#[test]
fn odd_names_make_good_shell() {
    let odd = "it's a $HOME `x` \"q\" \\ -n *";
    let stack = Stack {
        project: "p".to_owned(),
        directory: format!("/opt/{odd}"),
        files: [(format!("-{odd}/{odd}"), vec![0, 255, 10])].into(),
        ..Stack::default()
    };
    let files = files(&stack).unwrap();
    let manifest = manifest_of(&stack, &files);
    check_syntax(&script(&stack, &files, &manifest, Some(&manifest)));
}

#[track_caller]
fn check_refused(change: impl FnOnce(&mut Stack), expected: &str) {
    let text = ("compose.yaml".to_owned(), String::new());
    let mut stack = Stack {
        project: "p".to_owned(),
        directory: "/opt/p".to_owned(),
        compose_files: vec![text],
        ..Stack::default()
    };
    change(&mut stack);
    assert_eq!(manifest(&stack).unwrap_err().to_string(), expected);
}

#[test]
fn names_that_would_do_harm_are_refused() {
    let add = |path: &'static str| {
        move |stack: &mut Stack| {
            stack.files.insert(path.to_owned(), Vec::new());
        }
    };
    check_refused(
        add("../x"),
        r#""../x" is not a path that files of a stack can have"#,
    );
    check_refused(
        add("/x"),
        r#""/x" is not a path that files of a stack can have"#,
    );
    check_refused(
        add("a//x"),
        r#""a//x" is not a path that files of a stack can have"#,
    );
    check_refused(
        add("a\nb"),
        r#""a\nb" is not a path that files of a stack can have"#,
    );
    check_refused(
        add(".pmoves"),
        r#"".pmoves" is not a path that files of a stack can have"#,
    );
    check_refused(add("compose.yaml"), r#"two files are named "compose.yaml""#);
    check_refused(
        |stack| {
            let paths = ["a", "a.b", "a/b"].map(|path| (path.to_owned(), Vec::new()));
            stack.files.extend(paths);
        },
        r#""a" is both a file and a directory"#,
    );
    check_refused(
        |stack| {
            stack.secrets.insert("a/b".to_owned(), SecretFile::new(""));
        },
        r#"secret name "a/b" cannot be a file name"#,
    );
    check_refused(
        |stack| stack.project = "A b".to_owned(),
        r#""A b" cannot be the name of a project"#,
    );
    check_refused(
        |stack| stack.directory = "/".to_owned(),
        r#""/" is not a plain absolute path"#,
    );
}

#[tokio::test]
async fn a_directory_of_another_project_is_refused() {
    let shell = Shell::new("");
    let mut stack = stack(&shell);
    apply(&shell, &stack).await.unwrap();
    stack.project = "other".to_owned();
    let refused = apply(&shell, &stack).await.unwrap_err().to_string();
    assert!(
        refused.ends_with(r#"is the directory of project "demo""#),
        "{refused}"
    );
}

#[tokio::test]
async fn the_key_stays_the_same() {
    let shell = Shell::new("");
    let key = async || prepare(&shell, &shell.project()).await.unwrap().key.0;
    let (first, second) = (key().await, key().await);
    assert_eq!(first, second);
    assert_ne!(first, [0; 32]);
}
