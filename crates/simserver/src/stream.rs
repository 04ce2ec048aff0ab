//! The body of a streamed response: feeds read, one SSE event per HTTP chunk, as vLLM sends them, unless a fault has struck.
//!
//! All events that are due are handed over in one go, so the connection writes once per step. A body that is dropped
//! before its end, because the client has gone, aborts its requests.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use hyper::body::{Body, Frame};
use tokio::time::{Sleep, sleep};

use crate::body_faults::{BodyFaults, Event};
use crate::connection::Control;
use crate::engine::FinishReason;
use crate::frames::Span;
use crate::stream_events::Events;
use crate::ticket::Ticket;

/// Room asked for at a time; holds about fifty chunks.
const BUFFER_BYTES: usize = 16 * 1024;

/// What an error in the middle of a stream looks like, as vLLM's stream generator writes it.
pub(crate) const ERROR: &str = r#"{"error": {"message": "simulated fault: the engine has lost this request", "type": "BadRequestError", "param": null, "code": 400}}"#;

/// A stream of SSE events.
pub(crate) struct EventStream {
    choices: Vec<Choice>,
    /// The choice whose turn it is.
    turn: usize,
    events: Events,
    /// Events that are due, one after the other.
    queue: VecDeque<String>,
    body_faults: BodyFaults,
    control: Arc<Control>,
    stage: Stage,
    padding: u32,
    pause: Option<Pin<Box<Sleep>>>,
    /// What drips.
    unsent: Bytes,
    buffer: Buffer,
}

/// One of the outputs of a request.
struct Choice {
    ticket: Ticket,
    sent: u32,
    finish: Option<FinishReason>,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Stage {
    /// What is sent before the engine has made a token.
    Opening,
    Head,
    /// The chunk that opens choice `.0`.
    Role(u32),
    Tokens,
    Usage,
    UsageAgain,
    Done,
    End,
    /// The connection is about to be closed or reset.
    Ending(Event),
    /// It is.
    Ended,
}

impl EventStream {
    pub(crate) fn new(tickets: Vec<Ticket>, events: Events, body_faults: BodyFaults, control: Arc<Control>) -> Self {
        let choice = |ticket| Choice { ticket, sent: 0, finish: None };
        Self {
            choices: tickets.into_iter().map(choice).collect(),
            turn: 0,
            events,
            queue: VecDeque::new(),
            body_faults,
            control,
            stage: Stage::Opening,
            padding: 0,
            pause: None,
            unsent: Bytes::new(),
            buffer: Buffer(BytesMut::new()),
        }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            if let Some(event) = self.queue.pop_front() {
                return Poll::Ready(Some(event.into()));
            }
            if matches!(self.stage, Stage::Head | Stage::Tokens) {
                let sent = self.choices.first().map_or(0, |choice| choice.sent);
                if let Some(event) = self.body_faults.take(sent) {
                    if let Some(bytes) = self.happen(event) {
                        return Poll::Ready(Some(bytes));
                    }
                    continue;
                }
            }
            match self.stage {
                Stage::Opening => {
                    self.queue.extend(self.events.opening());
                    self.stage = Stage::Head;
                }
                Stage::Head => {
                    // vLLM opens the chat when the first token is there, not before.
                    ready!(self.poll_first(context));
                    self.stage = Stage::Role(0);
                }
                Stage::Role(choice) => {
                    self.stage = match choice + 1 {
                        next if (next as usize) < self.choices.len() => Stage::Role(next),
                        _ => Stage::Tokens,
                    };
                    self.queue.extend(self.events.choice_opens(choice));
                }
                Stage::Tokens => return self.poll_tokens(context).map(Some),
                Stage::Usage => {
                    let twice = self.body_faults.usage.twice;
                    self.stage = if twice { Stage::UsageAgain } else { Stage::Done };
                    let told = self.told();
                    self.queue.extend(self.events.closing(told));
                }
                Stage::UsageAgain => {
                    self.stage = Stage::Done;
                    let told = self.told();
                    self.queue.extend(self.events.counts_again(told));
                }
                Stage::Done => {
                    self.stage = Stage::End;
                    self.queue.extend(self.events.done().map(str::to_owned));
                }
                Stage::End => return Poll::Ready(None),
                Stage::Ending(event) => {
                    // hyper writes what it has been given before it asks again.
                    match event {
                        Event::Reset => self.control.reset(),
                        _ => self.control.close(),
                    }
                    self.stage = Stage::Ended;
                }
                Stage::Ended => return Poll::Pending,
            }
            if matches!(self.stage, Stage::Ending(_)) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Carries out an event between tokens; the bytes of it, if it has any.
    fn happen(&mut self, event: Event) -> Option<Bytes> {
        match event {
            Event::Stall(time) => self.pause = Some(Box::pin(sleep(time))),
            Event::Malformed => return Some(self.events.malformed().into()),
            Event::Pad(characters) => self.padding = characters,
            Event::Error => {
                self.stage = Stage::Done;
                return Some(format!("data: {ERROR}\n\n").into());
            }
            Event::Close | Event::Reset => self.stage = Stage::Ending(event),
        }
        None
    }

    /// Waits for a token of any choice.
    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let feeds = self.choices.iter().map(|choice| &choice.ticket.feed);
        // Every feed is asked, so that each of them wakes this task.
        match feeds.filter(|feed| feed.poll_beyond(0, context).is_ready()).count() {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }

    /// The next chunk of tokens: of the choice whose turn it is, or of the next one that has some.
    fn poll_tokens(&mut self, context: &mut Context<'_>) -> Poll<Bytes> {
        let count = self.choices.len();
        for index in (self.turn..self.turn + count).map(|index| index % count) {
            let choice = &mut self.choices[index];
            if choice.finish.is_some() {
                continue;
            }
            let most = match index {
                0 => self.body_faults.tokens_until_next(choice.sent),
                _ => u32::MAX,
            };
            let wanted = self.body_faults.tokens_per_chunk.min(most);
            let Poll::Ready(progress) = choice.ticket.feed.poll_beyond(choice.sent + (wanted - 1), context) else {
                continue;
            };
            let last = progress.tokens.min(choice.sent + wanted);
            let first = choice.sent + 1;
            choice.sent = last;
            if last == progress.tokens {
                choice.ticket.observe_lateness(progress.due);
                choice.finish = progress.finish;
            }
            let span = Span {
                choice: u32::try_from(index).unwrap_or(u32::MAX),
                first,
                last,
                finish: choice.finish,
                padding: std::mem::take(&mut self.padding),
                cached: progress.cached,
            };
            if choice.finish.is_some() {
                choice.ticket.mark_finished();
            }
            self.turn = index + 1;
            if self.choices.iter().all(|choice| choice.finish.is_some()) {
                self.stage = Stage::Usage;
            }
            // Writing to memory cannot fail.
            let _infallible = self.events.tokens(span, &mut self.buffer);
            return Poll::Ready(self.buffer.0.split().freeze());
        }
        Poll::Pending
    }

    /// The completion tokens that the stream tells.
    fn told(&self) -> Option<u32> {
        if self.body_faults.usage.missing {
            return None;
        }
        let sent = self.choices.iter().map(|choice| choice.sent);
        let sent = sent.fold(0, u32::saturating_add);
        Some(self.body_faults.usage.told(sent))
    }

    /// A few bytes, then a pause.
    fn poll_drip(&mut self, bytes: u32, every: std::time::Duration, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.unsent.is_empty() {
            match ready!(self.poll_event(context)) {
                None => return Poll::Ready(None),
                Some(event) => self.unsent = self.lines_ended(event),
            }
        } else if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let some = (bytes as usize).min(self.unsent.remaining());
        self.pause = Some(Box::pin(sleep(every)));
        Poll::Ready(Some(self.unsent.split_to(some)))
    }

    fn lines_ended(&self, event: Bytes) -> Bytes {
        if !self.body_faults.crlf {
            return event;
        }
        let mut ended = Vec::with_capacity(event.len() + 2);
        for byte in event {
            if byte == b'\n' {
                ended.push(b'\r');
            }
            ended.push(byte);
        }
        ended.into()
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let event = match self.body_faults.drip {
            Some((bytes, every)) => self.poll_drip(bytes, every, context),
            None => self.poll_event(context).map(|event| event.map(|event| self.lines_ended(event))),
        };
        event.map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
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
