//! Samples GPUs and the serving engine next to the load, on the same clock.
//!
//! [`describe`] asks an engine what it is before the load begins. A [`Sampler`] then reads every [`Source`] at a steady
//! period on a thread of its own: [`nvml::NvmlSource`] for the GPUs of this machine, [`server::ServerSource`] for the
//! `/metrics` of vLLM, llama.cpp or SGLang. What is read are the records of `gpu.jsonl` and `server.jsonl`, stamped as offsets
//! from the epoch that the caller gives.
//!
//! Telemetry never fails a run: a source that goes silent leaves one line that says so, and is tried again. A metric
//! that cannot be had is absent, never 0. This crate draws no conclusion from what it reads, and writes no file.

mod agent;
mod backoff;
mod capabilities;
mod clock_offset;
pub mod describe;
pub mod engine;
mod exporter;
mod http;
mod metric;
pub mod nvml;
mod plausibility;
pub mod prometheus;
mod replay;
mod sampler;
mod selection;
pub mod server;
pub mod smi_log;
mod source;

pub use agent::{Agent, AgentSource, is_agent};
pub use capabilities::capabilities;
pub use exporter::ExporterSource;
pub use http::{Access, AccessError, TelemetryUrlError, telemetry_url};
pub use metric::{GpuMetric, METRICS};
pub use replay::{ReplaySource, ScriptedSource};
pub use sampler::{Period, PeriodOutOfRange, Sampler, SamplerReport};
pub use selection::Selection;
pub use source::{Line, Occasion, Source};

/// Compiles and runs the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
