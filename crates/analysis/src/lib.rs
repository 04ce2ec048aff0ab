//! What a run means: summary per level, limits, findings, capacity.
//!
//! Pure: raw records in, a [`Summary`] out. It reads no file and no clock, and never mixes what was measured with what
//! was derived: everything here can be computed again from the run folder.
//!
//! The way from records to summary: `window` says which records belong to a level and when it was measured; `level`
//! with `arrivals`, `distribution`, `rates`, `failures`, `server_level`, `gpu_level` and `energy` (on `series`) turns them
//! into figures, and `validity` says whether they are the server's; `bottleneck` says what limited each level; `limits`, `scaling`, `slo`, `goodput` (with `slo_capacity`) and
//! `findings` (with `level_findings` and `sample_findings`) look across levels; `comparison` (with `compared_figures`)
//! holds two runs side by side; `over_runs` takes several runs of one plan together; `capacity_search` says which load to try
//! next; `calibration` fits the model of speed to the levels and tests it on them; [`summarise()`] puts it all together.
#![warn(clippy::disallowed_methods, reason = "pure crate: no files, clock, environment or network")]

mod summarise;
mod summary;

mod stages;
mod turns;
mod validity;
mod window;

mod adjusted;
mod arrivals;
mod bottleneck;
mod distribution;
mod energy;
mod failures;
mod gpu_level;
mod level;
mod rates;
mod request_rate;
mod series;
mod server_level;

mod capacity_search;
mod findings;
mod goodput;
mod level_findings;
mod limits;
mod resource_findings;
mod run_facts;
mod sample_findings;
mod scaling;
mod slo;
mod slo_capacity;

mod compared_figures;
mod comparison;
mod over_runs;

mod server_capacity;
mod sizing_section;
mod stop_rule;

mod calibration;

pub use calibration::{Calibrated, Observed, Served, observations};
pub use capacity_search::{Probe, SearchEnd, SearchLimits, SearchStep, fewest_effective, next_search_step};
pub use comparison::{CompareError, CompareOptions, ComparedFigure, Comparison, Condition, Verdict, compare};
pub use over_runs::{compare_series, over_runs};
pub use server_capacity::server_capacity;
/// The planner's answer, which a summary may carry.
pub use sizing::planner as planning;
pub use sizing_section::{SizingTarget, sizing_section};
pub use stop_rule::{StopRule, StopWatch};
pub use summarise::summarise;
pub use summary::*;
