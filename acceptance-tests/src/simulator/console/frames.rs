//! What a client of a terminal sends after it has logged in: `0:LENGTH:DATA`, `1:COLUMNS:ROWS:`, `2`.
//!
//! Read as the proxy reads it, with its one fault: a header that is cut between two reads is lost.

/// How much the proxy reads at once.
const READ: usize = 4096;

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Something is typed.
    Typed(Vec<u8>),
    /// The terminal has so many columns and rows.
    Size(u16, u16),
}

/// Reads frames out of a stream of messages.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Bytes of the present frame that have not come yet.
    missing: usize,
}

impl Reader {
    /// What a message says.
    pub(super) fn read(&mut self, message: &[u8]) -> Vec<Input> {
        let reads = message.chunks(READ);
        reads.flat_map(|bytes| self.read_once(bytes)).collect()
    }

    fn read_once(&mut self, mut bytes: &[u8]) -> Vec<Input> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            if self.missing > 0 {
                let (data, rest) = bytes.split_at(self.missing.min(bytes.len()));
                self.missing -= data.len();
                found.push(Input::Typed(data.to_vec()));
                bytes = rest;
                continue;
            }
            if bytes[0] == b'2' {
                bytes = &bytes[1..];
                continue;
            }
            let Some((kind, first, rest)) = header(bytes) else {
                break;
            };
            match (kind, header_number(rest)) {
                (0, _) => {
                    self.missing = first.into();
                    bytes = rest;
                }
                (1, Some((rows, after))) => {
                    found.push(Input::Size(first, rows));
                    bytes = after;
                }
                _ => break,
            }
        }
        found
    }
}

/// The type of a frame, its first number, and what follows.
fn header(bytes: &[u8]) -> Option<(u8, u16, &[u8])> {
    let kind = bytes.first()?.checked_sub(b'0')?;
    let rest = bytes.get(1..)?.strip_prefix(b":")?;
    let (number, rest) = header_number(rest)?;
    Some((kind, number, rest))
}

fn header_number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b':')?;
    let number = std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()?;
    Some((number, &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(messages: &[&str]) -> String {
        let mut reader = Reader::default();
        let inputs = messages
            .iter()
            .flat_map(|message| reader.read(message.as_bytes()));
        let texts = inputs.map(|input| match input {
            Input::Typed(data) => String::from_utf8_lossy(&data).into_owned(),
            Input::Size(columns, rows) => format!("<{columns}x{rows}>"),
        });
        texts.collect()
    }

    #[test]
    fn frames_may_be_joined_and_their_data_cut() {
        assert_eq!(typed(&["0:2:ab1:80:25:20:1:c"]), "ab<80x25>c");
        assert_eq!(typed(&["0:4:ab", "cd0:1:e"]), "abcde");
    }

    #[test]
    fn a_header_cut_between_two_reads_is_lost() {
        assert_eq!(typed(&["0:", "2:ab", "0:1:c"]), "c");
        let filler = "x".repeat(4096 - 7 - 2);
        let message = format!("0:{}:{filler}0:2:ab", filler.len());
        assert_eq!(typed(&[&message]), filler);
    }
}
