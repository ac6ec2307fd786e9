//! What is said about single values that are wrong.

use expect_test::expect;

use super::*;

/// What is said about lines below a service `web` that has an image.
fn said(below: &str) -> String {
    let indented = below.replace('\n', "\n    ");
    let text = format!("services:\n  web:\n    image: nginx\n    {indented}\n");
    lines(&parse(&inputs(&text)).expect_err(below))
}

#[test]
fn values_of_the_wrong_type_say_which_is_right() {
    let services = [
        "ports: 80",
        "ports:",
        "user: 1000",
        "restart: false",
        "restart: sometimes",
        "command: {a: b}",
        "command: [sleep, 5]",
        "environment: [A=1, 5]",
        "environment:\n  A: [1]",
        "stop_grace_period: 10",
        "healthcheck: {test: x, interval: 1x}",
        "healthcheck: {test: [curl, x]}",
        "mem_limit: lots",
        "deploy: {resources: {limits: {memory: 50}}}",
        "privileged: maybe",
        "scale: many",
        "scale: -1",
        "container_name: a b",
        "pull_policy: sometimes",
        "depends_on: {web: {condition: service_health}}",
        "volumes: [{type: bind, source: ./a}]",
        "volumes: [{type: bind, target: /a}]",
        "extra_hosts: [db]",
        "ports: [\"99999:80\"]",
        "ports: [{target: 80, host_ip: x}]",
        "volumes: [\":/a\"]",
        "deploy: {replicas: 2}\ncontainer_name: webs",
        "network_mode: host\nnetworks: [default]",
    ];
    expect![[r#"
        compose.yaml:4:12: services.web.ports: must be a list, but a single value is given
        compose.yaml:4:5: services.web.ports: must be a list, but nothing is given
        compose.yaml:4:11: services.web.user: must be text, not `1000`; write it in quotes: "1000"
        compose.yaml:4:14: services.web.restart: must be no, always, unless-stopped, on-failure or on-failure:<times>, not `false`
        compose.yaml:4:14: services.web.restart: must be no, always, unless-stopped, on-failure or on-failure:<times>, not `sometimes`
        compose.yaml:4:14: services.web.command: must be text or a list or nothing, but a map is given
        compose.yaml:4:22: services.web.command[1]: must be text, not `5`; write it in quotes: "5"
        compose.yaml:4:24: services.web.environment[1]: must be text, not `5`; write it in quotes: "5"
        compose.yaml:5:10: services.web.environment.A: must be a single value or nothing, but a list is given
        compose.yaml:4:24: services.web.stop_grace_period: must be a duration, not `10`; write 10s for seconds
        compose.yaml:4:38: services.web.healthcheck.interval: must be a duration, not `1x`; write it like 90s, 1m30s or 2h
        compose.yaml:4:26: services.web.healthcheck.test: a list must begin with CMD, CMD-SHELL or NONE
        compose.yaml:4:16: services.web.mem_limit: must be a size, not `lots`; write it like 512m or 2g
        compose.yaml:4:43: services.web.deploy.resources.limits.memory: must be text, not `50`; write 50b for bytes
        compose.yaml:4:17: services.web.privileged: must be true or false, not `maybe`
        compose.yaml:4:12: services.web.scale: must be a whole number, not `many`
        compose.yaml:4:12: services.web: the number of containers must be 0 or more
        compose.yaml:4:21: services.web.container_name: must be a letter or digit and then letters, digits or `_.-`, not `a b`
        compose.yaml:4:18: services.web.pull_policy: must be always, never, missing, build, daily, weekly or every_<duration>, not `sometimes`
        compose.yaml:4:35: services.web.depends_on.web.condition: must be one of service_started, service_healthy, service_completed_successfully, not `service_health`; did you mean "service_healthy"?
        compose.yaml:4:15: services.web.volumes[0]: needs a key "target"
        compose.yaml:4:15: services.web.volumes: a bind needs a "source"
        compose.yaml:4:19: services.web.extra_hosts[0]: must be a name and its address, such as db:10.0.0.5, not `db`
        compose.yaml:4:13: services.web.ports: "99999:80": `99999` is no port from 1 to 65535
        compose.yaml:4:13: services.web.ports: `x` is no IP address
        compose.yaml:4:15: services.web.volumes: ":/a": a part between colons is empty
        compose.yaml:5:21: services.web.container_name: 2 containers cannot share one name
        compose.yaml:5:5: services.web.networks: cannot stand beside network_mode "host"
    "#]].assert_eq(&services.map(said).concat());
}
