//! One response, folded as it arrives: from stamped bytes to the arrivals of tokens, the server's counts and the outcome.
//!
//! The stamp of a chunk is that of the read which completed its event, taken before anything was decoded. How the bytes
//! were cut into reads changes the stamps and nothing else. Pure: stamps are arguments.

use records::{Chunks, Offset, Outcome, ServerTimings, TokenCount, TokenSource};

use crate::{
    openai::{Bearing, Chunk, Endpoint, Event, EventReader, Usage, parse_response_event},
    sse::Decoder,
};

/// Arrivals kept of one response; the last entry is always the last arrival.
pub const STAMPS_MAX: usize = 65_536;

/// Bytes of an answer's text after which no more of it is kept.
const TEXT_MAX_BYTES: usize = 1 << 20;

/// Bytes of a bad event that are quoted.
const EXCERPT: usize = 200;

/// The fold. Feed it with [`Timeline::read`], end it with [`Timeline::end`].
#[derive(Debug)]
pub struct Timeline {
    sent: Offset,
    last_read: Offset,
    decoder: Decoder,
    folded: Folded,
}

/// How the bytes ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The response ended as HTTP says it should.
    Whole,
    /// It did not, and this is why.
    Broken(Outcome),
}

/// What a response amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Arrivals of the content-bearing chunks.
    pub chunks: Chunks,
    /// First arrival that was not reasoning, when the server marks reasoning.
    pub first_output_ns: Option<Offset>,
    /// Prompt tokens as the server counted them.
    pub prompt_tokens: Option<u64>,
    /// Of these, taken from the prefix cache.
    pub cached_prompt_tokens: Option<u64>,
    /// Output tokens, and who counted them.
    pub output_tokens: Option<TokenCount>,
    /// The server's own times.
    pub server_timings: Option<ServerTimings>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the assistant said, where it was kept.
    pub text: Option<String>,
}

#[derive(Debug, Default)]
struct Folded {
    endpoint: Endpoint,
    reader: EventReader,
    /// What the assistant said, where someone wants to know.
    text: Option<String>,
    chunks: Chunks,
    last_token: Option<Offset>,
    first_output: Option<Offset>,
    marks_reasoning: bool,
    usage: Usage,
    timings: Option<ServerTimings>,
    finish_reason: Option<String>,
    done: bool,
    fault: Option<Outcome>,
}

impl Timeline {
    /// A timeline of the response to a request that was sent at `sent`.
    pub fn new(sent: Offset) -> Self {
        Self { sent, last_read: sent, decoder: Decoder::new(), folded: Folded::default() }
    }

    /// The same for a response of another API than chat, and with what the assistant said where `keep_text`.
    #[must_use]
    pub fn of(mut self, endpoint: Endpoint, keep_text: bool) -> Self {
        self.folded.endpoint = endpoint;
        self.folded.text = keep_text.then(String::new);
        self
    }

    /// Takes the bytes of one read, which happened at `at`.
    pub fn read(&mut self, at: Offset, bytes: &[u8]) {
        self.last_read = at;
        let (sent, folded) = (self.sent, &mut self.folded);
        let pushed = self.decoder.push(bytes, |data| folded.event(sent, at, data));
        if let Err(error) = pushed {
            let message = error.to_string();
            self.folded.fault.get_or_insert(Outcome::Malformed { message });
        }
    }

    /// Whether there is no point in reading on: the server reported an error or is not understood.
    pub fn has_failed(&self) -> bool {
        self.folded.fault.is_some()
    }

    /// When the last token arrived.
    pub fn last_token(&self) -> Option<Offset> {
        self.folded.last_token
    }

    /// Ends the fold.
    pub fn end(self, ending: Ending) -> Reading {
        let Self { sent, last_read, decoder, mut folded } = self;
        if ending == Ending::Whole {
            decoder.finish(|data| folded.event(sent, last_read, data));
        }
        folded.into_reading(ending)
    }
}

impl Folded {
    fn event(&mut self, sent: Offset, at: Offset, data: &[u8]) {
        if self.done || self.fault.is_some() {
            return;
        }
        if let Some(text) = self.text.as_mut().filter(|text| text.len() < TEXT_MAX_BYTES) {
            self.endpoint.text_of_event(data, text);
        }
        let event = match self.endpoint {
            Endpoint::Responses => parse_response_event(data),
            _ => self.reader.read(data),
        };
        match event {
            Ok(Event::Chunk(chunk)) => self.chunk(sent, at, chunk),
            Ok(Event::Done) => self.done = true,
            Ok(Event::Empty) => {}
            Ok(Event::Error(message)) => self.fault = Some(Outcome::ErrorInStream { message }),
            Err(error) => {
                let excerpt = String::from_utf8_lossy(&data[..data.len().min(EXCERPT)]);
                let message = format!("an event is no chunk ({error}): {excerpt}");
                self.fault = Some(Outcome::Malformed { message });
            }
        }
    }

    fn chunk(&mut self, sent: Offset, at: Offset, chunk: Chunk) {
        if chunk.bearing.token {
            self.token(sent, at, chunk.bearing, chunk.usage);
        }
        if let Some(usage) = chunk.usage {
            self.usage = Usage {
                prompt_tokens: usage.prompt_tokens.or(self.usage.prompt_tokens),
                completion_tokens: usage.completion_tokens.or(self.usage.completion_tokens),
                prompt_tokens_details: usage.prompt_tokens_details.or(self.usage.prompt_tokens_details),
            };
        }
        if let Some(times) = chunk.times {
            self.timings = Some(times.into());
        }
        if chunk.finish_reason.is_some() {
            self.finish_reason = chunk.finish_reason;
        }
    }

    fn token(&mut self, sent: Offset, at: Offset, bearing: Bearing, usage: Option<Usage>) {
        self.last_token = Some(at);
        self.marks_reasoning |= bearing.reasoning;
        if bearing.output {
            self.first_output.get_or_insert(at);
        }
        let full = self.chunks.since_sent_ns.len() == STAMPS_MAX;
        self.chunks.count += 1;
        keep(&mut self.chunks.since_sent_ns, full, at.0.saturating_sub(sent.0));
        // Running totals: what this chunk brought is the difference from the last total.
        if let Some(total) = usage.and_then(|u| u.completion_tokens) {
            let before = self.usage.completion_tokens.unwrap_or(0);
            let brought = u32::try_from(total.saturating_sub(before)).unwrap_or(u32::MAX);
            keep(&mut self.chunks.tokens, full, brought);
        }
    }

    fn into_reading(mut self, ending: Ending) -> Reading {
        if self.chunks.tokens.len() != self.chunks.since_sent_ns.len() {
            // The total rode on some chunks only (the last one, say), so the differences are not those of one chunk.
            self.chunks.tokens.clear();
        }
        let output_tokens = match (self.usage.completion_tokens, self.chunks.count) {
            (Some(count), _) => Some((count, TokenSource::Usage)),
            (None, 0) => None,
            (None, count) => Some((count, TokenSource::Chunks)),
        };
        let details = self.usage.prompt_tokens_details;
        Reading {
            outcome: self.outcome(ending),
            first_output_ns: self.first_output.filter(|_| self.marks_reasoning),
            prompt_tokens: self.usage.prompt_tokens,
            cached_prompt_tokens: details.and_then(|d| d.cached_tokens),
            output_tokens: output_tokens.map(|(count, source)| TokenCount { count, source }),
            server_timings: self.timings,
            chunks: self.chunks,
            text: self.text,
        }
    }

    fn outcome(&mut self, ending: Ending) -> Outcome {
        if let Some(fault) = self.fault.take() {
            return fault;
        }
        // After `[DONE]` nothing is missing any more, whatever becomes of the connection.
        if let (Ending::Broken(outcome), false) = (ending, self.done) {
            return outcome;
        }
        if self.chunks.count == 0 {
            return Outcome::NoTokens;
        }
        let counted = self.usage.completion_tokens.is_some() && self.chunks.tokens.is_empty();
        if self.done || self.finish_reason.is_some() || counted {
            let finish_reason = self.finish_reason.take();
            return Outcome::Completed { finish_reason };
        }
        let message = "the response ended without finish_reason, usage or [DONE]".to_owned();
        Outcome::Cut { message }
    }
}

/// Appends, or replaces the last entry of a full list.
fn keep<T>(kept: &mut Vec<T>, full: bool, value: T) {
    match kept.last_mut() {
        Some(newest) if full => *newest = value,
        _ => kept.push(value),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A stream that engines do not send but the API allows: comments, CRLF, reasoning, escapes, Korean, running totals.
    const MIXED: &str = concat!(
        ": hello\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":0}}\r\n\r\n",
        "data:{\"choices\":[{\"delta\":{\"reasoning_content\":\"음\"}}],\"usage\":{\"completion_tokens\":2}}\r\n\r\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"\"}}],\"usage\":{\"completion_tokens\":3}}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":\"안\\n\"},\"finish_reason\":\"stop\"}],\ndata: \"usage\":{\"completion_tokens\":5}}\n\n",
        "data: [DONE]\n\n",
    );

    fn read(pieces: &[&[u8]], ending: Ending) -> Reading {
        let mut timeline = Timeline::new(Offset(1_000));
        for (number, piece) in (1..).zip(pieces) {
            timeline.read(Offset(1_000 + number * 10), piece);
        }
        timeline.end(ending)
    }

    fn body(tokens: usize, tail: &str) -> String {
        let token = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        format!("{}{tail}", token.repeat(tokens))
    }

    #[test]
    fn stamps_are_those_of_the_read_that_completed_the_event() {
        let bytes = MIXED.as_bytes();
        let cut = MIXED.find("음").unwrap() + 1;
        let end = MIXED.find("data: {\"choices\":[{\"delta\":{\"content\":\"안").unwrap();
        let reading = read(&[&bytes[..cut], &bytes[cut..end], &bytes[end..]], Ending::Whole);
        assert_eq!(reading.chunks.since_sent_ns, [20, 20, 30]);
        assert_eq!(reading.chunks.tokens, [2, 1, 2]);
        assert_eq!(reading.first_output_ns, Some(Offset(1_030)));
        assert_eq!(reading.prompt_tokens, Some(9));
        let source = TokenSource::Usage;
        assert_eq!(reading.output_tokens, Some(TokenCount { count: 5, source }));
        let finish_reason = Some("stop".to_owned());
        assert_eq!(reading.outcome, Outcome::Completed { finish_reason });
    }

    #[test]
    fn a_response_is_complete_only_when_it_says_so() {
        let cut = |message: &str| Outcome::Cut { message: message.to_owned() };
        let none = || Outcome::Completed { finish_reason: None };
        let usage = "data: {\"choices\":[],\"usage\":{\"completion_tokens\":2}}\n\n";
        let stop = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
        let whole = |tokens, tail: &str| read(&[body(tokens, tail).as_bytes()], Ending::Whole).outcome;
        assert_eq!(whole(2, "data: [DONE]\n\n"), none());
        assert_eq!(whole(2, "data: [DONE]"), none(), "forgotten blank line");
        assert_eq!(whole(2, usage), none());
        let finish_reason = Some("stop".to_owned());
        assert_eq!(whole(2, stop), Outcome::Completed { finish_reason });
        assert_eq!(whole(2, ""), cut("the response ended without finish_reason, usage or [DONE]"));
        assert_eq!(whole(0, "data: [DONE]\n\n"), Outcome::NoTokens);
        assert_eq!(whole(0, ""), Outcome::NoTokens);

        let broken = |tail: &str| read(&[body(2, tail).as_bytes()], Ending::Broken(cut("reset")));
        assert_eq!(broken("").outcome, cut("reset"));
        assert_eq!(broken("data: [DONE]\n\n").outcome, none(), "nothing is missing");
        let source = TokenSource::Chunks;
        assert_eq!(broken("").output_tokens, Some(TokenCount { count: 2, source }));
    }

    #[test]
    fn errors_and_nonsense_inside_a_200_are_no_success() {
        let whole = |tail: &str| read(&[body(1, tail).as_bytes()], Ending::Whole).outcome;
        let error = "data: {\"error\":{\"message\":\"CUDA out of memory\"}}\n\ndata: [DONE]\n\n";
        let message = "CUDA out of memory".to_owned();
        assert_eq!(whole(error), Outcome::ErrorInStream { message });
        let outcome = whole("data: {\"choices\":\n\ndata: [DONE]\n\n");
        assert!(
            matches!(&outcome, Outcome::Malformed { message } if message.ends_with("{\"choices\":")),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_total_that_rides_on_the_last_chunk_is_not_that_chunks_own() {
        let last = "data: {\"choices\":[{\"delta\":{\"content\":\"z\"}}],\"usage\":{\"completion_tokens\":4}}\n\n";
        let reading = read(&[body(3, last).as_bytes()], Ending::Whole);
        assert!(reading.chunks.tokens.is_empty());
        assert_eq!(reading.output_tokens.map(|t| t.count), Some(4));
        assert_eq!(reading.outcome, Outcome::Completed { finish_reason: None });
    }

    #[test]
    fn memory_is_bounded_and_the_last_arrival_kept() {
        let mut timeline = Timeline::new(Offset::ZERO);
        let total = STAMPS_MAX as u64 + 5;
        for number in 1..=total {
            timeline.read(Offset(number), body(1, "").as_bytes());
        }
        let Chunks { count, since_sent_ns, .. } = timeline.end(Ending::Whole).chunks;
        assert_eq!((count, since_sent_ns.len()), (total, STAMPS_MAX));
        assert_eq!(since_sent_ns[STAMPS_MAX - 2..], [STAMPS_MAX as u64 - 1, total]);
    }

    proptest! {
        #[test]
        fn cutting_the_bytes_anywhere_changes_nothing_but_the_stamps(cuts in prop::collection::vec(0..=MIXED.len(), 0..40)) {
            let mut edges = cuts;
            edges.extend([0, MIXED.len()]);
            edges.sort_unstable();
            let pieces: Vec<&[u8]> = edges.windows(2).map(|w| &MIXED.as_bytes()[w[0]..w[1]]).collect();
            let without_stamps = |mut reading: Reading| {
                reading.chunks.since_sent_ns.iter_mut().for_each(|ns| *ns = 0);
                reading.first_output_ns = reading.first_output_ns.map(|_| Offset::ZERO);
                reading
            };
            let at_once = read(&[MIXED.as_bytes()], Ending::Whole);
            prop_assert_eq!(without_stamps(read(&pieces, Ending::Whole)), without_stamps(at_once));
        }
    }
}
