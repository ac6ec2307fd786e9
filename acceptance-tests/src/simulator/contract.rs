//! Compares what the simulator declares of its calls with a description of the genuine API: which
//! calls there are, who may send them, and their parameters down to the keys of property strings.
//!
//! The declarations check requests by themselves; here is only found where they err.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::call::{Allow, ROUTES};
use super::release::Release;
use super::rules::{Format, Kind, Rule, RuleSet, set};

/// Formats that the description only names, and the rule sets that spell them out.
const NAMED_SETS: &[(&str, &str)] = &[
    ("pve-qm-boot", "boot"),
    ("pve-qm-cicustom", "cicustom"),
    ("pve-qm-hostpci", "hostpci"),
    ("pve-qm-ide", "drive-ide"),
    ("pve-qm-ipconfig", "ipconfig"),
    ("pve-qm-rng", "rng"),
    ("pve-qm-smbios1", "smbios"),
    ("pve-qm-watchdog", "watchdog"),
    ("pve-vm-cpu-conf", "cpu"),
];

/// Every difference, one a line: `METHOD /path PARAMETER.FACT: ours, theirs`. `schema` has `endpoints`
/// by `METHOD /path`, each with `params`, `perm` and `prot` as API viewers of Proxmox VE know them.
///
/// # Errors
/// Fails if `schema` has no endpoints.
pub fn differences(schema: &Json) -> Result<Vec<String>, String> {
    let endpoints = schema["endpoints"]
        .as_object()
        .ok_or("the schema has no `endpoints`")?;
    let mut found = Vec::new();
    for parsed in &ROUTES[&Release::default()] {
        let call = parsed.route.call;
        let Some(endpoint) = endpoints.get(call) else {
            // The viewer starts below the root of the API.
            if call != "GET /" {
                found.push(format!("{call}: unknown to the schema"));
            }
            continue;
        };
        let mut facts = Facts::default();
        if let Some(told) = permission(&endpoint["perm"]) {
            facts.add("permission", &allowed(&parsed.route.allow), &told);
        }
        facts.add(
            "protected",
            &json!(parsed.is_protected()),
            &json!(endpoint["prot"] == 1),
        );
        facts.sets("", &parsed.rules, &endpoint["params"]["properties"]);
        found.extend(facts.0.into_iter().map(|fact| format!("{call} {fact}")));
    }
    Ok(found)
}

/// Takes the accepted ones out of `found`. In `accepted` a line is a difference, where `*` stands for
/// any call or any parameter, and the comments above say why. What is accepted and does not occur is
/// told as well.
pub fn unaccepted(found: Vec<String>, accepted: &str) -> Vec<String> {
    let lines = accepted.lines();
    let known: BTreeSet<&str> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let mut unused = known.clone();
    let mut left = Vec::new();
    for line in found {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let [method, path, fact, values] = words[..] else {
            left.push(line);
            continue;
        };
        let forms = [
            line.clone(),
            format!("* {fact} {values}"),
            format!("{method} {path} *: {values}"),
        ];
        let hit = forms
            .iter()
            .find_map(|form| known.get(form.as_str()).copied());
        match hit {
            Some(hit) => _ = unused.remove(hit),
            None => left.push(line),
        }
    }
    let gone = unused.iter();
    left.extend(gone.map(|line| format!("accepted, but it does not occur: {line}")));
    left
}

/// Facts that differ.
#[derive(Default)]
struct Facts(Vec<String>);

impl Facts {
    fn add(&mut self, fact: &str, ours: &Json, theirs: &Json) {
        if ours != theirs {
            self.0.push(format!("{fact}: {ours}, {theirs}"));
        }
    }

    fn sets(&mut self, prefix: &str, ours: &RuleSet, theirs: &Json) {
        let theirs: BTreeMap<String, &Json> = theirs
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, rule)| (name.replace("[n]", "#"), rule))
            .collect();
        for rule in ours.iter() {
            let name = format!("{prefix}{}", rule.name);
            match theirs.get(&rule.name) {
                Some(other) => self.rules(&name, rule, other),
                None => self
                    .0
                    .push(format!("{name}: declared, unknown to the schema")),
            }
        }
        let missing = theirs
            .keys()
            .filter(|name| ours.iter().all(|rule| rule.name != **name));
        self.0
            .extend(missing.map(|name| format!("{prefix}{name}: not declared")));
    }

    fn rules(&mut self, name: &str, ours: &Rule, theirs: &Json) {
        if let Some(alias) = &ours.alias {
            let mut own = json!({"alias": alias.target});
            if let Some(key) = &alias.names_value_of {
                own["keyAlias"] = json!(key);
            }
            return self.add(name, &own, theirs);
        }
        let list = |list: &[String]| {
            if list.is_empty() {
                Json::Null
            } else {
                json!(list)
            }
        };
        for (fact, own) in [
            ("type", json!(ours.kind.name())),
            (
                "optional",
                if ours.optional { json!(1) } else { Json::Null },
            ),
            (
                "default_key",
                if ours.default_key {
                    json!(1)
                } else {
                    Json::Null
                },
            ),
            ("minimum", number(ours.min)),
            ("maximum", number(ours.max)),
            ("minLength", json!(ours.min_len)),
            ("maxLength", json!(ours.max_len)),
            ("enum", list(&ours.choices)),
            (
                "pattern",
                json!(ours.pattern.as_ref().map(|pattern| &pattern.text)),
            ),
            ("requires", json!(ours.requires)),
        ] {
            let told = match (fact, &theirs[fact]) {
                ("pattern", Json::String(pattern)) => json!(spelled(pattern)),
                (_, told) => told.clone(),
            };
            self.add(&format!("{name}.{fact}"), &own, &told);
        }
        let told = match ours.kind {
            Kind::Array => &theirs["items"]["format"],
            _ => &theirs["format"],
        };
        let own = match &ours.format {
            Some(Format::Properties(own)) if told.is_object() => {
                return self.sets(&format!("{name}."), set(own), told);
            }
            Some(Format::Properties(own)) => {
                let named = NAMED_SETS.iter().find(|(_, spelled)| spelled == own);
                json!(named.map_or(own.as_str(), |(name, _)| name))
            }
            Some(Format::Named(own)) => json!(own),
            None => Json::Null,
        };
        self.add(&format!("{name}.format"), &own, told);
    }
}

/// A limit as the schema writes it.
fn number(limit: Option<f64>) -> Json {
    limit.map_or(Json::Null, |limit| {
        if limit.fract() == 0.0 {
            json!(format!("{limit}").parse::<i64>().ok())
        } else {
            json!(limit)
        }
    })
}

/// A permission in the words of the schema.
fn allowed(allow: &Allow) -> Json {
    match allow {
        Allow::World => json!({"user": "world"}),
        Allow::Anyone => json!({"user": "all"}),
        other => json!({"check": check(other)}),
    }
}

fn check(allow: &Allow) -> Json {
    match allow {
        Allow::World | Allow::Anyone => json!(["user"]),
        Allow::All(path, privileges) => json!(["perm", path, privileges]),
        Allow::Any(path, [only]) => json!(["perm", path, [only]]),
        Allow::Any(path, privileges) => json!(["perm", path, privileges, "any", 1]),
        Allow::Both(first, second) => json!(["and", check(first), check(second)]),
        Allow::Either(first, second) => {
            let mut words = vec![json!("or"), check(first)];
            match check(second) {
                Json::Array(more) if more[0] == "or" => words.extend(more.into_iter().skip(1)),
                second => words.push(second),
            }
            words.into()
        }
    }
}

/// The permission that the schema tells, if the words of [`Allow`] can say it; the other ones ask the
/// parameters, which the work of the call does here.
fn permission(told: &Json) -> Option<Json> {
    let Some(check) = told.get("check") else {
        return told.get("user").map(|user| json!({ "user": user }));
    };
    simple(check).map(|check| json!({ "check": check }))
}

fn simple(check: &Json) -> Option<Json> {
    let words = check.as_array()?;
    match (words.first()?.as_str()?, words.len()) {
        ("perm", 3) => Some(check.clone()),
        ("perm", 5) if words[3] == "any" => {
            let mut privileges = words[2].as_array()?.clone();
            privileges.dedup();
            let only = json!(["perm", words[1], privileges]);
            Some(if privileges.len() == 1 {
                only
            } else {
                check.clone()
            })
        }
        (word @ ("and" | "or"), _) => {
            let parts: Option<Vec<Json>> = words[1..].iter().map(simple).collect();
            Some([vec![json!(word)], parts?].concat().into())
        }
        _ => None,
    }
}

/// The declaration of one call as the schema tells it, in the notation of the rules. What it leaves to
/// the reader is in `<>`: the ranges of families and the keys of property strings.
pub fn declaration(schema: &Json, call: &str) -> Option<String> {
    let endpoint = schema["endpoints"].get(call)?;
    let properties = endpoint["params"]["properties"].as_object();
    let lines = properties.into_iter().flatten().map(|(name, rule)| {
        let mut line = name.replace("[n]", "#<range>");
        if rule["optional"] == 1 {
            line.push('?');
        }
        line += &format!(" {}", text(&rule["type"]));
        for (fact, notation) in [
            ("format", ""),
            ("minimum", "min="),
            ("maximum", "max="),
            ("requires", "requires="),
        ] {
            match &rule[fact] {
                Json::Null => {}
                Json::Object(keys) => {
                    let keys: Vec<&str> = keys.keys().map(String::as_str).collect();
                    line += &format!(" {{<{}>}}", keys.join(" "));
                }
                value => line += &format!(" {notation}{}", text(value)),
            }
        }
        if !rule["minLength"].is_null() || !rule["maxLength"].is_null() {
            line += &format!(
                " len={}..{}",
                text(&rule["minLength"]),
                text(&rule["maxLength"])
            );
        }
        if let Some(choices) = rule["enum"].as_array() {
            let choices: Vec<String> = choices.iter().map(text).collect();
            line += &format!(" enum={}", choices.join("|"));
        }
        if let Some(pattern) = rule["pattern"].as_str() {
            line += &format!(" pattern={}", spelled(pattern));
        }
        line
    });
    let permission = permission(&endpoint["perm"]).unwrap_or_else(|| endpoint["perm"].clone());
    Some(format!(
        "// {permission}\n{}",
        lines.collect::<Vec<_>>().join("\n")
    ))
}

/// A pattern in the notation, where blanks separate.
fn spelled(pattern: &str) -> String {
    pattern.replace(' ', r"\x20")
}

fn text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of `GET /version` if the schema knows it so.
    #[track_caller]
    fn check(endpoint: &Json, accepted: &str, expected: &[&str]) {
        let schema = json!({"endpoints": {"GET /cluster/nextid": endpoint}});
        let found = differences(&schema).expect("it has endpoints");
        let found = found
            .into_iter()
            .filter(|line| line.starts_with("GET /cluster/nextid"));
        assert_eq!(unaccepted(found.collect(), accepted), expected);
    }

    #[test]
    fn each_fact_that_differs_is_told_once() {
        let vmid = json!({
            "type": "integer", "optional": 1, "format": "pve-vmid", "minimum": 100,
            "maximum": 999_999_999,
        });
        let with = |name: &str, value: Json| {
            let mut vmid = vmid.clone();
            vmid[name] = value;
            json!({"params": {"properties": {"vmid": vmid}}, "perm": {"user": "all"}})
        };
        check(&with("default", json!(1)), "", &[]);
        check(
            &with("minimum", json!(1)),
            "",
            &["GET /cluster/nextid vmid.minimum: 100, 1"],
        );
        check(
            &with("type", json!("string")),
            "# why\n* vmid.type: \"integer\", \"string\"\n",
            &[],
        );
        check(
            &json!({"params": {"properties": {"a[n]": {}}}, "perm": {"user": "world"}}),
            "GET /cluster/nextid *: not declared",
            &[
                "GET /cluster/nextid permission: {\"user\":\"all\"}, {\"user\":\"world\"}",
                "GET /cluster/nextid vmid: declared, unknown to the schema",
            ],
        );
        check(
            &with("default", json!(1)),
            "* vmid.type: 1, 2",
            &["accepted, but it does not occur: * vmid.type: 1, 2"],
        );
    }

    #[test]
    fn a_call_that_the_api_does_not_have_is_told() {
        let found = differences(&json!({"endpoints": {}})).expect("it has endpoints");
        assert!(found.contains(&"GET /version: unknown to the schema".to_owned()));
        assert!(differences(&json!({})).is_err());
    }

    #[test]
    fn a_declaration_reads_as_the_rules_do() {
        let schema = json!({"endpoints": {"PUT /a": {
            "perm": {"check": ["perm", "/", ["Sys.Audit"], "any", 1]},
            "params": {"properties": {
                "size": {"type": "string", "pattern": "[a ]", "maxLength": 9},
                "net[n]": {"type": "string", "optional": 1, "format": "x", "enum": ["a", "b"]},
            }},
        }}});
        assert_eq!(
            declaration(&schema, "PUT /a").expect("it is there"),
            "// {\"check\":[\"perm\",\"/\",[\"Sys.Audit\"]]}\nnet#<range>? string x enum=a|b\nsize string \
             len=..9 pattern=[a\\x20]"
        );
    }
}
