//! What a terminal shows, read for the messages of the loop that runs commands. Pure.

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::guest::Output;

/// Begins and ends a message; no shell prints it by itself.
const MARK: u8 = 0x1e;
/// Hexadecimal digits of a nonce.
pub(super) const NONCE: usize = 16;

/// What has appeared and was not read yet.
#[derive(Debug, Default)]
pub(super) struct Screen {
    bytes: Vec<u8>,
    /// Up to where no mark is.
    searched: usize,
}

/// A message of a loop, ours or another's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) nonce: String,
    pub(super) word: Word,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It waits for commands.
    Ready,
    /// It read a line that is not its client's.
    Busy,
    /// The command came in damaged, and was not run.
    Bad,
    /// The command runs.
    Got,
    /// The command has ended; `None` if what it said was damaged on the way.
    Done(Option<Output>),
}

impl Screen {
    pub(super) fn show(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, if it is complete. What is around it is dropped.
    pub(super) fn next(&mut self) -> Option<Message> {
        loop {
            let begin = self.bytes.iter().position(|byte| *byte == MARK)?;
            if begin > 0 {
                self.bytes.drain(..begin);
                self.searched = 0;
            }
            let from = self.searched.max(1);
            let Some(length) = self.bytes[from..].iter().position(|byte| *byte == MARK) else {
                self.searched = self.bytes.len();
                return None;
            };
            let end = from + length;
            let message = parse(&self.bytes[1..end]);
            // A mark that begins nothing may stand before one that does.
            let used = if message.is_some() { end + 1 } else { end };
            self.bytes.drain(..used);
            self.searched = 0;
            if message.is_some() {
                return message;
            }
        }
    }

    /// The last printed line, for an error: what a shell says that could not start.
    pub(super) fn last_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        let lines = text
            .lines()
            .map(|line| line.trim_matches(|c: char| c.is_control()));
        let mut said = lines.filter(|line| !line.is_empty() && !line.starts_with("[EOF"));
        said.next_back().map(str::to_owned)
    }
}

fn parse(bytes: &[u8]) -> Option<Message> {
    let text = str::from_utf8(bytes).ok()?;
    let (nonce, rest) = text.split_once(' ')?;
    if nonce.len() != NONCE || !nonce.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let word = match rest.split_once(' ') {
        Some(("DONE", answer)) => Word::Done(output(answer)),
        None => match rest {
            "READY" => Word::Ready,
            "BUSY" => Word::Busy,
            "BAD" => Word::Bad,
            "GOT" => Word::Got,
            _ => return None,
        },
        Some(_) => return None,
    };
    let nonce = nonce.to_owned();
    Some(Message { nonce, word })
}

/// `CODE LENGTH LENGTH BASE64 . BASE64`, the latter in lines.
fn output(answer: &str) -> Option<Output> {
    let mut words = answer.split_ascii_whitespace();
    let code = words.next()?.parse().ok()?;
    let lengths: [usize; 2] = [words.next()?.parse().ok()?, words.next()?.parse().ok()?];
    let mut streams = [String::new(), String::new()];
    let mut at = 0;
    for word in words {
        match word {
            "." => at += 1,
            line => streams.get_mut(at)?.push_str(line),
        }
    }
    let decode = |at: usize| {
        let bytes = BASE64_STANDARD.decode(&streams[at]).ok()?;
        (bytes.len() == lengths[at]).then(|| String::from_utf8_lossy(&bytes).into_owned())
    };
    Some(Output {
        code,
        stdout: decode(0)?,
        stderr: decode(1)?,
        truncated: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "0123456789abcdef";

    fn all(shown: &str) -> Vec<Word> {
        let mut screen = Screen::default();
        let mut words = Vec::new();
        // Bytes arrive as they please.
        for byte in shown.replace('^', "\u{1e}").as_bytes() {
            screen.show(&[*byte]);
            words.extend(std::iter::from_fn(|| screen.next()).map(|message| message.word));
        }
        words
    }

    #[test]
    fn messages_are_found_between_what_a_shell_prints() {
        let shown =
            format!("root@con1:/# exec \\036%s^{ME} READY^\r\n^{ME} GOT^^{ME} BUSY^x^{ME} BAD^");
        assert_eq!(all(&shown), [Word::Ready, Word::Got, Word::Busy, Word::Bad]);
    }

    #[test]
    fn a_stray_mark_hides_no_message() {
        assert_eq!(all(&format!("^^{ME} READY^")), [Word::Ready]);
        assert_eq!(all(&format!("^ls\r\n^{ME} READY^")), [Word::Ready]);
        assert_eq!(all("^12 READY^^0123456789abcdeg READY^"), []);
    }

    #[test]
    fn an_answer_is_complete_or_none() {
        let done = |stdout: &str, stderr: &str| {
            Word::Done(Some(Output {
                code: 7,
                stdout: stdout.into(),
                stderr: stderr.into(),
                truncated: false,
            }))
        };
        assert_eq!(
            all(&format!("^{ME} DONE 7 6 2 aGVs\r\nbG8K\r\n . aGkh\r\n^")),
            [Word::Done(None)]
        );
        assert_eq!(
            all(&format!("^{ME} DONE 7 6 3 aGVs\r\nbG8K\r\n . aGkh\r\n^")),
            [done("hello\n", "hi!")]
        );
        assert_eq!(
            all(&format!("^{ME} DONE 7 0 3  . aGkh\r\n^")),
            [done("", "hi!")]
        );
        assert_eq!(all(&format!("^{ME} DONE 7 0 0  . ^")), [done("", "")]);
        assert_eq!(
            all(&format!("^{ME} DONE 7 5 0 aGVsbG8^")),
            [Word::Done(None)]
        );
    }

    #[test]
    fn the_last_line_says_why_there_is_no_shell() {
        let mut screen = Screen::default();
        screen.show(b"\x1b[H\x1b[J\r\nlxc-attach: 300: Failed to get init pid\r\n[EOF - dtach terminating]\r\n");
        let said = screen.last_line();
        assert_eq!(
            said.as_deref(),
            Some("lxc-attach: 300: Failed to get init pid")
        );
    }
}
