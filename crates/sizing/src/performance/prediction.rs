//! What a prediction says, and why there is none.

/// A predicted figure: its most likely value, and the ends between which it lies nine times in ten.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// Lower end of the 90 % interval.
    pub low: f64,
    /// The most likely value.
    pub likely: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// `likely`, and as far to either side in ratio as `factor` (at least 1) says.
    pub fn by_factor(likely: f64, factor: f64) -> Self {
        Self { low: likely / factor, likely, high: likely * factor }
    }
}

/// What takes the time of a decode step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bound {
    /// Reading the weights.
    Weights,
    /// Reading the KV cache.
    KvCache,
    /// Arithmetic.
    Compute,
    /// Kernel starts, communication and the engine's own work.
    Overhead,
}

/// TTFT, TPOT and throughput of a system under a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Time to first token, in seconds.
    pub ttft_s: Interval,
    /// Time per output token after the first, in seconds.
    pub tpot_s: Interval,
    /// Output tokens per second of the whole system.
    pub output_tokens_per_second: Interval,
    /// What most of a decode step goes to.
    pub bound: Bound,
}

/// Why no figure is given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A fact that the model needs is not in the catalogue.
    #[error("{what} of {of} is not known\nhint: measure the system, or add the figure with its source")]
    Unknown {
        /// The fact, such as `memory bandwidth`.
        what: &'static str,
        /// Of which model or GPU.
        of: String,
    },
    /// The load is none: a length or concurrency that is not positive and finite.
    #[error("a load has at least one request, one prompt token and one output token")]
    NoLoad,
    /// Too few levels to calibrate with.
    #[error("{observations} usable levels are too few to calibrate with\nhint: measure at least two")]
    TooFew {
        /// How many there are.
        observations: usize,
    },
    /// The load is in another regime than the levels that calibrated the model.
    #[error("{reason}")]
    OtherRegime {
        /// Which, and why it cannot be told from the others.
        reason: String,
    },
}
