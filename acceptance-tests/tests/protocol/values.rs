//! Values of each type, on their way through core and back.

use serde_json::{Value, json};

use crate::bench::{Bench, benches};

/// The case `a` with more attributes, and a value that is known after apply.
fn case(unknown: &str, more: &str) -> String {
    format!(
        "resource \"terraform_data\" \"later\" {{\n  input = {unknown}\n}}\n\
         resource \"everything_case\" \"a\" {{\n  name = \"a\"\n{more}\n}}\n"
    )
}

async fn kept(bench: &Bench, name: &str) -> Value {
    let case = bench.ws.resource("everything_case.a").await;
    case.expect("it is in the state")["values"][name].clone()
}

/// The things in the heap by kind, since a set has no order.
async fn heap(bench: &Bench) -> Value {
    let mut heap = kept(bench, "heap").await;
    let things = heap.as_array_mut().expect("there is a heap");
    things.sort_by_key(|thing| thing["kind"].to_string());
    heap
}

#[tokio::test]
async fn values_of_any_type_keep_their_type_and_their_digits() {
    for bench in benches().await {
        for (any, amount) in [
            ("tolist([\"x\"])", "0.1"),
            ("[\"x\"]", "12345678901234567890"),
            (
                "{ list = tolist([1]), tuple = [1, \"b\", null], n = null }",
                "-1e-30",
            ),
            ("toset([])", "1e100"),
            ("tostring(null)", "1/3"),
            ("12345678901234567890.123456789", "0"),
            ("null", "null"),
        ] {
            let more = format!("  any = {any}\n  amount = {amount}");
            bench.settle(&case("1", &more)).await;
        }
        let more = "  any = [0.1, \"cafe\u{301}\"]\n  label = \"l\"";
        bench.settle(&case("1", more)).await;
        assert_eq!(kept(&bench, "any").await, json!([0.1, "caf\u{e9}"]));
    }
}

#[tokio::test]
async fn objects_in_every_nesting_keep_what_is_theirs() {
    for bench in benches().await {
        bench
            .settle(&case(
                "1",
                "  row = [{ kind = \"b\" }, { kind = \"a\", count = 2 }]\n  \
                 heap = [{ kind = \"b\" }, { kind = \"a\", count = 2 }]\n  \
                 drawers = { one = { kind = \"b\" }, two = { kind = \"a\" } }",
            ))
            .await;
        let thing = |kind, count, serial| json!({ "kind": kind, "count": count, "serial": serial });
        let (a, b) = (thing("a", 2, "a-2"), thing("b", 1, "b-1"));
        assert_eq!(kept(&bench, "row").await, json!([b, a]));
        assert_eq!(heap(&bench).await, json!([a, b]));
        // Another thing in the heap leaves the rest alone, a drawer that is gone is gone.
        bench
            .settle(&case(
                "1",
                "  heap = [{ kind = \"c\" }, { kind = \"b\" }]\n  \
                 drawers = { two = { kind = \"a\", count = 3 } }",
            ))
            .await;
        assert_eq!(kept(&bench, "row").await, Value::Null);
        assert_eq!(heap(&bench).await, json!([b, thing("c", 1, "c-1")]));
        assert_eq!(
            kept(&bench, "drawers").await,
            json!({ "two": thing("a", 3, "a-1") })
        );
    }
}

#[tokio::test]
async fn values_that_are_known_after_apply_may_be_anywhere() {
    for bench in benches().await {
        let everywhere = |unknown| {
            case(
                unknown,
                "  any = [terraform_data.later.output, 1]\n  \
                 row = [{ kind = \"b\" }, { kind = terraform_data.later.output }]\n  \
                 heap = [{ kind = \"b\" }, { kind = terraform_data.later.output }]\n  \
                 drawers = { one = { kind = \"a\" }, two = { kind = terraform_data.later.output } }",
            )
        };
        bench.settle(&everywhere("\"x\"")).await;
        assert_eq!(kept(&bench, "any").await, json!(["x", 1]));
        bench.settle(&everywhere("\"y\"")).await;
        assert_eq!(kept(&bench, "any").await, json!(["y", 1]));
        // Two things of a heap may turn out to be one.
        bench.settle(&everywhere("\"b\"")).await;
        assert_eq!(heap(&bench).await.as_array().map(Vec::len), Some(1));
    }
}

#[tokio::test]
async fn what_crashes_core_or_passes_it_is_refused_in_words() {
    for bench in benches().await {
        for (more, wanted) in [
            ("row = [null]", "row[0]: An element is null."),
            ("heap = [null]", "heap[*]: An element is null."),
            ("drawers = { one = null }", "drawers[\"one\"]: one is null."),
            ("row = [{ kind = null }]", "row[0].kind"),
            ("heap = [{ kind = \"a\", count = 0 }]", "heap[*].count"),
        ] {
            let said = bench.refused(&case("1", more)).await;
            assert!(said.contains(wanted), "{said}");
        }
        let more = "label = \"old\"";
        bench.ws.write("main.tf", &case("1", more));
        let said = bench.ws.run(&["plan", "-no-color"]).await.ok().stdout;
        assert!(said.contains("Use `name`."), "{said}");
    }
}
