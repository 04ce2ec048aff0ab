//! Versions of HTTP, and the ways in which an exchange fails.

use std::error::Error;

/// Version of HTTP on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Versions of HTTP that the client offers to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// HTTP/2 where the server chooses it in TLS, else HTTP/1.1.
    Either,
    Http1,
    Http2,
}

/// Reason why a request came to no proper end.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server's bytes do not follow the protocol.
    Malformed(String),
    /// The connection, or the request on it, broke off.
    Cut(String),
}

impl Fault {
    pub(crate) fn cut(error: &dyn Error) -> Self {
        Self::Cut(describe(error))
    }
}

/// The text of an error and of its causes, of which the last is the system's own.
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
