//! HTTP/1.1 as a load client needs it: one request, then its response, over one connection that no one else uses.
//!
//! Bytes are read into a buffer that all connections of a thread share and are handed on from there at once. A stream
//! that waits holds none: thousands of them cost no buffers, and no queue lies between a read and its stamp. Heads are
//! parsed by `httparse`, which hyper uses too. `docs/decisions.md` says what this saves.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use http::{
    HeaderMap, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING},
    response::Parts,
};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::{Target, chunked::Chunked, protocol::Fault, socket::Socket, wire::Wire};

/// Bytes of one read.
const READ: usize = 16 * 1024;
/// Longest response head that is understood.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// Header fields of a response at most.
const FIELDS_MAX: usize = 100;

thread_local! {
    /// What a read fills; every connection hands on what it has read before another reads.
    static READ_BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

/// Where the body of a response ends.
#[derive(Debug)]
enum Framing {
    Chunked(Chunked),
    Left(u64),
    UntilClose,
    Ended,
}

/// A connection, idle or with one request on it.
pub(crate) struct Http1 {
    wire: Wire,
    socket: Rc<Socket>,
    /// The request, as far as it has not been written.
    unsent: Unsent,
    /// Bytes that were read with the head: part of it, or the beginning of the body.
    kept: Vec<u8>,
    framing: Framing,
    /// The server lets the connection live on after this response.
    keeps: bool,
}

#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    written: usize,
    flushed: bool,
    /// Why it cannot be written; the server may still have said something before it hung up.
    failed: Option<io::Error>,
}

impl Http1 {
    pub(crate) fn new(wire: Wire, socket: Rc<Socket>) -> Self {
        Self { wire, socket, unsent: Unsent::default(), kept: Vec::new(), framing: Framing::Ended, keeps: true }
    }

    /// Whether another request can be sent: the last response ended, both sides keep the connection, and nothing came
    /// meanwhile, least of all its end.
    pub(crate) fn poll_reusable(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.keeps || !matches!(self.framing, Framing::Ended) || !self.kept.is_empty() {
            return false;
        }
        // Under TLS there may be records that mean nothing to HTTP; this takes them.
        let nothing_came = READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            Pin::new(&mut self.wire).poll_read(cx, &mut buffer).is_pending()
        });
        self.keeps = nothing_came && self.socket.is_silent();
        self.keeps
    }

    /// Begins a request.
    pub(crate) fn begin(&mut self, target: &Target, body: &[u8]) {
        self.unsent = Unsent { bytes: request(target, body), ..Unsent::default() };
        self.framing = Framing::Ended;
        self.kept.clear();
    }

    /// Sends what is left of the request and waits for the head of the response.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Parts, Fault>> {
        let sent = self.poll_send(cx).is_ready();
        loop {
            let read = ready!(self.poll_into_kept(cx));
            match read {
                Ok(0) => return Poll::Ready(Err(self.ended_early())),
                Ok(_) => {}
                Err(error) => {
                    let error = self.unsent.failed.take().unwrap_or(error);
                    return Poll::Ready(Err(Fault::cut(&error)));
                }
            }
            while let Some(head) = self.parse_head()? {
                if head.status == StatusCode::SWITCHING_PROTOCOLS {
                    let message = "the server switched protocols unasked".to_owned();
                    return Poll::Ready(Err(Fault::Malformed(message)));
                }
                // Interim responses announce the final one.
                if head.status.is_informational() {
                    continue;
                }
                self.framing = framing(&head)?;
                let written = sent && self.unsent.failed.is_none();
                self.keeps = written && keeps(&head);
                self.unsent = Unsent::default();
                return Poll::Ready(Ok(head));
            }
            if self.kept.len() > HEAD_MAX_BYTES {
                let message = format!("the response's head is longer than {HEAD_MAX_BYTES} bytes");
                return Poll::Ready(Err(Fault::Malformed(message)));
            }
        }
    }

    /// Waits for bytes of the body and calls `on_bytes` with them and the time of their arrival; false when the body has
    /// ended. May have read nothing of the body's data.
    pub(crate) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        on_bytes: &mut dyn FnMut(Instant, &[u8]),
    ) -> Poll<Result<bool, Fault>> {
        if matches!(self.framing, Framing::Ended | Framing::Left(0)) {
            self.framing = Framing::Ended;
            return Poll::Ready(Ok(false));
        }
        if !self.kept.is_empty() {
            let kept = std::mem::take(&mut self.kept);
            return Poll::Ready(self.take(&kept, on_bytes));
        }
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            match ready!(Pin::new(&mut self.wire).poll_read(cx, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => Poll::Ready(self.end_of_connection()),
                Ok(()) => Poll::Ready(self.take(buffer.filled(), on_bytes)),
                Err(error) => Poll::Ready(Err(Fault::cut(&error))),
            }
        })
    }

    /// Takes the next bytes of the body; whether there is more to come.
    fn take(&mut self, bytes: &[u8], on_bytes: &mut dyn FnMut(Instant, &[u8])) -> Result<bool, Fault> {
        let at = self.socket.last_arrival();
        let taken = match &mut self.framing {
            Framing::Ended => 0,
            Framing::Chunked(chunked) => {
                let taken = chunked.decode(bytes, |data| on_bytes(at, data));
                let taken = taken.map_err(|error| Fault::Malformed(error.to_string()))?;
                if chunked.has_ended() {
                    self.framing = Framing::Ended;
                }
                taken
            }
            Framing::Left(left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX);
                let data = &bytes[..bytes.len().min(most)];
                on_bytes(at, data);
                *left -= data.len() as u64;
                if *left == 0 {
                    self.framing = Framing::Ended;
                }
                data.len()
            }
            Framing::UntilClose => {
                on_bytes(at, bytes);
                bytes.len()
            }
        };
        // Bytes that no request asked for.
        self.keeps &= taken == bytes.len();
        Ok(!matches!(self.framing, Framing::Ended))
    }

    fn end_of_connection(&mut self) -> Result<bool, Fault> {
        self.keeps = false;
        if matches!(self.framing, Framing::UntilClose) {
            self.framing = Framing::Ended;
            return Ok(false);
        }
        let message = "the connection was closed before the response was complete".to_owned();
        Err(Fault::Cut(message))
    }

    fn ended_early(&mut self) -> Fault {
        if let Some(error) = self.unsent.failed.take() {
            return Fault::cut(&error);
        }
        let before = if self.kept.is_empty() { "answered" } else { "ended its answer's head" };
        Fault::Cut(format!("the connection was closed before the server {before}"))
    }

    /// Writes what is left of the request.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let unsent = &mut self.unsent;
        while unsent.failed.is_none() && !unsent.flushed {
            let rest = &unsent.bytes[unsent.written..];
            if rest.is_empty() {
                match ready!(Pin::new(&mut self.wire).poll_flush(cx)) {
                    Ok(()) => unsent.flushed = true,
                    Err(error) => unsent.failed = Some(error),
                }
                unsent.bytes = Vec::new();
                unsent.written = 0;
                continue;
            }
            match ready!(Pin::new(&mut self.wire).poll_write(cx, rest)) {
                Ok(0) => unsent.failed = Some(io::ErrorKind::WriteZero.into()),
                Ok(written) => unsent.written += written,
                Err(error) => unsent.failed = Some(error),
            }
        }
        Poll::Ready(())
    }

    /// Reads bytes of the head.
    fn poll_into_kept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.wire).poll_read(cx, &mut buffer))?;
            self.kept.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }

    /// Takes a head off the kept bytes, if they hold a whole one.
    fn parse_head(&mut self) -> Result<Option<Parts>, Fault> {
        let malformed = |error: &dyn std::fmt::Display| Fault::Malformed(format!("the answer is not HTTP/1: {error}"));
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut parsed = httparse::Response::new(&mut fields);
        let length = match parsed.parse(&self.kept) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(malformed(&error)),
        };
        let mut head = Response::new(()).into_parts().0;
        head.status = StatusCode::from_u16(parsed.code.unwrap_or(0)).map_err(|e| malformed(&e))?;
        head.version = match parsed.version {
            Some(0) => Version::HTTP_10,
            _ => Version::HTTP_11,
        };
        for field in parsed.headers {
            let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|e| malformed(&e))?;
            let value = HeaderValue::from_bytes(field.value).map_err(|e| malformed(&e))?;
            head.headers.append(name, value);
        }
        // A head that came alone, as most do, leaves no buffer behind.
        self.kept = self.kept[length..].to_vec();
        Ok(Some(head))
    }
}

/// A whole request in bytes.
fn request(target: &Target, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512 + body.len());
    bytes.extend_from_slice(b"POST ");
    bytes.extend_from_slice(target.endpoint().as_bytes());
    bytes.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in target.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// How a response to a POST ends (RFC 9112, 6.3).
fn framing(head: &Parts) -> Result<Framing, Fault> {
    if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(Framing::Ended);
    }
    if let Some(coding) = head.headers.get_all(TRANSFER_ENCODING).iter().next_back() {
        let last = coding.as_bytes().rsplit(|byte| *byte == b',').next();
        let is_chunked = last.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"));
        return Ok(if is_chunked { Framing::Chunked(Chunked::new()) } else { Framing::UntilClose });
    }
    let mut length = None;
    for value in list(&head.headers, &CONTENT_LENGTH) {
        let number = std::str::from_utf8(value).ok().and_then(|text| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        });
        match (number, length) {
            (Some(number), None) => length = Some(number),
            (Some(number), Some(before)) if number == before => {}
            _ => {
                return Err(Fault::Malformed("its content-length is no number".to_owned()));
            }
        }
    }
    Ok(length.map_or(Framing::UntilClose, Framing::Left))
}

/// Whether the server lets the connection live on (RFC 9112, 9.3).
fn keeps(head: &Parts) -> bool {
    let says = |word: &str| list(&head.headers, &CONNECTION).any(|option| option.eq_ignore_ascii_case(word.as_bytes()));
    match head.version {
        Version::HTTP_10 => says("keep-alive"),
        _ => !says("close"),
    }
}

/// The members of a header that is a list.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}
