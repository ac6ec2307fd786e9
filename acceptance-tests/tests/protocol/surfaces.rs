//! Data sources, ephemeral resources, functions, and what modules say of themselves.

use serde_json::json;

use crate::bench::{benches, note};

const SHELF: &str = "data \"everything_shelf\" \"s\" {\n  shelf = \"s\"\n}\n";

#[tokio::test]
async fn a_data_source_is_read_in_the_plan() {
    for bench in benches().await {
        bench.put("s", "a", "");
        bench.put("s", "b", "");
        let output = "output \"names\" {\n  value = data.everything_shelf.s.names\n}\n";
        let plan = bench.plan(&format!("{SHELF}{output}")).await;
        let names = &plan.0["output_changes"]["names"]["after"];
        assert_eq!(*names, json!(["a", "b"]));
        bench.settle(&format!("{SHELF}{output}")).await;
        let said = bench.refused(&SHELF.replace("\"s\"\n", "\"\"\n")).await;
        assert!(said.contains("Invalid shelf"), "{said}");
        let said = bench.refused(&SHELF.replace("\"s\"\n", "\"t\"\n")).await;
        assert!(
            said.contains("Cannot read everything_shelf") && said.contains("shelf = \"t\""),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_data_source_waits_for_what_it_depends_on() {
    for bench in benches().await {
        let after = SHELF.replace("}\n", "  depends_on = [everything_note.a]\n}\n");
        let output = "output \"names\" {\n  value = data.everything_shelf.s.names\n}\n";
        let config = format!("{}{after}{output}", note(""));
        let plan = bench.plan(&config).await;
        let unknown = &plan.0["output_changes"]["names"]["after_unknown"];
        assert_eq!(*unknown, json!(true));
        bench.settle(&config).await;
    }
}

#[tokio::test]
async fn an_ephemeral_key_becomes_a_secret_that_nothing_stores() {
    const SECRET: &str = "key-of-me";
    for bench in benches().await {
        let config = |version: u32| {
            format!(
                "ephemeral \"everything_key\" \"k\" {{\n  holder = \"me\"\n}}\n{}",
                note(&format!(
                    "secret_wo = ephemeral.everything_key.k.key\n  secret_wo_version = {version}
  seal = {{\n    colour = \"red\"\n    key_wo = ephemeral.everything_key.k.key\n  }}"
                ))
            )
        };
        if !bench.is(11, 11) {
            bench.refused(&config(1)).await;
            continue;
        }
        let plan = bench.plan(&config(1)).await;
        assert!(!plan.0.to_string().contains(SECRET));
        assert_eq!(bench.journal(), ["open me", "close me"]);
        bench.ws.apply(&[]).await.ok();
        let kept = std::fs::read_to_string(bench.file("s/a")).expect("it was made");
        assert_eq!(kept.matches(SECRET).count(), 2, "{kept}");
        assert!(!bench.ws.state_file().contains(SECRET));
        // Once for the plan and once for the apply; each is closed, and in no order that core promises.
        let mut journal = bench.journal();
        journal.sort();
        assert_eq!(
            journal,
            ["close me", "close me", "create s/a", "open me", "open me"]
        );
        bench.settle(&config(1)).await;
        assert!(!bench.journal().contains(&"update s/a".to_owned()));
        bench.settle(&config(2)).await;
        assert!(bench.journal().contains(&"update s/a".to_owned()));
    }
}

#[tokio::test]
async fn a_core_that_would_store_a_secret_is_refused_at_any_depth() {
    for bench in benches().await {
        for secret in [
            "secret_wo = \"sentinel\"",
            "seal = {\n    colour = \"red\"\n    key_wo = \"sentinel\"\n  }",
        ] {
            if bench.is(11, 11) {
                bench.settle(&note(secret)).await;
                bench.ws.destroy().await.ok();
            } else {
                let said = bench.refused(&note(secret)).await;
                assert!(said.contains("need a newer core"), "{said}");
            }
            assert!(!bench.ws.state_file().contains("sentinel"));
        }
    }
}

#[tokio::test]
async fn a_function_works_before_the_provider_is_configured() {
    for bench in benches().await {
        // Nothing is configured while core validates, least of all with a directory that is unknown.
        let unknown = "resource \"terraform_data\" \"d\" {}\n";
        let head = std::fs::read_to_string(bench.ws.path().join("head.tf")).expect("it is there");
        let late = head.replace("\"notes\"", "terraform_data.d.id");
        let call = "output \"name\" {\n  value = provider::everything::slug(\"My  Note\")\n}\n";
        bench.ws.write("head.tf", &late);
        bench.ws.write("main.tf", &format!("{unknown}{call}"));
        bench.ws.run(&["validate", "-no-color"]).await.ok();
        bench.ws.write("head.tf", &head);
        let plan = bench.plan(call).await;
        assert_eq!(plan.0["output_changes"]["name"]["after"], json!("my-note"));
        let wrong = call.replace("\"My  Note\"", "null");
        let said = bench.refused(&wrong).await;
        assert!(said.contains("argument must not be null"), "{said}");
    }
}

#[tokio::test]
async fn a_module_signs_its_notes() {
    for bench in benches().await {
        let meta = "terraform {\n  provider_meta \"everything\" {\n    module = \"web\"\n  }\n}\n";
        bench.settle(&format!("{}{meta}", note(""))).await;
        assert_eq!(bench.note("module").await, json!("web"));
        bench.ws.destroy().await.ok();
        bench.settle(&note("")).await;
        assert_eq!(bench.note("module").await, json!(null));
    }
}
