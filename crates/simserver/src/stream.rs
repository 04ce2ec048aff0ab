//! The body of a streamed response: a feed read, one SSE event per HTTP chunk, as vLLM sends them.
//!
//! All events that are due are handed over in one go, so the connection writes once per step. A body that is dropped
//! before its end, because the client has gone, aborts its request.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};

use crate::frames::{DONE, Frames};
use crate::http::Ticket;

/// Room asked for at a time; holds about fifty chunks.
const BUFFER_BYTES: usize = 16 * 1024;

/// A stream of SSE events.
pub(crate) struct EventStream {
    ticket: Ticket,
    frames: Frames,
    stage: Stage,
    sent: u32,
    buffer: Buffer,
}

/// What comes next.
enum Stage {
    Role,
    Tokens,
    Usage,
    Done,
    End,
}

impl EventStream {
    pub(crate) fn new(ticket: Ticket, frames: Frames) -> Self {
        Self {
            ticket,
            frames,
            stage: Stage::Role,
            sent: 0,
            buffer: Buffer(BytesMut::new()),
        }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match self.stage {
                Stage::Role => {
                    // vLLM opens the chat when the first token is there, not before.
                    ready!(self.ticket.feed.poll_beyond(0, context));
                    self.stage = Stage::Tokens;
                    if let Some(role) = self.frames.role() {
                        return Poll::Ready(Some(role.into()));
                    }
                }
                Stage::Tokens => {
                    let progress = ready!(self.ticket.feed.poll_beyond(self.sent, context));
                    self.sent += 1;
                    if self.sent == progress.tokens {
                        self.ticket.observe_lateness(progress.due);
                    }
                    let finish = progress.finish.filter(|_| self.sent == progress.tokens);
                    if finish.is_some() {
                        self.ticket.mark_finished();
                        self.stage = Stage::Usage;
                    }
                    // Writing to memory cannot fail.
                    let _infallible = self.frames.token(self.sent, finish, &mut self.buffer);
                    return Poll::Ready(Some(self.buffer.0.split().freeze()));
                }
                Stage::Usage => {
                    self.stage = Stage::Done;
                    if let Some(usage) = self.frames.usage(self.sent) {
                        return Poll::Ready(Some(usage.into()));
                    }
                }
                Stage::Done => {
                    self.stage = Stage::End;
                    return Poll::Ready(Some(Bytes::from_static(DONE.as_bytes())));
                }
                Stage::End => return Poll::Ready(None),
            }
        }
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_event(context)
            .map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}

struct Buffer(BytesMut);

impl fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.capacity() - self.0.len() < text.len() {
            self.0.reserve(BUFFER_BYTES.max(text.len()));
        }
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
