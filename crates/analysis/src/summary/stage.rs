//! What is said of the stages of an open loop whose rate moves in steps.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::Distribution;

/// The measured requests of a level that were to be sent during one stage.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageLevel {
    /// Requests per second that were asked for.
    pub planned_per_s: f64,
    /// Length of the stage; of the last one, up to the last request that was to be sent in it, if that is longer.
    pub seconds: f64,
    /// Requests that were to be sent in it. Attempts after the first are not counted.
    pub requests: u64,
    /// Of these, completed, with the first attempt or a later one.
    pub completed: u64,
    /// Output tokens that arrived during the stage, of all requests of the level, per second.
    pub output_tok_s: f64,
    /// Time to first token.
    pub ttft_ms: Option<Distribution>,
    /// End-to-end latency, from sending.
    pub e2el_ms: Option<Distribution>,
    /// End-to-end latency, from the moment the plan intended.
    pub e2el_from_intended_ms: Option<Distribution>,
}
