use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[track_caller]
fn check(text: &str, want: &[(&str, &str)]) {
    let got = parse(".env", text, &map(&[("OUT", "outer"), ("A", "win")]));
    assert_eq!(got, Ok(map(want)), "{text}");
}

#[track_caller]
fn check_fault(text: &str, want: &str) {
    let got = parse(".env", text, &BTreeMap::new()).map_err(|fault| fault.to_string());
    assert_eq!(got, Err(want.to_owned()), "{text}");
}

#[test]
fn lines_are_read_as_compose_reads_them() {
    for (text, want) in [
        ("", &[][..]),
        ("\u{feff}X=1", &[("X", "1")]),
        ("X=1\nY=2", &[("X", "1"), ("Y", "2")]),
        ("# c\n\n  X=1\r\n", &[("X", "1")]),
        ("export X=1", &[("X", "1")]),
        ("exportX=1", &[("exportX", "1")]),
        (" X = v ", &[("X", "v")]),
        ("X: v", &[("X", "v")]),
        ("X=", &[("X", "")]),
        ("X=a # c", &[("X", "a")]),
        ("X=a#b", &[("X", "a#b")]),
        ("X='a # b' # c", &[("X", "a # b")]),
        ("X=a b", &[("X", "a b")]),
        ("X=a'b", &[("X", "a'b")]),
        ("X='a\nb'", &[("X", "a\nb")]),
        ("X=\"a\nb\"", &[("X", "a\nb")]),
        (r#"X="a\nb\t\"c\" \\ \q""#, &[("X", "a\nb\t\"c\" \\ \\q")]),
        (r"X='a\nb \' \\'", &[("X", r"a\nb ' \\")]),
        ("X=$OUT", &[("X", "outer")]),
        ("X=\"${OUT}\"", &[("X", "outer")]),
        ("X='$OUT'", &[("X", "$OUT")]),
        ("X=p$$w", &[("X", "p$w")]),
        ("X=p$w", &[("X", "p")]),
        (r#"X="p\$w""#, &[("X", "p$w")]),
        ("X=1\nY=$X\nX=2", &[("X", "2"), ("Y", "1")]),
        ("A=own\nX=$A", &[("A", "own"), ("X", "win")]),
        ("OUT\nNONE\n", &[("OUT", "outer")]),
        ("X=${U:-d}", &[("X", "d")]),
        (r#"X="\0101\07""#, &[("X", "A\\7")]),
        ("a.b-c[0]=1", &[("a.b-c[0]", "1")]),
    ] {
        check(text, want);
    }
}

#[test]
fn faults_have_a_place() {
    check_fault(
        "X=1\n Y Z=2",
        ".env:2:2: a variable's name may not hold a blank",
    );
    check_fault(
        "X=1\n  Y%=2",
        ".env:2:4: `%` may not be in a variable's name",
    );
    check_fault("X='a\nb", ".env:1:3: this value has no closing '");
    check_fault("=a", ".env:1:1: a variable's name is missing");
    check_fault("X", ".env:1:1: X: a name alone needs a line end after it");
    check_fault("X=${", ".env:1:1: X: `${` is no valid variable");
}

#[test]
fn written_values_are_quoted_only_where_it_is_needed() {
    let values = [
        ("A", "plain-1.5/x:y@z"),
        ("B", ""),
        ("C", "two words"),
        ("D", "p$w"),
        ("E", "it's $5"),
        ("F", "a # b"),
        ("G", "a\nb"),
        ("H", "back\\slash\\"),
        ("I", "\"q\""),
        ("J", " lead"),
    ];
    expect![[r#"
        A=plain-1.5/x:y@z
        B=
        C='two words'
        D='p$w'
        E="it's $$5"
        F='a # b'
        G='a
        b'
        H="back\\slash\\"
        I='"q"'
        J=' lead'
    "#]]
    .assert_eq(&write(&map(&values)));
}

#[track_caller]
fn render(template: &str, values: &[(&str, &str)], want: &Expect) {
    let got = render_env(template, &map(values));
    let got = got.unwrap_or_else(|missing| format!("missing: {}", missing.join(", ")));
    want.assert_eq(&got);
}

#[test]
fn a_value_is_quoted_where_its_line_goes_on() {
    render(
        "A='a'B=1\nA='a' B=2",
        &[("A", "x")],
        &expect![[r#"
            A='x'B=1
            A='x' B=2"#]],
    );
    render("A=''\t#b", &[("A", "x")], &expect!["A='x'\t#b"]);
    render("A= # none", &[("A", "")], &expect!["A= '' # none"]);
}

#[test]
fn a_template_keeps_comments_order_and_defaults() {
    let template = "# database\nDB_USER=app # login\nDB_PASSWORD=\n\n# rest\nexport TZ='UTC' # zone\nKEY=\"a\nb\"\nBARE\nLAST= # must be set\n";
    render(
        template,
        &[
            ("DB_PASSWORD", "it's $1"),
            ("TZ", "Europe/Berlin"),
            ("KEY", "c d"),
            ("BARE", "b"),
            ("LAST", "l"),
            ("NEW", "n"),
            ("ALSO", "x y"),
        ],
        &expect![[r##"
            # database
            DB_USER=app # login
            DB_PASSWORD="it's $$1"

            # rest
            export TZ=Europe/Berlin # zone
            KEY='c d'
            BARE=b
            LAST= l # must be set
            ALSO='x y'
            NEW=n
        "##]],
    );
    render(
        "A=1",
        &[("B", "2")],
        &expect![[r#"
        A=1
        B=2
    "#]],
    );
    render("", &[], &expect![[r""]]);
}

#[test]
fn all_keys_without_a_value_are_named() {
    render(
        "A=\nB=''\nC=c\nD\nE= # e\nF=$X\n",
        &[("A", "")],
        &expect!["missing: B, D, E"],
    );
}

#[test]
fn names_are_those_of_shells_with_dots_and_dashes() {
    let (good, bad) = (
        ["A", "_a1", "a.b", "a-b"],
        ["", "1A", "a b", "a=b", "é", "-a", "a#"],
    );
    assert!(good.iter().all(|name| is_name(name)));
    assert!(!bad.iter().any(|name| is_name(name)));
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        values in proptest::collection::btree_map(
            "[A-Za-z_][A-Za-z0-9_.-]{0,8}",
            r"([$'\x22\\#\n\r\t ={}a:!`é]{0,20})|\PC{0,20}",
            0..6,
        ),
    ) {
        let text = write(&values);
        prop_assert_eq!(parse(".env", &text, &BTreeMap::new()), Ok(values.clone()), "{}", text);
        prop_assert_eq!(render_env(&text, &values), Ok(text.clone()));
    }

    #[test]
    fn no_text_panics(text in r"([A='\x22\\$#\n :e{}0é\[]{0,40})|\PC{0,40}") {
        let _ = parse(".env", &text, &BTreeMap::new());
        let _ = render_env(&text, &map(&[("A", "1"), ("e", "$")]));
    }
}
