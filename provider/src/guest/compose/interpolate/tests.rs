use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn env() -> BTreeMap<String, String> {
    [("A", "one"), ("E", ""), ("B", "x$y"), ("_c", "u")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[test]
fn zz_oracle() {
    let cases: Vec<(String, String)> =
        serde_json::from_str(&std::fs::read_to_string("/tmp/oracle/tmpl.json").unwrap()).unwrap();
    let mut bad = 0;
    for (template, want) in cases {
        let got = match text(&template, &env(), &mut Names::default()) {
            Ok(v) => format!("OK {v}"),
            Err(e) => format!("ERR {e}"),
        };
        let same = match (want.starts_with("OK"), got.starts_with("OK")) {
            (true, true) => want == got,
            (false, false) => want.contains("required") == got.contains("needs a value"),
            _ => false,
        };
        if !same {
            bad += 1;
            if bad < 40 {
                eprintln!("{template:?}\n   want {want:?}\n   got  {got:?}");
            }
        }
    }
    assert_eq!(bad, 0);
}
