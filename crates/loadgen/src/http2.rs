//! HTTP/2 as a load client needs it: one stream at a time over a connection of its own, so that streams of a level meet
//! in the server and not in one socket's flow control.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{
    RecvStream,
    client::{self, ResponseFuture, SendRequest},
};
use http::{Method, Request, Uri, Version, header::HOST, response::Parts};

use crate::{
    Target,
    protocol::{Fault, describe},
    wire::Wire,
};

/// Bytes that the server may send before we say that we took them. A load client takes everything at once.
const WINDOW: u32 = 1 << 20;

/// A connection and the stream on it.
pub(crate) struct Http2 {
    sender: SendRequest<Bytes>,
    driver: client::Connection<Wire, Bytes>,
    /// The driver has ended, and with it the connection.
    ended: bool,
    response: Option<ResponseFuture>,
    body: Option<RecvStream>,
}

impl Http2 {
    /// Greets the server. Its answer is awaited with the first request.
    pub(crate) async fn over(wire: Wire) -> io::Result<Self> {
        let (sender, driver) = client::Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .handshake(wire)
            .await
            .map_err(|error| io::Error::other(format!("HTTP/2: {}", describe(&error))))?;
        Ok(Self { sender, driver, ended: false, response: None, body: None })
    }

    /// Whether another request can be sent.
    pub(crate) fn poll_reusable(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        !self.ended && self.body.is_none() && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }

    /// Begins a request.
    pub(crate) fn begin(&mut self, target: &Target, body: Bytes) -> Result<(), Fault> {
        let request = request(target)?;
        let (response, mut stream) = self.sender.send_request(request, false).map_err(|error| fault(&error))?;
        // Sent as far as the server's window lets it, by whoever drives the connection.
        stream.send_data(body, true).map_err(|error| fault(&error))?;
        self.response = Some(response);
        self.body = None;
        Ok(())
    }

    /// Waits for the head of the response.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Parts, Fault>> {
        self.drive(cx);
        let Some(response) = &mut self.response else {
            return Poll::Ready(Err(Fault::Cut("no request was sent".to_owned())));
        };
        let answered = ready!(Pin::new(response).poll(cx));
        self.response = None;
        Poll::Ready(answered.map_err(|error| fault(&error)).map(|response| {
            let (head, body) = response.into_parts();
            self.body = Some(body);
            head
        }))
    }

    /// Waits for bytes of the body; false when it has ended.
    pub(crate) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        on_bytes: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<bool, Fault>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(Ok(false));
        };
        let mut polled = body.poll_data(cx);
        if polled.is_pending() {
            if !self.ended {
                self.ended = Pin::new(&mut self.driver).poll(cx).is_ready();
            }
            polled = body.poll_data(cx);
        }
        match ready!(polled) {
            Some(Ok(data)) => {
                on_bytes(&data);
                // Fails only where the stream has ended, and then nothing more is to come.
                drop(body.flow_control().release_capacity(data.len()));
                Poll::Ready(Ok(true))
            }
            Some(Err(error)) => Poll::Ready(Err(fault(&error))),
            None => {
                self.body = None;
                Poll::Ready(Ok(false))
            }
        }
    }

    /// Moves bytes between socket and streams. Its error, if any, reaches whoever waits for the response too.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            self.ended = Pin::new(&mut self.driver).poll(cx).is_ready();
        }
    }
}

fn request(target: &Target) -> Result<Request<()>, Fault> {
    let scheme = match target.url().scheme() {
        records::Scheme::Https => "https",
        records::Scheme::Http | records::Scheme::Unix(_) => "http",
    };
    // `:authority` says what `Host` would.
    let host = target.headers().get(HOST);
    let authority = host.and_then(|host| host.to_str().ok());
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority.map_or_else(|| target.url().authority(), str::to_owned))
        .path_and_query(target.endpoint())
        .build()
        .map_err(|error| Fault::cut(&error))?;
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri;
    *request.headers_mut() = target.headers().clone();
    request.headers_mut().remove(HOST);
    Ok(request)
}

fn fault(error: &h2::Error) -> Fault {
    let message = format!("HTTP/2: {}", describe(error));
    // A connection error that we found, and not the system or the server, is one of the protocol (RFC 9113, 5.4.1).
    if error.is_go_away() && error.is_library() {
        return Fault::Malformed(message);
    }
    Fault::Cut(message)
}
