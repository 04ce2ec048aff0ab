//! What stands out in the samples themselves: levels that had not settled, tails, requests in step.

use crate::{Distribution, Finding, FindingKind, LevelSummary, Severity, distribution::ratio};

/// Ratio of the 99th percentile to the median from which on a tail is out of proportion. Of an exponential distribution,
/// which waiting at random gives, it is ln 100 / ln 2 = 6.6.
const LONG_TAIL: f64 = 6.6;

/// Effective over measured requests below which a level says little more than its waves. A half widens every interval by
/// the root of 2.
const IN_STEP: f64 = 0.5;

/// Findings by kind and then by level.
pub(crate) fn findings(levels: &[LevelSummary]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    findings.extend(levels.iter().filter_map(not_settled));
    findings.extend(levels.iter().flat_map(long_tails));
    findings.extend(in_step(levels));
    findings
}

fn not_settled(level: &LevelSummary) -> Option<Finding> {
    let steady = level.steady.filter(|steady| !steady.settled)?;
    let what = FindingKind::NotSettled { concurrency: level.concurrency, n: steady.n };
    Some(Finding::new(Severity::Warning, what))
}

fn long_tails(level: &LevelSummary) -> Vec<Finding> {
    let tail = |(metric, latencies): (&str, Option<Distribution>)| {
        let latencies = latencies?;
        let (p50, p99) = (latencies.p50?.value, latencies.p99?.value);
        let long = ratio(p99, p50).is_some_and(|ratio| ratio >= LONG_TAIL);
        let what = FindingKind::LongTail { concurrency: level.concurrency, metric: metric.to_owned(), p50, p99 };
        long.then(|| Finding::new(Severity::Warning, what))
    };
    let metrics = [("ttft", level.ttft_ms), ("e2el", level.e2el_ms)];
    metrics.into_iter().filter_map(tail).collect()
}

/// Levels of at least two slots whose E2EL says less than its requests do.
fn in_step(levels: &[LevelSummary]) -> Option<Finding> {
    let alike = || {
        levels.iter().filter_map(|level| {
            let e2el = level.e2el_ms?;
            let share = e2el.effective? / e2el.n as f64;
            (level.concurrency > 1 && share < IN_STEP).then_some((level.concurrency, share))
        })
    };
    let share = alike().map(|(_, share)| share).reduce(f64::min)?;
    let what = FindingKind::InStep { concurrencies: alike().map(|(concurrency, _)| concurrency).collect(), share };
    Some(Finding::new(Severity::Note, what))
}
