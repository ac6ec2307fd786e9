//! The one terminal of a container that all clients share, and that stays when they go.
//!
//! What it shows while nobody looks is lost.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::frames::Input;
use crate::simulator::container::{Console, Container};
use crate::simulator::world::World;

/// What a client sees.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    Bytes(Vec<u8>),
    /// What ran on the terminal has ended.
    Ended,
    /// The container has ended.
    Gone,
}

/// A terminal with something running on it.
pub(crate) struct Session {
    input: mpsc::Sender<Input>,
    clients: mpsc::UnboundedSender<mpsc::Sender<Shown>>,
}

impl Session {
    /// Takes a console of a container into use.
    pub(super) fn start(
        world: &Arc<World>,
        vmid: u32,
        container: Arc<dyn Container>,
        console: Console,
    ) -> Arc<Self> {
        let Console {
            screen,
            mut keyboard,
        } = console;
        let (input, mut inputs) = mpsc::channel(16);
        let (clients, new_clients) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(input) = inputs.recv().await {
                match input {
                    Input::Size(columns, rows) => keyboard.resize(columns, rows),
                    Input::Typed(bytes) if keyboard.write_all(&bytes).await.is_ok() => {}
                    Input::Typed(_) => return,
                }
            }
        });
        let session = Arc::new(Self { input, clients });
        let (world, own) = (Arc::downgrade(world), Arc::downgrade(&session));
        tokio::spawn(async move {
            let left = show(screen, new_clients).await;
            let patience = Duration::from_millis(200);
            let gone = tokio::time::timeout(patience, container.ended()).await;
            let last = if gone.is_ok() {
                Shown::Gone
            } else {
                Shown::Ended
            };
            forget(&world, vmid, &own);
            for client in left {
                client.send(last.clone()).await.ok();
            }
        });
        session
    }

    /// What a further client sees.
    pub(super) fn join(&self) -> mpsc::Receiver<Shown> {
        let (shows, shown) = mpsc::channel(16);
        // Where the session has just ended, the client learns it from the closed channel.
        self.clients.send(shows).ok();
        shown
    }

    /// Types, or sets the size for all.
    pub(super) async fn take(&self, input: Input) {
        self.input.send(input).await.ok();
    }
}

/// Takes the session off the list, unless another has taken its place.
fn forget(world: &Weak<World>, vmid: u32, own: &Weak<Session>) {
    let Some(world) = world.upgrade() else { return };
    let mut consoles = world.consoles();
    let is_own = |known: &Arc<Session>| std::ptr::eq(Arc::as_ptr(known), own.as_ptr());
    if consoles.sessions.get(&vmid).is_some_and(is_own) {
        consoles.sessions.remove(&vmid);
    }
}

/// Shows all clients what appears, at the pace of the slowest. Tells who is left at the end.
async fn show(
    mut screen: Box<dyn AsyncRead + Send + Unpin>,
    mut new_clients: mpsc::UnboundedReceiver<mpsc::Sender<Shown>>,
) -> Vec<mpsc::Sender<Shown>> {
    let mut clients: Vec<mpsc::Sender<Shown>> = Vec::new();
    let mut buffer = vec![0; 4096];
    loop {
        tokio::select! {
            Some(client) = new_clients.recv() => clients.push(client),
            read = screen.read(&mut buffer) => {
                // A terminal ends with an error once nothing runs on it.
                let Ok(count @ 1..) = read else { break };
                while let Ok(client) = new_clients.try_recv() {
                    clients.push(client);
                }
                let bytes = &buffer[..count];
                let mut left = Vec::new();
                for client in clients {
                    if client.send(Shown::Bytes(bytes.to_vec())).await.is_ok() {
                        left.push(client);
                    }
                }
                clients = left;
            }
        }
    }
    while let Ok(client) = new_clients.try_recv() {
        clients.push(client);
    }
    clients
}
