//! The same with real Docker and real Compose: what only they can show. Needs root.

use acceptance_tests::{simulator::Options, stage::Stage, tofu::Workspace};

use crate::{
    scene::{Block, HEAD, IMAGE, qcow2, web},
    stack::{STACK, heredoc},
};

const SECRET: &str = "sentinel-of-secrets-wo";
const VARIABLE: &str = "sentinel-of-env-wo";

const TEXT: &str = r#"
services:
  web:
    image: ${REGISTRY}/demo/web:1
    restart: unless-stopped
    ports: ["8080:8080"]
    environment: {TOKEN: "${TOKEN}"}
    secrets: [password]
    volumes: ["./site.conf:/site.conf:ro", "data:/data"]
    healthcheck: {test: [CMD, wget, -q, -O, "-", "http://127.0.0.1:8080/"], interval: 1s}
    depends_on: {migrate: {condition: service_completed_successfully}}
  migrate:
    image: ${REGISTRY}/demo/worker:1
    command: ["true"]
  debug:
    image: ${REGISTRY}/demo/worker:1
    restart: always
    profiles: [debug]
secrets: {password: {}}
volumes: {data: {}}
"#;

struct Lab {
    stage: Stage,
    ws: Workspace,
}

impl Lab {
    async fn new() -> Self {
        let stage = Stage::real(Options::default())
            .await
            .expect("real guests run here");
        stage.simulator.put_file("pve1", IMAGE, qcow2(2));
        let ws = stage.workspace().expect("a workspace is made");
        ws.write("head.tf", HEAD);
        ws.init().await;
        Self { stage, ws }
    }

    async fn sh(&self, command: &str) -> String {
        let lab = self.stage.lab.as_ref().expect("the lab is real");
        lab.sh(100, command).await.expect("the command succeeds")
    }

    fn write(&self, stack: &str) {
        self.ws.write("main.tf", &format!("{}{stack}", web()));
    }

    async fn settle(&self, stack: &Block) {
        self.write(&stack.to_string());
        self.ws.apply(&[]).await.ok();
        self.ws.plan(&[]).await.empty();
    }

    async fn containers(&self) -> Vec<String> {
        let text = self
            .sh("docker ps -a --format '{{.Names}} {{.ID}}' | sort")
            .await;
        text.lines().map(str::to_owned).collect()
    }

    /// Names of containers that are not among those before.
    async fn made_since(&self, before: &[String]) -> Vec<String> {
        let now = self.containers().await;
        let new = now.iter().filter(|line| !before.contains(line));
        new.filter_map(|line| Some(line.split_once(' ')?.0.to_owned()))
            .collect()
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
async fn a_stack_lives_on_real_docker() {
    let lab = Lab::new().await;
    let registry = lab
        .stage
        .lab
        .as_ref()
        .expect("the lab is real")
        .registry()
        .to_owned();
    let hello = |text: &str| {
        Block::new(
            r#"resource "pmoves_stack" "hello""#,
            &[
                ("host_id", "pmoves_docker_vm.web.id"),
                ("name", r#""hello""#),
                ("compose", &heredoc(text)),
                ("env", &format!("{{ REGISTRY = {registry:?} }}")),
                ("files", r#"{ "site.conf" = "one" }"#),
                ("profiles", r#"["debug"]"#),
                ("env_wo", &format!("{{ TOKEN = {VARIABLE:?} }}")),
                ("env_wo_version", r#""1""#),
                ("secrets_wo", &format!("{{ password = {SECRET:?} }}")),
                ("secrets_wo_version", r#""1""#),
            ],
        )
    };
    lab.write(&hello(TEXT).to_string());
    if !lab.ws.takes_write_only().await {
        return lab.stage.stop().await;
    }
    lab.write("");
    lab.ws.apply(&[]).await.ok();
    lab.sh("(while :; do cat /proc/[0-9]*/cmdline | tr '\\0' ' '; sleep 0.02; done >/tmp/processes 2>/dev/null &)").await;

    lab.settle(&hello(TEXT)).await;
    lab.stage.simulator.clear_journal();
    lab.ws.plan(&[]).await.empty();
    assert_eq!(
        lab.stage
            .simulator
            .calls("POST", "/nodes/*/qemu/*/agent/exec"),
        1
    );

    let processes = lab.sh("cat /tmp/processes").await;
    assert!(
        processes.contains("compose")
            && !processes.contains(SECRET)
            && !processes.contains(VARIABLE)
    );
    let inspected = lab.sh("docker inspect $(docker ps -aq)").await;
    assert!(inspected.contains(VARIABLE) && !inspected.contains(SECRET));
    assert_eq!(
        lab.sh("docker exec hello-web-1 cat /run/secrets/password")
            .await,
        SECRET
    );
    assert!(!lab.ws.state_file().contains(SECRET) && !lab.ws.state_file().contains(VARIABLE));

    // Compose counts the services of a profile for none of its orphans.
    let before = lab.containers().await;
    let stack = hello(TEXT).without("profiles");
    lab.settle(&stack).await;
    assert_eq!(lab.made_since(&before).await, Vec::<String>::new());
    assert_eq!(lab.containers().await.len(), 2);

    lab.sh("docker stop hello-web-1").await;
    let drift = lab.ws.plan(&[]).await;
    let state = |side: &str| drift.change(STACK)[side]["services"]["web"]["state"].clone();
    assert_eq!(
        (state("before"), state("after")),
        ("exited".into(), "running".into())
    );
    lab.settle(&stack).await;

    lab.settle(
        &stack
            .clone()
            .with("compose", &heredoc(&format!("{TEXT}# a comment\n"))),
    )
    .await;
    assert_eq!(lab.made_since(&before).await, Vec::<String>::new());
    let filed = stack.clone().with("files", r#"{ "site.conf" = "two" }"#);
    lab.settle(&filed).await;
    assert_eq!(lab.made_since(&before).await, ["hello-web-1"]);
    assert_eq!(
        lab.sh("docker exec hello-web-1 cat /site.conf").await,
        "two"
    );
    let secret = filed
        .clone()
        .with("secrets_wo", r#"{ password = "next" }"#)
        .with("secrets_wo_version", r#""2""#);
    lab.settle(&secret).await;
    assert_eq!(
        lab.sh("docker exec hello-web-1 cat /run/secrets/password")
            .await,
        "next"
    );

    lab.write(
        &secret
            .clone()
            .with("compose", &heredoc(&TEXT.replace("web:1", "web:404")))
            .to_string(),
    );
    let said = lab.ws.apply(&[]).await.refused();
    assert!(
        said.contains("(service \"web\")") && said.contains("manifest unknown"),
        "{said}"
    );
    assert_eq!(
        lab.ws.plan(&[]).await.changes(),
        ["pmoves_stack.hello: update"]
    );
    let sick = TEXT
        .replace("127.0.0.1:8080/", "127.0.0.1:9/")
        .replace("interval: 1s", "interval: 1s, retries: 2");
    lab.write(&secret.clone().with("compose", &heredoc(&sick)).to_string());
    let said = lab.ws.apply(&[]).await.refused();
    assert!(
        said.contains("ervice \"web\" is unhealthy: wget: can't connect"),
        "{said}"
    );
    assert_eq!(
        lab.ws.plan(&[]).await.changes(),
        ["pmoves_stack.hello: update"]
    );
    lab.settle(&secret).await;

    lab.sh("docker compose -p hello down").await;
    assert_eq!(
        lab.ws.plan(&[]).await.changes(),
        ["pmoves_stack.hello: update"]
    );
    lab.settle(&secret).await;
    lab.ws.destroy().await.ok();
    lab.stage.stop().await;
}

#[tokio::test]
async fn a_foreign_project_is_taken_over_on_real_docker() {
    let lab = Lab::new().await;
    let registry = lab
        .stage
        .lab
        .as_ref()
        .expect("the lab is real")
        .registry()
        .to_owned();
    lab.write("");
    lab.ws.apply(&[]).await.ok();
    let text = "services:\n  web:\n    image: ${REGISTRY}/demo/web:1\n    restart: always\n    healthcheck: {test: [CMD, \"true\"], interval: 1s}\n";
    lab.sh(&format!("mkdir -p /srv/hello && cd /srv/hello && cat >docker-compose.yml <<'EOT'\n{text}EOT\nprintf '# by hand\\nREGISTRY=\"{registry}\"\\n' >.env && docker compose up -d")).await;
    let before = lab.containers().await;
    let import = "import {\n  to = pmoves_stack.hello\n  id = \"qemu/100/hello\"\n}\n";
    lab.write(import);
    let plan = lab.ws.plan(&["-generate-config-out=stack.tf"]).await;
    assert_eq!(plan.changes(), Vec::<String>::new());
    lab.ws.apply(&[]).await.ok();
    lab.ws.plan(&[]).await.empty();

    let generated =
        std::fs::read_to_string(lab.ws.path().join("stack.tf")).expect("it was generated");
    lab.ws.write(
        "stack.tf",
        &generated
            .replace("services:\\n", "# ours\\nservices:\\n")
            .replace("\nservices:\n", "\n# ours\nservices:\n"),
    );
    let plan = lab.ws.plan(&[]).await;
    assert_eq!(
        plan.changes(),
        ["pmoves_stack.hello: update"],
        "{generated}"
    );
    lab.ws.apply(&[]).await.ok();
    lab.ws.plan(&[]).await.empty();
    assert_eq!(lab.made_since(&before).await, Vec::<String>::new());
    lab.ws.destroy().await.ok();
    lab.stage.stop().await;
}
