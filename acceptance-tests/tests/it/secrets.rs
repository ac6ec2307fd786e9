//! No secret is in any log, however it is written.

use std::fmt::Write as _;

use acceptance_tests::simulator::Options;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::scene::{Block, Scene, web};

const PASSWORD: &str = "sentinel/of+the&password=1 %";
const USER_DATA: &str = "sentinel/of+the&user-data=1 %";
const SECRET: &str = "sentinel/of+the&secret=1 %";
const VARIABLE: &str = "sentinel/of+the&variable=1 %";

/// A host and a stack with every kind of secret; `version` makes all of them new.
fn configuration(version: u32) -> String {
    let account = format!(
        "user_account = {{ password_wo = var.password, password_wo_version = \"{version}\" }}"
    );
    // Written into the configuration, it would be in every snippet that core shows.
    let data = "user_data = var.user_data";
    let host = web().with("initialization", &format!("{{ {account}, {data} }}"));
    let text = "services: { web: { image: demo.test/web:1, secrets: [password], environment: { TOKEN: '$${TOKEN}' } } }\\nsecrets: { password: {} }\\n";
    let stack = Block::new(
        r#"resource "pmoves_stack" "hello""#,
        &[
            ("host_id", "pmoves_docker_vm.web.id"),
            ("name", r#""hello""#),
            ("compose", &format!("\"{text}\"")),
            (
                "secrets_wo",
                &format!("{{ password = \"{SECRET}{version}\" }}"),
            ),
            ("secrets_wo_version", &format!("\"{version}\"")),
            ("env_wo", &format!("{{ TOKEN = \"{VARIABLE}{version}\" }}")),
            ("env_wo_version", &format!("\"{version}\"")),
        ],
    );
    let variables = "variable \"password\" {\n  type      = string\n  ephemeral = true\n}\n\
                     variable \"user_data\" {\n  type = string\n}\n";
    format!("{variables}{host}{stack}")
}

/// A secret in each way that a log could hold it.
fn spellings(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let mut spellings = vec![
        secret.to_owned(),
        json.trim_matches('"').to_owned(),
        secret.replace('&', "\\u0026"),
        percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC)
            .to_string(),
        secret.bytes().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    ];
    // Inside a longer text, base64 begins at any of three places.
    for before in 0..3 {
        let longer = [&vec![0; before][..], secret.as_bytes()].concat();
        let encoded = STANDARD.encode(&longer);
        let whole = longer.len() / 3 * 4;
        let first = (before * 8).div_ceil(6);
        spellings.push(encoded[first..whole].to_owned());
    }
    spellings
}

#[track_caller]
fn absent(text: &str, secrets: &[&str]) {
    for secret in secrets {
        for spelling in spellings(secret) {
            let line = text.lines().find(|line| line.contains(&spelling));
            assert!(line.is_none(), "{secret:?} as {spelling:?}: {line:?}");
        }
    }
}

/// Makes, changes and destroys all with the most detailed log, and looks for secrets in it.
async fn whole_life(mut scene: Scene, credential: &[&str]) {
    let path = scene.ws.path().join("trace.log");
    scene.ws.set("TF_VAR_password", PASSWORD);
    let data =
        format!("#cloud-config\nwrite_files: [{{ path: /root/s, content: '{USER_DATA}' }}]\n");
    scene.ws.set("TF_VAR_user_data", data);
    scene.ws.write("main.tf", &configuration(1));
    if !scene.ws.takes_write_only().await {
        return;
    }
    scene.ws.set("TF_LOG", "TRACE");
    scene.ws.set("TF_LOG_PATH", &path);
    let mut said = String::new();
    for version in [1, 2] {
        scene.ws.write("main.tf", &configuration(version));
        said += &scene.ws.apply(&[]).await.ok().said();
        let shown = scene.sh(100, "cat /opt/pmoves/stacks/hello/.pmoves/secrets/password");
        assert_eq!(shown.await, format!("{SECRET}{version}"));
    }
    assert_eq!(scene.sh(100, "cat /root/s").await, USER_DATA);
    said += &scene.ws.destroy().await.ok().said();

    let tickets = scene.stage.simulator.tickets();
    let mut secrets = vec![PASSWORD, SECRET, VARIABLE];
    secrets.extend(credential);
    secrets.extend(tickets.iter().map(String::as_str));
    let log = std::fs::read_to_string(path).expect("core writes its log");
    let ours: Vec<_> = log
        .lines()
        .filter(|line| line.contains("provider.terraform-provider-pmoves"))
        .collect();
    assert!(ours.len() > 100, "{} lines", ours.len());
    absent(&said, &secrets);
    absent(&log, &secrets);
    // User data is in the state by design, and core's own lines show states.
    absent(&ours.join("\n"), &[USER_DATA]);
    absent(&said, &[USER_DATA]);
}

#[tokio::test]
async fn no_secret_is_logged_with_a_token() {
    let scene = Scene::new().await;
    let token = scene.stage.simulator.token().to_owned();
    let (_, secret) = token.split_once('=').expect("a token has a secret");
    whole_life(scene, &[secret]).await;
}

#[tokio::test]
async fn no_secret_is_logged_with_a_password() {
    const LOGIN: &str = "sentinel/of+the&login=1 %";
    let mut scene = Scene::with(Options {
        root_password: LOGIN.to_owned(),
        ..Options::default()
    })
    .await;
    scene.ws.set("PROXMOX_VE_API_TOKEN", "");
    scene.ws.set("PROXMOX_VE_USERNAME", "root@pam");
    scene.ws.set("PROXMOX_VE_PASSWORD", LOGIN);
    let before = scene.stage.simulator.tickets().len();
    assert_eq!(before, 0);
    whole_life(scene, &[LOGIN]).await;
}

#[test]
fn every_spelling_is_found() {
    for text in [
        "a sentinel",
        r#"a \"sentinel"#,
        "YSBzZW50aW5lbCBo",
        "aSBhIHNlbnRpbmVs",
        "c2VudGluZWw=",
    ] {
        let found = std::panic::catch_unwind(|| absent(text, &["sentinel"]));
        assert!(found.is_err(), "{text}");
    }
    absent("sentine", &["sentinel"]);
}
