//! Unit files below `/etc/systemd/system`, with their drop-ins, as lists of settings.

use crate::guests::scripted::shim::Root;

/// The settings of a unit in the order of the files: section, key, value.
#[derive(Debug, Default, PartialEq)]
pub(in super::super) struct UnitFile(Vec<(String, String, String)>);

impl UnitFile {
    /// The unit's own file and drop-ins; nothing where there is neither.
    pub(in super::super) fn load(root: &Root, name: &str) -> Option<Self> {
        let mut texts = Vec::new();
        for dir in ["/etc/systemd/system", "/run/systemd/system"] {
            texts.extend(root.read(&format!("{dir}/{name}")));
            let Ok(drop_ins) = std::fs::read_dir(root.path(&format!("{dir}/{name}.d"))) else {
                continue;
            };
            let mut paths: Vec<_> = drop_ins.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            texts.extend(
                paths
                    .iter()
                    .filter_map(|path| std::fs::read_to_string(path).ok()),
            );
        }
        (!texts.is_empty()).then(|| Self::parse(&texts.join("\n")))
    }

    pub(super) fn parse(text: &str) -> Self {
        let mut settings: Vec<(String, String, String)> = Vec::new();
        let mut section = String::new();
        for line in text.replace("\\\n", " ").lines().map(str::trim) {
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'))
            {
                name.clone_into(&mut section);
            } else if let Some((key, value)) = line
                .split_once('=')
                .filter(|_| !line.starts_with(['#', ';']))
            {
                let (key, value) = (key.trim(), value.trim());
                // An empty value takes back what came before.
                if value.is_empty() {
                    settings.retain(|(s, k, _)| (s, k.as_str()) != (&section, key));
                } else {
                    settings.push((section.clone(), key.to_owned(), value.to_owned()));
                }
            }
        }
        Self(settings)
    }

    pub(in super::super) fn values(&self, section: &str, key: &str) -> Vec<&str> {
        let found = self.0.iter().filter(|(s, k, _)| s == section && k == key);
        found.map(|(_, _, value)| value.as_str()).collect()
    }

    pub(in super::super) fn value(&self, section: &str, key: &str) -> Option<&str> {
        self.values(section, key).pop()
    }

    pub(super) fn installs(&self) -> bool {
        // A file of drop-ins alone says nothing about it.
        self.0.iter().any(|(section, ..)| section == "Install")
            || !self.0.iter().any(|(_, key, _)| key == "ExecStart")
    }
}

/// Splits a command line at blanks, minding quotes.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
        .iter()
        .map(|word| word.replace("$$", "$").replace("%%", "%"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_takes_back_earlier_ones() {
        let file = UnitFile::parse(
            "[Service]\nExecStart=/a b\n# x=y\n[Service]\nExecStart=\nExecStart=/c \\\n d\n",
        );
        assert_eq!(file.values("Service", "ExecStart"), ["/c   d"]);
    }

    #[test]
    fn command_lines_keep_quoted_words_together() {
        assert_eq!(
            words("/bin/sh -c \"a  'b'\" 'c d' $$x"),
            ["/bin/sh", "-c", "a  'b'", "c d", "$x"]
        );
    }
}
