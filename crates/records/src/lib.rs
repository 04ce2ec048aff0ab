//! What a run leaves on disk: the file schema and the run folder, and nothing derived.
//!
//! A run is a folder `results/<run-id>/`. Producers (`loadgen`, `gpumon`) yield the records defined here, `xtask`
//! appends them through [`RunDir`], and everything that is said about a run later starts at [`RunData::load`].
//!
//! Rules of the schema: instants and counts only, never a mean that could be recomputed; a record is written once and
//! never edited; names carry base units (`_ns`, `_bytes`, `_mw`, `_mj`); a metric that was not measured is absent, not 0.
//! Unknown fields are ignored on reading, so that newer folders of the same [`SCHEMA_VERSION`] stay readable.
//!
//! This crate computes no metric beyond differences of its own instants, and reads no clock and no network. Files are
//! opened in [`run_dir`] and its submodule `lines_in_parts` only.

mod engine;
mod jsonl;
mod manifest;
pub mod metric;
mod phase;
mod request;
mod run_data;
pub mod run_dir;
mod server_url;
mod telemetry;
mod time;
pub mod units;

pub use engine::Engine;
pub use jsonl::{JsonlWriter, Lines, read_lines};
pub use manifest::{
    Arrivals, ClockAnchor, EndReason, EngineFacts, Host, Judgement, Manifest, Objectives, Plan, Ramp, RampShape,
    RateStage, SCHEMA_VERSION, Search, SearchEnd, Target, Tool,
};
pub use metric::{Metric, PerMetric, UnknownMetric};
pub use phase::{ClientLoad, MeasureEnd, Phase, PhaseKind};
pub use request::{
    Chunks, ConnectPhase, Connection, Outcome, RequestRecord, ServerTimings, Stage, TimeoutPhase, TokenCount,
    TokenSource, Turn,
};
pub use run_data::{RunData, Skipped};
pub use run_dir::{RecordError, RunDir};
pub use server_url::{Scheme, ServerUrl, UrlError, redact_url};
pub use telemetry::{
    EngineGauges, GpuDevice, GpuLine, GpuSample, GpuState, HistogramTotals, ServerCounters, ServerDetail, ServerSample,
    SourceClock,
};
pub use time::{Clock, Offset};
