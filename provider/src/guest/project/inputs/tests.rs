use super::super::SecretFile;
use super::*;

fn stack() -> Stack {
    let file = |path: &str, content: &str| (path.to_owned(), content.into());
    Stack {
        files: [
            file("conf/a", "1"),
            file("conf/b", "2"),
            file("confetti", "3"),
        ]
        .into(),
        secrets: [("db".to_owned(), SecretFile::new("hush"))].into(),
        ..Stack::default()
    }
}

fn uses(files: &[&str], secrets: &[&str]) -> Uses {
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Uses {
        files: set(files),
        secrets: set(secrets),
        ..Uses::default()
    }
}

fn of(stack: &Stack, uses: Uses) -> Option<String> {
    labels(&Key([7; 32]), stack, &[("web".to_owned(), uses)].into()).remove("web")
}

/// Whether the label of a service differs once the stack is changed.
#[track_caller]
fn check(uses: &Uses, change: impl FnOnce(&mut Stack), differs: bool) {
    let mut changed = stack();
    change(&mut changed);
    assert_eq!(
        of(&stack(), uses.clone()) != of(&changed, uses.clone()),
        differs
    );
}

#[test]
fn the_label_follows_the_contents_that_the_service_uses() {
    let set = |path: &'static str| {
        move |stack: &mut Stack| {
            stack.files.insert(path.to_owned(), b"new".to_vec());
        }
    };
    check(&uses(&["./conf/"], &[]), set("conf/b"), true);
    check(&uses(&["conf"], &[]), set("conf/new"), true);
    check(&uses(&["conf"], &[]), set("confetti"), false);
    check(&uses(&["conf/a"], &[]), set("conf/b"), false);
    check(&uses(&["."], &[]), set("confetti"), true);
    let secret = |stack: &mut Stack| {
        stack
            .secrets
            .insert("db".to_owned(), SecretFile::new("other"));
    };
    check(&uses(&[], &["db"]), secret, true);
    check(&uses(&["conf"], &[]), secret, false);
    let owner = |stack: &mut Stack| stack.secrets.get_mut("db").unwrap().uid = 1000;
    check(&uses(&[], &["db"]), owner, true);
}

#[test]
fn a_service_without_contents_has_no_label() {
    assert_eq!(of(&stack(), uses(&["data"], &["other"])), None);
}

#[test]
fn the_label_depends_on_the_key_and_tells_nothing_of_the_content() {
    let uses = || [("web".to_owned(), uses(&[], &["db"]))].into();
    let label = |key| labels(&Key([key; 32]), &stack(), &uses())["web"].clone();
    assert_ne!(label(1), label(2));
    assert_eq!(label(1).len(), 32);
}

#[test]
fn texts_count() {
    let with = |text: &str| {
        let texts = [("motd".to_owned(), text.into())].into();
        of(
            &stack(),
            Uses {
                texts,
                ..Uses::default()
            },
        )
    };
    assert_ne!(with("a"), with("b"));
}
