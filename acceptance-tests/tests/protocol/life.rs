//! Notes that are made, changed, replaced and imported.

use serde_json::json;

use crate::bench::{NOTE, benches, note};

#[tokio::test]
async fn a_note_is_made_changed_and_destroyed() {
    for bench in benches().await {
        let plan = bench.plan(&note("text = \"one two\"")).await;
        let change = plan.change(NOTE);
        assert_eq!(change["after"]["id"], json!("s/a"));
        assert_eq!(change["after_unknown"]["words"], json!(true));
        bench.settle(&note("text = \"one two\"")).await;
        assert_eq!(bench.note("words").await, json!(2));
        bench.settle(&note("text = \"one\"")).await;
        assert_eq!(bench.note("words").await, json!(1));
        bench.ws.destroy().await.ok();
        assert_eq!(bench.journal(), ["create s/a", "update s/a", "delete s/a"]);
    }
}

#[tokio::test]
async fn a_replacement_is_planned_twice_and_done_in_the_order_asked_for() {
    for bench in benches().await {
        bench.settle(&note("")).await;
        let renamed = |more| note(more).replace("\"a\"\n", "\"b\"\n");
        let plan = bench.plan(&renamed("")).await;
        assert_eq!(plan.changes(), [format!("{NOTE}: delete+create")]);
        assert_eq!(plan.change(NOTE)["replace_paths"], json!([["name"]]));
        // The second plan is that of a new note.
        let change = plan.change(NOTE);
        assert_eq!(change["after"]["id"], json!("s/b"));
        assert_eq!(change["after_unknown"]["words"], json!(true));
        bench.settle(&renamed("")).await;
        assert_eq!(bench.journal(), ["create s/a", "delete s/a", "create s/b"]);
        let first = "lifecycle {\n    create_before_destroy = true\n  }";
        bench.settle(&note(first)).await;
        assert_eq!(bench.journal(), ["create s/a", "delete s/b"]);
        // A note that is asked to be replaced by an equal one cannot be made before the old one is gone.
        bench.ws.write("main.tf", &note(""));
        let address = format!("-replace={NOTE}");
        bench.ws.apply(&[&address]).await.ok();
        assert_eq!(bench.journal(), ["delete s/a", "create s/a"]);
    }
}

#[tokio::test]
async fn a_note_is_imported_by_id_and_by_identity() {
    for bench in benches().await {
        bench.put("s", "a", "one two");
        let by_id = "id = \"s/a\"";
        let by_identity = "identity = {\n    shelf = \"s\"\n    name = \"a\"\n  }";
        for target in [by_id, by_identity] {
            let import = format!("import {{\n  to = {NOTE}\n  {target}\n}}\n");
            bench.ws.write("import.tf", &import);
            if target == by_identity && !bench.is(12, 12) {
                let said = bench.refused("").await;
                assert!(said.contains("identity"), "{said}");
                continue;
            }
            let generated = bench.ws.path().join("generated.tf");
            let plan = bench.ws.plan(&["-generate-config-out=generated.tf"]).await;
            assert_eq!(
                plan.changes(),
                Vec::<String>::new(),
                "{}",
                plan.differences()
            );
            assert!(!plan.change(NOTE)["importing"].is_null());
            let text = std::fs::read_to_string(&generated).expect("it was generated");
            assert!(
                text.contains("\"one two\"") && !text.contains("words"),
                "{text}"
            );
            bench.ws.apply(&[]).await.ok();
            bench.ws.plan(&[]).await.empty();
            assert_eq!(bench.note("words").await, json!(2));
            if bench.is(12, 12) {
                let note = bench.ws.resource(NOTE).await.expect("it was imported");
                assert_eq!(note["identity"], json!({ "shelf": "s", "name": "a" }));
            }
            bench.ws.run(&["state", "rm", NOTE]).await.ok();
            std::fs::remove_file(generated).expect("it was generated");
        }
        assert_eq!(bench.journal(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_import_of_nothing_is_refused() {
    for bench in benches().await {
        bench.ws.write("main.tf", &note(""));
        for (id, why) in [
            ("a", "is no note; write it as SHELF/NAME"),
            ("s/b", "Cannot import non-existent remote object"),
        ] {
            let ran = bench.ws.run(&["import", "-no-color", NOTE, id]).await;
            let said = ran.refused();
            assert!(said.contains(why), "{said}");
        }
    }
}
