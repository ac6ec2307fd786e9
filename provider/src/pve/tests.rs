//! The client against a server that speaks real TLS and HTTP/1.1.
use super::*;
fn assert_send<T: Send>(_: T) {}
#[expect(dead_code)]
fn s(pve: &Pve, upid: &Upid) {
    assert_send(pve.wait(upid));
    assert_send(pve.run([]));
    assert_send(pve.agent_exec("n", 1, &["a"], b""));
    assert_send(async {
        let n = 0;
        let name = String::new();
        pve.poll("x", Duration::ZERO, Duration::ZERO, || async {
            pve.agent_ping(&name, n).await?;
            Ok(Some(()))
        })
        .await
    });
}
