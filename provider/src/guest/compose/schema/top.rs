//! Keys of a Compose text outside its services.
//!
//! Union of what Compose 2.26 to 5.5 take.

use super::super::yaml::{Entry, Value};
use super::Kind::{Any, Bool, Either, Int, List, Map, Named, Null, Text};
use super::service::SERVICE;
use super::{Kind, LIST_OR_MAP, OPTIONS, Object, STRING_OR_LIST, STRINGS};

const EXTERNAL: Kind = Either(&[
    Bool,
    Kind::Object(&Object {
        keys: &[("name", Text)],
        required: &[],
    }),
]);

pub(super) static TOP: Object = Object {
    keys: &[
        ("configs", Named(&Kind::Object(&CONFIG))),
        ("include", List(&Either(&[Text, Kind::Object(&INCLUDE)]))),
        // Run by schedule, not by `up`; only newer releases know them.
        ("jobs", Map(&Any)),
        ("models", Named(&Kind::Object(&MODEL))),
        ("name", Text),
        ("networks", Named(&Either(&[Kind::Object(&NETWORK), Null]))),
        ("secrets", Named(&Either(&[Kind::Object(&SECRET), Null]))),
        ("services", Named(&Kind::Object(&SERVICE))),
        ("version", Kind::Scalar),
        ("volumes", Named(&Either(&[Kind::Object(&VOLUME), Null]))),
    ],
    required: &[],
};

/// Where an unknown key at the top more likely belongs.
pub(super) fn misplaced(entry: &Entry) -> Option<String> {
    if SERVICE.keys.iter().any(|(key, _)| *key == entry.key) {
        Some(format!(
            "\"{}\" belongs into a service; is it indented far enough?",
            entry.key
        ))
    } else if matches!(entry.node.value, Value::Map(_)) && entry.node.get("image").is_some() {
        Some("services stand below \"services\"; is it indented far enough?".into())
    } else {
        None
    }
}

static CONFIG: Object = Object {
    keys: &[
        ("content", Text),
        ("environment", Text),
        ("external", EXTERNAL),
        ("file", Text),
        ("labels", LIST_OR_MAP),
        ("name", Text),
        ("template_driver", Text),
    ],
    required: &[],
};

static SECRET: Object = Object {
    keys: &[
        ("driver", Text),
        ("driver_opts", OPTIONS),
        ("environment", Text),
        ("external", EXTERNAL),
        ("file", Text),
        ("labels", LIST_OR_MAP),
        ("name", Text),
        ("template_driver", Text),
    ],
    required: &[],
};

static INCLUDE: Object = Object {
    keys: &[
        ("env_file", STRING_OR_LIST),
        ("path", STRING_OR_LIST),
        ("project_directory", Text),
    ],
    required: &["path"],
};

static MODEL: Object = Object {
    keys: &[
        ("context_size", Int),
        ("model", Text),
        ("name", Text),
        ("runtime_flags", STRINGS),
    ],
    required: &["model"],
};

static NETWORK: Object = Object {
    keys: &[
        ("attachable", Bool),
        ("driver", Text),
        ("driver_opts", OPTIONS),
        ("enable_ipv4", Bool),
        ("enable_ipv6", Bool),
        ("external", EXTERNAL),
        ("internal", Bool),
        ("ipam", Kind::Object(&IPAM)),
        ("labels", LIST_OR_MAP),
        ("name", Text),
    ],
    required: &[],
};

static IPAM: Object = Object {
    keys: &[
        (
            "config",
            List(&Kind::Object(&Object {
                keys: &[
                    ("aux_addresses", Map(&Text)),
                    ("gateway", Text),
                    ("ip_range", Text),
                    ("subnet", Text),
                ],
                required: &[],
            })),
        ),
        ("driver", Text),
        ("options", Map(&Text)),
    ],
    required: &[],
};

static VOLUME: Object = Object {
    keys: &[
        ("driver", Text),
        ("driver_opts", OPTIONS),
        ("external", EXTERNAL),
        ("labels", LIST_OR_MAP),
        ("name", Text),
    ],
    required: &[],
};
