//! `phases.jsonl`: what the client was doing from when to when, and what that cost the client itself.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::Offset;

/// One phase of a run, written when it has ended. Telemetry is attributed to levels by these marks.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// What the client was doing.
    pub kind: PhaseKind,
    /// Index into the plan's levels; absent for phases between levels.
    pub level: Option<u32>,
    /// Beginning.
    pub start_ns: Offset,
    /// End.
    pub end_ns: Offset,
    /// What the client itself spent, where measured.
    pub client: Option<ClientLoad>,
    /// Of a measurement that ran to its end: what ended it. Absent for other phases and in older folders.
    pub ended_by: Option<MeasureEnd>,
}

/// What ended a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MeasureEnd {
    /// As many requests as planned.
    Requests,
    /// Its time.
    Time,
    /// The interval of the chosen figure was as narrow as asked (`stop_when` in the plan).
    Tight,
}

/// Kinds of phases. Within a level the order is `Warmup`, `Measure`, `Drain`, with constant load until `Measure` ends; or,
/// where the rate moves, with a `Ramp` that begins with `Measure` and lies within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PhaseKind {
    /// No load: the baseline.
    Idle,
    /// From the level's first request to its first measured request.
    Warmup,
    /// From the first measured request to the end of the last one.
    Measure,
    /// The part of a measurement in which the rate of arrivals moves, up to the last measured request's start.
    Ramp,
    /// From the end of the measurement until the server has nothing of ours any more.
    Drain,
}

/// What the client spent during a phase: the evidence that it was not the bottleneck.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientLoad {
    /// Processor time of the client's own threads.
    pub cpu_ns: u64,
    /// Threads that drove the load; `cpu_ns / (threads × duration)` is their utilisation.
    pub threads: u32,
    /// Largest delay of the client's event loop: how late a timer fired.
    pub lag_max_ns: u64,
    /// 99th percentile of that delay, of `lag_samples` readings.
    pub lag_p99_ns: u64,
    /// Readings of the delay.
    pub lag_samples: u64,
    /// Reads whose bytes the kernel had not stamped when they arrived, so that the time of the read stands in for it.
    /// Absent where nobody counted: then every stamp is that of a read.
    pub unstamped_reads: Option<u64>,
}
