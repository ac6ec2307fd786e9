//! What goes over the wire, and what is sent again.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{
    super::*,
    server::{Answer, SECRET, Server},
};

fn get() -> Call {
    Call::get("/nodes", Params::new())
}

fn post() -> Call {
    Call::post("/pools", Params::new().with("poolid", Some("x")))
}

/// Gives the answers in order, then nulls.
async fn script(answers: Vec<fn() -> Answer>) -> Server {
    let next = AtomicUsize::new(0);
    Server::start(move |_| {
        let answer = answers.get(next.fetch_add(1, Ordering::Relaxed));
        answer.map_or(Answer::Data(Json::Null), |answer| answer())
    })
    .await
}

#[tokio::test]
async fn parameters_are_escaped_in_queries_and_json_in_bodies() {
    let server = script(vec![]).await;
    let pve = server.pve();
    let params = Params::new()
        .with("a", Some("x;y=z & ü"))
        .array("l", ["1", "2"]);
    pve.send(&Call::get(
        "/nodes/pve1/storage/s/content/s:iso/a b.iso",
        params.clone(),
    ))
    .await
    .unwrap();
    pve.send(&Call::delete(
        "/nodes/pve1/tasks/UPID:p:0:0:0:a:1:u@pve!t:",
        Params::new().flag("purge", Some(true)),
    ))
    .await
    .unwrap();
    pve.send(&Call::put("/x", params)).await.unwrap();
    pve.send(&Call::post("/y", Params::new())).await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /nodes/pve1/storage/s/content/s:iso/a%20b.iso?a=x%3By%3Dz%20%26%20%C3%BC&l=1&l=2",
            "DELETE /nodes/pve1/tasks/UPID:p:0:0:0:a:1:u%40pve%21t:?purge=1",
            "PUT /x",
            "POST /y",
        ]
    );
    let requests = server.requests();
    assert_eq!(requests[1].header("content-length"), None);
    assert_eq!(
        requests[2].json(),
        json!({ "a": "x;y=z & ü", "l": ["1", "2"] })
    );
    assert_eq!(requests[2].header("content-type"), Some("application/json"));
    assert_eq!(requests[3].header("content-length"), Some("2"));
    assert!(requests.iter().all(|request| request.connection == 1));
}

#[tokio::test]
async fn relative_paths_are_not_sent() {
    let server = script(vec![]).await;
    let call = Call::get("/nodes/../access", Params::new());
    assert!(matches!(
        server.pve().send(&call).await,
        Err(Error::Unexpected { .. })
    ));
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn an_upload_is_a_form_with_the_file_last() {
    let server =
        Server::start(|_| Answer::Data(json!("UPID:pve1:0:0:0:imgcopy::tf@pve!ci:"))).await;
    let upid = server
        .pve()
        .upload(
            "pve1",
            "local",
            "iso",
            &File::of("seed.iso", b"bytes".to_vec()),
        )
        .await
        .unwrap();
    assert_eq!(upid.kind, "imgcopy");
    let request = &server.requests()[0];
    assert!(
        request.header("content-length").is_some() && request.header("transfer-encoding").is_none()
    );
    let (fields, file) = request
        .body
        .split_once("Content-Disposition: form-data; name=\"filename\"; filename=\"seed.iso\"")
        .unwrap();
    assert!(
        fields.contains("name=\"content\"\r\n\r\niso\r\n"),
        "{fields}"
    );
    assert!(file.contains("\r\n\r\nbytes\r\n"), "{file}");
}

#[tokio::test]
async fn a_file_of_this_machine_is_sent_with_its_length_and_checksum() {
    let server =
        Server::start(|_| Answer::Data(json!("UPID:pve1:0:0:0:imgcopy::tf@pve!ci:"))).await;
    let path = std::env::temp_dir().join(format!("pmoves-upload-{}", std::process::id()));
    std::fs::write(&path, b"bytes").unwrap();
    let file = File::at("a.qcow2", &path, "ab12");
    let sent = server.pve().upload("pve1", "local", "import", &file).await;
    std::fs::remove_file(&path).unwrap();
    sent.unwrap();
    let request = &server.requests()[0];
    assert!(
        request.header("content-length").is_some() && request.header("transfer-encoding").is_none()
    );
    // In this order: the API refuses every other one.
    let places = [
        "\r\nimport\r\n",
        "\r\nsha256\r\n",
        "\r\nab12\r\n",
        "\r\nbytes\r\n",
    ]
    .map(|text| request.body.find(text).unwrap());
    assert!(places.is_sorted(), "{}", request.body);
}

#[tokio::test]
async fn a_read_survives_dropped_connections() {
    let server = script(vec![|| Answer::Data(json!([])), || Answer::Drop, || {
        Answer::Drop
    }])
    .await;
    let pve = server.pve();
    pve.send(&get()).await.unwrap();
    pve.send(&get()).await.unwrap();
    assert_eq!(server.lines().len(), 4);
    assert!(server.requests()[3].connection > 1);
}

#[tokio::test]
async fn a_sent_write_is_never_repeated() {
    for lost in [
        || Answer::Drop,
        || Answer::Status("596 Broken pipe", String::new()),
    ] {
        let server = script(vec![lost]).await;
        let error = server.pve().send(&post()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "no answer to POST /pools: it may or may not have taken effect"
        );
        assert_eq!(server.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_write_that_went_nowhere_is_repeated() {
    let server = script(vec![|| {
        Answer::Status("595 Connection refused", String::new())
    }])
    .await;
    server.pve().send(&post()).await.unwrap();
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn a_write_that_met_a_lock_is_repeated() {
    let locked = || {
        let message = "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout\n";
        Answer::Status(
            "500 locked",
            json!({ "data": null, "message": message }).to_string(),
        )
    };
    let server = script(vec![locked]).await;
    server.pve().send(&post()).await.unwrap();
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn nobody_at_home_is_unreachable() {
    let server = script(vec![]).await;
    let pve = server.pve();
    let host = server.host();
    drop(server);
    // Until the socket is closed a connection may still be accepted.
    let error = loop {
        let deadline = Instant::now() + Duration::from_millis(600);
        match pve
            .within(deadline, CancellationToken::new())
            .send(&post())
            .await
        {
            Err(error @ Error::Unreachable { .. }) => break error,
            Ok(_) | Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(error.to_string(), format!("cannot reach {host}"));
}

#[tokio::test]
async fn a_cancelled_handle_starts_nothing() {
    let server = script(vec![]).await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let pve = server
        .pve()
        .within(Instant::now() + Duration::from_mins(1), cancel);
    assert!(matches!(pve.send(&post()).await, Err(Error::Cancelled)));
    assert!(matches!(pve.send(&get()).await, Err(Error::Cancelled)));
    assert!(server.lines().is_empty());
}

#[tokio::test]
async fn a_read_ends_at_the_deadline() {
    let server = script(vec![|| Answer::Hang]).await;
    let pve = server.pve().within(
        Instant::now() + Duration::from_millis(200),
        CancellationToken::new(),
    );
    let error = pve.send(&get()).await.unwrap_err().to_string();
    assert!(
        error.starts_with("timed out after ") && error.ends_with("ms waiting for GET /nodes"),
        "{error}"
    );
}

#[tokio::test]
async fn a_node_gets_no_more_writes_than_its_limit() {
    let server = Server::start(|_| Answer::Hang).await;
    let pve = server.pve();
    let cancel = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    for node in ["pve1", "pve1", "pve1", "pve2"] {
        let pve = pve.within(Instant::now() + Duration::from_mins(1), cancel.clone());
        tasks.spawn(async move {
            pve.send(&Call::post(format!("/nodes/{node}/qemu"), Params::new()))
                .await
        });
    }
    while server.lines().len() < 3 {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    assert!(matches!(
        tasks.join_next().await,
        Some(Ok(Err(Error::Cancelled)))
    ));
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn the_log_has_each_call_and_no_secret() {
    let lines = log::Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone().subscriber());
    let server = script(vec![]).await;
    let pve = server.pve();
    let call = Call::put(
        "/x",
        Params::new()
            .with("cores", Some(2))
            .secret("cipassword", Some("hunter3")),
    );
    pve.send(&call).await.unwrap();
    pve.send(&get()).await.unwrap();
    let lines = lines.take();
    assert!(
        lines.contains("DEBUG method=PUT path=\"/x\" params=cipassword=*** cores=2 status=200 ms="),
        "{lines}"
    );
    assert!(
        lines.contains("TRACE method=GET path=\"/nodes\" params= status=200 ms="),
        "{lines}"
    );
    let all = format!("{lines} {pve:?} {call:?}");
    assert!(!all.contains("hunter3") && !all.contains(SECRET), "{all}");
}

mod log {
    use std::{
        fmt::Write,
        sync::{Arc, Mutex},
    };

    use tracing::{Event, Subscriber, field::Visit};
    use tracing_subscriber::{
        Layer,
        layer::{Context, SubscriberExt},
    };

    /// Everything anyone logs, target `pmoves::api` named by its level only.
    #[derive(Clone, Default)]
    pub(super) struct Lines(Arc<Mutex<String>>);

    impl Lines {
        pub(super) fn subscriber(self) -> impl Subscriber {
            tracing_subscriber::registry().with(self)
        }

        pub(super) fn take(&self) -> String {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            struct Fields<'a>(&'a mut String);
            impl Visit for Fields<'_> {
                fn record_debug(
                    &mut self,
                    field: &tracing::field::Field,
                    value: &dyn std::fmt::Debug,
                ) {
                    write!(self.0, " {}={value:?}", field.name()).unwrap();
                }
            }
            let mut lines = self.0.lock().unwrap();
            lines.push_str(event.metadata().level().as_str());
            event.record(&mut Fields(&mut lines));
            lines.push('\n');
        }
    }
}
