//! `pmoves_stack`.

mod drift;
mod failures;
mod import;
mod life;
mod plans;
mod real;
mod secrets;
mod texts;

use std::fmt::{self, Write as _};

use serde_json::Value;

use crate::scene::{Block, Scene, web};

/// The address of the stack in all these tests.
const STACK: &str = "pmoves_stack.hello";

/// A text of services: name, image, and more lines of YAML flow. Each has a check, which a
/// scripted guest passes after a second.
fn compose(services: &[(&str, &str, &str)]) -> String {
    let mut text = "services:\n".to_owned();
    for (name, image, more) in services {
        let more = if more.is_empty() {
            String::new()
        } else {
            format!(", {more}")
        };
        let _ = writeln!(
            text,
            "  {name}: {{image: \"demo.test/{image}\", restart: unless-stopped, healthcheck: {{test: [CMD, \"true\"], interval: 1s}}{more}}}"
        );
    }
    text
}

pub(crate) fn heredoc(text: &str) -> String {
    format!("<<-EOT\n{}\nEOT\n", text.replace("${", "$${"))
}

/// `pmoves_stack.hello` on the host that `web()` makes.
fn hello(text: &str) -> Block {
    Block::new(
        r#"resource "pmoves_stack" "hello""#,
        &[
            ("host_id", "pmoves_docker_vm.web.id"),
            ("name", r#""hello""#),
            ("compose", &heredoc(text)),
        ],
    )
}

/// A host, and stacks on it.
struct Site {
    scene: Scene,
    vmid: u32,
}

impl Site {
    /// A host without stacks.
    async fn new() -> Self {
        let scene = Scene::new().await;
        scene.apply(&web()).await.ok();
        Self { scene, vmid: 100 }
    }

    /// A host with a stack, whose second plan is empty.
    async fn with(stack: &Block) -> Self {
        let scene = Scene::new().await;
        let site = Self { scene, vmid: 100 };
        site.scene.settle(&Self::text(stack)).await;
        site
    }

    /// The whole configuration.
    fn text(stack: &impl fmt::Display) -> String {
        format!("{}{stack}", web())
    }

    /// Applies a stack, and checks that nothing is left to do.
    async fn settle(&self, stack: &impl fmt::Display) {
        self.scene.settle(&Self::text(stack)).await;
    }

    /// What a plan for the stack changes of it, by dotted path: `before -> after`.
    async fn changes(&self, stack: &impl fmt::Display) -> String {
        self.scene.ws.write("main.tf", &Self::text(stack));
        let plan = self.scene.ws.plan(&[]).await;
        let change = plan.change(STACK);
        let mut lines = format!(
            "{}\n",
            change["actions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join("+")
        );
        compare(
            "",
            &change["before"],
            &change["after"],
            &change["after_unknown"],
            &mut lines,
        );
        lines
    }

    /// An attribute of the stack in the state, by JSON pointer.
    async fn state(&self, pointer: &str) -> Value {
        let values = self
            .scene
            .ws
            .resource(STACK)
            .await
            .expect("the stack is in the state");
        values["values"]
            .pointer(pointer)
            .cloned()
            .unwrap_or_default()
    }

    async fn sh(&self, command: &str) -> String {
        self.scene.sh(self.vmid, command).await
    }

    /// Names, images and ids of the containers.
    async fn containers(&self) -> Vec<String> {
        let text = self
            .sh("docker ps -a --format '{{.Names}} {{.Image}} {{.ID}}' | sort")
            .await;
        text.lines().map(str::to_owned).collect()
    }
}

/// Writes what differs, one line a path; texts of several lines are only named.
fn compare(path: &str, before: &Value, after: &Value, unknown: &Value, lines: &mut String) {
    let keys = |value: &Value| {
        value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect::<Vec<_>>()
    };
    let mut names = [keys(before), keys(after), keys(unknown)].concat();
    names.sort();
    names.dedup();
    if names.is_empty()
        || (before.is_null()
            && after.is_null()
            && unknown != &Value::Bool(true)
            && names.is_empty())
    {
        let show = |value: &Value| match value {
            Value::String(text) if text.contains('\n') => "…".to_owned(),
            Value::String(text) if text.starts_with("sha256:") => "sha256".to_owned(),
            Value::String(text) if text.len() == 64 => "hash".to_owned(),
            other => other.to_string(),
        };
        let after = match unknown {
            Value::Bool(true) => "?".to_owned(),
            _ if before == after => return,
            _ => show(after),
        };
        let _ = writeln!(lines, "{path} {} -> {after}", show(before));
        return;
    }
    for name in names {
        let inner = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        compare(
            &inner,
            &before[&name],
            &after[&name],
            &unknown[&name],
            lines,
        );
    }
}
