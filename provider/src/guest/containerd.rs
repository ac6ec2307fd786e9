//! containerd's `config.toml`: the one key that moves its data.
//!
//! Knows no more TOML than where the top level ends.

/// The file with `root` in it, or `None` if it says so already.
pub fn config(existing: Option<&str>, root: &str) -> Option<String> {
    let line = format!("root = {}", serde_json::Value::from(root));
    let Some(existing) = existing.filter(|text| !text.trim().is_empty()) else {
        // Version 2 is read by containerd 1 and 2. Docker needs no CRI; Docker's own package turns it off as well.
        return Some(format!(
            "version = 2\n{line}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"
        ));
    };
    if self::root(existing).as_deref() == Some(root) {
        return None;
    }
    let mut lines: Vec<_> = existing.lines().collect();
    match top_level(existing).find(|(_, key)| *key == "root") {
        Some((n, _)) => lines[n] = &line,
        None => lines.insert(0, &line),
    }
    Some(lines.join("\n") + "\n")
}

/// The root that the file names.
pub fn root(existing: &str) -> Option<String> {
    let (n, _) = top_level(existing).find(|(_, key)| *key == "root")?;
    let (_, value) = existing.lines().nth(n)?.split_once('=')?;
    let value = value.trim_start();
    let quote = value.chars().next().filter(|c| ['"', '\''].contains(c))?;
    value[1..].split(quote).next().map(str::to_owned)
}

/// Line numbers and keys before the first table.
fn top_level(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text
        .lines()
        .take_while(|line| !line.trim_start().starts_with('['));
    lines
        .enumerate()
        .filter_map(|(n, line)| Some((n, line.split_once('=')?.0.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(existing: Option<&str>, expected: Option<&str>) {
        let config = config(existing, "/opt/docker/containerd");
        assert_eq!(config.as_deref(), expected);
        if let Some(config) = config {
            assert_eq!(self::config(Some(&config), "/opt/docker/containerd"), None);
        }
    }

    #[test]
    fn root_is_set_at_the_top_level_and_all_else_stays() {
        let new = "version = 2\nroot = \"/opt/docker/containerd\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
        check(None, Some(new));
        check(Some(new), None);
        check(
            Some("disabled_plugins = [\"cri\"]\n#root = \"/x\"\n[plugins]\nroot = \"/y\"\n"),
            Some(
                "root = \"/opt/docker/containerd\"\ndisabled_plugins = [\"cri\"]\n#root = \"/x\"\n[plugins]\nroot = \"/y\"\n",
            ),
        );
        check(
            Some("version = 3\nroot = '/x' # old\n"),
            Some("version = 3\nroot = \"/opt/docker/containerd\"\n"),
        );
    }
}
