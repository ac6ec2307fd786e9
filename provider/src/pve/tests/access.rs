//! Who may ask, and whom the client believes.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{
    super::*,
    server::{Answer, Server},
};

fn get() -> Call {
    Call::get("/version", Params::new())
}

fn ok() -> Answer {
    Answer::Data(json!({ "version": "9.2.11" }))
}

fn password(otp: Option<&str>) -> Credential {
    Credential::Password {
        username: "root@pam".to_owned(),
        password: Secret::new("hunter2".to_owned()),
        otp: otp.map(|otp| Secret::new(otp.to_owned())),
    }
}

/// Logs in whoever comes, giving tickets `T1`, `T2`, ... each of which `accepts` may refuse.
async fn logs_in(accepts: impl Fn(&str) -> bool + Send + Sync + 'static) -> Server {
    let tickets = AtomicUsize::new(0);
    Server::start(move |request| match request.header("cookie") {
        None => {
            let count = tickets.fetch_add(1, Ordering::Relaxed) + 1;
            Answer::Data(json!({ "ticket": format!("T{count}="), "CSRFPreventionToken": format!("C{count}") }))
        }
        Some(cookie) if accepts(cookie) => ok(),
        Some(_) => Answer::Status("401 permission denied - invalid PVE ticket", String::new()),
    })
    .await
}

#[tokio::test]
async fn a_token_travels_in_its_header() {
    let server = Server::start(|_| ok()).await;
    let pve = server.pve();
    let Version { major, .. } = pve.get(&get()).await.unwrap();
    assert_eq!((major, pve.user(), pve.is_root()), (9, "tf@pve!ci", false));
    let requests = server.requests();
    assert_eq!(
        requests[0].header("authorization"),
        Some("PVEAPIToken=tf@pve!ci=0e3d4a52-hunter2")
    );
}

#[tokio::test]
async fn a_ticket_is_fetched_once_and_guards_writes() {
    let server = logs_in(|_| true).await;
    let pve = server.pve_as(password(None), Trust::Ca(server.authority_pem()));
    assert!(pve.is_root());
    let call = get();
    let (a, b) = tokio::join!(pve.send(&call), pve.send(&call));
    a.and(b).unwrap();
    pve.send(&Call::post("/pools", Params::new()))
        .await
        .unwrap();
    let requests = server.requests();
    assert_eq!(
        server.lines(),
        [
            "POST /access/ticket",
            "GET /version",
            "GET /version",
            "POST /pools"
        ]
    );
    assert_eq!(
        requests[0].json(),
        json!({ "username": "root@pam", "password": "hunter2" })
    );
    assert_eq!(requests[1].header("cookie"), Some("PVEAuthCookie=T1%3D"));
    assert_eq!(requests[1].header("csrfpreventiontoken"), None);
    assert_eq!(requests[3].header("csrfpreventiontoken"), Some("C1"));
}

#[tokio::test]
async fn a_refused_ticket_is_replaced_once() {
    let server = logs_in(|cookie| cookie.contains("T2")).await;
    let pve = server.pve_as(password(None), Trust::Ca(server.authority_pem()));
    pve.send(&Call::post("/pools", Params::new()))
        .await
        .unwrap();
    assert_eq!(
        server.lines(),
        [
            "POST /access/ticket",
            "POST /pools",
            "POST /access/ticket",
            "POST /pools"
        ]
    );

    let server = logs_in(|_| false).await;
    let pve = server.pve_as(password(None), Trust::Ca(server.authority_pem()));
    assert!(matches!(
        pve.send(&get()).await,
        Err(Error::Unauthenticated { .. })
    ));
    assert_eq!(server.lines().len(), 4);
}

#[tokio::test]
async fn an_old_ticket_is_renewed_with_itself() {
    let server = logs_in(|_| true).await;
    let pve = server.pve_as(password(None), Trust::Ca(server.authority_pem()));
    pve.send(&get()).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(101)).await;
    tokio::time::resume();
    pve.send(&get()).await.unwrap();
    let requests = server.requests();
    assert_eq!(requests[2].json()["password"], "T1=");
    assert_eq!(requests[3].header("cookie"), Some("PVEAuthCookie=T2%3D"));
}

#[tokio::test]
async fn a_second_factor_answers_the_challenge() {
    let server = Server::start(|request| match request.header("cookie") {
        None if request.json()["tfa-challenge"].is_null() => Answer::Data(
            json!({ "ticket": "PVE:!tfa!half", "CSRFPreventionToken": "C", "NeedTFA": 1 }),
        ),
        None => Answer::Data(json!({ "ticket": "T", "CSRFPreventionToken": "C" })),
        Some(_) => ok(),
    })
    .await;
    let pve = server.pve_as(password(Some("123456")), Trust::Ca(server.authority_pem()));
    pve.send(&get()).await.unwrap();
    let answer = json!({ "username": "root@pam", "password": "totp:123456", "tfa-challenge": "PVE:!tfa!half" });
    assert_eq!(server.requests()[1].json(), answer);

    let pve = server.pve_as(password(None), Trust::Ca(server.authority_pem()));
    let error = pve.send(&get()).await.unwrap_err().to_string();
    assert!(
        error.ends_with("the user has a second factor and no one-time password is given"),
        "{error}"
    );
}

#[tokio::test]
async fn a_refused_password_is_tried_once() {
    let body = r#"{"message":"authentication failure\n","data":null}"#;
    let server =
        Server::start(|_| Answer::Status("401 authentication failure", body.to_owned())).await;
    let pve = server.pve_as(password(None), Trust::Ca(server.authority_pem()));
    for _ in 0..3 {
        let error = pve.send(&get()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "Proxmox VE does not accept the credential: authentication failure"
        );
    }
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn an_empty_401_is_told_by_its_reason_phrase() {
    let server =
        Server::start(|_| Answer::Status("401 Authentication failed!", String::new())).await;
    let error = server.pve().send(&get()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Proxmox VE does not accept the credential: Authentication failed!"
    );
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn a_pinned_certificate_is_believed_and_no_other() {
    let server = Server::start(|_| ok()).await;
    let with = |trust| server.pve_as(password(None), trust);
    let Fingerprint(pin) = server.fingerprint();
    let token = Credential::Token(Secret::new("tf@pve!ci=x".to_owned()));
    server
        .pve_as(token, Trust::Fingerprint(pin))
        .send(&get())
        .await
        .unwrap();

    let error = with(Trust::Fingerprint([0xAB; 32]))
        .send(&get())
        .await
        .unwrap_err()
        .to_string();
    let expected = format!(
        "the certificate of {} has the SHA-256 fingerprint {}, expected was {}",
        server.host(),
        server.fingerprint(),
        ["AB"; 32].join(":"),
    );
    assert_eq!(error, expected);
    assert_eq!(server.lines().len(), 1, "no password reaches a stranger");
}

#[tokio::test]
async fn an_unknown_authority_is_named_with_the_fingerprint_to_pin() {
    let server = Server::start(|_| ok()).await;
    let stranger = Server::start(|_| ok()).await;
    for trust in [Trust::System, Trust::Ca(stranger.authority_pem())] {
        let error = server
            .pve_as(password(None), trust)
            .send(&get())
            .await
            .unwrap_err();
        let expected = format!(
            "the certificate of {} is not trusted; its SHA-256 fingerprint is {}",
            server.host(),
            server.fingerprint(),
        );
        assert_eq!(error.to_string(), expected);
    }
    assert!(server.lines().is_empty());
    server
        .pve_as(
            Credential::Token(Secret::new("tf@pve!ci=x".to_owned())),
            Trust::Insecure,
        )
        .send(&get())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_certificate_authority_must_be_one() {
    let server = Server::start(|_| ok()).await;
    let error = server
        .pve_as(password(None), Trust::Ca("none".to_owned()))
        .send(&get())
        .await
        .unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        source,
        "the PEM text of the certificate authority has no certificate"
    );
}
