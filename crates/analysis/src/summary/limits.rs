//! What is said across levels: where the server bends, and what holds within an objective.

use records::PerMetric;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::Estimate;

/// Largest load that meets objectives, between and beyond the tested levels as far as those say.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SloCapacity {
    /// Concurrency, on a straight line between levels; absent when it is not within the tested ones.
    pub concurrency: Option<f64>,
    /// Lower end of the interval; 0 when it may be below the smallest level.
    pub low: Option<f64>,
    /// Upper end; absent when it may be beyond the largest level.
    pub high: Option<f64>,
    /// Largest tested level that held, with all smaller ones.
    pub held_at: Option<u32>,
    /// Smallest tested level that did not hold.
    pub failed_at: Option<u32>,
}

/// The same for any kind of load: requests in flight, or requests per second.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadCapacity {
    /// The load, on a straight line between levels; absent when it is not within the tested ones.
    pub load: Option<f64>,
    /// Lower end of the interval; 0 when it may be below the smallest level.
    pub low: Option<f64>,
    /// Upper end; absent when it may be beyond the largest level.
    pub high: Option<f64>,
    /// Largest tested load that held, with all smaller ones.
    pub held_at: Option<f64>,
    /// Smallest tested load that did not hold.
    pub failed_at: Option<f64>,
}

impl LoadCapacity {
    /// Of no level.
    pub const UNKNOWN: Self = Self { load: None, low: None, high: None, held_at: None, failed_at: None };
}

impl From<SloCapacity> for LoadCapacity {
    fn from(of: SloCapacity) -> Self {
        Self {
            load: of.concurrency,
            low: of.low,
            high: of.high,
            held_at: of.held_at.map(f64::from),
            failed_at: of.failed_at.map(f64::from),
        }
    }
}

/// The run held against `--goodput`.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoodputSection {
    /// Largest latency of a good request in milliseconds, for each metric that has an objective.
    #[serde(flatten, with = "records::metric::by_id_ms")]
    pub limits_ms: PerMetric<f64>,
    /// Share of requests that has to be good, 0 to 1.
    pub attainment: f64,
    /// Largest concurrency at which it is.
    pub capacity: SloCapacity,
    /// Largest rate at which it is, in requests per second; absent unless every level is an open loop of a steady rate.
    pub capacity_per_s: Option<LoadCapacity>,
    /// The objective that is missed most often at the smallest level that does not hold: the id of a metric, or `failed`.
    pub missed_first: Option<String>,
    /// Level of the largest goodput.
    pub best_at: Option<u32>,
}

/// Aggregate output throughput `X(N) = λN / (1 + σ(N − 1) + κN(N − 1))`: the Universal Scalability Law.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// λ: tokens per second of a single request where nothing is shared.
    pub lambda_tok_s: Estimate,
    /// σ: contention.
    pub sigma: Estimate,
    /// κ: the cost of pairs.
    pub kappa: Estimate,
    /// Smallest level that follows the law. Smaller ones are in another regime.
    pub from: u32,
    /// How many levels are in that other regime.
    pub levels_before: u32,
    /// Root of the mean squared relative residual.
    pub relative_error: f64,
    /// The knee: concurrency of the largest throughput over response time.
    pub knee: Option<f64>,
    /// Concurrency of the largest throughput; absent when the law never falls.
    pub peak: Option<f64>,
    /// Throughput there; where the law never falls, what it tends to.
    pub ceiling_tok_s: Option<f64>,
}

/// Where the server bends and ends. Levels are given as concurrency.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest level that was run.
    pub largest_tested: Option<u32>,
    /// Largest level at which every measured request completed, with all smaller levels.
    pub largest_stable: Option<u32>,
    /// Level of the largest aggregate output throughput, among the levels whose figures are valid: a recommendation may
    /// stand on it. Absent when no level is valid.
    pub peak_output: Option<Peak>,
    /// Level of the fastest single request (most output tokens per second per request), among the same levels.
    pub peak_per_request: Option<Peak>,
    /// Smallest level after which aggregate throughput grows by less than a tenth of what proportional growth would
    /// give, up to the last level; absent when it still grew. Valid levels only.
    pub saturation: Option<u32>,
    /// TTFT at the largest level / TTFT at the smallest (means).
    pub ttft_growth: Option<f64>,
    /// The same for E2EL.
    pub e2el_growth: Option<f64>,
    /// The same for aggregate output throughput.
    pub output_growth: Option<f64>,
}

/// A level and its throughput.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// The level.
    pub concurrency: u32,
    /// Tokens per second there.
    pub tok_s: f64,
}

/// Largest tested level that held one latency objective, and every smaller tested level held it too.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SloRow {
    /// Objective: E2EL below this.
    pub e2el_below_ms: f64,
    /// Which figure had to hold: the 95th percentile where every level supports it, else the mean.
    pub statistic: SloStatistic,
    /// The level; absent when none held.
    pub concurrency: Option<u32>,
    /// The figure at that level.
    pub e2el_ms: Option<f64>,
    /// Aggregate output throughput at that level.
    pub output_tok_s: Option<f64>,
    /// Whether a larger level was tested and failed; if not, the true limit may lie higher.
    pub bounded: bool,
    /// The same between the tested levels, with an interval; absent where the sample supports no 95th percentile.
    pub capacity: Option<SloCapacity>,
}

/// Which figure an objective is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SloStatistic {
    /// 95th percentile.
    P95,
    /// Mean: the sample is too small for a percentile.
    Mean,
}
