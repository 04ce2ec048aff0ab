//! `requests.jsonl`: one line per request attempt, measured or not, good or failed.
//!
//! Definitions follow `docs/methodology.md`: `t0` is `sent_ns`, `t1..tN` are the arrivals of the content-bearing chunks,
//! stamped when the bytes were read and before they were decoded.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::Offset;

/// One request attempt. Nothing that failed is left out, and nothing is retried behind this record's back.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// Number of the request within the run, from 0; unique but for retries.
    pub request: u64,
    /// Index into the plan's levels.
    pub level: u32,
    /// Which part of the level it belongs to.
    pub stage: Stage,
    /// Closed loop: which of the level's slots sent it, from 0.
    pub slot: u32,
    /// The conversation that it belongs to, and which of its turns it is.
    pub turn: Option<Turn>,
    /// Attempts of the same request before this one, each with a record of its own that bears the same number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retry: u32,
    /// When the plan wanted it sent. In a closed loop: when the slot became free.
    pub intended_ns: Offset,
    /// When the request head was handed to the socket (`t0`).
    pub sent_ns: Offset,
    /// Whether a connection had to be made for it.
    pub connection: Connection,
    /// When the response head had arrived.
    pub head_ns: Option<Offset>,
    /// Arrivals of the content-bearing chunks.
    pub chunks: Chunks,
    /// First arrival that was not reasoning, when the server marks reasoning.
    pub first_output_ns: Option<Offset>,
    /// End of the response, or of the attempt.
    pub finished_ns: Offset,
    /// Output tokens asked for.
    pub asked_output_tokens: u32,
    /// Prompt tokens as the server counted them.
    pub prompt_tokens: Option<u64>,
    /// Prompt tokens that the server took from its cache, where it says.
    pub cached_prompt_tokens: Option<u64>,
    /// Output tokens, and who counted them.
    pub output_tokens: Option<TokenCount>,
    /// The server's own times for this request, where it gives them (llama.cpp `timings`).
    pub server_timings: Option<ServerTimings>,
    /// How it ended.
    pub outcome: Outcome,
}

impl RequestRecord {
    /// Time to first token, `t1 − t0`; `None` when no token came, or the answer came in one piece.
    pub fn ttft(&self) -> Option<Duration> {
        let first = self.chunks.since_sent_ns.first();
        first.filter(|_| self.chunks.count > 0).map(|&ns| Duration::from_nanos(ns))
    }

    /// End-to-end latency of service, `tN − t0`; `None` unless completed with at least one token.
    pub fn e2el(&self) -> Option<Duration> {
        match self.outcome {
            Outcome::Completed { .. } => self.chunks.last_since_sent(),
            _ => None,
        }
    }

    /// Delay between the planned and the true moment of sending.
    pub fn send_lag(&self) -> Duration {
        self.sent_ns - self.intended_ns
    }

    /// Time per output token after the first, `(E2EL − TTFT)/(n − 1)`; `None` for `n ≤ 1`.
    pub fn tpot(&self) -> Option<Duration> {
        let gaps = u32::try_from(self.output_tokens?.count.checked_sub(1)?).ok()?;
        let decode = self.e2el()?.checked_sub(self.ttft()?)?;
        (gaps > 0).then(|| decode / gaps)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A turn of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Turn {
    /// Number of the conversation's first request, which is its name.
    pub session: u64,
    /// Number of the turn within the conversation, from 0.
    pub number: u32,
    /// Turns that the conversation is to have.
    pub of: u32,
}

/// Which part of a level a request belongs to. Only measured requests enter the level's statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Sent first, to bring server and connections to working temperature.
    Warmup,
    /// Counted.
    Measured,
    /// Sent after the last measured request, so that the load stays constant until that one has ended.
    Cooldown,
}

/// Whether a connection had to be made for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Connection {
    /// Made for this request. The time lies before `sent_ns` and is not part of TTFT.
    New {
        /// Time to resolve, connect and hand-shake.
        connect_ns: u64,
    },
    /// Kept alive from an earlier request.
    Reused,
    /// None was made: connecting failed.
    None,
}

/// Arrivals of the content-bearing chunks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunks {
    /// How many arrived; 0 for an answer that was not streamed, whose only stamp is its end.
    pub count: u64,
    /// Arrival of each since `sent_ns`, in nanoseconds. Bounded: when `count` is larger, the last entry is the last
    /// chunk's and those between were not kept.
    pub since_sent_ns: Vec<u64>,
    /// Output tokens that each chunk brought, where the server said so (`continuous_usage_stats`); empty elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<u32>,
}

impl Chunks {
    /// Arrival of the last chunk since the request was sent.
    pub fn last_since_sent(&self) -> Option<Duration> {
        self.since_sent_ns.last().map(|&ns| Duration::from_nanos(ns))
    }
}

/// A number of output tokens and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCount {
    /// The number.
    pub count: u64,
    /// Where it comes from.
    pub source: TokenSource,
}

/// Who counted tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenSource {
    /// The server, in `usage.completion_tokens`.
    Usage,
    /// The client counted content-bearing chunks; right only where the server sends one token a chunk.
    Chunks,
}

/// What the server says it spent on the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerTimings {
    /// Prompt tokens processed (without those from the cache).
    pub prompt_tokens: u64,
    /// Time to process the prompt.
    pub prompt_ns: u64,
    /// Tokens generated.
    pub output_tokens: u64,
    /// Time to generate them.
    pub output_ns: u64,
}

/// How a request attempt ended.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The response came whole, with at least one token.
    Completed {
        /// The server's `finish_reason`.
        finish_reason: Option<String>,
    },
    /// No connection.
    ConnectFailed {
        /// How far it got.
        phase: ConnectPhase,
        /// What the system said.
        message: String,
    },
    /// A deadline passed.
    TimedOut {
        /// What was being waited for.
        phase: TimeoutPhase,
    },
    /// An HTTP status other than 2xx.
    HttpStatus {
        /// The status.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// The connection ended before the response did.
    Cut {
        /// What the system said.
        message: String,
    },
    /// The server reported an error inside a response that had begun as a success.
    ErrorInStream {
        /// The server's message.
        message: String,
    },
    /// The response could not be understood.
    Malformed {
        /// What was wrong, with an excerpt.
        message: String,
    },
    /// The response ended properly but brought no token.
    NoTokens,
    /// The client gave it up: the level was over, or the user stopped the run.
    Cancelled,
}

/// How far connecting got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConnectPhase {
    /// The name was not resolved.
    Dns,
    /// The address was not reached.
    Connect,
    /// The TLS handshake failed.
    Tls,
}

/// What was being waited for when a deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TimeoutPhase {
    /// A connection.
    Connect,
    /// The first byte of the response.
    FirstByte,
    /// The next token.
    BetweenTokens,
    /// The end of the response.
    Total,
}
