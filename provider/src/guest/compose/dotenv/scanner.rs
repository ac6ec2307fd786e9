//! The statements of an env file, and where they stand.
//!
//! Does not know what a value means: quotes are found, not taken away.

use super::super::{Fault, yaml::Place};

pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// One `KEY=value`, `KEY: value` or bare `KEY`; offsets are bytes of the text.
pub(super) struct Statement<'a> {
    pub(super) key: &'a str,
    pub(super) key_at: usize,
    pub(super) value: Given<'a>,
    pub(super) value_at: usize,
}

#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    Bare,
    /// To the end of the line, comment included.
    Plain(&'a str),
    Quoted {
        quote: char,
        inner: &'a str,
    },
}

pub(super) struct Unread {
    at: usize,
    message: String,
}

impl Unread {
    pub(super) fn at(self, file: &str, text: &str) -> Fault {
        let before = &text[..self.at];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let place = Place {
            file: file.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        };
        place.fault("", self.message)
    }
}

impl Statement<'_> {
    pub(super) fn fault(&self, message: &str) -> Unread {
        Unread {
            at: self.key_at,
            message: format!("{}: {message}", self.key),
        }
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        Self { text, at }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn next_statement(&mut self) -> Result<Option<Statement<'a>>, Unread> {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            if !self.rest().starts_with('#') {
                break;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
        if self.rest().is_empty() {
            return Ok(None);
        }
        if let Some(after) = self.rest().strip_prefix("export") {
            let trimmed = after.trim_start_matches(is_blank);
            // Compose wants a blank after `export`, else it is the beginning of a name.
            if trimmed.len() < after.len() {
                self.at = self.text.len() - trimmed.len();
            }
        }
        let key_at = self.at;
        let rest = self.rest();
        let end = rest.find(['=', ':', '\n']).unwrap_or(rest.len());
        let key = rest[..end].trim_end();
        let odd = |c: char| !(is_blank(c) || c.is_alphanumeric() || "_.-[]".contains(c));
        if let Some((at, c)) = rest[..end].char_indices().find(|&(_, c)| odd(c)) {
            let message = format!("`{c}` may not be in a variable's name");
            return Err(Unread {
                at: key_at + at,
                message,
            });
        }
        if key.is_empty() {
            let message = "a variable's name is missing".to_owned();
            return Err(Unread {
                at: key_at,
                message,
            });
        }
        if key.contains(' ') {
            let message = "a variable's name may not hold a blank".to_owned();
            return Err(Unread {
                at: key_at,
                message,
            });
        }
        self.at += end;
        let bare = matches!(self.rest().bytes().next(), None | Some(b'\n'));
        let mut value = Given::Bare;
        let mut value_at = self.at;
        if !bare {
            self.at += 1;
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(is_blank).len();
            value_at = self.at;
            value = self.value()?;
        }
        Ok(Some(Statement {
            key,
            key_at,
            value,
            value_at,
        }))
    }

    fn value(&mut self) -> Result<Given<'a>, Unread> {
        let rest = self.rest();
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            let line = rest.split('\n').next().unwrap_or(rest);
            self.at += line.len();
            return Ok(Given::Plain(line));
        };
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                self.at += at + 1;
                return Ok(Given::Quoted {
                    quote,
                    inner: &rest[1..at],
                });
            }
        }
        let message = format!("this value has no closing {quote}");
        Err(Unread {
            at: self.at,
            message,
        })
    }
}

/// Blanks inside a line.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}
