//! The SSH keys of an account: ours come and go, those of others stay.

use std::collections::BTreeSet;

use super::{Guest, Result, quote};

const CHANGE: &str = include_str!("keys/change.sh");

/// Lets the `wanted` keys log in to an account, and those of `prior` that are not among them no more.
pub async fn change(
    guest: &impl Guest,
    account: &str,
    prior: &BTreeSet<String>,
    wanted: &BTreeSet<String>,
) -> Result<()> {
    guest
        .run(&script(account, prior, wanted))
        .await?
        .ok("changing the SSH keys")
        .map(drop)
}

fn script(account: &str, prior: &BTreeSet<String>, wanted: &BTreeSet<String>) -> String {
    // One command for each key: for none, printf would print an empty line, which as a pattern is every line.
    let line = |key: &String| format!("printf '%s\\n' {}\n", quote(key.trim()));
    let [gone, wanted]: [String; 2] = [
        prior.difference(wanted).map(line).collect(),
        wanted.iter().map(line).collect(),
    ];
    format!(
        "user={}\nwork=$(mktemp -d) || exit 1\ntrap 'rm -rf \"$work\"' EXIT\n\
         {{ :\n{gone}}} > \"$work/gone\"\n{{ :\n{wanted}}} > \"$work/wanted\"\n{CHANGE}",
        quote(account),
    )
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::*;

    fn set(keys: &[&str]) -> BTreeSet<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    /// What the file holds after a change, for the account that runs the test.
    fn changed(before: Option<&str>, prior: &[&str], wanted: &[&str]) -> String {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".ssh/authorized_keys");
        if let Some(before) = before {
            fs::create_dir(home.path().join(".ssh")).unwrap();
            fs::write(&file, before).unwrap();
        }
        let own = format!(
            "getent() {{ echo \"$2:x:0:0::{}:/bin/sh\"; }}\n",
            home.path().display()
        );
        let name = Command::new("id").arg("-un").output().unwrap().stdout;
        let name = String::from_utf8(name).unwrap();
        let script = own + &script(name.trim(), &set(prior), &set(wanted));
        let ran = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        fs::read_to_string(file).unwrap()
    }

    #[test]
    fn ours_come_and_go_and_those_of_others_stay() {
        let (a, b, c) = (
            "ssh-ed25519 AAAA a",
            "ssh-ed25519 BBBB b",
            "ssh-rsa CC+/= it's c",
        );
        for (before, prior, wanted, after) in [
            (None, &[][..], &[a, b][..], format!("{a}\n{b}\n")),
            (
                Some(format!("{a}\n# mine\n{c}")),
                &[a],
                &[b],
                format!("# mine\n{c}\n{b}\n"),
            ),
            (Some(format!("{a}\n")), &[a], &[], String::new()),
            (
                Some(format!("{a}\n{b}\n")),
                &[],
                &[a],
                format!("{a}\n{b}\n"),
            ),
            (Some(format!("{c}\n{a}\n")), &[a, c], &[c], format!("{c}\n")),
        ] {
            assert_eq!(changed(before.as_deref(), prior, wanted), after);
        }
    }
}
