//! One request attempt, from a free slot to a finished record. Whatever happens becomes the record's outcome; nothing is
//! repeated here and no time starts over.

use std::{cell::RefCell, io, rc::Rc, time::Instant};

use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE, response::Parts};
use records::{Chunks, Clock, Offset, Outcome, RequestRecord, Stage, TimeoutPhase, TokenCount, TokenSource, Turn};
use tokio_util::sync::CancellationToken;

use crate::{
    Target,
    connection::Connection,
    connector::{Connector, Refused},
    deadline::{Deadline, Interruption},
    keep_alive::SlotConnection,
    load_plan::Timeouts,
    openai::{Chunk, Endpoint, Event, error_message},
    protocol::Fault,
    timeline::{Ending, Reading, Timeline},
};

/// Bytes of an error body that are kept.
const BODY_EXCERPT_MAX_BYTES: usize = 1024;
/// Bytes of an error body that are read, so that the connection can be used again.
const BODY_MAX_BYTES: usize = 64 * 1024;
/// Bytes of an answer in one piece that are read.
const ANSWER_MAX_BYTES: usize = 16 * 1024 * 1024;

/// What every request of a level needs.
#[derive(Clone)]
pub(crate) struct Client<'a> {
    pub(crate) target: &'a Target,
    pub(crate) connector: &'a Connector,
    pub(crate) timeouts: Timeouts,
    /// Whether answers are streamed.
    pub(crate) stream: bool,
    /// Through which API.
    pub(crate) endpoint: Endpoint,
    /// Where what the assistant says goes, if someone wants to know.
    pub(crate) answer: Option<Rc<RefCell<String>>>,
    pub(crate) clock: Clock,
    /// Ends every request in flight.
    pub(crate) halt: CancellationToken,
}

/// A request that is to be sent.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) request: u64,
    pub(crate) level: u32,
    pub(crate) stage: Stage,
    pub(crate) slot: u32,
    pub(crate) turn: Option<Turn>,
    pub(crate) retry: u32,
    pub(crate) intended: Offset,
    pub(crate) asked_output_tokens: u32,
    pub(crate) body: Bytes,
}

impl Client<'_> {
    /// Sends the request over a connection of `keeper` or a new one, which is given to it if it may be used again.
    pub(crate) async fn attempt(&self, keeper: &mut SlotConnection, job: Job) -> RequestRecord {
        let mut record = RequestRecord {
            request: job.request,
            level: job.level,
            stage: job.stage,
            slot: job.slot,
            turn: job.turn,
            retry: job.retry,
            intended_ns: job.intended,
            sent_ns: Offset::ZERO,
            connection: records::Connection::None,
            head_ns: None,
            chunks: Chunks::default(),
            first_output_ns: None,
            finished_ns: Offset::ZERO,
            asked_output_tokens: job.asked_output_tokens,
            prompt_tokens: None,
            cached_prompt_tokens: None,
            output_tokens: None,
            server_timings: None,
            outcome: Outcome::Cancelled,
        };
        let connect_deadline = Instant::now() + self.timeouts.connect;
        let mut guard = Deadline::new(&self.halt, connect_deadline);
        match self.connection(keeper, &mut record, &mut guard).await {
            Ok(mut connection) => {
                let mut exchange = Exchange::new(self, &mut connection, &mut record);
                if exchange.run(job.body, &mut guard).await {
                    // What is left to do, and the next request, would delay the stamps of other streams whose tokens have
                    // come meanwhile.
                    tokio::task::yield_now().await;
                    keeper.put(connection).await;
                }
            }
            Err(outcome) => {
                record.outcome = outcome;
                record.finished_ns = self.clock.at(Instant::now());
                record.sent_ns = record.finished_ns;
            }
        }
        record
    }

    async fn connection(
        &self,
        keeper: &mut SlotConnection,
        record: &mut RequestRecord,
        guard: &mut Deadline<'_>,
    ) -> Result<Connection, Outcome> {
        if let Some(connection) = keeper.take().await {
            record.connection = records::Connection::Reused;
            return Ok(connection);
        }
        let begin = Instant::now();
        match guard.within(self.connector.open()).await {
            Ok(Ok(connection)) => {
                let connect_ns = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
                record.connection = records::Connection::New { connect_ns };
                Ok(connection)
            }
            Ok(Err(Refused { phase, error })) => {
                Err(Outcome::ConnectFailed { phase, message: connect_message(&error) })
            }
            Err(Interruption::Cancelled) => Err(Outcome::Cancelled),
            Err(Interruption::Elapsed) => Err(Outcome::TimedOut { phase: TimeoutPhase::Connect }),
        }
    }
}

/// What an answer in one piece is.
enum Answer {
    Complete(Chunk),
    Error(String),
    Malformed,
}

fn read_answer(endpoint: Endpoint, bytes: &[u8]) -> Answer {
    match endpoint.read_whole(bytes) {
        // An answer has choices or at least a count; `{}` has neither.
        Ok(Event::Chunk(chunk)) if chunk != Chunk::default() => Answer::Complete(chunk),
        Ok(Event::Error(message)) => Answer::Error(message),
        _ => Answer::Malformed,
    }
}

fn connect_message(error: &io::Error) -> String {
    match error.raw_os_error() {
        // EMFILE: the limit is the client's own, and the level does not reach its concurrency.
        Some(24) => format!("{error}\nhint: raise the limit on open files (ulimit -n)"),
        _ => error.to_string(),
    }
}

/// A request on the wire.
struct Exchange<'a> {
    client: &'a Client<'a>,
    connection: &'a mut Connection,
    record: &'a mut RequestRecord,
    begin: Instant,
    last_token: Option<Instant>,
}

impl<'a> Exchange<'a> {
    fn new(client: &'a Client<'a>, connection: &'a mut Connection, record: &'a mut RequestRecord) -> Self {
        Self { client, connection, record, begin: Instant::now(), last_token: None }
    }

    /// Fills the record; says whether the connection may be used again.
    async fn run(&mut self, body: Bytes, guard: &mut Deadline<'_>) -> bool {
        let clock = self.client.clock;
        self.move_deadline(guard);
        let sending = self.connection.send(self.client.target, body);
        let answered = guard.within(sending).await;
        let sent = self.connection.first_write().unwrap_or(self.begin);
        self.record.sent_ns = clock.at(sent);
        let reusable = match answered {
            Ok(Ok(head)) => {
                self.record.head_ns = Some(clock.at(self.connection.last_arrival()));
                self.response(&head, guard).await
            }
            Ok(Err(fault)) => {
                self.record.outcome = self.broken(fault);
                false
            }
            Err(interruption) => {
                self.record.outcome = self.interrupted(interruption);
                false
            }
        };
        let end = if reusable { self.connection.last_arrival() } else { Instant::now() };
        self.record.finished_ns = clock.at(end);
        reusable
    }

    async fn response(&mut self, head: &Parts, guard: &mut Deadline<'_>) -> bool {
        if !head.status.is_success() {
            return self.refusal(head.status, guard).await;
        }
        let content_type = head.headers.get(CONTENT_TYPE);
        if !self.client.stream {
            return self.whole(guard).await;
        }
        if content_type.is_some_and(|v| !v.as_bytes().starts_with(b"text/event-stream")) {
            return self.not_a_stream(guard).await;
        }
        self.stream(guard).await
    }

    /// The good case: server-sent events.
    async fn stream(&mut self, guard: &mut Deadline<'_>) -> bool {
        let clock = self.client.clock;
        let keep_text = self.client.answer.is_some();
        let mut timeline = Timeline::new(self.record.sent_ns).of(self.client.endpoint, keep_text);
        let (ending, reusable) = loop {
            let before = timeline.last_token();
            let deadline = guard.deadline();
            let mut late = false;
            let next = self.connection.body(|at, bytes| {
                late = at >= deadline;
                if !late {
                    timeline.read(clock.at(at), bytes);
                }
            });
            match guard.within(next).await {
                Ok(Ok(more)) => {
                    let at = self.connection.last_arrival();
                    // A server that never pauses never lets the guard wait, so it is asked here.
                    if late || more && guard.passed(at).is_some() {
                        let interruption = guard.passed(at).unwrap_or(Interruption::Elapsed);
                        let outcome = self.interrupted(interruption);
                        break (Ending::Broken(outcome), false);
                    }
                    if timeline.last_token() != before {
                        self.last_token = Some(at);
                        self.move_deadline(guard);
                    }
                    if timeline.has_failed() {
                        break (Ending::Whole, false);
                    }
                    if !more {
                        break (Ending::Whole, true);
                    }
                }
                Ok(Err(fault)) => break (Ending::Broken(self.broken(fault)), false),
                Err(interruption) => {
                    break (Ending::Broken(self.interrupted(interruption)), false);
                }
            }
        };
        self.fill(timeline.end(ending));
        reusable
    }

    fn fill(&mut self, reading: Reading) {
        let target = self.client.target;
        let record = &mut *self.record;
        if let (Some(answer), Some(text)) = (&self.client.answer, reading.text) {
            answer.replace(text);
        }
        record.chunks = reading.chunks;
        record.first_output_ns = reading.first_output_ns;
        record.prompt_tokens = reading.prompt_tokens;
        record.cached_prompt_tokens = reading.cached_prompt_tokens;
        record.output_tokens = reading.output_tokens;
        record.server_timings = reading.server_timings;
        record.outcome = match reading.outcome {
            Outcome::ErrorInStream { message } => Outcome::ErrorInStream { message: target.redact(&message) },
            Outcome::Malformed { message } => Outcome::Malformed { message: target.redact(&message) },
            other => other,
        };
    }

    async fn refusal(&mut self, status: StatusCode, guard: &mut Deadline<'_>) -> bool {
        let (bytes, reusable) = self.collect(BODY_MAX_BYTES, guard).await;
        self.record.outcome = Outcome::HttpStatus { status: status.as_u16(), body: self.excerpt(&bytes) };
        reusable
    }

    /// A 200 that is no stream: an error in disguise, or a server that ignores `stream`.
    async fn not_a_stream(&mut self, guard: &mut Deadline<'_>) -> bool {
        let (bytes, reusable) = self.collect(BODY_MAX_BYTES, guard).await;
        self.record.outcome = match error_message(&bytes) {
            Some(message) => Outcome::ErrorInStream { message: self.client.target.redact(&message) },
            None => {
                Outcome::Malformed { message: format!("the response is no event stream: {}", self.excerpt(&bytes)) }
            }
        };
        reusable
    }

    /// An answer that was asked for in one piece. It has an end and no first token.
    async fn whole(&mut self, guard: &mut Deadline<'_>) -> bool {
        let (bytes, reusable) = self.collect(ANSWER_MAX_BYTES, guard).await;
        if !reusable {
            self.record.outcome = match guard.passed(Instant::now()) {
                Some(interruption) => self.interrupted(interruption),
                None => Outcome::Cut { message: "the answer broke off".to_owned() },
            };
            return false;
        }
        let answer = read_answer(self.client.endpoint, &bytes);
        if let Some(text) = &self.client.answer {
            text.replace(self.client.endpoint.text_of_whole(&bytes));
        }
        let at = self.client.clock.at(self.connection.last_arrival());
        self.record.chunks.since_sent_ns = vec![at.0.saturating_sub(self.record.sent_ns.0)];
        self.fill_answer(answer, &bytes);
        true
    }

    fn fill_answer(&mut self, answer: Answer, bytes: &[u8]) {
        let excerpt = self.excerpt(bytes);
        let target = self.client.target;
        let record = &mut *self.record;
        record.outcome = match answer {
            Answer::Complete(chunk) => {
                let usage = chunk.usage.unwrap_or_default();
                let source = TokenSource::Usage;
                record.prompt_tokens = usage.prompt_tokens;
                record.cached_prompt_tokens = usage.prompt_tokens_details.and_then(|d| d.cached_tokens);
                record.output_tokens = usage.completion_tokens.map(|count| TokenCount { count, source });
                record.server_timings = chunk.times.map(Into::into);
                if chunk.bearing.token || usage.completion_tokens > Some(0) {
                    Outcome::Completed { finish_reason: chunk.finish_reason }
                } else {
                    Outcome::NoTokens
                }
            }
            Answer::Error(message) => Outcome::ErrorInStream { message: target.redact(&message) },
            Answer::Malformed => {
                Outcome::Malformed { message: format!("the answer is not what the API gives: {excerpt}") }
            }
        };
        if !matches!(record.outcome, Outcome::Completed { .. }) {
            record.chunks.since_sent_ns.clear();
        }
    }

    fn excerpt(&self, bytes: &[u8]) -> String {
        // Redacted before it is cut, or half a secret could stay at the edge.
        let text = self.client.target.redact(&String::from_utf8_lossy(bytes));
        let end = text.floor_char_boundary(BODY_EXCERPT_MAX_BYTES);
        text[..end].to_owned()
    }

    /// As much of a body as is there; whether it ended properly.
    async fn collect(&mut self, limit: usize, guard: &mut Deadline<'_>) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        while bytes.len() < limit {
            let next = self.connection.body(|_, part| bytes.extend_from_slice(part));
            match guard.within(next).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return (bytes, true),
                Ok(Err(_)) | Err(_) => break,
            }
        }
        (bytes, false)
    }

    fn broken(&self, fault: Fault) -> Outcome {
        let redact = |message: String| self.client.target.redact(&message);
        match fault {
            Fault::Malformed(message) => Outcome::Malformed { message: redact(message) },
            Fault::Cut(message) => Outcome::Cut { message: redact(message) },
        }
    }

    fn interrupted(&self, interruption: Interruption) -> Outcome {
        let timeouts = &self.client.timeouts;
        let phase = match interruption {
            Interruption::Cancelled => return Outcome::Cancelled,
            Interruption::Elapsed if self.begin.elapsed() >= timeouts.total => TimeoutPhase::Total,
            Interruption::Elapsed if !self.client.stream => TimeoutPhase::Total,
            // The head alone says nothing: engines send it at once.
            Interruption::Elapsed if self.record.head_ns.is_none() => TimeoutPhase::FirstByte,
            Interruption::Elapsed => TimeoutPhase::BetweenTokens,
        };
        Outcome::TimedOut { phase }
    }

    fn move_deadline(&self, guard: &mut Deadline<'_>) {
        let timeouts = &self.client.timeouts;
        let next = match self.last_token {
            // An answer in one piece has no first byte before its last.
            None if !self.client.stream => self.begin + timeouts.total,
            None => self.begin + timeouts.first_byte,
            Some(at) => at + timeouts.between_tokens,
        };
        guard.until(next.min(self.begin + timeouts.total));
    }
}
