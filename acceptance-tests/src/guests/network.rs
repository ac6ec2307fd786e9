//! Sockets in the lab's network, opened from outside of it, and the forwarders made of them.
//!
//! Makes no links and no addresses.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::ToSocketAddrs;
use tokio::task::JoinHandle;

/// A network namespace of another process.
#[derive(Clone, Debug)]
pub(crate) struct Network(Arc<File>);

impl Network {
    pub(crate) fn of_process(pid: u32) -> io::Result<Self> {
        Ok(Self(Arc::new(File::open(format!("/proc/{pid}/ns/net"))?)))
    }

    /// Connects to an address of the lab, such as that of a guest.
    pub(crate) async fn connect(&self, to: SocketAddr) -> io::Result<tokio::net::TcpStream> {
        let stream = self.inside(move || TcpStream::connect(to)).await?;
        stream.set_nonblocking(true)?;
        tokio::net::TcpStream::from_std(stream)
    }

    /// Listens on an address of the lab, for its guests.
    pub(crate) async fn listen(&self, on: SocketAddr) -> io::Result<tokio::net::TcpListener> {
        let listener = self.inside(move || TcpListener::bind(on)).await?;
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    }

    /// Runs something on a thread of its own, since entering a namespace cannot be undone. A socket stays where it was made.
    async fn inside<T: Send + 'static>(
        &self,
        open: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let namespace = Arc::clone(&self.0);
        std::thread::spawn(move || {
            let entered =
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
            // The receiver is gone where the caller gave up.
            let _ = sender.send(entered.map_err(io::Error::from).and_then(|()| open()));
        });
        receiver.await.map_err(io::Error::other)?
    }
}

/// A running forwarder; it ends when this is dropped.
#[derive(Debug)]
pub struct Forward {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Forward {
    /// Lets guests reach one name of the world by one address of the lab.
    pub(crate) async fn out(
        network: &Network,
        on: SocketAddr,
        to: impl ToSocketAddrs + Clone + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = network.listen(on).await?;
        Ok(Self::run(listener, on, move || {
            let to = to.clone();
            async move { tokio::net::TcpStream::connect(to).await }
        }))
    }

    /// Makes an address of the lab reachable on this machine's loopback.
    pub(crate) async fn into(network: &Network, to: SocketAddr) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let network = network.clone();
        Ok(Self::run(listener, address, move || {
            let network = network.clone();
            async move { network.connect(to).await }
        }))
    }

    fn run<C, F>(listener: tokio::net::TcpListener, address: SocketAddr, connect: C) -> Self
    where
        C: Fn() -> F + Send + 'static,
        F: Future<Output = io::Result<tokio::net::TcpStream>> + Send + 'static,
    {
        let task = tokio::spawn(async move {
            // Dropping the set ends the connections too.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let far = connect();
                connections.spawn(async move {
                    // Either end may break off; the other one sees its connection close.
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far.await?).await;
                    io::Result::Ok(())
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, task }
    }
}
