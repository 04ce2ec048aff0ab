//! The load that a prediction is for, and what was measured under one.

/// A closed loop of requests that are alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Requests at once, on all cards of the system together.
    pub concurrency: f64,
    /// Mean prompt tokens, those that no cache spares.
    pub isl: f64,
    /// Mean output tokens.
    pub osl: f64,
}

impl Load {
    /// Whether it is one: at least one request, one prompt token and one output token.
    pub(super) fn is_some(&self) -> bool {
        [self.concurrency, self.isl, self.osl].iter().all(|value| value.is_finite() && *value >= 1.0)
    }
}

/// What was measured under a load. What was not measured is absent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// The load.
    pub load: Load,
    /// Mean time to first token, in seconds.
    pub ttft_s: Option<f64>,
    /// Mean time per output token after the first, in seconds.
    pub tpot_s: Option<f64>,
    /// Output tokens per second of the whole system.
    pub output_tokens_per_second: Option<f64>,
}
