//! User-data as one cloud-config and some scripts, whether it comes alone or in MIME parts.
//!
//! Parts merge as `list(append)+dict(no_replace,recurse_list)+str()` asks, whatever they ask.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::guests::scripted::shim::yaml;

/// The merged configuration, and the scripts in the order of their file names.
pub(super) fn read(user_data: &str) -> Result<(Value, Vec<String>), String> {
    let mut config = Value::Object(Map::new());
    let mut scripts: Vec<(String, String)> = Vec::new();
    for (name, text) in split(user_data)? {
        if text.starts_with("#!") {
            scripts.push((name, text));
        } else {
            merge(&mut config, yaml::parse(&text)?);
        }
    }
    scripts.sort();
    Ok((config, scripts.into_iter().map(|(_, text)| text).collect()))
}

/// File names and decoded contents.
fn split(text: &str) -> Result<Vec<(String, String)>, String> {
    if !text.starts_with("Content-Type: multipart") && !text.starts_with("MIME-Version") {
        return Ok(vec![(String::new(), text.to_owned())]);
    }
    let boundary = parameter(text, "boundary=").ok_or("multipart user-data without a boundary")?;
    let mut parts = Vec::new();
    for part in text.split(&format!("--{boundary}")).skip(1) {
        if part.starts_with("--") {
            break;
        }
        let (head, body) = part
            .trim_start()
            .split_once("\n\n")
            .ok_or("a part of the user-data has no head")?;
        let body = if head.to_lowercase().contains("base64") {
            let packed: String = body.split_whitespace().collect();
            let bytes = STANDARD.decode(packed).map_err(|error| error.to_string())?;
            String::from_utf8(bytes).map_err(|error| error.to_string())?
        } else {
            body.to_owned()
        };
        parts.push((parameter(head, "filename=").unwrap_or_default(), body));
    }
    Ok(parts)
}

fn parameter(head: &str, key: &str) -> Option<String> {
    let (_, rest) = head.split_once(key)?;
    let end = rest.find([';', '\n']).unwrap_or(rest.len());
    Some(rest[..end].trim().trim_matches('"').to_owned())
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(&key) {
                    Some(known) => merge(known, value),
                    None => drop(into.insert(key, value)),
                }
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_merge_and_scripts_keep_their_order() {
        let script = STANDARD.encode("#!/bin/sh\nb\n");
        let text = format!(
            "Content-Type: multipart/mixed; boundary=\"==x==\"\nMIME-Version: 1.0\n\n\
             --==x==\nContent-Type: text/x-shellscript\nContent-Transfer-Encoding: base64\n\
             Content-Disposition: attachment; filename=\"20-b\"\n\n{script}\n\
             --==x==\nContent-Type: text/plain\nContent-Disposition: attachment; filename=\"10-a\"\n\n#!/bin/sh\na\n\
             --==x==\nContent-Type: text/cloud-config\n\n{{\"packages\": [\"a\"], \"hostname\": \"x\"}}\n\
             --==x==\nContent-Type: text/cloud-config\n\npackages: [b]\nhostname: y\n\
             --==x==--\n"
        );
        let (config, scripts) = read(&text).expect("it is well formed");
        assert_eq!(config, json!({"packages": ["a", "b"], "hostname": "x"}));
        assert_eq!(scripts, ["#!/bin/sh\na\n", "#!/bin/sh\nb\n"]);
    }
}
