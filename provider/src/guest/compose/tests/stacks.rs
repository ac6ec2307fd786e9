//! What is read from stacks as people write them.

use expect_test::{Expect, expect};

use super::*;

fn print(project: &Project) -> String {
    let mut out = String::new();
    for (name, service) in &project.services {
        let image = service.image.as_deref().unwrap_or("built");
        write!(
            out,
            "{name}: {image} ×{} {} {:?}",
            service.replicas, service.restart, service.wanted
        )
        .expect("a String");
        if service.healthcheck {
            out += " checked";
        }
        let depends = service
            .depends_on
            .iter()
            .map(|(name, how)| format!("{name}/{:?}", how.condition));
        for (what, list) in [
            ("ports", service.ports.clone()),
            ("after", depends.collect()),
            ("networks", service.networks.iter().cloned().collect()),
            ("volumes", service.volumes.iter().cloned().collect()),
            ("binds", service.binds.iter().cloned().collect()),
            ("secrets", service.secrets.iter().cloned().collect()),
            ("configs", service.configs.iter().cloned().collect()),
            ("env files", service.env_files.iter().cloned().collect()),
            ("inputs", service.inputs.iter().cloned().collect()),
        ] {
            if !list.is_empty() {
                write!(out, "\n  {what}: {}", list.join(" ")).expect("a String");
            }
        }
        out.push('\n');
    }
    for (kind, names) in [
        (
            "volumes",
            project
                .volumes
                .values()
                .map(|volume| volume.name.clone())
                .collect::<Vec<_>>(),
        ),
        (
            "networks",
            project
                .networks
                .values()
                .map(|network| network.name.clone())
                .collect(),
        ),
        ("profiles", project.profiles.iter().cloned().collect()),
        ("variables", project.variables.iter().cloned().collect()),
    ] {
        writeln!(out, "{kind}: {}", names.join(" ")).expect("a String");
    }
    out + &lines(&project.warnings)
}

#[track_caller]
fn check(inputs: &Inputs<'_>, want: &Expect) {
    want.assert_eq(&print(&project(inputs)));
}

#[test]
fn jellyfin() {
    let text = r#"
services:
  jellyfin:
    image: jellyfin/jellyfin:10.10
    container_name: jellyfin
    user: 1000:1000
    ports:
      - 8096:8096
      - 7359:7359/udp
    volumes:
      - config:/config
      - cache:/cache
      - type: bind
        source: /mnt/media
        target: /media
        read_only: true
    devices:
      - /dev/dri:/dev/dri
    group_add: ["104"]
    restart: unless-stopped
    environment:
      - JELLYFIN_PublishedServerUrl=http://${HOST_NAME:-media.lan}
      - TZ
    extra_hosts:
      - host.docker.internal:host-gateway
volumes:
  config:
  cache:
    name: jellyfin-cache
"#;
    check(
        &inputs(text),
        &expect![[r#"
        jellyfin: jellyfin/jellyfin:10.10 ×1 unless-stopped Running
          ports: 8096:8096/tcp 7359:7359/udp
          networks: default
          volumes: cache config
        volumes: jellyfin-cache demo_config
        networks: 
        profiles: 
        variables: HOST_NAME
    "#]],
    );
}

#[test]
fn n8n_with_postgres() {
    let text = r"
services:
  postgres:
    image: postgres:17
    restart: always
    environment:
      POSTGRES_USER: ${POSTGRES_USER}
      POSTGRES_PASSWORD_FILE: /run/secrets/db
      POSTGRES_DB: n8n
    secrets: [db]
    volumes:
      - db:/var/lib/postgresql/data
      - ./init-data.sh:/docker-entrypoint-initdb.d/init-data.sh
    healthcheck:
      test: ['CMD-SHELL', 'pg_isready -h localhost -U ${POSTGRES_USER} -d n8n']
      interval: 5s
      retries: 10
  migrate:
    image: docker.n8n.io/n8nio/n8n:1.80
    command: [n8n, db:migrate]
    env_file: n8n.env
    depends_on:
      postgres: {condition: service_healthy}
  n8n:
    image: docker.n8n.io/n8nio/n8n:1.80
    restart: always
    env_file:
      - n8n.env
      - .env
    ports: ['127.0.0.1:5678:5678']
    deploy:
      replicas: 1
      resources:
        limits: {memory: 1g, cpus: 1.5}
    depends_on:
      migrate: {condition: service_completed_successfully}
      postgres: {condition: service_healthy}
volumes: {db: }
secrets:
  db: {file: ./secrets/db}
";
    let mut given = inputs(text);
    given.env = pairs(&[("POSTGRES_USER", "n8n")]);
    given.files = files(&[
        ("init-data.sh", "#!/bin/sh\n"),
        ("n8n.env", "N8N_HOST=x\n"),
        ("README.md", ""),
    ]);
    given.secrets = Some([String::from("db")].into());
    check(
        &given,
        &expect![[r#"
        migrate: docker.n8n.io/n8nio/n8n:1.80 ×1 no Completed
          after: postgres/Healthy
          networks: default
          env files: n8n.env
          inputs: n8n.env
        n8n: docker.n8n.io/n8nio/n8n:1.80 ×1 always Running
          ports: 127.0.0.1:5678:5678/tcp
          after: migrate/Completed postgres/Healthy
          networks: default
          env files: .env n8n.env
          inputs: n8n.env
        postgres: postgres:17 ×1 always Running checked
          networks: default
          volumes: db
          binds: init-data.sh
          secrets: db
          inputs: init-data.sh
        volumes: demo_db
        networks: 
        profiles: 
        variables: POSTGRES_USER
    "#]],
    );
}

#[test]
fn traefik() {
    let text = r#"
services:
  traefik:
    image: traefik:v3.3
    command:
      - --providers.docker=true
      - --entrypoints.websecure.address=:443
      - --certificatesresolvers.le.acme.email=${ACME_MAIL:?}
    ports:
      - "80:80"
      - target: 443
        published: "443"
        protocol: tcp
        mode: host
      - "443:443/udp"
    volumes:
      - /var/run/docker.sock:/var/run/docker.sock:ro
      - ./dynamic:/etc/traefik/dynamic:ro
      - acme:/acme
    networks: [proxy]
    labels:
      - traefik.http.routers.api.rule=Host(`traefik.${DOMAIN}`)
      - traefik.http.middlewares.auth.basicauth.users=admin:$$apr1$$x$$y
  whoami:
    image: traefik/whoami
    scale: 3
    networks:
      proxy:
        aliases: [who]
networks:
  proxy:
    name: traefik
volumes:
  acme:
"#;
    let mut given = inputs(text);
    given.env = pairs(&[("ACME_MAIL", "a@example.com")]);
    given.files = files(&[("dynamic/tls.yml", ""), ("dynamic/more/x.yml", "")]);
    check(
        &given,
        &expect![[r#"
        traefik: traefik:v3.3 ×1 no Running
          ports: 80:80/tcp 443:443/tcp 443:443/udp
          networks: proxy
          volumes: acme
          binds: dynamic
          inputs: dynamic/more/x.yml dynamic/tls.yml
        whoami: traefik/whoami ×3 no Running
          networks: proxy
        volumes: demo_acme
        networks: traefik
        profiles: 
        variables: ACME_MAIL DOMAIN
        compose.yaml:22:9: services.traefik.labels[0]: variable "DOMAIN" is not set and taken as empty
    "#]],
    );
}

#[test]
fn monitoring() {
    let mut given = inputs(include_str!("monitoring.yaml"));
    given.env = pairs(&[("GRAFANA_HOST", "grafana.example.com")]);
    given.files = files(&[
        ("prometheus/prometheus.yml", "global: {}\n"),
        ("secrets/grafana_admin", "x"),
    ]);
    check(
        &given,
        &expect![[r#"
        grafana: grafana/grafana:11.4.0 ×1 unless-stopped Running
          ports: 127.0.0.1:3000:3000/tcp
          after: prometheus/Healthy
          networks: monitoring proxy
          volumes: grafana-data
          secrets: grafana_admin
          configs: datasources
          inputs: secrets/grafana_admin
        node-exporter: quay.io/prometheus/node-exporter:v1.8.2 ×1 unless-stopped Running
        prometheus: prom/prometheus:v3.1.0 ×1 unless-stopped Running checked
          networks: monitoring
          volumes: prometheus-data
          binds: prometheus
          inputs: prometheus/prometheus.yml
        volumes: demo_grafana-data demo_prometheus-data
        networks: demo_monitoring traefik
        profiles: alerts
        variables: GRAFANA_HOST PROMETHEUS_VERSION
    "#]],
    );
    given.profiles = [String::from("alerts")].into();
    assert!(project(&given).services.contains_key("alertmanager"));
}

#[test]
fn vpn_with_a_service_in_its_network_and_a_built_one() {
    let text = "services:\n  vpn:\n    image: qmcgaw/gluetun\n    cap_add: [NET_ADMIN]\n    ports: [\"8080:8080\", \"6881-6889:6881-6889\"]\n  torrent:\n    image: torrent\n    network_mode: service:vpn\n    restart: on-failure:3\n  app:\n    build:\n      context: ./app\n      args: {V: 1}\n    deploy:\n      restart_policy: {condition: on-failure}\n";
    let mut given = inputs(text);
    given.files = files(&[("app/Dockerfile", "FROM scratch\n"), ("app/src/main.c", "")]);
    check(
        &given,
        &expect![[r#"
        app: built ×1 on-failure Running
          networks: default
          inputs: app/Dockerfile app/src/main.c
        torrent: torrent ×1 on-failure:3 Running
          after: vpn/Started
        vpn: qmcgaw/gluetun ×1 no Running
          ports: 8080:8080/tcp 6881-6889:6881-6889/tcp
          networks: default
        volumes: 
        networks: 
        profiles: 
        variables: 
    "#]],
    );
}
