//! The differences that are known and stay, each with its reason.
//!
//! One a line, `SEQ REASON` or `GROUP REASON`; `#` begins a comment. A difference that is not listed is
//! new, a listed one that is gone is stale: both have to be dealt with.

use std::collections::BTreeMap;

use super::Verdict;

/// The reasons by `seq`, or by the name of a group whose records may all differ.
#[derive(Debug, Default)]
pub struct Accepted(BTreeMap<String, String>);

impl Accepted {
    /// Reads the list. Every line needs a reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let one = |line: &str| {
            let (what, reason) = line
                .split_once(' ')
                .ok_or_else(|| format!("'{line}' has no reason"))?;
            Ok((what.to_owned(), reason.trim().to_owned()))
        };
        lines.map(one).collect::<Result<_, _>>().map(Self)
    }

    /// What is wrong with the list: new differences and stale lines.
    pub fn judge(&self, verdicts: &[Verdict]) -> Vec<String> {
        let differing = verdicts
            .iter()
            .filter(|verdict| verdict.difference.is_some());
        let mut unused = self.0.clone();
        let mut wrong = Vec::new();
        for Verdict { record, .. } in differing {
            let names = [record.seq.to_string(), record.group.clone()];
            for name in &names {
                unused.remove(name);
            }
            if !names.iter().any(|name| self.0.contains_key(name)) {
                wrong.push(format!("{} differs, and no reason is given", record.seq));
            }
        }
        let stale = |(what, reason): (&String, &String)| {
            format!("{what} agrees now, so this is stale: {reason}")
        };
        wrong.extend(unused.iter().map(stale));
        wrong
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
        let all = Accepted::parse("a for now\n").expect("it is a list");
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
        assert!(all.judge(&verdicts).is_empty());
        assert!(Accepted::parse("4").is_err());
    }
}
