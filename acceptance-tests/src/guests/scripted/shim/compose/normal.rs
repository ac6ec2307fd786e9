//! A service of a file in the one long form that Compose hashes and prints.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::interpolate::Variables;

/// Rewrites short forms into long ones. `directory` is what relative paths start from.
///
/// # Errors
/// Compose's words about ports and volumes that cannot be read.
pub(super) fn service(
    raw: &Value,
    directory: &str,
    variables: &Variables,
) -> Result<Value, String> {
    let mut service = raw.as_object().cloned().unwrap_or_default();
    for key in [
        "environment",
        "labels",
        "annotations",
        "extra_hosts",
        "sysctls",
    ] {
        if let Some(value) = service.get_mut(key) {
            *value = pairs(value, (key == "environment").then_some(variables));
        }
    }
    for key in ["command", "entrypoint"] {
        let words = service.get(key).and_then(Value::as_str).map(words);
        service.insert(
            key.to_owned(),
            words
                .or_else(|| service.get(key).cloned())
                .unwrap_or_default(),
        );
    }
    if let Some(Value::Array(list)) = service.get("ports") {
        let mut ports = Vec::new();
        for item in list {
            ports.extend(port(item)?);
        }
        service.insert("ports".to_owned(), ports.into());
    }
    if let Some(Value::Array(list)) = service.get("volumes") {
        let volumes: Result<Vec<Value>, String> =
            list.iter().map(|item| volume(item, directory)).collect();
        service.insert("volumes".to_owned(), volumes?.into());
    }
    if let Some(value) = service.get("depends_on") {
        let condition = |name: &Value| {
            (
                name.as_str().unwrap_or_default().to_owned(),
                json!({"condition": "service_started", "required": true}),
            )
        };
        let long = match value {
            Value::Array(names) => names.iter().map(condition).collect::<Map<_, _>>(),
            Value::Object(map) => map
                .iter()
                .map(|(name, entry)| {
                    let mut entry = entry.clone();
                    if entry.get("required").is_none() {
                        entry["required"] = true.into();
                    }
                    (name.clone(), entry)
                })
                .collect(),
            _ => Map::new(),
        };
        service.insert("depends_on".to_owned(), long.into());
    }
    if !service.contains_key("network_mode") {
        let networks = match service.get("networks") {
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(|name| Some((name.as_str()?.to_owned(), Value::Null)))
                .collect(),
            Some(Value::Object(map)) => map.clone(),
            _ => Map::from_iter([("default".to_owned(), Value::Null)]),
        };
        service.insert("networks".to_owned(), networks.into());
    }
    for key in ["secrets", "configs"] {
        if let Some(Value::Array(list)) = service.get(key) {
            let long: Vec<Value> = list
                .iter()
                .map(|item| match item {
                    Value::String(name) => json!({"source": name}),
                    other => other.clone(),
                })
                .collect();
            service.insert(key.to_owned(), long.into());
        }
    }
    if let Some(test) = service
        .get("healthcheck")
        .and_then(|check| check["test"].as_str())
    {
        service["healthcheck"]["test"] = json!(["CMD-SHELL", test]);
    }
    if let Some(value) = service.get("env_file") {
        let list = match value {
            Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        };
        let long: Vec<Value> = list
            .iter()
            .map(|item| {
                let path = item.as_str().or(item["path"].as_str()).unwrap_or_default();
                json!({"path": absolute(path, directory), "required": item["required"] != false})
            })
            .collect();
        service.insert("env_file".to_owned(), long.into());
    }
    Ok(service.into())
}

/// A path as Compose makes it absolute.
pub(super) fn absolute(path: &str, directory: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = directory
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `["A=b", "C"]` or `{A: b}` as a map of strings; a bare key is looked up in `variables`.
fn pairs(value: &Value, variables: Option<&Variables>) -> Value {
    let bare = |key: &str| {
        variables
            .and_then(|known| known.get(key))
            .map_or(Value::Null, |value| value.as_str().into())
    };
    let map: Map<String, Value> = match value {
        Value::Array(list) => list
            .iter()
            .filter_map(Value::as_str)
            .map(|item| match item.split_once('=') {
                Some((key, value)) => (key.to_owned(), value.into()),
                None if variables.is_some() => (item.to_owned(), bare(item)),
                None => (item.to_owned(), "".into()),
            })
            .collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                (
                    key.clone(),
                    match value {
                        Value::String(_) => value.clone(),
                        Value::Null if variables.is_some() => bare(key),
                        Value::Null => "".into(),
                        other => other.to_string().into(),
                    },
                )
            })
            .collect(),
        _ => Map::new(),
    };
    map.into()
}

/// Words of a shell-like command line.
fn words(text: &str) -> Value {
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words.into()
}

fn port(item: &Value) -> Result<Vec<Value>, String> {
    if let Value::Object(map) = item {
        let mut map = map.clone();
        map.entry("mode").or_insert("ingress".into());
        map.entry("protocol").or_insert("tcp".into());
        if let Some(Value::Number(published)) = map.get("published").cloned() {
            map.insert("published".to_owned(), published.to_string().into());
        }
        return Ok(vec![map.into()]);
    }
    let text = item
        .as_str()
        .map_or_else(|| item.to_string(), str::to_owned);
    let invalid = |what: &str| format!("invalid containerPort: {what}");
    let (rest, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
    let (rest, target) = rest
        .rsplit_once(':')
        .map_or((None, rest), |(rest, target)| (Some(rest), target));
    let (ip, published) = match rest.map(|rest| rest.rsplit_once(':').unwrap_or(("", rest))) {
        Some((ip, published)) => (ip, Some(published)),
        None => ("", None),
    };
    let range = |text: &str| -> Result<(u16, u16), String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Ok((
            first.parse().map_err(|_| invalid(text))?,
            last.parse().map_err(|_| invalid(text))?,
        ))
    };
    let (first, last) = range(target)?;
    let host = published
        .filter(|text| !text.is_empty())
        .map(range)
        .transpose()?;
    if host.is_some_and(|(from, to)| to.wrapping_sub(from) != last - first) {
        return Err(format!(
            "invalid ranges specified for container and host Ports: {target} and {}",
            published.unwrap_or_default()
        ));
    }
    let ports = (first..=last).map(|target| {
        let mut port = json!({"mode": "ingress", "target": target, "protocol": protocol});
        if let Some((from, _)) = host {
            port["published"] = (from + (target - first)).to_string().into();
        }
        if !ip.is_empty() {
            port["host_ip"] = ip.trim_matches(['[', ']']).into();
        }
        port
    });
    Ok(ports.collect())
}

fn volume(item: &Value, directory: &str) -> Result<Value, String> {
    let Some(text) = item.as_str() else {
        let mut volume = item.clone();
        if volume["type"] == "bind"
            && let Some(source) = volume["source"].as_str()
        {
            volume["source"] = absolute(source, directory).into();
        }
        return Ok(volume);
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, mode] => (Some(*source), *target, *mode),
        _ => return Err(format!("invalid spec: {text}: too many colons")),
    };
    let mut volume = match source {
        Some(source) if source.starts_with(['.', '/', '~']) => json!({
            "type": "bind", "source": absolute(source, directory), "target": target, "bind": {"create_host_path": true},
        }),
        Some(source) => json!({"type": "volume", "source": source, "target": target, "volume": {}}),
        None => json!({"type": "volume", "target": target, "volume": {}}),
    };
    if mode.split(',').any(|mode| mode == "ro") {
        volume["read_only"] = true.into();
    }
    Ok(volume)
}

/// Milliseconds of a Go duration such as `1m30s`.
pub(super) fn duration(value: &Value) -> Option<u64> {
    let mut rest = value.as_str()?;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = rest[end..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| end + at);
        let seconds = match &rest[end..unit] {
            "us" | "µs" => 0.000_001,
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return None,
        };
        total += Duration::try_from_secs_f64(number * seconds).ok()?;
        rest = &rest[unit..];
    }
    u64::try_from(total.as_millis()).ok()
}
