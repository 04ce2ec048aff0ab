//! What several runs of the same plan say together (`runs.json`).

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::Estimate;

/// Several runs of one plan, level by level. Its intervals know what differs from run to run, which those of a single run
/// cannot.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverRuns {
    /// Version of this document, that of the summary.
    pub summary_version: u32,
    /// Name of the series, that of its folder.
    pub name: String,
    /// Names of the runs, in the order in which they ran.
    pub run_ids: Vec<String>,
    /// Runs that were asked for; fewer names than that: the series was cut off.
    pub planned_runs: u64,
    /// Name of the timing profile when the server was simulated.
    pub simulated_profile: Option<String>,
    /// Model name.
    pub model: String,
    /// `vllm`, `llama.cpp`, …
    pub engine: Option<String>,
    /// Version of the engine.
    pub engine_version: Option<String>,
    /// Probability with which the intervals hold the truth.
    pub confidence_level: f64,
    /// The levels, in the order of the first run that has them.
    pub levels: Vec<LevelOverRuns>,
}

/// One level over all runs.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelOverRuns {
    /// Requests kept in flight; in an open loop the most in any run.
    pub concurrency: u32,
    /// Open loop: requests per second asked for.
    pub request_rate: Option<f64>,
    /// Runs that measured it to its end; only these count.
    pub runs: u64,
    /// Of these, runs whose figures at this level are marked as not valid.
    pub invalid_runs: u64,
    /// Its figures.
    pub figures: Vec<FigureOverRuns>,
}

/// One figure over all runs. Every run counts once, however many requests it measured.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FigureOverRuns {
    /// Name of a [`crate::LevelFigure`], such as `ttft_mean_ms` or `output_tok_s`.
    pub metric: String,
    /// Runs that have it.
    pub n: u64,
    /// Mean over runs with Student's interval; without one for a single run.
    pub mean: Estimate,
    /// Standard deviation from run to run; absent for a single run.
    pub stddev: Option<f64>,
    /// Smallest of a run.
    pub min: f64,
    /// Largest of a run.
    pub max: f64,
}
