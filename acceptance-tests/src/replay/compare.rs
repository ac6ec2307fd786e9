//! Whether an answer of the simulator agrees with a recorded one.
//!
//! Status, reason, `errors` and `data` are compared. What differs between two runs on the same node (ids
//! that were drawn, times, load) is only compared in its shape, and lists without regard to their order,
//! which a node draws too.

use std::sync::LazyLock;

use serde_json::{Map, Value as Json, json};

use super::Record;

/// What the simulator answered.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status; 0 if there was no answer.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The body, if it was a JSON object.
    pub body: Map<String, Json>,
}

impl Answer {
    /// The `data` of the answer.
    pub fn data(&self) -> &Json {
        self.body.get("data").unwrap_or(&Json::Null)
    }
}

/// Values that measure load, time or space, or that are drawn: only their type counts.
const MEASURED: &[&str] = &[
    "CSRFPreventionToken",
    "approximate-size",
    "avail",
    "available",
    "cpu",
    "ctime",
    "diskread",
    "diskwrite",
    "endtime",
    "flags",
    "free",
    "idle",
    "kversion",
    "loadavg",
    "localtime",
    "mem",
    "memhost",
    "mhz",
    "model",
    "netin",
    "netout",
    "pid",
    "pstart",
    "release",
    "snaptime",
    "ssl_fingerprint",
    "starttime",
    "ticket",
    "time",
    "uptime",
    "used",
    "used_fraction",
    "vendor",
    "wait",
];

/// Parts of texts that are drawn anew each time, and what is compared instead.
static DRAWN: LazyLock<Vec<(regex::Regex, &str)>> = LazyLock::new(|| {
    let all = [
        (r"UPID:([^:]*):[0-9A-F]+:[0-9A-F]+:[0-9A-F]+:", "UPID:$1:…:"),
        (
            r"\b[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b",
            "UUID",
        ),
        (r"(?i)BC:24:11(:[0-9A-F]{2}){3}", "MAC"),
        (r"be24:11ff:fe[0-9a-f]{2}:[0-9a-f]{1,4}\b", "MAC"),
        (r"pveupload-[0-9a-f]+", "pveupload-…"),
        (r"\bctime=\d+", "ctime=…"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?", "DATE"),
        (r"\([\d.]+ [KMG]?B/s\)", "(RATE)"),
        (r"\d+[KMG]iB/s", "RATE"),
        (r"done: SHA256:\S+", "done: SHA256:…"),
        (r"ssh_host_[a-z0-9]+_key", "ssh_host_…_key"),
        (r"100% +[\d.]+[KMG]?=[\d.]+s", "100% RATE"),
        (r"\.tmp_dwnl\.\d+", ".tmp_dwnl.…"),
    ];
    all.into_iter()
        .map(|(pattern, instead)| {
            (
                regex::Regex::new(pattern).expect("it is a pattern"),
                instead,
            )
        })
        .collect()
});

/// Digests, but not the made-up ones of a test, which are one digit many times.
static DIGEST: LazyLock<regex::Regex> =
    LazyLock::new(|| regex::Regex::new(r"\b[0-9a-f]{32,128}\b").expect("it is a pattern"));

fn text(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, instead) in DRAWN.iter() {
        text = pattern.replace_all(&text, *instead).into_owned();
    }
    DIGEST
        .replace_all(&text, |found: &regex::Captures<'_>| {
            let digits = &found[0];
            if digits.chars().all(|c| digits.starts_with(c)) {
                digits.to_owned()
            } else {
                "DIGEST".to_owned()
            }
        })
        .into_owned()
}

fn kind(value: &Json) -> Json {
    json!(match value {
        Json::Null => "a null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    })
}

/// `value` with what cannot be equal taken out.
fn normal(value: &Json) -> Json {
    match value {
        Json::String(given) => Json::String(text(given)),
        Json::Array(items) => {
            let items = without_progress(items);
            let mut items: Vec<Json> = items.iter().map(normal).collect();
            items.sort_by_cached_key(Json::to_string);
            Json::Array(items)
        }
        Json::Object(object) => {
            let of_host = object
                .get("type")
                .is_some_and(|kind| kind == "node" || kind == "storage");
            let of_kernel = object.contains_key("sysname");
            // A token shows its secret only beside its full name.
            let of_token = object.contains_key("full-tokenid");
            let member = |(key, value): (&String, &Json)| {
                let measured = MEASURED.contains(&key.as_str())
                    || key.starts_with("pressure")
                    || key.starts_with("rx-")
                    || key.starts_with("tx-")
                    || (of_host && matches!(key.as_str(), "disk" | "maxdisk"))
                    || (key == "total" && object.contains_key("used"))
                    || (of_token && key == "value")
                    || (of_kernel && key == "version");
                let value = match value {
                    _ if measured => kind(value),
                    // The list of content types of a storage is unordered too.
                    Json::String(list) if key == "content" => {
                        let mut parts: Vec<&str> = list.split(',').collect();
                        parts.sort_unstable();
                        json!(parts.join(","))
                    }
                    other => normal(other),
                };
                (key.clone(), value)
            };
            Json::Object(object.iter().map(member).collect())
        }
        // The time in nanoseconds.
        Json::Number(number) if number.as_u64().is_some_and(|number| number > 1 << 60) => {
            kind(value)
        }
        other => other.clone(),
    }
}

/// The lines of a task's log without those on how far a copy is: their number depends on its speed.
fn without_progress(items: &[Json]) -> Vec<Json> {
    let is_progress = |line: &Json| {
        let text = line["t"].as_str().unwrap_or_default();
        text.starts_with("transferred ") && text.ends_with("%)")
    };
    if !items.iter().any(is_progress) {
        return items.to_vec();
    }
    let kept = items.iter().filter(|line| !is_progress(line)).enumerate();
    kept.map(|(i, line)| json!({"n": i + 1, "t": line["t"]}))
        .collect()
}

fn short(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What differs inside two values, member by member where both are objects.
fn inside(name: &str, got: &Json, want: &Json) -> Option<String> {
    if got == want {
        return None;
    }
    let only = |one: &[Json], other: &[Json]| {
        let mut rest = other.to_vec();
        let kept = one
            .iter()
            .filter(|item| match rest.iter().position(|x| x == *item) {
                Some(at) => {
                    rest.remove(at);
                    false
                }
                None => true,
            });
        Json::Array(kept.cloned().collect())
    };
    match (got, want) {
        (Json::Object(got), Json::Object(want)) => {
            let mut keys: Vec<&String> = got.keys().chain(want.keys()).collect();
            keys.sort();
            keys.dedup();
            let absent = Json::String("(absent)".to_owned());
            let found = keys.into_iter().filter_map(|key| {
                let of = |map: &Map<String, Json>| map.get(key).unwrap_or(&absent).clone();
                inside(&format!("{name}.{key}"), &of(got), &of(want))
            });
            Some(found.collect::<Vec<_>>().join("; "))
        }
        (Json::Array(got), Json::Array(want)) if got.len() == 1 && want.len() == 1 => {
            inside(&format!("{name}[0]"), &got[0], &want[0])
        }
        (Json::Array(got), Json::Array(want)) => Some(format!(
            "{name} has {} instead of {}",
            short(&only(got, want)),
            short(&only(want, got))
        )),
        _ => Some(format!(
            "{name} is {} instead of {}",
            short(got),
            short(want)
        )),
    }
}

/// How the answer differs from the record, in one line.
pub fn difference(record: &Record, answer: &Answer) -> Option<String> {
    if answer.status != record.status {
        return Some(format!(
            "status {} {:?} instead of {} {:?}",
            answer.status, answer.reason, record.status, record.reason
        ));
    }
    if text(&answer.reason) != text(&record.reason) {
        return Some(format!(
            "reason {:?} instead of {:?}",
            answer.reason, record.reason
        ));
    }
    let empty = Map::new();
    let recorded = record.body.as_ref().unwrap_or(&empty);
    let has_progress = recorded.get("data").is_some_and(|data| {
        let lines = data.as_array().map_or(&[][..], Vec::as_slice);
        without_progress(lines).len() != lines.len()
    });
    let part = |name: &str| {
        if name == "total" && has_progress {
            return None;
        }
        let of = |body: &Map<String, Json>| normal(body.get(name).unwrap_or(&Json::Null));
        inside(name, &of(&answer.body), &of(recorded))
    };
    let found: Vec<String> = ["errors", "data", "total", "changes"]
        .into_iter()
        .filter_map(part)
        .collect();
    (!found.is_empty()).then(|| found.join("; ").replace('\n', "⏎"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(got: &Json, want: &Json, expected: Option<&str>) {
        assert_eq!(
            inside("data", &normal(got), &normal(want)).as_deref(),
            expected
        );
    }

    #[test]
    fn what_is_drawn_does_not_count() {
        check(
            &json!({"net0": "virtio=BC:24:11:00:00:01,bridge=a", "uptime": 5}),
            &json!({"net0": "virtio=BC:24:11:AA:00:01,bridge=a", "uptime": 0}),
            None,
        );
        check(
            &json!("UPID:pve1:00000200:00035AC4:6B0364F5:qmstart:100:root@pam:"),
            &json!("UPID:pve1:00000201:00035AC5:6B0364F6:qmstart:100:root@pam:"),
            None,
        );
        check(
            &json!({"digest": "da39a3ee5e6b4b0d3255bfef95601890afd80709"}),
            &json!({"digest": "966665987274e7b92739bbd32291a6b96cd5dfb1"}),
            None,
        );
        check(
            &json!([{"a": 1}, {"b": 1}]),
            &json!([{"b": 1}, {"a": 1}]),
            None,
        );
    }

    #[test]
    fn what_is_chosen_counts() {
        check(
            &json!({"cores": 1, "name": "a"}),
            &json!({"cores": "1", "name": "a"}),
            Some("data.cores is 1 instead of \"1\""),
        );
        check(
            &json!({"uptime": "5"}),
            &json!({"uptime": 5}),
            Some("data.uptime is \"a text\" instead of \"a number\""),
        );
        check(
            &json!([{"a": 1}, {"b": 1}]),
            &json!([{"b": 1}]),
            Some("data has [{\"a\":1}] instead of []"),
        );
        check(
            &json!({"digest": "0000000000000000000000000000000000000000"}),
            &json!({"digest": "966665987274e7b92739bbd32291a6b96cd5dfb1"}),
            Some(
                "data.digest is \"0000000000000000000000000000000000000000\" instead of \"DIGEST\"",
            ),
        );
    }
}
