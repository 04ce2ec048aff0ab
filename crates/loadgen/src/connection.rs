//! One connection to a server, kept alive between the requests of a slot: HTTP/1.1, or HTTP/2 where the server chose it.
//!
//! The socket stamps itself (`socket`). The connection is driven by the very task that waits for the response, so no queue
//! and no other task lies between a read and its stamp, and every part of a body that is handed over comes from the last
//! read.
//!
//! A server may close a connection that lies idle. That is looked for before a request is sent, with a peek at the
//! socket; after sending, nothing is ever repeated.

use std::{future::poll_fn, io, rc::Rc, task::Poll, time::Instant};

use bytes::Bytes;
use http::response::Parts;

use crate::{
    Target,
    http1::Http1,
    http2::Http2,
    protocol::{Fault, Protocol},
    socket::Socket,
    wire::Wire,
};

/// An open connection.
pub(crate) struct Connection {
    http: Http,
    socket: Rc<Socket>,
}

enum Http {
    Http1(Http1),
    Http2(Box<Http2>),
}

impl Connection {
    /// Opens a connection of `protocol` over `wire`, whose socket is `socket`.
    pub(crate) async fn over(wire: Wire, socket: Rc<Socket>, protocol: Protocol) -> io::Result<Self> {
        let http = match protocol {
            Protocol::Http1 => Http::Http1(Http1::new(wire, Rc::clone(&socket))),
            Protocol::Http2 => Http::Http2(Box::new(Http2::over(wire).await?)),
        };
        Ok(Self { http, socket })
    }

    /// Whether the connection can carry another request. It cannot when the server has closed it meanwhile.
    pub(crate) async fn is_reusable(&mut self) -> bool {
        poll_fn(|cx| {
            Poll::Ready(match &mut self.http {
                Http::Http1(http1) => http1.poll_reusable(cx),
                Http::Http2(http2) => http2.poll_reusable(cx),
            })
        })
        .await
    }

    /// Sends a request and waits for the response's head. Dropping the future gives the connection up.
    pub(crate) async fn send(&mut self, target: &Target, body: Bytes) -> Result<Parts, Fault> {
        self.socket.begin();
        match &mut self.http {
            Http::Http1(http1) => {
                http1.begin(target, &body);
                drop(body);
                poll_fn(|cx| http1.poll_head(cx)).await
            }
            Http::Http2(http2) => {
                http2.begin(target, body)?;
                poll_fn(|cx| http2.poll_head(cx)).await
            }
        }
    }

    /// Waits for the next bytes of the response's body and calls `on_bytes` with them and the time at which the last of
    /// them arrived; false when the body has ended.
    pub(crate) async fn body(&mut self, mut on_bytes: impl FnMut(Instant, &[u8])) -> Result<bool, Fault> {
        let socket = &self.socket;
        poll_fn(|cx| match &mut self.http {
            Http::Http1(http1) => http1.poll_body(cx, &mut on_bytes),
            Http::Http2(http2) => http2.poll_body(cx, &mut |bytes| on_bytes(socket.last_arrival(), bytes)),
        })
        .await
    }

    /// When the first byte of the last request was handed to the socket.
    pub(crate) fn first_write(&self) -> Option<Instant> {
        self.socket.first_write()
    }

    /// When the bytes that were last read arrived.
    pub(crate) fn last_arrival(&self) -> Instant {
        self.socket.last_arrival()
    }
}
