//! Mean and four percentiles of ten million latencies, each with its interval: how long it takes, and how much memory the
//! process had at most. Beside it `python3 fixtures/stats/side_by_side.py` does the same with numpy and pandas.
//!
//! ```text
//! cargo run --release -p stats --example ten_million
//! ```

use std::{fs, hint::black_box, time::Instant};

#[path = "../benches/ten_million/mod.rs"]
mod ten_million;

use ten_million::{LARGE, latencies, summarised};

const REPEATS: u32 = 5;

#[expect(clippy::print_stdout, reason = "a program that says what it measured")]
fn main() {
    let series = latencies(LARGE);
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        let start = Instant::now();
        black_box(summarised(black_box(&series)));
        best = best.min(start.elapsed().as_secs_f64());
    }
    let peak = peak_mib().map_or_else(|| "unknown".to_owned(), |mib| format!("{mib} MiB"));
    println!("{LARGE} latencies: best of {REPEATS} {best:.2} s, peak memory of the process {peak}");
}

/// Largest resident set so far, where the system tells it as Linux does.
fn peak_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024)
}
