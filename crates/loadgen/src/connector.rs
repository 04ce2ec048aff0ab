//! Where a server is and how to get in: addresses or a socket file, and TLS.
//!
//! The name is resolved once, so no resolver's time is in any record. The TLS handshake is part of connecting. HTTP/1.1
//! is all that is offered in it.

use std::{io, net::SocketAddr, net::ToSocketAddrs as _, path::PathBuf};

use records::ConnectPhase;
use tokio::net::{TcpStream, UnixStream};

use crate::{
    LoadError, Target,
    connection::Connection,
    target::Scheme,
    wire::{Socket, StampedSocket, Transport, Wire},
};

/// Opens connections to one server.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    place: Place,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::Client>,
}

#[derive(Clone, Debug)]
enum Place {
    Tcp(Vec<SocketAddr>),
    Unix(PathBuf),
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) phase: ConnectPhase,
    pub(crate) error: io::Error,
}

impl Connector {
    /// Resolves the target's name and makes its TLS settings.
    pub(crate) fn new(target: &Target) -> Result<Self, LoadError> {
        let place = match target.scheme() {
            Scheme::Unix(path) => Place::Unix(path.clone()),
            Scheme::Http | Scheme::Https => Place::Tcp(resolve(target)?),
        };
        Ok(Self {
            place,
            #[cfg(feature = "tls")]
            tls: (*target.scheme() == Scheme::Https)
                .then(|| crate::tls::Client::new(target.host(), target.trust()))
                .transpose()
                .map_err(|reason| LoadError::Tls { reason })?,
        })
    }

    /// A connection for requests; reads `read_buffer` bytes at a time.
    pub(crate) async fn open(&self, read_buffer: usize) -> Result<Connection, Refused> {
        let (wire, socket) = self.wire().await?;
        let failed = |error| Refused {
            phase: ConnectPhase::Connect,
            error,
        };
        Connection::over(wire, socket, read_buffer)
            .await
            .map_err(failed)
    }

    /// Bytes there and back.
    pub(crate) async fn wire(&self) -> Result<(Wire, std::rc::Rc<Socket>), Refused> {
        let failed = |error| Refused {
            phase: ConnectPhase::Connect,
            error,
        };
        let transport = self.transport().await.map_err(failed)?;
        let socket = Socket::new(transport);
        let stamped = StampedSocket::new(&socket);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let failed = |error| Refused {
                phase: ConnectPhase::Tls,
                error,
            };
            let stream = tls.handshake(stamped).await.map_err(failed)?;
            return Ok((Wire::Tls(Box::new(stream)), socket));
        }
        Ok((Wire::Plain(stamped), socket))
    }

    async fn transport(&self) -> io::Result<Transport> {
        match &self.place {
            Place::Tcp(addresses) => {
                let stream = TcpStream::connect(&addresses[..]).await?;
                stream.set_nodelay(true)?;
                Ok(Transport::Tcp(stream))
            }
            Place::Unix(path) => Ok(Transport::Unix(UnixStream::connect(path).await?)),
        }
    }
}

fn resolve(target: &Target) -> Result<Vec<SocketAddr>, LoadError> {
    let failed = |source| LoadError::Resolve {
        host: target.host().to_owned(),
        source,
    };
    let addresses: Vec<_> = (target.host(), target.port())
        .to_socket_addrs()
        .map_err(failed)?
        .collect();
    if addresses.is_empty() {
        return Err(failed(io::ErrorKind::NotFound.into()));
    }
    Ok(addresses)
}
