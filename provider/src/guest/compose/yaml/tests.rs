use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

/// Tells a tree line by line, with the place of each key and value.
fn tell(node: &Node, indent: usize, out: &mut Vec<String>) {
    let pad = "  ".repeat(indent);
    let Place { line, column, .. } = &node.place;
    let tag = node.tag.as_deref().unwrap_or("-");
    match &node.value {
        Value::Scalar(scalar) => {
            let (look, text) = (scalar.look(), &scalar.text);
            out.push(format!("{pad}{line}:{column} {tag} {look:?} {text:?}"));
        }
        Value::List(items) => {
            out.push(format!("{pad}{line}:{column} {tag} list"));
            for item in items {
                tell(item, indent + 1, out);
            }
        }
        Value::Map(entries) => {
            out.push(format!("{pad}{line}:{column} {tag} map"));
            for Entry { key, place, node } in entries {
                out.push(format!("{pad}  {}:{} {key}:", place.line, place.column));
                tell(node, indent + 2, out);
            }
        }
    }
}

#[track_caller]
fn check(text: &str, want: &Expect) {
    let mut out = Vec::new();
    match parse("c.yaml", text) {
        Ok(node) => tell(&node, 0, &mut out),
        Err(fault) => out.push(fault.to_string()),
    }
    want.assert_eq(&(out.join("\n") + "\n"));
}

#[test]
fn keys_and_values_have_places_tags_and_looks() {
    check(
        "a: 0755\nb: [yes, 'true', 1.5, ~]\nc: !reset\nd: !override {e: !!str 5}\nf: |\n  x\ng:\n",
        &expect![[r#"
            1:1 - map
              1:1 a:
                1:4 - Int "0755"
              2:1 b:
                2:4 - list
                  2:5 - Text "yes"
                  2:10 - Text "true"
                  2:18 - Float "1.5"
                  2:23 - Null "~"
              3:1 c:
                3:10 !reset Null ""
              4:1 d:
                4:14 !override map
                  4:15 e:
                    4:24 !!str Text "5"
              5:1 f:
                6:3 - Text "x\n"
              7:1 g:
                7:2 - Null "~"
        "#]],
    );
}

#[test]
fn plain_scalars_look_like_what_compose_takes_them_for() {
    let looks = |texts: &[&str]| {
        let scalar = |text: &&str| Scalar {
            text: (*text).into(),
            plain: true,
        };
        texts
            .iter()
            .map(|text| scalar(text).look())
            .collect::<Vec<_>>()
    };
    assert_eq!(looks(&["", "~", "null"]), [Look::Null; 3]);
    assert_eq!(looks(&["true", "False"]), [Look::Bool; 2]);
    assert_eq!(
        looks(&["0", "-5", "0755", "0x1F", "0o17", "1_000"]),
        [Look::Int; 6]
    );
    assert_eq!(looks(&["1.5", ".5", "1e3", "-.inf"]), [Look::Float; 4]);
    assert_eq!(
        looks(&[
            "yes", "no", "22:22", "1.2.3", "--5", "-", ".", "nan", "_1", "1.5G"
        ]),
        [Look::Text; 10]
    );
}

#[test]
fn merge_keys_lose_to_own_keys_and_to_earlier_ones() {
    check(
        "x: &x {a: 1, b: 1, c: 1}\ny: &y {b: 2, d: 2}\nz:\n  <<: [*y, *x]\n  c: 3\nw:\n  <<: *x\n",
        &expect![[r#"
            1:1 - map
              1:1 x:
                1:7 - map
                  1:8 a:
                    1:11 - Int "1"
                  1:14 b:
                    1:17 - Int "1"
                  1:20 c:
                    1:23 - Int "1"
              2:1 y:
                2:7 - map
                  2:8 b:
                    2:11 - Int "2"
                  2:14 d:
                    2:17 - Int "2"
              3:1 z:
                4:3 - map
                  5:3 c:
                    5:6 - Int "3"
                  2:8 b:
                    2:11 - Int "2"
                  2:14 d:
                    2:17 - Int "2"
                  1:8 a:
                    1:11 - Int "1"
              6:1 w:
                7:3 - map
                  1:8 a:
                    1:11 - Int "1"
                  1:14 b:
                    1:17 - Int "1"
                  1:20 c:
                    1:23 - Int "1"
        "#]],
    );
}

#[test]
fn syntax_faults_have_a_place_and_words() {
    let texts = [
        "",
        "# nothing\n",
        "a:\n  b: 1\n c: 2\n",
        "a: b: c\n",
        "a: [1, 2\n",
        "a: {b: 1\n",
        "a: \"b\n",
        "a:\n\t- b\n",
        "a: @b\n",
        "a: *b\n",
        "a: &a [*a]\n",
        "a: 1\nb: 2\na: 3\n",
        "a: 1\n---\nb: 2\n",
        "[a]: 1\n",
        "5: 1\n",
        "<<: 5\n",
        "a: ]\n",
        "a: 'b' c\n",
        "- a\nb: c\n",
        "a: \"\\q\"\n",
    ];
    let fault = |text: &str| parse("c.yaml", text).expect_err(text).to_string() + "\n";
    expect![[r#"
        c.yaml:1:1: the text is empty
        c.yaml:1:1: the text is empty
        c.yaml:3:2: expected a key here; is the line indented like its neighbours and does it have a `:`?
        c.yaml:1:5: a `: ` is not expected here; a value that holds one must be in quotes
        c.yaml:1:4: this list has no closing `]`
        c.yaml:1:4: this map has no closing `}`
        c.yaml:1:4: this quoted text has no closing quote
        c.yaml:2:2: a tab indents here; YAML takes spaces only
        c.yaml:1:4: `@` may not begin a value; put the value in quotes
        c.yaml:1:4: this alias has no anchor before it
        c.yaml:1:8: this alias stands inside its own anchor
        c.yaml:3:1: key "a" is already set in line 1
        c.yaml:2:1: a second document begins here; one text holds one
        c.yaml:1:1: a key must be text, not a list or a map
        c.yaml:1:1: a key must be text; write "5" in quotes
        c.yaml:1:1: `<<` takes a map or a list of maps
        c.yaml:1:4: this closing bracket has no partner
        c.yaml:1:8: text follows the closing quote
        c.yaml:2:1: expected `- ` here, or less indentation
        c.yaml:1:4: unknown escape after `\` in double quotes
    "#]].assert_eq(&texts.map(fault).concat());
}

#[test]
fn huge_trees_are_refused_without_being_built() {
    let ten = |level: usize| [format!("*a{}", level - 1).as_str(); 10].join(",");
    let laughs = (1..12).map(|level| format!("a{level}: &a{level} [{}]", ten(level)));
    let laughs = laughs.collect::<Vec<_>>().join("\n");
    check(
        &format!("a0: &a0 [x]\n{laughs}"),
        &expect![[r#"
        c.yaml:6:9: more than 100000 values, aliases counted each time
    "#]],
    );
    let chain = (1..200).map(|level| format!("a{level}: &a{level} [*a{}]", level - 1));
    let chain = chain.collect::<Vec<_>>().join("\n");
    check(
        &format!("a0: &a0 [x]\n{chain}"),
        &expect![[r#"
        c.yaml:100:11: nested deeper than 100 levels
    "#]],
    );
    check(
        &"[".repeat(100_000),
        &expect![[r#"
        c.yaml:1:256: nested too deep
    "#]],
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in r"([a-c:\-&*!<>|?{}\[\],'\x22# \n\t$]{0,60})|\PC{0,40}") {
        let _ = parse("c.yaml", &text);
    }
}
