//! Terms that every cost model of a step shares: its load and the distribution of its time.

use serde::{Deserialize, Serialize};

/// Distribution of step times about their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NoiseShape {
    /// Uniform, with `noise_fraction` as standard deviation over mean.
    #[default]
    Uniform,
    /// Exponential: `noise_fraction` is 1. With one slot and one token a request, the server of an M/M/1 queue.
    Exponential,
}

/// What is in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StepLoad {
    /// Sequences that generate their next token.
    pub(crate) decodes: u32,
    /// Prompt tokens, recomputed ones included.
    pub(crate) prefill_tokens: u32,
    /// Tokens that its sequences look back on, those of the step included.
    pub(crate) context_tokens: u64,
}
