//! Docker and Compose in a scripted guest, in the words and statuses of 26.1.5 and 2.26.1.

use acceptance_tests::simulator::machine::Hypervisor;

use super::{DOCKER, answers, exec, hypervisor, spec};

const COMPOSE: &str = "\
services:
  web:
    image: nginx:1.27
    ports: ['8080:80']
    environment: {MODE: '${MODE:-plain}'}
    depends_on: {db: {condition: service_healthy}}
  db:
    image: registry.test/db:1
    healthcheck: {test: exit 0, interval: 200ms}
    volumes: ['data:/data', './conf:/conf:ro']
volumes: {data: {}}
";

const UP: &str = "docker compose -p shop -f compose.yaml --project-directory /opt/shop up -d 2>&1";

#[tokio::test]
async fn a_compose_project_comes_up_changes_and_goes() {
    let hypervisor = hypervisor();
    let machine = hypervisor
        .start(spec(102, DOCKER))
        .await
        .expect("the guest starts");
    answers(&machine).await;
    let write =
        format!("mkdir -p /opt/shop && cd /opt/shop && cat >compose.yaml <<'E'\n{COMPOSE}E\n");
    let (code, out, _) = exec(&machine, &format!("{write}{UP}")).await;
    assert_eq!(code, 0, "{out}");
    assert!(out.contains(" Container shop-db-1  Started"), "{out}");

    let states = "docker inspect -f '{{index .Config.Labels \"com.docker.compose.service\"}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}-{{end}} {{.RestartCount}}' $(docker ps -aq --no-trunc --filter label=com.docker.compose.project=shop) | sort";
    let (_, out, err) = exec(&machine, states).await;
    assert_eq!(out, "db running healthy 0\nweb running - 0\n", "{err}");

    // The label and `config --hash` agree, and a change names the service that it touches.
    let hashes = "cd /opt/shop; docker compose -p shop config --hash '*'; docker ps --format '{{.Label \"com.docker.compose.service\"}} {{.Label \"com.docker.compose.config-hash\"}}' | sort";
    let (_, out, _) = exec(&machine, hashes).await;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..2], lines[2..]);
    let (_, out, _) = exec(
        &machine,
        &format!("cd /opt/shop; echo MODE=new >.env; {UP}"),
    )
    .await;
    assert!(
        out.contains("shop-db-1  Running") && out.contains("shop-web-1  Recreated"),
        "{out}"
    );
    let (_, out, _) = exec(
        &machine,
        "docker inspect -f '{{json .Config.Env}}' shop-web-1",
    )
    .await;
    assert_eq!(out, "[\"MODE=new\"]\n");

    let (_, out, _) = exec(
        &machine,
        "docker stop shop-web-1; docker compose ls -a --format json",
    )
    .await;
    assert_eq!(
        out,
        "shop-web-1\n[{\"ConfigFiles\":\"/opt/shop/compose.yaml\",\"Name\":\"shop\",\"Status\":\"exited(1), running(1)\"}]\n"
    );
    let (_, out, _) = exec(
        &machine,
        "cd /opt/shop; docker compose -p shop ps -a --format json",
    )
    .await;
    assert!(out.contains(r#""ExitCode":137"#), "{out}");

    let (code, _, err) = exec(
        &machine,
        "docker compose -p shop down 2>&1 >/dev/null; docker ps -aq; docker volume ls -q",
    )
    .await;
    assert_eq!(code, 0, "{err}");
    let (_, out, _) = exec(&machine, "docker ps -aq; docker volume ls -q; docker network ls -q --filter label=com.docker.compose.project").await;
    assert_eq!(out, "shop_data\n");
}

/// Runs one script in a fresh guest with Docker and compares status and output.
async fn in_docker_guest(vmid: u32, cases: &[(&str, i64, &str)]) {
    let hypervisor = hypervisor();
    let machine = hypervisor
        .start(spec(vmid, DOCKER))
        .await
        .expect("the guest starts");
    answers(&machine).await;
    for (script, code, output) in cases {
        let (found, out, err) = exec(&machine, script).await;
        let text = format!("{out}{err}");
        assert_eq!(found, *code, "{script}: {text}");
        assert!(
            text.contains(output),
            "{script}: {text:?} has no {output:?}"
        );
    }
}

#[tokio::test]
async fn bad_compose_files_fail_with_the_words_of_compose() {
    in_docker_guest(103, &[
        ("printf 'services:\\n  a:\\n    imge: x\\n' | docker compose -f - config -q", 15, "validating -: services.a Additional property imge is not allowed"),
        ("printf 'services: {a: {image: x, ports: 80}}' | docker compose -f - config -q", 15, "services.a.ports must be a list"),
        ("printf 'services: {a: {image: x, networks: [n]}}' | docker compose -f - config -q", 15, "service \"a\" refers to undefined network n: invalid compose project"),
        ("printf 'a: b: c' | docker compose -f - config -q", 15, "yaml: line 1: mapping values are not allowed in this context"),
        ("docker compose -p Foo -f - config -q </dev/null", 15, "empty compose file"),
        ("docker compose -p x -f /none.yaml config -q", 14, "open /none.yaml: no such file or directory"),
        ("printf 'services: {a: {image: $NOPE}}' | docker compose -p x -f - config", 0, "variable is not set. Defaulting to a blank string."),
        ("printf 'services: {a: {image: \"${X:?no}\"}}' | docker compose -p x -f - config -q", 15, "error while interpolating services.a.image: required variable X is missing a value: no"),
    ])
    .await;
}

#[tokio::test]
async fn containers_fail_as_the_engine_makes_them_fail() {
    in_docker_guest(104, &[
        ("printf 'services: {a: {image: x/missing}}' | docker compose -p m -f - up -d", 18, "pull access denied for x/missing"),
        ("docker ps -aq", 0, ""),
        ("printf 'services: {a: {image: a, ports: [\"80:80\"]}}' | docker compose -p a -f - up -d", 0, ""),
        ("printf 'services: {b: {image: a, ports: [\"80:80\"]}}' | docker compose -p b -f - up -d", 1, "Bind for 0.0.0.0:80 failed: port is already allocated"),
        ("docker inspect -f '{{.State.Status}} {{.State.Error}}' b-b-1", 0, "created driver failed programming"),
        ("printf 'services: {c: {image: x/crashloop, restart: always}, f: {image: x/fails}}' | docker compose -p c -f - up -d; sleep 1; docker inspect -f '{{.RestartCount}} {{.State.ExitCode}}' c-c-1 c-f-1", 0, "\n0 3\n"),
        ("printf 'services: {a: {image: a, volumes: [{type: bind, source: /none, target: /x}]}}' | docker compose -p d -f - up -d", 1, "bind source path does not exist: /none"),
        ("docker inspect -f '{{.State.Nope}}' a-a-1", 1, "map has no entry for key \"Nope\""),
        ("docker inspect nope", 1, "Error: No such object: nope"),
        ("systemctl stop docker docker.socket; docker ps", 1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock"),
        ("docker info -f '{{json .ServerVersion}}'", 0, "\"\"\n"),
        ("systemctl start docker && docker info -f '{{.DockerRootDir}} {{.Driver}}'", 0, "/var/lib/docker overlay2\n"),
        ("docker inspect -f '{{.State.Status}}' c-c-1 c-f-1", 0, "exited\n"),
        ("echo '{\"mtuu\":1}' >/etc/docker/daemon.json; dockerd --validate --config-file /etc/docker/daemon.json", 1, "the following directives don't match any configuration option: mtuu"),
        ("systemctl reset-failed docker; systemctl restart docker", 1, "Job for docker.service failed"),
        ("systemctl is-active docker", 3, "failed\n"),
    ])
    .await;
}
