//! The patterns that parameter rules use, anchored at both ends as the API anchors them.

use regex::Regex;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// As it was written.
    pub(crate) text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles `text`. Panics where it is no regular expression.
    pub(crate) fn new(text: &str) -> Self {
        // Two habits of Perl that the library does not have.
        let plain = text.replace(r"\0", r"\x00").replace("{,", "{0,");
        let anchored = format!("^(?:{plain})$");
        Self {
            text: text.to_owned(),
            regex: Regex::new(&anchored).expect("patterns are regular expressions"),
        }
    }

    /// Whether the whole of `text` matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, matches: bool) {
        assert_eq!(
            Pattern::new(pattern).matches(text),
            matches,
            "{pattern} on {text}"
        );
    }

    #[test]
    fn patterns_match_whole_values() {
        check(r"\+?\d+(\.\d+)?[KMGT]?", "+512M", true);
        check(r"\+?\d+(\.\d+)?[KMGT]?", "1.5G", true);
        check(r"\+?\d+(\.\d+)?[KMGT]?", "big", false);
        check("https?://.*", "http://x/y", true);
        check("https?://.*", "ftp://x", false);
        check(r"(/dev/.+|socket)", "socket", true);
        check(r"(/dev/.+|socket)", "sockets", false);
        check(r"[A-Za-z0-9\-_\s]{,16}", "a b-c", true);
        check(r"[A-Za-z0-9\-_\s]{,3}", "abcd", false);
        check(r"(?:\d+(?:-\d+)?(?:;\d+(?:-\d+)?)*)", "1-4;7", true);
        check("(?:^(0x)[0-9a-fA-F]{16})", "0x0123456789abcdef", true);
        check("(a*)*b", "aaaa", false);
        check("[^:]+", "a:b", false);
    }
}
