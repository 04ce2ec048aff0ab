//! One HTTP/1.1 connection, kept alive between the requests of a slot.
//!
//! The socket stamps itself (`wire`). The
//! connection is driven by the very task that waits for the response, so no queue and no other task lies between a read
//! and its stamp, and every frame that hyper hands over comes from the last read.
//!
//! A server may close a connection that lies idle. That is looked for before a request is sent, with a peek at the
//! socket; after sending, nothing is ever repeated.

use std::{
    error::Error,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;

use crate::{
    level::Load,
    wire::{Socket, Wire},
};

/// Bytes of one read of a level's connections, and so the longest response head that is understood. Hyper's own buffers double while reads fill
/// them, which is what they do when the client is late: thousands of streams would take more memory the less there is to
/// spare. Heads of engines have 200 bytes and those of proxies seldom 2,000, so many streams make do with half.
pub(crate) fn read_buffer(load: Load) -> usize {
    match load {
        Load::Closed { concurrency } if concurrency.get() >= 1024 => 4096,
        _ => 8192,
    }
}

/// An open connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<Wire>, Full<Bytes>>,
    /// The driver has ended, and with it the connection.
    ended: bool,
    socket: Rc<Socket>,
}

impl Connection {
    /// Speaks HTTP/1.1 over `wire`, whose socket is `socket`; reads `read_buffer` bytes at a time.
    pub(crate) async fn over(
        wire: Wire,
        socket: Rc<Socket>,
        read_buffer: usize,
    ) -> io::Result<Self> {
        let (sender, driver) = http1::Builder::new()
            .read_buf_exact_size(Some(read_buffer))
            .handshake(TokioIo::new(wire))
            .await
            .map_err(io::Error::other)?;
        Ok(Self {
            sender,
            driver,
            ended: false,
            socket,
        })
    }

    /// Whether the connection can carry another request. It cannot when the server has closed it meanwhile.
    pub(crate) async fn is_reusable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(())
        })
        .await;
        !self.ended && self.sender.is_ready() && self.socket.is_silent()
    }

    /// Sends `request` and waits for the response's head. Dropping the future gives the connection up.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        self.socket.begin();
        let mut response = pin!(self.sender.send_request(request));
        poll_fn(|cx| {
            drive(&mut self.driver, &mut self.ended, cx);
            response.as_mut().poll(cx)
        })
        .await
    }

    /// Waits for the next part of the response's body and says when its last byte was read.
    pub(crate) async fn frame(
        &mut self,
        body: &mut Incoming,
    ) -> Option<hyper::Result<(Instant, Frame<Bytes>)>> {
        let frame = poll_fn(|cx| {
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                return Poll::Ready(frame);
            }
            self.drive(cx);
            Pin::new(&mut *body).poll_frame(cx)
        })
        .await?;
        Some(frame.map(|frame| (self.last_read(), frame)))
    }

    /// When the first byte of the last request was handed to the socket.
    pub(crate) fn first_write(&self) -> Option<Instant> {
        self.socket.first_write()
    }

    /// When bytes were last read.
    pub(crate) fn last_read(&self) -> Instant {
        self.socket.last_read()
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, &mut self.ended, cx);
    }
}

/// Moves bytes between socket and channels. Its error, if any, reaches whoever waits for the response too.
fn drive(
    driver: &mut http1::Connection<TokioIo<Wire>, Full<Bytes>>,
    ended: &mut bool,
    cx: &mut Context<'_>,
) {
    if !*ended {
        *ended = Pin::new(driver).poll(cx).is_ready();
    }
}

/// An error with its causes, which is where the system's own words are.
pub(crate) fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
