//! Where Docker comes from, in which version, and what it trusts.

use crate::scene::{Block, PLAIN, Scene, web};

/// A host on an image without Docker.
fn plain(docker: &str) -> Block {
    web()
        .with("image", &format!("{{ id = {PLAIN:?} }}"))
        .with("docker", docker)
}

/// Docker's repository as the guests have it, in some version.
fn mirror(more: &str) -> String {
    format!(
        r#"{{
          source         = "docker"
          repository_url = "https://mirror.test/linux/debian"
          repository_key = "1916 6866 38E4 DC10 EDBB 0AD0 974D BF37 415A 1A90"
          {more}
        }}"#
    )
}

#[tokio::test]
async fn docker_comes_from_its_own_repository_and_is_held() {
    let scene = Scene::new().await;
    scene.settle(&plain(&mirror(r#"version = "26.1""#))).await;
    let held = scene.sh(100, "apt-mark showhold").await;
    assert!(held.contains("docker-ce"), "{held}");
    let source = scene
        .sh(100, "cat /etc/apt/sources.list.d/pmoves-docker.sources")
        .await;
    assert!(
        source.contains("URIs: https://mirror.test/linux/debian\n"),
        "{source}"
    );

    // What upgrades by hand leave behind is drift.
    scene
        .sh(100, "apt-mark unhold docker-ce docker-ce-cli")
        .await;
    let said = scene
        .apply(&plain(&mirror(r#"version = "27""#)))
        .await
        .refused();
    assert!(said.contains("there is no Docker 27"), "{said}");
    scene.settle(&plain(&mirror(""))).await;
    assert_eq!(scene.sh(100, "apt-mark showhold").await, "");
}

#[tokio::test]
async fn docker_is_its_own_unless_a_host_has_another() {
    let scene = Scene::new().await;
    // Only the key is another here.
    let key = r#"{ repository_key = "1916 6866 38E4 DC10 EDBB 0AD0 974D BF37 415A 1A90" }"#;
    scene.settle(&plain(key)).await;
    assert_eq!(scene.web("/docker/source").await, "docker");
    let source = "cat /etc/apt/sources.list.d/pmoves-docker.sources";
    let source = scene.sh(100, source).await;
    assert!(
        source.contains("URIs: https://download.docker.com/linux/debian\n"),
        "{source}"
    );

    // A line that is taken out swaps nothing, and neither does one that was never there.
    let scene = Scene::new().await;
    scene.settle(&web()).await;
    scene.settle(&web().without("docker")).await;
    scene.settle(&web().with("docker", "{ mtu = 1400 }")).await;
    assert_eq!(scene.web("/docker/source").await, "distro");
    let state = ["state", "rm", "pmoves_docker_vm.web"];
    scene.ws.run(&state).await.ok();
    let import = ["import", "-no-color", "pmoves_docker_vm.web", "100"];
    scene.ws.run(&import).await.ok();
    scene.settle(&web().without("docker")).await;
    assert_eq!(scene.web("/docker/source").await, "distro");
    let said = scene
        .refused(&web().with("docker", r#"{ source = "docker" }"#))
        .await;
    assert!(said.contains("Docker's source cannot be swapped"), "{said}");
}

#[tokio::test]
async fn a_repository_with_another_key_is_not_trusted() {
    let scene = Scene::new().await;
    let docker = mirror("").replace("1916", "0000");
    let said = scene.apply(&plain(&docker)).await.refused();
    assert!(said.contains("is not trusted"), "{said}");
    scene
        .sh(100, "! ls /etc/apt/sources.list.d/pmoves-docker.sources")
        .await;
}

#[tokio::test]
async fn authorities_and_proxy_come_and_go() {
    let scene = Scene::new().await;
    let certificate = "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----";
    let docker = format!(
        r#"{{
          source      = "distro"
          registry_ca = {{ "registry.lan:5000" = "{certificate}" }}
          proxy       = {{ http = "http://proxy.lan:3128", https = "http://proxy.lan:3128", no_proxy = ".lan" }}
        }}"#
    );
    let host = web().with("docker", &docker);
    scene.settle(&host).await;
    // The first boot had the proxy already.
    let apt = scene
        .sh(100, "cat /etc/apt/apt.conf.d/90pmoves-proxy")
        .await;
    assert!(
        apt.contains(r#"Acquire::https::Proxy "http://proxy.lan:3128";"#),
        "{apt}"
    );
    let json = scene.sh(100, "cat /etc/docker/daemon.json").await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["proxies"]["no-proxy"], ".lan");
    let ca = "/etc/docker/certs.d/registry.lan:5000/ca.crt";
    let text = scene.sh(100, &format!("cat {ca}")).await;
    assert!(
        text.starts_with("-----BEGIN CERTIFICATE-----\nMIIB"),
        "{text}"
    );

    // What others take away comes back.
    scene.sh(100, &format!("rm {ca}")).await;
    assert_eq!(
        scene.ws.plan(&[]).await.changes(),
        ["pmoves_docker_vm.web: update"]
    );
    scene.settle(&host).await;
    scene.sh(100, &format!("test -e {ca}")).await;

    scene.settle(&web()).await;
    scene
        .sh(100, &format!("! ls {ca} /etc/apt/apt.conf.d/90pmoves-proxy 2>/dev/null && ! grep proxies /etc/docker/daemon.json"))
        .await;
}

#[tokio::test]
async fn settings_that_do_not_fit_are_refused_by_the_plan() {
    let scene = Scene::new().await;
    for (docker, words) in [
        (
            r#"{ source = "preinstalled", version = "28" }"#,
            "version does not go with the source",
        ),
        (
            r#"{ source = "distro", repository_url = "https://mirror.test" }"#,
            "repository_url does not go with the source",
        ),
        (r#"{ version = "newest" }"#, "no version such as 28.5"),
        (
            r#"{ source = "docker", repository_url = "http://mirror.test" }"#,
            "begins with https://",
        ),
        (
            r#"{ proxy = { http = "http://me:secret@proxy.lan" } }"#,
            "everybody in the guest",
        ),
        (r#"{ registry_ca = { "a/b" = "x" } }"#, "is no registry"),
        (
            r#"{ registry_ca = { "a:5000" = "x" } }"#,
            "no certificate in PEM",
        ),
        (
            r#"{ daemon_json = jsonencode({ proxies = {} }) }"#,
            "docker.proxy",
        ),
    ] {
        let said = scene.refused(&web().with("docker", docker)).await;
        assert!(said.contains(words), "{words}: {said}");
    }
}
