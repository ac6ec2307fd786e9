//! The client against a server that speaks real TLS and HTTP/1.1.

mod access;
mod guests;
mod network;
mod requests;
mod server;
mod tasks;

use super::*;

/// Server code runs on several threads, so every future it awaits must be `Send`.
#[test]
fn futures_are_send() {
    fn is_send<T: Send>(_: T) {}
    let pve = Pve::new(Settings {
        endpoint: String::new(),
        credential: Credential::Token(Secret::default()),
        trust: Trust::System,
        request_timeout: Duration::ZERO,
        limits: Limits::default(),
        vmids: None,
    });
    is_send(pve.run([]));
    is_send(pve.guest_opt(1));
    is_send(pve.permissions());
    is_send(pve.free_vmid());
    is_send(pve.agent_exec("pve1", 1, &["true"], b""));
    let vmid = 100;
    is_send(async {
        let look = || async { pve.agent_ping("pve1", vmid).await.map(Some) };
        pve.poll("the agent", Duration::ZERO, Duration::ZERO, look)
            .await
    });
}
