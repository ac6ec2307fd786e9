//! Replays recorded exchanges with a real node against the simulator, and tells where they differ.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use acceptance_tests::replay::accepted::Accepted;
use acceptance_tests::replay::{Verdict, load, play};

const HELP: &str = "\
Usage: replay [--group NAME]… [--show SEQ]… [--accepted LIST] FILE.jsonl…

Merges recordings by their seq, replays them against a fresh simulator, and prints each difference in
one line, then how many records of each group and of each file agree.

  --group NAME     prints only the differences of this group
  --show SEQ       prints the record and the simulator's answer in full
  --accepted LIST  fails on a difference that LIST does not name, and on a line of LIST that is stale
  --help           this text
";

#[derive(Default)]
struct Arguments {
    files: Vec<PathBuf>,
    groups: Vec<String>,
    show: Vec<u32>,
    accepted: Option<PathBuf>,
}

fn arguments() -> Result<Option<Arguments>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut found = Arguments::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("group") => found.groups.push(parser.value()?.string()?),
            Long("show") => found.show.push(parser.value()?.parse()?),
            Long("accepted") => found.accepted = Some(parser.value()?.into()),
            Long("help") | Short('h') => return Ok(None),
            Value(file) => found.files.push(file.into()),
            other => return Err(other.unexpected()),
        }
    }
    if found.files.is_empty() {
        return Err("which recording?".into());
    }
    Ok(Some(found))
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print(HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all went as the list of accepted differences has it.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let records = load(&arguments.files)?;
    let accepted = match &arguments.accepted {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            Some(Accepted::parse(&text)?)
        }
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let verdicts = runtime.block_on(play(records, |verdict| tell(arguments, verdict)))?;
    print("\n");
    summary(&verdicts, |verdict| verdict.record.group.clone());
    let problems = accepted.map_or_else(Vec::new, |list| list.judge(&verdicts));
    for problem in &problems {
        print(&format!("{problem}\n"));
    }
    summary(&verdicts, |verdict| {
        arguments.files[verdict.file].display().to_string()
    });
    Ok(problems.is_empty())
}

fn tell(arguments: &Arguments, verdict: &Verdict) {
    let record = &verdict.record;
    let wanted = arguments.groups.is_empty() || arguments.groups.contains(&record.group);
    if let Some(difference) = verdict.difference.as_ref().filter(|_| wanted) {
        print(&format!(
            "{} {} {} {}: {difference}\n",
            record.seq, record.group, record.method, record.path
        ));
    }
    if arguments.show.contains(&record.seq) {
        print(&format!("{record:#?}\n{:#?}\n", verdict.answer));
    }
}

fn summary(verdicts: &[Verdict], name: impl Fn(&Verdict) -> String) {
    let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    for verdict in verdicts {
        let (agree, all) = counts.entry(name(verdict)).or_default();
        *agree += u32::from(verdict.difference.is_none());
        *all += 1;
    }
    for (name, (agree, all)) in counts {
        print(&format!("{name}: {agree} of {all} agree\n"));
    }
}

fn print(text: &str) {
    // A reader that has seen enough ends the program's output, not its work.
    std::io::stdout().lock().write_all(text.as_bytes()).ok();
}
