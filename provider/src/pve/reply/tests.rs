//! Answers as PVE gives them, and what they mean.

use expect_test::{Expect, expect};

use super::{super::Params, *};

/// What the answer means to a write on the agent's path, which knows all cases.
#[track_caller]
fn check(status: u16, reason: &str, body: &str, expected: &Expect) {
    let call = Call::post("/nodes/pve1/qemu/100/agent/exec", Params::new());
    let reply = Reply {
        status,
        reason: (!reason.is_empty()).then(|| reason.to_owned()),
        body: body.into(),
    };
    let error = reply.data(&call).unwrap_err();
    expected.assert_eq(&format!("{error:?}"));
}

#[test]
fn the_message_is_looked_for_in_three_places() {
    check(
        500,
        "reason",
        r#"{"data":null,"message":"message\n"}"#,
        &expect![[r#"Rejected { status: 500, message: "message", params: {} }"#]],
    );
    check(
        500,
        "reason",
        r#"{"data":null}"#,
        &expect![[r#"Rejected { status: 500, message: "reason", params: {} }"#]],
    );
    check(
        501,
        "",
        "chunked transfer encoding not supported",
        &expect![[
            r#"Rejected { status: 501, message: "chunked transfer encoding not supported", params: {} }"#
        ]],
    );
    check(
        502,
        "",
        "",
        &expect![[r#"Rejected { status: 502, message: "status 502", params: {} }"#]],
    );
}

#[test]
fn missing_permissions_are_named() {
    check(
        403,
        "Permission check failed (/vms/130, VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted)",
        "",
        &expect![[
            r#"Forbidden { permission: Some(Permission { path: "/vms/130", privileges: ["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"] }), message: "Permission check failed (/vms/130, VM.GuestAgent.Audit|VM.GuestAgent.Unrestricted)" }"#
        ]],
    );
    check(
        403,
        "Permission check failed (/, Sys.Modify for modifying tag 'x')",
        "",
        &expect![[
            r#"Forbidden { permission: Some(Permission { path: "/", privileges: ["Sys.Modify"] }), message: "Permission check failed (/, Sys.Modify for modifying tag 'x')" }"#
        ]],
    );
    for other in [
        "Permission check failed",
        "Permission check failed (user != root@pam)",
        "Permission check failed (pool 'x' does not exist)",
        "Permission check failed (changing feature flags (except nesting) is only allowed for root@pam)",
    ] {
        assert_eq!(Permission::parse(other), None, "{other}");
    }
}

#[test]
fn refused_parameters_are_named() {
    let body = r#"{"data":null,"message":"Parameter verification failed.\n","errors":{"name":"invalid format - value does not look like a valid DNS name\n","cores":"value must have a minimum value of 1"}}"#;
    check(
        400,
        "Parameter verification failed.",
        body,
        &expect![[
            r#"Rejected { status: 400, message: "Parameter verification failed.", params: {"cores": "value must have a minimum value of 1", "name": "invalid format - value does not look like a valid DNS name"} }"#
        ]],
    );
}

#[test]
fn only_some_texts_mean_gone() {
    for (status, reason, gone) in [
        (
            500,
            "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist",
            true,
        ),
        (
            500,
            "Configuration file 'nodes/pve1/lxc/100.conf' does not exist",
            true,
        ),
        (
            500,
            "unable to find configuration file for VM 100 on node 'pve1'",
            true,
        ),
        (
            500,
            "volume_size_info on 'local:iso/nosuch.iso' failed - no format",
            true,
        ),
        (
            400,
            "Configuration file 'nodes/pve1/qemu-server/100.conf' does not exist",
            false,
        ),
        (500, "storage 'nosuch' does not exist", false),
        (
            500,
            "hostname lookup 'nosuch' failed - failed to get address info for: nosuch: Name or service not known",
            false,
        ),
        (403, "Permission check failed (/vms/100, VM.Audit)", false),
    ] {
        let reply = Reply {
            status,
            reason: Some(reason.to_owned()),
            body: Vec::new(),
        };
        let error = reply.data(&Call::get("/x", Params::new())).unwrap_err();
        assert_eq!(error.is_gone(), gone, "{error:?}");
    }
    let body = r#"{"data":null,"errors":{"iface":"interface does not exist"}}"#;
    check(
        400,
        "Parameter verification failed.",
        body,
        &expect![[r#"Gone("interface does not exist")"#]],
    );
}

#[test]
fn the_agent_has_its_own_errors() {
    check(
        500,
        "No QEMU guest agent configured",
        "",
        &expect!["AgentNotConfigured"],
    );
    check(
        500,
        "QEMU guest agent is not running",
        "",
        &expect!["AgentSilent"],
    );
    check(
        500,
        "VM 100 qga command 'guest-ping' failed - got timeout",
        "",
        &expect!["AgentSilent"],
    );
    check(
        500,
        "VM 100 qga command 'guest-exec' failed - got timeout",
        "",
        &expect![[
            r#"OutcomeUnknown { call: "POST /nodes/pve1/qemu/100/agent/exec", source: "VM 100 qga command 'guest-exec' failed - got timeout" }"#
        ]],
    );
    check(
        500,
        "VM 100 is not running",
        "",
        &expect![[r#"Rejected { status: 500, message: "VM 100 is not running", params: {} }"#]],
    );
}

#[test]
fn the_proxy_tells_what_became_of_the_call() {
    check(
        595,
        "No route to host",
        "",
        &expect![[r#"Unreachable { host: "node pve1", source: "No route to host" }"#]],
    );
    check(
        596,
        "Connection timed out",
        "",
        &expect![[
            r#"OutcomeUnknown { call: "POST /nodes/pve1/qemu/100/agent/exec", source: "Connection timed out" }"#
        ]],
    );
}

#[test]
fn only_locks_taken_first_are_worth_repeating() {
    for (message, locked) in [
        (
            "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout",
            true,
        ),
        (
            "can't lock file '/etc/network/.pve-interfaces.lock' - got timeout",
            true,
        ),
        (
            "cfs-lock 'file-user_cfg' error: got lock request timeout",
            true,
        ),
        (
            "create pool failed: cfs-lock 'file-user_cfg' error: got lock request timeout",
            true,
        ),
        (
            "clone failed: cfs-lock 'storage-x' error: got lock request timeout",
            false,
        ),
        ("VM is locked (clone)", true),
        ("CT is locked (backup)", true),
        ("VM is locked (suspended)", false),
        (
            "unable to create VM 100 - can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout",
            false,
        ),
        ("cfs-lock 'file-user_cfg' error: no quorum!", false),
    ] {
        let reply = Reply {
            status: 500,
            reason: Some(message.to_owned()),
            body: Vec::new(),
        };
        let error = reply.data(&Call::post("/x", Params::new())).unwrap_err();
        assert_eq!(error.is_locked(), locked, "{error:?}");
    }
}
