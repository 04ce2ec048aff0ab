//! `analysis` from outside: records in, summary out.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bottleneck;
mod build;
mod calibration;
mod energy;
#[path = "../../examples/calibration/halves.rs"]
mod halves;

mod comparison;
mod goodput;
mod gpu;
mod level;
mod limits;
mod over_runs;
mod partial_runs;
mod real_vllm;
mod reference_report;
mod resource_findings;
mod server;
mod slo;
mod stop_rule;
mod summarise_never_fails;
mod turns_and_stages;
