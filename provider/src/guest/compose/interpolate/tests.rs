use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn env() -> BTreeMap<String, String> {
    [("A", "one"), ("E", ""), ("B", "x$y"), ("_c", "u")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[track_caller]
fn check(template: &str, want: Result<&str, &str>) {
    let got = text(template, &env(), &mut Names::default()).map_err(|error| error.to_string());
    assert_eq!(got.as_deref().map_err(String::as_str), want, "{template}");
}

#[test]
fn variables_take_their_value_default_or_replacement() {
    for (template, want) in [
        ("plain", "plain"),
        ("$A", "one"),
        ("${A}", "one"),
        ("$A-b", "one-b"),
        ("${_c}$_c", "uu"),
        ("a$A$A", "aoneone"),
        ("$U", ""),
        ("${U}", ""),
        ("${A:-d}", "one"),
        ("${E:-d}", "d"),
        ("${U:-d}", "d"),
        ("${A-d}", "one"),
        ("${E-d}", ""),
        ("${U-d}", "d"),
        ("${U:-}", ""),
        ("${A:?e}", "one"),
        ("${E?e}", ""),
        ("${A:+r}", "r"),
        ("${E:+r}", ""),
        ("${U:+r}", ""),
        ("${A+r}", "r"),
        ("${E+r}", "r"),
        ("${U+r}", ""),
        ("${U:-${A}}", "one"),
        ("${U:-${E:-${A}}}", "one"),
        ("${U:-$A and ${A}}x", "one and onex"),
        ("${U:-a:-b}", "a:-b"),
        ("${U-a?b}", "a?b"),
        ("${U:-/a/b}", "/a/b"),
        ("${U:-a b}", "a b"),
        ("${A:+${E:-x}}", "x"),
        ("${U:-d} ${A} ${E:-e}", "d one e"),
        ("${U:-{}}", "{}"),
        ("${U:-$$}", "$"),
        ("$B", "x$y"),
        ("$$", "$"),
        ("$$A", "$A"),
        ("$${A}", "${A}"),
        ("$$$A", "$one"),
        ("$", "$"),
        ("a$", "a$"),
        ("$5", "$5"),
        ("$ A", "$ A"),
        ("$}", "$}"),
        ("$-", "$-"),
        ("}", "}"),
        ("${A}}", "one}"),
        ("${A:-x}}", "one}"),
        ("é$A", "éone"),
    ] {
        check(template, Ok(want));
    }
}

#[test]
fn bad_syntax_and_missing_values_are_errors() {
    for template in [
        "${",
        "${}",
        "${ }",
        "${ A}",
        "${A }",
        "${A!}",
        "${A",
        "${A:}",
        "${5}",
        "x ${A:-b",
        "${U:-a\nb}",
        "${U:-${}}",
    ] {
        let inner = if template == "${U:-${}}" {
            "${}"
        } else {
            template
        };
        check(template, Err(&format!("`{inner}` is no valid variable")));
    }
    check("${U:?}", Err("variable U needs a value"));
    check("${U?say $A}", Err("variable U needs a value: say one"));
    check("${E:?empty}", Err("variable E needs a value: empty"));
    let deep = format!("{}{}", "${U:-".repeat(60), "}".repeat(60));
    check(&deep, Err("variables are nested deeper than 50 levels"));
}

#[test]
fn names_used_and_missing_are_told() {
    let mut names = Names::default();
    text("$A ${U} ${V:-$W} ${A:-$X} $$Y", &env(), &mut names).expect("a valid text");
    assert_eq!(names.used, ["A", "U", "V", "W"].map(String::from).into());
    assert_eq!(names.missing, ["U", "W"].map(String::from).into());
}

proptest! {
    #[test]
    fn no_text_panics(template in r"([$\{\}:\-?+AEé\n ]{0,40})|\PC{0,40}") {
        let _ = text(&template, &env(), &mut Names::default());
    }

    #[test]
    fn doubled_dollars_come_back_as_written(plain in r"[$\{\}:\-?+AEé\n ]{0,40}") {
        let escaped = plain.replace('$', "$$");
        prop_assert_eq!(text(&escaped, &env(), &mut Names::default()), Ok(plain));
    }
}
