//! A core, a workspace and a directory of notes.

use std::path::PathBuf;

use acceptance_tests::tofu::{self, PlanJson, Workspace};
use serde_json::{Value, json};

/// The resource of most stories.
pub(crate) const NOTE: &str = "everything_note.a";

const HEAD: &str = r#"
terraform {
  required_providers {
    everything = { source = "example/everything" }
  }
}
provider "everything" {
  directory = "notes"
}
"#;

/// A workspace for the provider of notes.
pub(crate) struct Bench {
    pub(crate) ws: Workspace,
    /// The registry that the core takes providers from.
    registry: &'static str,
    minor: u32,
}

/// One bench for each core: `tofu`, and `terraform` where it is installed, since it cannot be built
/// from its module.
pub(crate) async fn benches() -> Vec<Bench> {
    let tofu = tofu::core().expect("there is a tofu");
    let mut benches = vec![Bench::new(tofu, "registry.opentofu.org").await];
    match tofu::terraform() {
        Some(core) => benches.push(Bench::new(core, "registry.terraform.io").await),
        None => eprintln!("terraform is not on PATH: only tofu was tested"),
    }
    benches
}

impl Bench {
    async fn new(core: PathBuf, registry: &'static str) -> Self {
        let everything = tofu::everything().expect("the example is built");
        let providers = [
            ("example/everything", everything.clone()),
            ("former/everything", everything),
        ];
        let ws = Workspace::offering(&providers, &core, &[]).expect("a workspace is made");
        std::fs::create_dir(ws.path().join("notes")).expect("the workspace takes directories");
        ws.write("head.tf", HEAD);
        ws.init().await;
        let version = ws.run(&["version", "-json"]).await.ok().stdout;
        let version: Value = serde_json::from_str(&version).expect("versions are JSON");
        let version = version["terraform_version"].as_str().expect("a version");
        let minor = version
            .split('.')
            .nth(1)
            .and_then(|minor| minor.parse().ok());
        Self {
            ws,
            registry,
            minor: minor.expect("1.MINOR.PATCH"),
        }
    }

    /// Whether the core is as new as these minor versions.
    pub(crate) fn is(&self, tofu: u32, terraform: u32) -> bool {
        self.minor
            >= match self.registry {
                "registry.opentofu.org" => tofu,
                _ => terraform,
            }
    }

    /// Writes and applies a configuration, and checks that nothing is left to do.
    pub(crate) async fn settle(&self, config: &str) {
        self.ws.write("main.tf", config);
        self.ws.apply(&[]).await.ok();
        self.ws.plan(&[]).await.empty();
    }

    /// Plans a configuration.
    pub(crate) async fn plan(&self, config: &str) -> PlanJson {
        self.ws.write("main.tf", config);
        self.ws.plan(&[]).await
    }

    /// What core says against a configuration.
    pub(crate) async fn refused(&self, config: &str) -> String {
        self.ws.write("main.tf", config);
        self.ws.run(&["plan", "-no-color"]).await.refused()
    }

    /// One attribute of the note in the state.
    pub(crate) async fn note(&self, name: &str) -> Value {
        let note = self.ws.resource(NOTE).await.expect("it is in the state");
        note["values"][name].clone()
    }

    /// What core asked for since the last time.
    pub(crate) fn journal(&self) -> Vec<String> {
        let path = self.ws.path().join("notes/journal.txt");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(path);
        text.lines().map(str::to_owned).collect()
    }

    /// The file of a note.
    pub(crate) fn file(&self, id: &str) -> PathBuf {
        self.ws.path().join(format!("notes/{id}.json"))
    }

    /// Puts a note on a shelf, as somebody else would.
    pub(crate) fn put(&self, shelf: &str, name: &str, text: &str) {
        let path = self.file(&format!("{shelf}/{name}"));
        let shelf_directory = path.parent().expect("a file is in a directory");
        std::fs::create_dir_all(shelf_directory).expect("the workspace takes directories");
        let note = json!({ "shelf": shelf, "name": name, "text": text });
        std::fs::write(path, note.to_string()).expect("the workspace takes files");
    }

    /// Writes a state with one resource `a`, as an older provider left it.
    pub(crate) async fn remember(&self, provider: &str, kind: &str, attributes: &Value) {
        let state = json!({
            "version": 4, "terraform_version": "1.10.0", "serial": 1, "outputs": {},
            "lineage": "11111111-2222-3333-4444-555555555555",
            "resources": [{
                "mode": "managed", "type": kind, "name": "a",
                "provider": format!("provider[\"{}/{provider}/everything\"]", self.registry),
                "instances": [{ "schema_version": 0, "attributes": attributes }],
            }],
        });
        self.ws.write("terraform.tfstate", &state.to_string());
        // A state may need providers that the configuration does not.
        self.ws.init().await;
    }
}

/// The note `a` on shelf `s`, with more attributes.
pub(crate) fn note(more: &str) -> String {
    format!("resource \"everything_note\" \"a\" {{\n  shelf = \"s\"\n  name = \"a\"\n{more}\n}}\n")
}
