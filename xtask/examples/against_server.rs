//! Holds the client's account of a run against the server's own, level by level: token counts must be equal, and the
//! client's times no shorter than the server's, but for what last tokens take that were never sent, and no longer than
//! the summary accepts for the network, HTTP and the tokeniser, which are in the client's account only.
//!
//! ```text
//! cargo run --release -p xtask --example against_server -- results/RUN/all_concurrent_results.json
//! ```

use std::{fs, process::ExitCode};

use analysis::{FindingKind, SideBySide, Summary};
use anyhow::Context as _;

/// The server's times end before its bytes reach the client, so the client should not be faster. But a generation may end
/// within a character, whose bytes the server counts and never sends: two tokens of a hundred, where it has three bytes.
const UNSENT_TOKENS: f64 = 0.02;

#[expect(clippy::print_stdout, reason = "a program that prints a table")]
fn main() -> anyhow::Result<ExitCode> {
    let path = std::env::args().nth(1).context("name the all_concurrent_results.json of a run")?;
    let summary: Summary = serde_json::from_slice(&fs::read(&path).with_context(|| format!("read {path}"))?)?;
    let mut passed = 0;
    let mut failed = 0;
    println!("{:>4} {:>14} {:>12} {:>12} {:>10}", "c", "figure", "client", "server", "difference");
    for level in &summary.levels {
        let server =
            level.server.with_context(|| format!("level {}: the server gave no account", level.concurrency))?;
        let counts = [("output tokens", server.output_tokens), ("prompt tokens", server.prompt_tokens)];
        let times = [("TTFT ms", server.ttft), ("E2EL ms", server.e2el)];
        let equal = |s: SideBySide| (s.client - s.server).abs() < 0.5;
        let not_faster = |s: SideBySide| s.client >= s.server * (1.0 - UNSENT_TOKENS);
        let disagrees = |name: &str| {
            summary.findings.iter().any(|finding| {
                matches!(&finding.what, FindingKind::Disagreement { concurrency, metric, .. }
                    if *concurrency == level.concurrency && name.to_lowercase().starts_with(metric.as_str()))
            })
        };
        let rows = counts.map(|(name, s)| (name, s, s.is_some_and(equal)));
        let rows =
            rows.into_iter().chain(times.map(|(name, s)| (name, s, s.is_none_or(not_faster) && !disagrees(name))));
        for (name, side, good) in rows {
            if let Some(SideBySide { client, server, .. }) = side {
                let mark = if good { "" } else { "  <-" };
                println!(
                    "{:>4} {name:>14} {client:>12.1} {server:>12.1} {:>10.1}{mark}",
                    level.concurrency,
                    client - server
                );
            }
            if good { passed += 1 } else { failed += 1 }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
