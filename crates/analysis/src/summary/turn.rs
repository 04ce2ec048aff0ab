//! What is said of the turns of conversations.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::Distribution;

/// The measured requests of a level that were the same turn of their conversations.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnLevel {
    /// Which turn, from 0.
    pub turn: u32,
    /// Requests that completed.
    pub completed: u64,
    /// Time to first token.
    pub ttft_ms: Option<Distribution>,
    /// End-to-end latency, from sending.
    pub e2el_ms: Option<Distribution>,
    /// Prompt tokens, all that was said before included.
    pub prompt_tokens_mean: Option<f64>,
    /// Of these, taken from the prefix cache, where the server says so for each request.
    pub cached_prompt_tokens_mean: Option<f64>,
}
