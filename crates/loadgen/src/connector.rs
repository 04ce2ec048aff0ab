//! Where a server is and how to get in: addresses or a socket file, and TLS.
//!
//! The name is resolved once, so no resolver's time is in any record. The TLS handshake is part of connecting; HTTP/2 and
//! HTTP/1.1 are offered in it.

use std::{io, net::SocketAddr, net::ToSocketAddrs as _, path::PathBuf, rc::Rc};

use records::ConnectPhase;
use tokio::net::{TcpStream, UnixStream};

use crate::{
    LoadError, Target,
    connection::Connection,
    kernel_stamp,
    protocol::{Offer, Protocol},
    socket::{Socket, StampedSocket, Transport},
    wire::Wire,
};

/// Opens connections to one server.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    place: Place,
    offer: Offer,
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
        let place = match target.url().scheme() {
            records::Scheme::Unix(path) => Place::Unix(path.clone()),
            records::Scheme::Http | records::Scheme::Https => Place::Tcp(resolve(target)?),
        };
        Ok(Self {
            place,
            offer: if target.is_http2_only() { Offer::Http2 } else { Offer::Either },
            #[cfg(feature = "tls")]
            tls: (*target.url().scheme() == records::Scheme::Https)
                .then(|| crate::tls::Client::new(target.url().host(), target.trust()))
                .transpose()
                .map_err(|reason| LoadError::Tls { reason })?,
        })
    }

    /// A connection for requests.
    pub(crate) async fn open(&self) -> Result<Connection, Refused> {
        let (wire, socket, protocol) = self.wire(self.offer).await?;
        let failed = |error| Refused { phase: ConnectPhase::Connect, error };
        Connection::over(wire, socket, protocol).await.map_err(failed)
    }

    /// Bytes of HTTP there and back, and which HTTP it is.
    pub(crate) async fn wire(&self, offer: Offer) -> Result<(Wire, Rc<Socket>, Protocol), Refused> {
        let failed = |error| Refused { phase: ConnectPhase::Connect, error };
        let transport = self.transport().await.map_err(failed)?;
        let socket = Socket::new(transport);
        let stamped = StampedSocket::new(&socket);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let failed = |error| Refused { phase: ConnectPhase::Tls, error };
            let (stream, protocol) = tls.handshake(stamped, offer).await.map_err(failed)?;
            return Ok((Wire::Tls(Box::new(stream)), socket, protocol));
        }
        let protocol = match offer {
            Offer::Http2 => Protocol::Http2,
            Offer::Either | Offer::Http1 => Protocol::Http1,
        };
        Ok((Wire::Plain(stamped), socket, protocol))
    }

    async fn transport(&self) -> io::Result<Transport> {
        match &self.place {
            Place::Tcp(addresses) => {
                let stream = TcpStream::connect(&addresses[..]).await?;
                stream.set_nodelay(true)?;
                kernel_stamp::ask(&stream);
                Ok(Transport::Tcp(stream))
            }
            Place::Unix(path) => Ok(Transport::Unix(UnixStream::connect(path).await?)),
        }
    }
}

fn resolve(target: &Target) -> Result<Vec<SocketAddr>, LoadError> {
    let failed = |source| LoadError::Resolve { host: target.url().host().to_owned(), source };
    let addresses: Vec<_> = (target.url().host(), target.url().port()).to_socket_addrs().map_err(failed)?.collect();
    if addresses.is_empty() {
        return Err(failed(io::ErrorKind::NotFound.into()));
    }
    Ok(addresses)
}
