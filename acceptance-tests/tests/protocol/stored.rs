//! States that older providers, other types and other addresses left.

use serde_json::json;

use crate::bench::{NOTE, benches, note};

#[tokio::test]
async fn a_state_of_an_older_version_is_read() {
    for bench in benches().await {
        bench.put("s", "a", "one two");
        let old = json!({ "id": "s/a", "shelf": "s", "name": "a", "content": "one two" });
        bench.remember("example", "everything_note", &old).await;
        bench.settle(&note("text = \"one two\"")).await;
        assert_eq!(bench.journal(), Vec::<String>::new());
        bench.settle(&note("text = \"one\"")).await;
        let note = bench.ws.resource(NOTE).await.expect("it is in the state");
        assert_eq!(note["schema_version"], json!(1));
        assert_eq!(note["values"]["text"], json!("one"));
    }
}

#[tokio::test]
async fn a_state_that_only_a_newer_provider_knows_is_refused() {
    for bench in benches().await {
        let attributes = json!({ "id": "s/a" });
        bench
            .remember("example", "everything_note", &attributes)
            .await;
        let newer = bench
            .ws
            .state_file()
            .replace("\"schema_version\":0", "\"schema_version\":9");
        bench.ws.write("terraform.tfstate", &newer);
        let said = bench.refused(&note("")).await;
        assert!(said.contains("newer provider version"), "{said}");
    }
}

fn moved(from: &str) -> String {
    let text = note("text = \"one two\"");
    format!("{text}moved {{\n  from = {from}\n  to = {NOTE}\n}}\n")
}

#[tokio::test]
async fn a_note_was_a_memo_once() {
    for bench in benches().await {
        bench.put("memos", "a", "one two");
        let memo = json!({ "title": "a", "text": "one two" });
        bench.remember("example", "everything_memo", &memo).await;
        let config = moved("everything_memo.a").replace("\"s\"", "\"memos\"");
        bench.settle(&config).await;
        assert_eq!(bench.note("id").await, json!("memos/a"));
        assert_eq!(bench.journal(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_never_was_a_note_does_not_become_one() {
    for bench in benches().await {
        let list = json!({ "title": "a" });
        bench.remember("example", "everything_list", &list).await;
        let said = bench.refused(&moved("everything_list.a")).await;
        assert!(said.contains("cannot become everything_note"), "{said}");
    }
}

#[tokio::test]
async fn a_note_of_a_former_address_moves_here() {
    for bench in benches().await {
        bench.put("s", "a", "one two");
        let note = json!({ "id": "s/a", "shelf": "s", "name": "a", "content": "one two" });
        bench.remember("former", "everything_note", &note).await;
        let config = moved("everything_note.a")
            .replace("\"everything_note\" \"a\"", "\"everything_note\" \"b\"")
            .replace(&format!("to = {NOTE}"), "to = everything_note.b");
        bench.settle(&config).await;
        assert_eq!(bench.journal(), Vec::<String>::new());
        let stored = bench.ws.state_file();
        assert!(!stored.contains("former/everything"), "{stored}");
    }
}
