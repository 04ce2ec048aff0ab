//! Bodies of responses: streamed, altered by faults, or in one piece.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

use crate::faulty_body::FaultyBody;
use crate::stream::EventStream;

/// Content type of JSON.
pub(crate) const JSON: &str = "application/json";

/// What is sent after the head.
pub(crate) enum ResponseBody {
    Stream(Box<EventStream>),
    Faulty(Box<FaultyBody>),
    Full(Full<Bytes>),
}

impl ResponseBody {
    pub(crate) fn stream(stream: EventStream) -> Self {
        Self::Stream(Box::new(stream))
    }

    pub(crate) fn faulty(body: FaultyBody) -> Self {
        Self::Faulty(Box::new(body))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Stream(stream) => Pin::new(stream).poll_frame(context),
            Self::Faulty(body) => Pin::new(body).poll_frame(context),
            Self::Full(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Stream(_) | Self::Faulty(_) => false,
            Self::Full(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Stream(_) => SizeHint::default(),
            Self::Faulty(body) => body.size_hint(),
            Self::Full(body) => body.size_hint(),
        }
    }
}

/// A response of JSON.
pub(crate) fn json(status: u16, body: impl Into<Bytes>) -> Response<ResponseBody> {
    text(status, JSON, body)
}

/// A response of text in one piece.
pub(crate) fn text(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Full(Full::new(body.into())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
