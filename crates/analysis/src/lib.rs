//! What a run means: summary per level, limits, findings, capacity.
//!
//! Pure: raw records in, a [`Summary`] out. It reads no file and no clock, and never mixes what was measured with what
//! was derived: everything here can be computed again from the run folder.
//!
//! Rooms, from the records upwards: `level` (the figures of one level), `run` (what holds across levels: limits, scaling,
//! capacity, bottlenecks, findings), `predict` (the model of speed that levels calibrate), `compare` (two runs, two series),
//! `control` (decisions while measuring), and `summary` (the document, types only). `metric` is the
//! registry of metrics; it, `distribution` and `units` lie under all of them. [`summarise()`] puts a summary together.
#![warn(clippy::disallowed_methods, reason = "pure crate: no files, clock, environment or network")]

mod compare;
mod control;
mod distribution;
mod level;
mod metric;
mod predict;
mod run;
mod sizing_section;
mod summary;
mod units;

pub use compare::{
    CompareError, CompareOptions, ComparedFigure, Comparison, Verdict, compare,
    conditions::Condition,
    series::{RunSeries, compare_series, over_runs},
};
pub use control::{
    capacity_search::{Probe, SearchLimits, SearchStep, fewest_effective, next_search_step},
    stop_rule::{StopRule, StopWatch},
};
pub use metric::{
    Better, LevelFigure, LevelValue, METRICS, MetricRow, OfRequest, Statistic, Unit, parse_request_metric,
};
pub use predict::{Calibrated, Observed, Served, observations};
/// Ids of the metrics, and why a search ended, as the records have them.
pub use records::{Metric, SearchEnd};
pub use run::{recorded::recorded_settings, server_capacity::server_capacity, summarise};
/// The planner's answer, which a summary may carry.
pub use sizing::planner as planning;
pub use sizing_section::{measured_target, reference_target, sizing_section, sizing_section_of};
pub use summary::*;

/// The README's example, so that it compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
