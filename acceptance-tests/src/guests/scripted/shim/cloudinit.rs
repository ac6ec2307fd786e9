//! What cloud-init does on a first boot, and the command `cloud-init`.
//!
//! Applies host name, users, keys, files, packages and commands of the user-data; other modules
//! are left out without a word, as cloud-init does with keys it does not know.

mod parts;

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};

use super::{Reply, Root, apt, init, yaml};
use crate::guests::scripted::CloudInit;

const STATE: &str = "/run/shim/cloud-init";
const INSTANCE: &str = "/var/lib/shim/instance-id";
const HOME: &str = "/home";
const SCRIPT: &str = "/var/lib/cloud/instance/scripts/script";

/// Applies the seed if it names another instance than the last one, and records the outcome.
pub(super) fn first_boot(root: &Root, seed: &Value) {
    let _ = root.write(STATE, "running");
    if root.scenario().cloud_init == CloudInit::Hangs {
        return;
    }
    let mut failed = None;
    if let Some(user_data) = seed["user-data"].as_str() {
        let meta = yaml::parse(seed["meta-data"].as_str().unwrap_or_default()).unwrap_or_default();
        let instance = meta["instance-id"].as_str().unwrap_or("nocloud").to_owned();
        if root.read(INSTANCE).as_deref() != Some(&instance) {
            if let Some(name) = meta["local-hostname"].as_str() {
                rename(root, name);
            }
            failed = apply(root, user_data).err();
            let _ = root.write(INSTANCE, instance);
        }
    }
    let outcome = match (root.scenario().cloud_init, &failed) {
        (CloudInit::Error, _) | (_, Some(_)) => "error",
        (CloudInit::Degraded, _) => "degraded",
        _ => "done",
    };
    let errors: Vec<&String> = failed.iter().collect();
    let result = json!({"v1": {"datasource": "DataSourceNoCloud [seed=/dev/sr0]", "errors": errors, "recoverable_errors": {}}});
    let _ = root.write("/run/cloud-init/result.json", format!("{result:#}\n"));
    let _ = root.write("/var/lib/cloud/instance/boot-finished", "");
    let _ = root.write("/run/shim/cloud-init-error", failed.unwrap_or_default());
    let _ = root.write(STATE, outcome);
}

fn rename(root: &Root, name: &str) {
    let short = name.split('.').next().unwrap_or_default();
    let _ = root.write("/etc/hostname", format!("{short}\n"));
    init::real("hostname", &[short]);
}

fn apply(root: &Root, user_data: &str) -> Result<(), String> {
    let (config, scripts) = parts::read(user_data)?;
    if let Some(name) = config["hostname"].as_str().or(config["fqdn"].as_str()) {
        rename(root, name);
    }
    shell(root, list(&config["bootcmd"]))?;
    for file in list(&config["write_files"])
        .iter()
        .filter(|file| file["defer"] != true)
    {
        write_file(root, file)?;
    }
    users(root, &config)?;
    let packages: Vec<String> = list(&config["packages"])
        .iter()
        .filter_map(|package| package.as_str().or(package[0].as_str()).map(str::to_owned))
        .collect();
    if !packages.is_empty() || config["package_update"] == true {
        expect(&apt::get(root, &["update".to_owned()]))?;
    }
    if !packages.is_empty() {
        let args: Vec<String> = ["-y", "install"]
            .map(str::to_owned)
            .into_iter()
            .chain(packages)
            .collect();
        expect(&apt::get(root, &args))?;
    }
    for file in list(&config["write_files"])
        .iter()
        .filter(|file| file["defer"] == true)
    {
        write_file(root, file)?;
    }
    let mut outcome = shell(root, list(&config["runcmd"]));
    for script in scripts {
        root.write(SCRIPT, script)
            .map_err(|error| error.to_string())?;
        let run = json!(["/bin/sh", SCRIPT]);
        outcome = outcome.and(shell(root, &[run]));
    }
    outcome
}

fn expect(reply: &Reply) -> Result<(), String> {
    match reply.code {
        0 => Ok(()),
        _ => Err(reply.err.trim().to_owned()),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Runs commands as cloud-init's one script does: a failing one does not stop the next.
fn shell(root: &Root, commands: &[Value]) -> Result<(), String> {
    let mut failed = Ok(());
    for command in commands {
        let mut process = match command {
            Value::String(text) => {
                let mut process = Command::new("/bin/sh");
                process.args(["-c", text]);
                process
            }
            Value::Array(words) => {
                let text = |word: &Value| {
                    word.as_str()
                        .map_or_else(|| word.to_string(), str::to_owned)
                };
                let mut process = Command::new(words.first().map(text).unwrap_or_default());
                process.args(words.iter().skip(1).map(text));
                process
            }
            _ => continue,
        };
        let status = process
            .env("PATH", super::agent::PATH)
            .current_dir(root.path("/"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !status.is_ok_and(|status| status.success()) {
            failed = Err(format!(
                "('scripts_user', RuntimeError('command failed: {command}'))"
            ));
        }
    }
    failed
}

fn write_file(root: &Root, file: &Value) -> Result<(), String> {
    let path = file["path"]
        .as_str()
        .ok_or("write_files: an entry has no path")?;
    let content = file["content"].as_str().unwrap_or_default();
    let encoding = file["encoding"].as_str().unwrap_or_default();
    let bytes = if encoding.contains("64") {
        let packed: String = content.split_whitespace().collect();
        base64::engine::general_purpose::STANDARD
            .decode(packed)
            .map_err(|error| format!("write_files: {path}: {error}"))?
    } else {
        content.as_bytes().to_vec()
    };
    let mut bytes = bytes;
    if file["append"] == true {
        bytes.splice(0..0, root.read(path).unwrap_or_default().into_bytes());
    }
    let mode = match &file["permissions"] {
        Value::String(octal) => {
            u32::from_str_radix(octal.trim_start_matches("0o"), 8).unwrap_or(0o644)
        }
        Value::Number(number) => number
            .as_u64()
            .and_then(|mode| u32::try_from(mode).ok())
            .unwrap_or(0o644),
        _ => 0o644,
    };
    root.write(path, bytes)
        .and_then(|()| {
            std::fs::set_permissions(root.path(path), std::fs::Permissions::from_mode(mode))
        })
        .map_err(|error| format!("write_files: {path}: {error}"))
}

fn users(root: &Root, config: &Value) -> Result<(), String> {
    let mut users = list(&config["users"]).to_vec();
    if let Value::String(name) = &config["user"] {
        users.push(json!({"name": name, "ssh_authorized_keys": config["ssh_authorized_keys"]}));
    } else if config["user"].is_object() {
        users.push(config["user"].clone());
    }
    for (index, user) in users.iter().enumerate() {
        let Some(name) = user["name"].as_str() else {
            continue;
        };
        let passwd = root.read("/etc/passwd").unwrap_or_default();
        let home = if name == "root" {
            "/root".to_owned()
        } else {
            format!("{HOME}/{name}")
        };
        let id = 1000 + index;
        if !passwd
            .lines()
            .any(|line| line.starts_with(&format!("{name}:")))
        {
            let shell = user["shell"].as_str().unwrap_or("/bin/sh");
            append(
                root,
                "/etc/passwd",
                &format!("{name}:x:{id}:{id}::{home}:{shell}\n"),
            )?;
            append(root, "/etc/group", &format!("{name}:x:{id}:\n"))?;
            let password = user["passwd"]
                .as_str()
                .or(user["hashed_passwd"].as_str())
                .unwrap_or("!");
            append(
                root,
                "/etc/shadow",
                &format!("{name}:{password}:20000:0:99999:7:::\n"),
            )?;
        }
        let mut keys = list(&user["ssh_authorized_keys"]).to_vec();
        if name == "root" {
            keys.extend(list(&config["ssh_authorized_keys"]).to_vec());
        }
        let keys: String = keys
            .iter()
            .filter_map(Value::as_str)
            .map(|key| format!("{key}\n"))
            .collect();
        if !keys.is_empty() {
            root.write(&format!("{home}/.ssh/authorized_keys"), keys)
                .map_err(|error| error.to_string())?;
        }
        if name != "root" {
            std::fs::create_dir_all(root.path(&home)).map_err(|error| error.to_string())?;
            init::real("chown", &["-R", &format!("{id}:{id}"), &home]);
        }
    }
    Ok(())
}

fn append(root: &Root, path: &str, line: &str) -> Result<(), String> {
    let text = root.read(path).unwrap_or_default();
    root.write(path, text + line)
        .map_err(|error| error.to_string())
}

pub(super) fn run(root: &Root, args: &[String]) -> Reply {
    match args.first().map(String::as_str) {
        Some("status") => status(root, args),
        Some("--version" | "-v") => Reply::ok("/usr/bin/cloud-init 25.1.4\n"),
        Some("clean") => {
            let _ = std::fs::remove_file(root.path(INSTANCE));
            Reply::default()
        }
        Some("query") => Reply::ok(format!("{}\n", root.read(INSTANCE).unwrap_or_default())),
        _ => Reply::fail(
            2,
            "usage: cloud-init [-h] [--version] {init,modules,status,clean,query}",
        ),
    }
}

fn status(root: &Root, args: &[String]) -> Reply {
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let state = || root.read(STATE).unwrap_or_else(|| "running".to_owned());
    let mut out = String::new();
    while has("--wait") && state() == "running" {
        out.push('.');
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let state = state();
    let error = root.read("/run/shim/cloud-init-error").unwrap_or_default();
    let word = if state == "degraded" { "done" } else { &state };
    let deprecated = "Config key 'user' given as a string is deprecated in 22.2 and scheduled to be removed in 27.2.";
    let recoverable = match state.as_str() {
        "degraded" => json!({"DEPRECATED": [deprecated]}),
        _ => json!({}),
    };
    let extended = if state == "degraded" {
        "degraded done"
    } else {
        &state
    };
    let errors: Vec<&str> = if state == "error" {
        vec![error.trim()]
    } else {
        Vec::new()
    };
    if args.windows(2).any(|pair| pair == ["--format", "json"]) || has("--format=json") {
        out.push_str(&format!(
            "{:#}\n",
            json!({
                "boot_status_code": "enabled-by-generator", "datasource": "nocloud",
                "detail": "DataSourceNoCloud [seed=/dev/sr0]", "errors": errors,
                "extended_status": extended, "recoverable_errors": recoverable,
                "schemas": {}, "status": word, "_schema_version": "1",
            })
        ));
    } else {
        out.push_str(&format!("status: {word}\n"));
        if has("--long") || has("-l") {
            out.push_str(&format!("extended_status: {extended}\nboot_status_code: enabled-by-generator\ndetail: DataSourceNoCloud [seed=/dev/sr0]\nerrors: {errors:?}\nrecoverable_errors: {recoverable}\n"));
        }
    }
    let code = match state.as_str() {
        "error" => 1,
        "degraded" => 2,
        _ => 0,
    };
    Reply {
        code,
        out,
        ..Reply::default()
    }
}
