//! Keys below a service's `deploy`.
//!
//! Compose itself acts on few of them; the rest are for Swarm.

use super::Kind::{BytesText, Choice, Duration, Int, List, Number, Text};
use super::service::GPU;
use super::{Kind, LIST_OR_MAP, Object, STRINGS};

pub(super) static DEPLOY: Object = Object {
    keys: &[
        ("endpoint_mode", Text),
        ("labels", LIST_OR_MAP),
        ("mode", Text),
        ("placement", Kind::Object(&PLACEMENT)),
        ("replicas", Int),
        (
            "resources",
            Kind::Object(&Object {
                keys: &[
                    ("limits", Kind::Object(&DEPLOY_LIMITS)),
                    ("reservations", Kind::Object(&RESERVATIONS)),
                ],
                required: &[],
            }),
        ),
        ("restart_policy", Kind::Object(&RESTART_POLICY)),
        ("rollback_config", Kind::Object(&UPDATE)),
        ("update_config", Kind::Object(&UPDATE)),
    ],
    required: &[],
};

static DEPLOY_LIMITS: Object = Object {
    keys: &[("cpus", Number), ("memory", BytesText), ("pids", Int)],
    required: &[],
};

static RESERVATIONS: Object = Object {
    keys: &[
        ("cpus", Number),
        ("devices", List(&Kind::Object(&GPU))),
        (
            "generic_resources",
            List(&Kind::Object(&Object {
                keys: &[(
                    "discrete_resource_spec",
                    Kind::Object(&Object {
                        keys: &[("kind", Text), ("value", Number)],
                        required: &[],
                    }),
                )],
                required: &[],
            })),
        ),
        ("memory", BytesText),
    ],
    required: &[],
};

static RESTART_POLICY: Object = Object {
    keys: &[
        ("condition", Text),
        ("delay", Duration),
        ("max_attempts", Int),
        ("window", Duration),
    ],
    required: &[],
};

static UPDATE: Object = Object {
    keys: &[
        ("delay", Duration),
        ("failure_action", Text),
        ("max_failure_ratio", Number),
        ("monitor", Duration),
        ("order", Choice(&["start-first", "stop-first"])),
        ("parallelism", Int),
    ],
    required: &[],
};

static PLACEMENT: Object = Object {
    keys: &[
        ("constraints", STRINGS),
        ("max_replicas_per_node", Int),
        (
            "preferences",
            List(&Kind::Object(&Object {
                keys: &[("spread", Text)],
                required: &[],
            })),
        ),
    ],
    required: &[],
};
