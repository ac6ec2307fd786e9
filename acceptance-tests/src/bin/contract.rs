//! Holds the simulator's declarations against a description of the genuine API.
//!
//! `contract SCHEMA.json` tells the differences, `contract SCHEMA.json 'GET /version'` how to declare a
//! call. Deviations that are meant stand in `contract/deviations.txt`, each with its reason.

use std::process::ExitCode;

use acceptance_tests::simulator::contract;

const ACCEPTED: &str = include_str!("../../contract/deviations.txt");

fn main() -> ExitCode {
    match run() {
        Ok(differences) if differences.is_empty() => ExitCode::SUCCESS,
        Ok(differences) => {
            eprintln!("{}", differences.join("\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Vec<String>, String> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("Usage: contract SCHEMA.json ['METHOD /path']")?;
    let shown = path.display().to_string();
    let text = std::fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
    let schema = serde_json::from_slice(&text).map_err(|error| format!("{shown}: {error}"))?;
    if let Some(call) = std::env::args().nth(2) {
        let declaration = contract::declaration(&schema, &call);
        return declaration
            .map(|text| vec![text])
            .ok_or_else(|| format!("{call}: unknown to the schema"));
    }
    let found = contract::differences(&schema)?;
    Ok(contract::unaccepted(found, ACCEPTED))
}
