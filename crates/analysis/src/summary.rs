//! The summary of a run, `all_concurrent_results.json`: every derived figure that a report shows, with its uncertainty.
//!
//! Types only; the other modules fill them. Names carry units: `_ms`, `_s`, `_bytes`, `_percent`, `tok_s` (tokens per
//! second). Absent means not measured or not supportable by the sample, never 0. Definitions: `docs/methodology.md`.

mod bottleneck;
mod distribution;
mod finding;
mod gpu;
mod level;
mod limits;
mod over_runs;
mod performance;
mod run;
mod server;
mod sizing;
mod stage;
mod turn;

pub use bottleneck::*;
pub use distribution::*;
pub use finding::*;
pub use gpu::*;
pub use level::*;
pub use limits::*;
pub use over_runs::*;
pub use performance::*;
pub use run::*;
pub use server::*;
pub use sizing::*;
pub use stage::*;
pub use turn::*;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Version of this document; it moves apart from the records' version.
pub const SUMMARY_VERSION: u32 = 1;

/// Everything that is said about a run.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SUMMARY_VERSION`].
    pub summary_version: u32,
    /// Whose figures these are.
    pub run: RunFacts,
    /// What the server says it can hold.
    pub capacity: Option<ServerCapacity>,
    /// One entry per level that was begun, in the order in which they ran.
    pub levels: Vec<LevelSummary>,
    /// Where the server bends and ends.
    pub limits: Limits,
    /// Largest level that held each latency objective.
    pub slo: Vec<SloRow>,
    /// Held against `--goodput`; absent when no objective was given.
    pub goodput: Option<GoodputSection>,
    /// How throughput scales; absent for fewer than five levels.
    pub scaling: Option<Scaling>,
    /// Probability with which intervals hold the truth, when not 0.95.
    pub confidence_level: Option<f64>,
    /// What stands out, most severe first; among equally severe ones, what says most about the server first.
    pub findings: Vec<Finding>,
    /// Which GPUs would hold a target load of this model; absent when the model is not in the catalogue.
    pub sizing: Option<SizingSection>,
    /// What to buy for a load, where `plimsoll plan --into` left its answer in the run folder.
    pub plan: Option<Box<::sizing::planner::FleetPlan>>,
    /// How well the levels predict each other, and what they predict; absent when no level ran to its end.
    pub performance: Option<PerformanceSection>,
}

/// A figure with its interval.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Lower end of the interval, 95 % unless the summary's `confidence_level` says otherwise.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}
