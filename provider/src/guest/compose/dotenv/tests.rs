use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn zz_oracle() {
    let env: BTreeMap<String, String> = [("OUT", "outer"), ("A", "win")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let cases: Vec<(String, String)> =
        serde_json::from_str(&std::fs::read_to_string("/tmp/oracle/denv.json").unwrap()).unwrap();
    let mut bad = 0;
    for (text, want) in cases {
        let got = match parse("f", &text, &env) {
            Ok(v) => format!("OK {}", serde_json::to_string(&v).unwrap()),
            Err(e) => format!("ERR {e}"),
        };
        if want.contains("\"\":") || want.contains("zero length") {
            assert!(got.starts_with("ERR"), "{text:?} {want} {got}");
            continue;
        }
        let same = match (want.starts_with("OK"), got.starts_with("OK")) {
            (true, true) => {
                want[3..].parse::<serde_json::Value>().unwrap()
                    == got[3..].parse::<serde_json::Value>().unwrap()
            }
            (false, false) => true,
            _ => false,
        };
        if !same {
            bad += 1;
            if bad < 40 {
                eprintln!("{text:?}\n   want {want}\n   got  {got}");
            }
        }
    }
    assert_eq!(bad, 0);
}
