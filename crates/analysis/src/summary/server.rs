//! What the engine's own counters say of a level.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Engine metrics of one level, and the client's figures for the same requests beside them.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerLevel {
    /// Mean of the requests being processed, over the scrapes in the window.
    pub running_mean: Option<f64>,
    /// Mean of the requests waiting.
    pub waiting_mean: Option<f64>,
    /// Mean time in the server's queue in milliseconds, over all requests of the level.
    pub queue_ms: Option<f64>,
    /// Largest share of the KV cache in use, 0 to 1.
    pub kv_usage_max: Option<f64>,
    /// Preemptions during the level.
    pub preemptions: Option<f64>,
    /// Share of prompt tokens found in the prefix cache, 0 to 1.
    pub prefix_hit_rate: Option<f64>,
    /// Mean time from scheduling to the first token, by the server's account, in milliseconds.
    pub prefill_ms: Option<f64>,
    /// Mean time from the first token to the last, by the server's account, in milliseconds.
    pub decode_ms: Option<f64>,
    /// Share of prompt tokens found in a cache outside the engine, 0 to 1.
    pub external_prefix_hit_rate: Option<f64>,
    /// Share of drafted tokens that speculative decoding accepted, 0 to 1.
    pub draft_acceptance_rate: Option<f64>,
    /// Tokens a verified draft yields on average: those accepted and the model's own.
    pub tokens_per_draft: Option<f64>,
    /// Mean TTFT by the server's account.
    pub ttft: Option<SideBySide>,
    /// Mean E2EL by the server's account.
    pub e2el: Option<SideBySide>,
    /// Output tokens by the server's account, over all requests of the level.
    pub output_tokens: Option<SideBySide>,
    /// Prompt tokens by the server's account, over all requests of the level.
    pub prompt_tokens: Option<SideBySide>,
}

/// The same quantity by the client's and by the server's account. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SideBySide {
    /// The client's.
    pub client: f64,
    /// The server's.
    pub server: f64,
    /// Which of the server's accounts.
    pub source: ServerSource,
}

/// Which of the server's accounts a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ServerSource {
    /// Counters and histograms of `/metrics`, difference between the idle moments around the level.
    Metrics,
    /// `timings` in each request's final chunk (llama.cpp): prompt and generation time, without time in the queue.
    Timings,
}
