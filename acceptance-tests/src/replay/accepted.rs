//! The differences that are known and stay, each with its reason.
//!
//! One a line, `SEQ REASON`; `#` begins a comment. A difference that is not listed is new, a listed one
//! that is gone is stale: both have to be dealt with.

use std::collections::BTreeMap;

use super::Verdict;

/// The reasons by `seq`.
#[derive(Debug, Default)]
pub struct Accepted(BTreeMap<u32, String>);

impl Accepted {
    /// Reads the list. Every line needs a reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let one = |line: &str| {
            let (seq, reason) = line.split_once(' ')?;
            Some((seq.parse().ok()?, reason.trim().to_owned()))
        };
        lines
            .map(|line| one(line).ok_or_else(|| format!("'{line}' is not SEQ REASON")))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What is wrong with the list: new differences and stale lines.
    pub fn judge(&self, verdicts: &[Verdict]) -> Vec<String> {
        let differs: BTreeMap<u32, &Verdict> = verdicts
            .iter()
            .filter(|verdict| verdict.difference.is_some())
            .map(|verdict| (verdict.record.seq, verdict))
            .collect();
        let new = differs.keys().filter(|seq| !self.0.contains_key(seq));
        let stale = self.0.iter().filter(|(seq, _)| !differs.contains_key(seq));
        new.map(|seq| format!("{seq} differs, and no reason is given"))
            .chain(
                stale.map(|(seq, reason)| format!("{seq} agrees now, so this is stale: {reason}")),
            )
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::Record;
    use crate::replay::compare::Answer;

    fn verdict(seq: u32, difference: Option<&str>) -> Verdict {
        let line = format!(
            r#"{{"seq":{seq},"group":"a","method":"GET","path":"/","status":200,"reason":"OK"}}"#
        );
        let record: Record = serde_json::from_str(&line).expect("it is a record");
        Verdict {
            file: 0,
            record,
            answer: Answer::default(),
            difference: difference.map(str::to_owned),
        }
    }

    #[test]
    fn new_and_stale_differences_are_told() {
        let accepted = Accepted::parse("# why\n1 known\n2 was known\n").expect("it is a list");
        let verdicts = [
            verdict(1, Some("x")),
            verdict(2, None),
            verdict(3, Some("y")),
        ];
        assert_eq!(
            accepted.judge(&verdicts),
            [
                "3 differs, and no reason is given",
                "2 agrees now, so this is stale: was known"
            ]
        );
        assert!(Accepted::parse("4").is_err());
    }
}
