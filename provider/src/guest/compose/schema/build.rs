//! Keys below a service's `build`.
//!
//! Whether the context is there is for `check`.

use super::Kind::{Bool, Bytes, Scalar, Text};
use super::service::{EXTRA_HOSTS, MOUNTED, ULIMITS};
use super::{LIST_OR_MAP, Object, STRING_OR_LIST, STRINGS};

pub(super) static BUILD: Object = Object {
    keys: &[
        ("additional_contexts", LIST_OR_MAP),
        ("args", LIST_OR_MAP),
        ("cache_from", STRINGS),
        ("cache_to", STRINGS),
        ("context", Text),
        ("dockerfile", Text),
        ("dockerfile_inline", Text),
        ("entitlements", STRINGS),
        ("extra_hosts", EXTRA_HOSTS),
        ("isolation", Text),
        ("labels", LIST_OR_MAP),
        ("network", Text),
        ("no_cache", Bool),
        ("no_cache_filter", STRING_OR_LIST),
        ("platforms", STRINGS),
        ("privileged", Bool),
        ("provenance", Scalar),
        ("pull", Bool),
        ("sbom", Scalar),
        ("secrets", MOUNTED),
        ("shm_size", Bytes),
        ("ssh", LIST_OR_MAP),
        ("tags", STRINGS),
        ("target", Text),
        ("ulimits", ULIMITS),
    ],
    required: &[],
};
