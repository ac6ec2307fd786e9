//! A small backtracking matcher for the patterns that parameter rules use.
//!
//! It knows what those patterns need (classes, groups, alternation, repetition), anchored at both
//! ends, and nothing else: no captures, no look-around, no Unicode classes.

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    branches: Vec<Vec<Piece>>,
}

#[derive(Clone, Debug)]
struct Piece {
    atom: Atom,
    min: usize,
    max: usize,
}

#[derive(Clone, Debug)]
enum Atom {
    Any,
    Char(char),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Group(Vec<Vec<Piece>>),
    /// `^` and `$` inside a pattern that is anchored anyway.
    Nothing,
}

impl Pattern {
    /// Compiles `text`. Panics on what it does not know.
    pub(crate) fn new(text: &str) -> Self {
        let mut parser = Parser {
            rest: text.chars().collect(),
            at: 0,
        };
        let branches = parser.branches();
        assert!(
            parser.at == parser.rest.len(),
            "pattern {text} has a stray )"
        );
        Self { branches }
    }

    /// Whether the whole of `text` matches.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        any_branch(&self.branches, &text, 0, &mut |at| at == text.len())
    }
}

struct Parser {
    rest: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> char {
        let c = self.peek().expect("a pattern ends where it should");
        self.at += 1;
        c
    }

    fn branches(&mut self) -> Vec<Vec<Piece>> {
        let mut branches = vec![Vec::new()];
        while let Some(c) = self.peek() {
            match c {
                ')' => break,
                '|' => {
                    self.at += 1;
                    branches.push(Vec::new());
                }
                _ => {
                    let atom = self.atom();
                    let (min, max) = self.repetition();
                    let branch = branches.last_mut().expect("there is a branch");
                    branch.push(Piece { atom, min, max });
                }
            }
        }
        branches
    }

    fn atom(&mut self) -> Atom {
        match self.next() {
            '.' => Atom::Any,
            '^' | '$' => Atom::Nothing,
            '(' => {
                if self.rest[self.at..].starts_with(&['?', ':']) {
                    self.at += 2;
                }
                let group = self.branches();
                assert_eq!(self.next(), ')', "a group is closed");
                Atom::Group(group)
            }
            '[' => self.class(),
            '\\' => match escape(self.next()) {
                Ok(ranges) => Atom::Class {
                    negated: false,
                    ranges,
                },
                Err(c) => Atom::Char(c),
            },
            c => Atom::Char(c),
        }
    }

    fn class(&mut self) -> Atom {
        let negated = self.peek() == Some('^');
        self.at += usize::from(negated);
        let mut ranges = Vec::new();
        loop {
            let from = match self.next() {
                ']' => break,
                '\\' => match escape(self.next()) {
                    Ok(class) => {
                        ranges.extend(class);
                        continue;
                    }
                    Err(c) => c,
                },
                c => c,
            };
            if self.peek() == Some('-') && self.rest.get(self.at + 1) != Some(&']') {
                self.at += 1;
                let to = self.next();
                ranges.push((from, to));
            } else {
                ranges.push((from, from));
            }
        }
        Atom::Class { negated, ranges }
    }

    fn repetition(&mut self) -> (usize, usize) {
        let range = match self.peek() {
            Some('*') => (0, usize::MAX),
            Some('+') => (1, usize::MAX),
            Some('?') => (0, 1),
            Some('{') => {
                let close = self.rest[self.at..]
                    .iter()
                    .position(|c| *c == '}')
                    .expect("a } ends {");
                let inside: String = self.rest[self.at + 1..self.at + close].iter().collect();
                self.at += close;
                if let Some((from, to)) = inside.split_once(',') {
                    (from.parse().unwrap_or(0), to.parse().unwrap_or(usize::MAX))
                } else {
                    let n = inside.parse().expect("a repetition is a number");
                    (n, n)
                }
            }
            _ => return (1, 1),
        };
        self.at += 1;
        range
    }
}

/// The class that an escape stands for, or the character itself.
fn escape(c: char) -> Result<Vec<(char, char)>, char> {
    match c {
        'd' => Ok(vec![('0', '9')]),
        'w' => Ok(vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')]),
        's' => Ok(vec![(' ', ' '), ('\t', '\r')]),
        other => Err(other),
    }
}

type Rest<'a> = &'a mut dyn FnMut(usize) -> bool;

fn any_branch(branches: &[Vec<Piece>], text: &[char], at: usize, rest: Rest<'_>) -> bool {
    branches.iter().any(|branch| pieces(branch, text, at, rest))
}

fn pieces(branch: &[Piece], text: &[char], at: usize, rest: Rest<'_>) -> bool {
    match branch.split_first() {
        None => rest(at),
        Some((piece, tail)) => repeat(piece, 0, text, at, &mut |at| pieces(tail, text, at, rest)),
    }
}

fn repeat(piece: &Piece, done: usize, text: &[char], at: usize, rest: Rest<'_>) -> bool {
    if done < piece.max
        && once(&piece.atom, text, at, &mut |next| {
            // A repetition that consumes nothing would not end.
            (next > at || done < piece.min) && repeat(piece, done + 1, text, next, rest)
        })
    {
        return true;
    }
    done >= piece.min && rest(at)
}

fn once(atom: &Atom, text: &[char], at: usize, rest: Rest<'_>) -> bool {
    let matches = match atom {
        Atom::Nothing => return rest(at),
        Atom::Group(branches) => return any_branch(branches, text, at, rest),
        Atom::Any => text.get(at).is_some_and(|c| *c != '\n'),
        Atom::Char(c) => text.get(at) == Some(c),
        Atom::Class { negated, ranges } => text
            .get(at)
            .is_some_and(|c| ranges.iter().any(|(from, to)| (from..=to).contains(&c)) != *negated),
    };
    matches && rest(at + 1)
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
