//! A plain HTTP address on the loopback interface for a server behind TLS or a socket file, so that telemetry, which
//! speaks plain HTTP only, reaches it the same way. No measured request goes through it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    thread::{self, JoinHandle},
};

use tokio::{net::TcpListener, task::LocalSet};
use tokio_util::sync::CancellationToken;

use crate::{LoadError, Target, connector::Connector, driver::event_loop, protocol::Offer};

/// An open tunnel. Dropped, it closes.
#[derive(Debug)]
pub struct Tunnel {
    address: SocketAddr,
    closed: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Tunnel {
    /// Opens a tunnel to the target's server.
    ///
    /// # Errors
    /// [`LoadError::Resolve`], [`LoadError::Tls`] or [`LoadError::Thread`].
    pub fn open(target: &Target) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Thread { source };
        let connector = Connector::new(target)?;
        let runtime = event_loop().map_err(failed)?;
        let listen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let closed = CancellationToken::new();
        let until = closed.clone();
        let serve = move || {
            LocalSet::new().block_on(&runtime, until.run_until_cancelled(accept(listener, connector)));
        };
        let thread = thread::Builder::new().name("tunnel".to_owned()).spawn(serve);
        Ok(Self { address, closed, thread: Some(thread.map_err(failed)?) })
    }

    /// Base URL of the server as seen through the tunnel, with the path of the target's.
    pub fn url(&self, target: &Target) -> String {
        format!("http://{}{}", self.address, target.url().path())
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.closed.cancel();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that a panic could damage.
            drop(thread.join());
        }
    }
}

async fn accept(listener: TcpListener, connector: Connector) {
    while let Ok((near, _)) = listener.accept().await {
        let connector = connector.clone();
        tokio::task::spawn_local(async move { carry(near, &connector).await });
    }
}

/// Carries bytes both ways until one side ends. What fails here is seen at the near end as a connection that ended.
async fn carry(mut near: tokio::net::TcpStream, connector: &Connector) -> Option<()> {
    // Telemetry speaks HTTP/1.1.
    let (mut far, _socket, _http1) = connector.wire(Offer::Http1).await.ok()?;
    let carried: io::Result<_> = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    carried.ok().map(drop)
}
