//! Holds a run of the profile `rtx3090-gemma3-12b-bnb4` against the table of the report that the profile was taken from:
//! latency and per-request throughput within 3 %, TTFT within 10 %, success 100 %, at every level.
//!
//! ```text
//! cargo run --release -p xtask --example against_reference -- results/RUN/all_concurrent_results.json
//! ```

use std::{fs, process::ExitCode};

use analysis::{Distribution, Summary};
use anyhow::Context as _;

/// `| concurrency | TTFT (ms) | latency (ms) | throughput (tok/s) |` of the reference report, section 1.2
/// (2025-11-26, vLLM 0.11.2, Gemma 3 12B in bitsandbytes 4 bit, RTX 3090).
const REFERENCE: [(u32, f64, f64, f64); 8] = [
    (1, 84.0, 1818.0, 55.6),
    (2, 106.4, 7089.0, 14.2),
    (4, 140.9, 7192.0, 14.0),
    (8, 181.8, 7360.0, 13.7),
    (16, 227.9, 7633.0, 13.2),
    (32, 352.6, 8106.0, 12.5),
    (48, 375.0, 9926.0, 10.2),
    (64, 439.7, 10459.0, 9.7),
];
const LATENCY_TOLERANCE: f64 = 0.03;
const TTFT_TOLERANCE: f64 = 0.10;

#[expect(clippy::print_stdout, reason = "a program that prints a table")]
fn main() -> anyhow::Result<ExitCode> {
    let path = std::env::args().nth(1).context("name the all_concurrent_results.json of a run")?;
    let summary: Summary = serde_json::from_slice(&fs::read(&path).with_context(|| format!("read {path}"))?)?;
    let mut passed = 0;
    let mut failed = 0;
    println!("{:>4} {:>18} {:>20} {:>18} {:>8}", "c", "TTFT ms", "latency ms", "tok/s a request", "success");
    for (concurrency, ttft, latency, per_request) in REFERENCE {
        let level = summary
            .levels
            .iter()
            .find(|level| level.concurrency == concurrency)
            .with_context(|| format!("the run has no level {concurrency}"))?;
        let mean = |d: Option<Distribution>| d.map_or(f64::NAN, |d| d.mean.value);
        let columns = [
            (mean(level.ttft_ms), ttft, TTFT_TOLERANCE),
            (mean(level.e2el_ms), latency, LATENCY_TOLERANCE),
            (mean(level.per_request_tok_s), per_request, LATENCY_TOLERANCE),
        ];
        let cells =
            columns.map(|(value, reference, _)| format!("{value:.1} ({:+.1} %)", (value / reference - 1.0) * 100.0));
        let success = level.success_rate.map_or(0.0, |rate| rate.value);
        println!("{concurrency:>4} {:>18} {:>20} {:>18} {:>7.1}%", cells[0], cells[1], cells[2], success * 100.0);
        let within = |(value, reference, tolerance): (f64, f64, f64)| (value / reference - 1.0).abs() <= tolerance;
        let success_is_full = (success - 1.0).abs() < f64::EPSILON;
        if columns.into_iter().all(within) && success_is_full && level.failures.is_empty() {
            passed += 1;
        } else {
            failed += 1;
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
