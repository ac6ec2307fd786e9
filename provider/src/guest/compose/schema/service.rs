//! Keys of a service and of what stands inside one.
//!
//! Union of what Compose 2.26 to 5.5 take; whether the host's Compose knows a newer key is for Compose to say.

use super::super::short;
use super::Kind::{
    Any, Bool, Bytes, Choice, Duration, Either, Int, List, Map, Named, Null, Number, Rule, Scalar,
    Text, TextOrNumber,
};
use super::build::BUILD;
use super::deploy::DEPLOY;
use super::{COMMAND, Kind, LIST_OR_MAP, OPTIONS, Object, STRING_OR_LIST, STRINGS};

pub(super) const MOUNTED: Kind = List(&Either(&[Text, Kind::Object(&MOUNTED_LONG)]));
const HOST: Kind = Rule(
    short::is_host,
    "a name and its address, such as db:10.0.0.5",
);
pub(super) const EXTRA_HOSTS: Kind = Either(&[Map(&STRING_OR_LIST), List(&HOST)]);
pub(super) const ULIMITS: Kind = Map(&Either(&[Int, Kind::Object(&ULIMIT)]));
const HOOKS: Kind = List(&Kind::Object(&HOOK));
const LIMITS: Kind = List(&Kind::Object(&Object {
    keys: &[("path", Text), ("rate", Bytes)],
    required: &[],
}));

pub(super) static SERVICE: Object = Object {
    keys: &[
        ("annotations", LIST_OR_MAP),
        ("attach", Bool),
        ("blkio_config", Kind::Object(&BLKIO)),
        ("build", Either(&[Text, Kind::Object(&BUILD)])),
        ("cap_add", STRINGS),
        ("cap_drop", STRINGS),
        ("cgroup", Choice(&["host", "private"])),
        ("cgroup_parent", Text),
        ("command", COMMAND),
        ("configs", MOUNTED),
        (
            "container_name",
            Rule(
                short::is_container_name,
                "a letter or digit and then letters, digits or `_.-`",
            ),
        ),
        ("cpu_count", Int),
        ("cpu_percent", Number),
        ("cpu_period", Number),
        ("cpu_quota", Number),
        ("cpu_rt_period", TextOrNumber),
        ("cpu_rt_runtime", TextOrNumber),
        ("cpu_shares", Number),
        ("cpus", Number),
        ("cpuset", Text),
        ("credential_spec", Kind::Object(&CREDENTIAL_SPEC)),
        (
            "depends_on",
            Either(&[STRINGS, Named(&Kind::Object(&DEPENDENCY))]),
        ),
        ("deploy", Either(&[Kind::Object(&DEPLOY), Null])),
        ("develop", Either(&[Kind::Object(&DEVELOP), Null])),
        ("device_cgroup_rules", STRINGS),
        ("devices", List(&Either(&[Text, Kind::Object(&DEVICE)]))),
        ("dns", STRING_OR_LIST),
        ("dns_opt", STRINGS),
        ("dns_search", STRING_OR_LIST),
        ("domainname", Text),
        ("entrypoint", COMMAND),
        (
            "env_file",
            Either(&[Text, List(&Either(&[Text, Kind::Object(&ENV_FILE)]))]),
        ),
        ("environment", LIST_OR_MAP),
        ("expose", List(&TextOrNumber)),
        ("extends", Either(&[Text, Kind::Object(&EXTENDS)])),
        ("external_links", STRINGS),
        ("extra_hosts", EXTRA_HOSTS),
        (
            "gpus",
            Either(&[Choice(&["all"]), List(&Kind::Object(&GPU))]),
        ),
        ("group_add", List(&TextOrNumber)),
        ("healthcheck", Kind::Object(&HEALTHCHECK)),
        ("hostname", Text),
        ("image", Text),
        ("init", Bool),
        ("ipc", Text),
        ("isolation", Text),
        ("label_file", STRING_OR_LIST),
        ("labels", LIST_OR_MAP),
        ("links", STRINGS),
        ("logging", Kind::Object(&LOGGING)),
        ("mac_address", Text),
        ("mem_limit", Bytes),
        ("mem_reservation", Bytes),
        ("mem_swappiness", Int),
        ("memswap_limit", Bytes),
        (
            "models",
            Either(&[STRINGS, Named(&Either(&[Kind::Object(&MODEL_USE), Null]))]),
        ),
        ("network_mode", Text),
        (
            "networks",
            Either(&[STRINGS, Named(&Either(&[Kind::Object(&NETWORK_USE), Null]))]),
        ),
        ("oom_kill_disable", Bool),
        ("oom_score_adj", Int),
        ("pid", Either(&[Text, Null])),
        ("pids_limit", Number),
        ("platform", Text),
        ("ports", List(&Either(&[TextOrNumber, Kind::Object(&PORT)]))),
        ("post_start", HOOKS),
        ("pre_start", List(&Any)),
        ("pre_stop", HOOKS),
        ("privileged", Bool),
        ("profiles", STRINGS),
        ("provider", Kind::Object(&PROVIDER)),
        (
            "pull_policy",
            Rule(
                short::is_pull_policy,
                "always, never, missing, build, daily, weekly or every_<duration>",
            ),
        ),
        ("pull_refresh_after", Text),
        ("read_only", Bool),
        (
            "restart",
            Rule(
                short::is_restart,
                "no, always, unless-stopped, on-failure or on-failure:<times>",
            ),
        ),
        ("runtime", Text),
        ("scale", Int),
        ("secrets", MOUNTED),
        ("security_opt", STRINGS),
        ("shm_size", Bytes),
        ("stdin_open", Bool),
        ("stop_grace_period", Duration),
        ("stop_signal", Text),
        ("storage_opt", Map(&Kind::Scalar)),
        ("sysctls", LIST_OR_MAP),
        ("tmpfs", STRING_OR_LIST),
        ("tty", Bool),
        ("ulimits", ULIMITS),
        ("umask", Either(&[TextOrNumber, Null])),
        ("use_api_socket", Bool),
        ("user", Text),
        ("userns_mode", Text),
        ("uts", Text),
        ("volumes", List(&Either(&[Text, Kind::Object(&MOUNT)]))),
        ("volumes_from", STRINGS),
        ("working_dir", Text),
    ],
    required: &[],
};

static BLKIO: Object = Object {
    keys: &[
        ("device_read_bps", LIMITS),
        ("device_read_iops", LIMITS),
        ("device_write_bps", LIMITS),
        ("device_write_iops", LIMITS),
        ("weight", Int),
        (
            "weight_device",
            List(&Kind::Object(&Object {
                keys: &[("path", Text), ("weight", Int)],
                required: &[],
            })),
        ),
    ],
    required: &[],
};

static CREDENTIAL_SPEC: Object = Object {
    keys: &[("config", Text), ("file", Text), ("registry", Text)],
    required: &[],
};

static DEPENDENCY: Object = Object {
    keys: &[
        (
            "condition",
            Choice(&[
                "service_started",
                "service_healthy",
                "service_completed_successfully",
            ]),
        ),
        ("required", Bool),
        ("restart", Bool),
    ],
    required: &["condition"],
};

static DEVICE: Object = Object {
    keys: &[("source", Text), ("target", Text), ("permissions", Text)],
    required: &["source"],
};

static ENV_FILE: Object = Object {
    keys: &[("path", Text), ("format", Text), ("required", Bool)],
    required: &["path"],
};

static EXTENDS: Object = Object {
    keys: &[("service", Text), ("file", Text)],
    required: &["service"],
};

pub(super) static GPU: Object = Object {
    keys: &[
        ("capabilities", STRINGS),
        ("count", TextOrNumber),
        ("device_ids", STRINGS),
        ("driver", Text),
        ("options", LIST_OR_MAP),
    ],
    required: &[],
};

static HEALTHCHECK: Object = Object {
    keys: &[
        ("disable", Bool),
        ("interval", Duration),
        ("retries", Number),
        ("start_interval", Duration),
        ("start_period", Duration),
        ("test", STRING_OR_LIST),
        ("timeout", Duration),
    ],
    required: &[],
};

static HOOK: Object = Object {
    keys: &[
        ("command", COMMAND),
        ("environment", LIST_OR_MAP),
        ("privileged", Bool),
        ("user", Text),
        ("working_dir", Text),
    ],
    required: &["command"],
};

static LOGGING: Object = Object {
    keys: &[
        ("driver", Text),
        ("options", Map(&Either(&[TextOrNumber, Null]))),
    ],
    required: &[],
};

static MODEL_USE: Object = Object {
    keys: &[("endpoint_var", Text), ("model_var", Text)],
    required: &[],
};

static MOUNTED_LONG: Object = Object {
    keys: &[
        ("source", Text),
        ("target", Text),
        ("uid", Text),
        ("gid", Text),
        ("mode", Int),
    ],
    required: &["source"],
};

static MOUNT: Object = Object {
    keys: &[
        (
            "bind",
            Kind::Object(&Object {
                keys: &[
                    ("create_host_path", Bool),
                    ("propagation", Text),
                    (
                        "recursive",
                        Choice(&["enabled", "disabled", "writable", "readonly"]),
                    ),
                    ("selinux", Choice(&["z", "Z"])),
                ],
                required: &[],
            }),
        ),
        ("consistency", Text),
        (
            "image",
            Kind::Object(&Object {
                keys: &[("subpath", Text)],
                required: &[],
            }),
        ),
        ("read_only", Bool),
        ("source", Text),
        ("target", Text),
        (
            "tmpfs",
            Kind::Object(&Object {
                keys: &[("size", Bytes), ("mode", Int)],
                required: &[],
            }),
        ),
        (
            "type",
            Choice(&["bind", "volume", "tmpfs", "cluster", "npipe", "image"]),
        ),
        (
            "volume",
            Kind::Object(&Object {
                keys: &[("labels", LIST_OR_MAP), ("nocopy", Bool), ("subpath", Text)],
                required: &[],
            }),
        ),
    ],
    required: &["type", "target"],
};

static NETWORK_USE: Object = Object {
    keys: &[
        ("aliases", STRINGS),
        ("driver_opts", OPTIONS),
        ("gw_priority", Number),
        ("interface_name", Text),
        ("ipv4_address", Text),
        ("ipv6_address", Text),
        ("link_local_ips", STRINGS),
        ("mac_address", Text),
        ("priority", Number),
        ("use_service_name_alias", Bool),
    ],
    required: &[],
};

static PORT: Object = Object {
    keys: &[
        ("app_protocol", Text),
        ("host_ip", Text),
        ("mode", Choice(&["host", "ingress"])),
        ("name", Text),
        ("protocol", Choice(&["tcp", "udp", "sctp"])),
        ("published", TextOrNumber),
        ("target", Int),
    ],
    required: &["target"],
};

static PROVIDER: Object = Object {
    keys: &[
        ("type", Text),
        ("options", Map(&Either(&[Scalar, List(&Scalar)]))),
    ],
    required: &["type"],
};

static ULIMIT: Object = Object {
    keys: &[("hard", Int), ("soft", Int)],
    // Both are needed once what the service extends is laid under it.
    required: &[],
};

static DEVELOP: Object = Object {
    keys: &[("watch", List(&Kind::Object(&WATCH)))],
    required: &[],
};

static WATCH: Object = Object {
    keys: &[
        (
            "action",
            Choice(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"]),
        ),
        ("exec", Kind::Object(&HOOK)),
        ("ignore", STRING_OR_LIST),
        ("include", STRING_OR_LIST),
        ("initial_sync", Bool),
        ("path", Text),
        ("target", Text),
    ],
    required: &["path", "action"],
};
