//! What is said about texts that are wrong.

use expect_test::{Expect, expect};

use super::*;

#[track_caller]
fn check_inputs(inputs: &Inputs<'_>, want: &Expect) {
    let said = match parse(inputs) {
        Ok(project) => format!("warnings:\n{}", lines(&project.warnings)),
        Err(faults) => lines(&faults),
    };
    want.assert_eq(&said);
}

#[track_caller]
fn check(text: &str, want: &Expect) {
    check_inputs(&inputs(text), want);
}

#[test]
fn unknown_keys_are_named_with_place_and_neighbour() {
    check(
        "services:\n  web:\n    imge: nginx\n    x-mine: 1\n  db:\n    image: postgres\n    enviroment: {A: b}\n    healthcheck:\n      test: [CMD, x]\n      start-period: 5s\n    deploy:\n      resources: {limits: {cpu: 1}}\nvolume:\n  data:\nports: [80]\nwhoami:\n  image: x\n",
        &expect![[r#"
            compose.yaml:3:5: services.web: unknown key "imge"; did you mean "image"?
            compose.yaml:7:5: services.db: unknown key "enviroment"; did you mean "environment"?
            compose.yaml:10:7: services.db.healthcheck: unknown key "start-period"; did you mean "start_period"?
            compose.yaml:12:28: services.db.deploy.resources.limits: unknown key "cpu"; did you mean "cpus"?
            compose.yaml:13:1: unknown key "volume"; did you mean "volumes"?
            compose.yaml:15:1: unknown key "ports"; "ports" belongs into a service; is it indented far enough?
            compose.yaml:16:1: unknown key "whoami"; services stand below "services"; is it indented far enough?
        "#]],
    );
}

#[test]
fn names_that_are_not_declared_are_faults() {
    check(
        "services:\n  web:\n    image: x\n    depends_on: [databse]\n    networks: [back]\n    volumes: [\"daat:/d\", \"{type: volume, source: v, target: /x}\"]\n    secrets: [key]\n    configs: [{source: conf}]\n    links: [\"cache:c\"]\n  database:\n    image: y\n    network_mode: service:gone\n    volumes:\n      - {type: volume, source: other, target: /x}\nvolumes:\n  data:\n",
        &expect![[r#"
            compose.yaml:4:18: services.web.depends_on: there is no service "databse"; did you mean "database"?
            compose.yaml:5:16: services.web.networks: "back" is not declared; declare it under the top-level key "networks"
            compose.yaml:6:15: services.web.volumes: "daat" is not declared; did you mean "data"?
            compose.yaml:6:26: services.web.volumes: "{type: volume, source: v, target: /x}": it has too many colons
            compose.yaml:7:15: services.web.secrets: "key" is not declared; declare it under the top-level key "secrets"
            compose.yaml:8:15: services.web.configs: "conf" is not declared; declare it under the top-level key "configs"
            compose.yaml:9:13: services.web.links: there is no service "cache"
            compose.yaml:12:19: services.database.network_mode: there is no service "gone"
            compose.yaml:14:9: services.database.volumes: "other" is not declared; declare it under the top-level key "volumes"
        "#]],
    );
}

#[test]
fn ports_published_twice_name_both_lines() {
    check(
        "services:\n  web:\n    image: x\n    ports:\n      - 8080:80\n      - 53:53/udp\n  proxy:\n    image: y\n    ports:\n      - 53:53\n      - {target: 8080, published: 8080}\n  host:\n    image: z\n    network_mode: host\n    ports: [\"8080:1\"]\n  local:\n    image: z\n    ports: [\"127.0.0.1:8080:1\"]\n",
        &expect![[r#"
            compose.yaml:5:9: services.web.ports[0]: port 8080:80/tcp is already published by service "local" in compose.yaml:18
            compose.yaml:11:9: services.proxy.ports[1]: port 8080:8080/tcp is already published by service "local" in compose.yaml:18
        "#]],
    );
}

#[test]
fn files_that_are_not_shipped_are_faults() {
    let text = "services:\n  web:\n    image: x\n    env_file: [web.env, .env, /etc/host.env, {path: maybe.env, required: false}]\n    build: ./web\n    secrets: [a, b, c, d]\n    configs: [e, f]\n  api:\n    build: {context: api, dockerfile: Dockerfile.prod}\n  git:\n    build: https://example.com/repo.git\nsecrets:\n  a: {file: ./a.txt}\n  b: {environment: B}\n  c:\n  d: {file: x, environment: y}\nconfigs:\n  e: {file: e.conf}\n  f: {content: ok}\n";
    let mut given = inputs(text);
    given.files = files(&[("api/main.rs", "")]);
    check_inputs(
        &given,
        &expect![[r#"
        compose.yaml:4:16: services.web.env_file: file "web.env" is not shipped beside the text; add it to `files`, or set `required: false`
        compose.yaml:4:25: services.web.env_file: file ".env" is not shipped beside the text; set `env`
        compose.yaml:5:12: services.web.build: build context "./web" is not shipped beside the text; add its files to `files`
        compose.yaml:9:22: services.api.build: "api/Dockerfile.prod" is not shipped beside the text; add it to `files`
        compose.yaml:13:3: secrets.a: file "a.txt" is not shipped beside the text; add it to `files`
        compose.yaml:14:3: secrets.b: variable "B" is not set; set it in `env`
        compose.yaml:15:3: secrets.c: has no source; set it in `secrets_wo`, or name a "file"
        compose.yaml:16:3: secrets.d: file "x" is not shipped beside the text; add it to `files`
        compose.yaml:16:16: secrets.d: has both "file" and "environment"
        compose.yaml:18:3: configs.e: file "e.conf" is not shipped beside the text; add it to `files`
    "#]],
    );
    given.files = files(&[
        ("api/Dockerfile.prod", ""),
        ("web.env", "A=1\n"),
        ("web/Dockerfile", ""),
        ("e.conf", ""),
    ]);
    given.secrets = Some(["a", "c", "d"].map(String::from).into());
    given.env = pairs(&[("B", "b")]);
    check_inputs(
        &given,
        &expect![[r#"
        compose.yaml:16:16: secrets.d: has both "file" and "environment"
    "#]],
    );
}

#[test]
fn extends_and_include_need_their_files() {
    check(
        "include:\n  - other.yaml\n  - path: [a.yaml]\nservices:\n  web:\n    extends: {file: base.yaml, service: web}\n  a:\n    extends: b\n  b:\n    extends: {service: a}\n  c:\n    extends: nobody\n",
        &expect![[r#"
            compose.yaml:2:5: include[0]: includes "other.yaml", which is not shipped beside the text; add it to `files`
            compose.yaml:3:5: include[1]: includes "a.yaml", which is not shipped beside the text; add it to `files`
            compose.yaml:6:21: services.web.extends: extends "base.yaml", which is not shipped beside the text; add it to `files`
            compose.yaml:8:14: services.a.extends: the services extend each other in a circle
            compose.yaml:10:14: services.b.extends: the services extend each other in a circle
            compose.yaml:12:14: services.c.extends: extends "nobody", which is no service there
        "#]],
    );
}

#[test]
fn bridges_of_the_node_are_no_parents() {
    check(
        "services:\n  web: {image: x, networks: [lan, lan2, br]}\nnetworks:\n  lan:\n    driver: macvlan\n    driver_opts: {parent: vmbr0}\n  lan2:\n    driver: ipvlan\n    driver_opts:\n      parent: vmbr1.20\n  br:\n    driver: macvlan\n    driver_opts: {parent: eth0}\n",
        &expect![[r#"
            compose.yaml:6:27: networks.lan.driver_opts.parent: "vmbr0" is a bridge of the node, which the guest does not have; name the guest's own interface, such as eth0 or ens18
            compose.yaml:10:15: networks.lan2.driver_opts.parent: "vmbr1.20" is a bridge of the node, which the guest does not have; name the guest's own interface, such as eth0 or ens18
        "#]],
    );
}

#[test]
fn variables_are_checked() {
    check(
        "services:\n  web:\n    image: nginx:${TAG:?which one}\n    command: echo ${ x }\n",
        &expect![[r#"
            compose.yaml:3:12: services.web.image: variable TAG needs a value: which one; set `TAG` in `env`
            compose.yaml:4:14: services.web.command: `echo ${ x }` is no valid variable; a `$` that is meant as such is written `$$`
        "#]],
    );
    check(
        "services:\n  web:\n    image: nginx:${TAG}\n    labels: [\"a=$$5 $COMPOSE_PROJECT_NAME\"]\n",
        &expect![[r#"
        warnings:
        compose.yaml:3:12: services.web.image: variable "TAG" is not set and taken as empty
    "#]],
    );
}

#[test]
fn the_whole_must_fit_the_stack() {
    check(
        "name: other\nversion: \"3.8\"\nservices:\n  web: {image: x}\n",
        &expect![[r#"
        compose.yaml:1:7: name: is not the stack's name; write demo, or leave it out
    "#]],
    );
    check(
        "name: demo\nversion: \"3.8\"\nservices:\n  web: {image: x}\n",
        &expect![[r#"
        warnings:
        compose.yaml:2:1: version: has no meaning any more; remove it
    "#]],
    );
    check(
        "services: {}\n",
        &expect![[r#"
        compose.yaml:1:1: the text has no services
    "#]],
    );
    check(
        "- a\n",
        &expect![[r#"
        compose.yaml:1:1: must be a map, but a list is given
    "#]],
    );
    check(
        "services:\n  web:\n    restart: always\n",
        &expect![[r#"
        compose.yaml:3:5: services.web: needs "image" or "build"
    "#]],
    );
    let mut given = inputs("services:\n  web: {image: x}\n  tool: {image: y, profiles: [tools]}\n");
    given.profiles = ["tools", "nope"].map(String::from).into();
    check_inputs(
        &given,
        &expect![[r#"
        compose.yaml:1:1: no service has the profile "nope"
    "#]],
    );
}

#[test]
fn services_may_not_wait_in_a_circle_or_for_unused_profiles() {
    check(
        "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: {c: {condition: service_started}}}\n  c: {image: x, network_mode: \"service:a\"}\n",
        &expect![[r#"
            compose.yaml:2:17: services.a.depends_on: services wait for each other: a → b → c → a
        "#]],
    );
    check(
        "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, profiles: [p]}\n  c: {image: x, depends_on: {b: {condition: service_started, required: false}}}\n",
        &expect![[r#"
            compose.yaml:2:30: services.a.depends_on: service "b" is in no profile that the stack uses
        "#]],
    );
}

#[test]
fn what_compose_tolerates_is_warned_of() {
    check(
        "services:\n  web:\n    image: x\n    volumes: [\"v:/data\"]\n    ports: [\"80:80\"]\n    deploy: {replicas: 2}\nvolumes:\n  v:\n",
        &expect![[r#"
            warnings:
            compose.yaml:4:15: services.web.volumes: Compose takes a one-letter volume for a Windows drive; give the volume a longer name, or use the long form
            compose.yaml:5:13: services.web.ports[0]: 2 containers cannot all publish 80:80/tcp; leave the host's port out, or give a range
        "#]],
    );
}

#[test]
fn external_things_are_not_described() {
    check(
        "services:\n  web: {image: x, networks: [n], volumes: [\"data:/d\"]}\nnetworks:\n  n: {external: true, driver: bridge}\nvolumes:\n  data: {external: true, name: real}\n",
        &expect![[r#"
            compose.yaml:4:23: networks.n: is external, so "driver" has no effect; remove one of both
        "#]],
    );
}

#[test]
fn faults_in_env_files_name_their_place() {
    let mut given = inputs("services:\n  web: {image: x, env_file: a.env}\n");
    given.files = files(&[("a.env", "A=1\nB='x\n")]);
    check_inputs(
        &given,
        &expect![[r#"
        a.env:2:3: env file of services.web: this value has no closing '
    "#]],
    );
}

#[test]
fn service_names_need_no_valid_text() {
    let names = |text| {
        service_names(Source {
            name: "c.yaml",
            text,
        })
        .map_err(|faults| lines(&faults))
    };
    assert_eq!(
        names("services:\n  b: {imge: \"${X}\"}\n  a:\n"),
        Ok(vec!["a".to_owned(), "b".to_owned()])
    );
    expect![[r#"
        c.yaml:1:1: the text has no map "services"
    "#]]
    .assert_eq(&names("service: {}\n").expect_err("no services"));
    expect![[r#"
        c.yaml:1:4: this list has no closing `]`
    "#]]
    .assert_eq(&names("a: [").expect_err("no services"));
}
