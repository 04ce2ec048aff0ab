//! What stands out in what a level waited for: the queue before the first token, the KV cache, clocks that were held back.

use crate::{
    Bottleneck, BottleneckEvidence, Finding, FindingKind, LevelSummary, Severity, run::bottleneck::CLOCK_KEPT_PERCENT,
};

/// Share of TTFT from which on waiting dominates it: more than the work.
const WAIT_SHARE: f64 = 0.5;

/// Share of the window from which on held-back clocks are told. A choice: a tenth of the time at, say, four fifths of the
/// clock costs 2 %, less than a level measured twice differs from itself.
const THROTTLED_SHARE: f64 = 0.1;

/// Findings by kind and then by level.
pub(crate) fn findings(levels: &[LevelSummary]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    findings.extend(levels.iter().filter_map(queued_at_server));
    findings.extend(levels.iter().filter_map(held_by_client));
    findings.extend(levels.iter().filter_map(kv_pressure));
    findings.extend(levels.iter().flat_map(throttled));
    findings
}

/// By the server's own histogram of queue times, against its own TTFT where it gives one: both are of the same requests.
fn queued_at_server(level: &LevelSummary) -> Option<Finding> {
    let server = level.server?;
    let wait_ms = server.queue_ms?;
    let ttft_ms = match server.ttft {
        Some(both) => both.server,
        None => level.ttft_ms?.mean.value,
    };
    waited(level, "server", wait_ms, ttft_ms)
}

/// From the moment that the plan intended to the moment of sending. It is no part of TTFT, and of what a user waits for it
/// is.
fn held_by_client(level: &LevelSummary) -> Option<Finding> {
    let wait_ms = level.e2el_from_intended_ms?.mean.value - level.e2el_ms?.mean.value;
    waited(level, "client", wait_ms, wait_ms + level.ttft_ms?.mean.value)
}

fn waited(level: &LevelSummary, place: &str, wait_ms: f64, ttft_ms: f64) -> Option<Finding> {
    let queued = FindingKind::TtftQueued { concurrency: level.concurrency, place: place.to_owned(), wait_ms, ttft_ms };
    (ttft_ms > 0.0 && wait_ms > WAIT_SHARE * ttft_ms).then(|| Finding::new(Severity::Warning, queued))
}

/// As full as the bottleneck's evidence calls full. Where requests were thrown back that is the finding.
fn kv_pressure(level: &LevelSummary) -> Option<Finding> {
    let server = level.server?;
    let (usage, running) = (server.kv_usage_max?, server.running_mean?);
    let thrown_back = server.preemptions.is_some_and(|count| count >= 1.0);
    let full =
        evidence(level).any(|seen| matches!(seen, BottleneckEvidence::KvUsage { max, full_from } if max >= full_from));
    let pressure = FindingKind::KvPressure { concurrency: level.concurrency, usage, running };
    (full && !thrown_back).then(|| Finding::new(Severity::Warning, pressure))
}

fn throttled(level: &LevelSummary) -> Vec<Finding> {
    let clock_percent = evidence(level).find_map(|seen| match seen {
        BottleneckEvidence::SmClock { percent } => Some(*percent),
        _ => None,
    });
    let slowed = clock_percent.is_none_or(|percent| percent < CLOCK_KEPT_PERCENT);
    let often = |seen: &BottleneckEvidence| {
        let (cause, share) = match seen {
            BottleneckEvidence::ThermalThrottled { share } => ("thermal", *share),
            BottleneckEvidence::PowerThrottled { share } => ("power", *share),
            _ => return None,
        };
        let throttled =
            FindingKind::Throttled { concurrency: level.concurrency, cause: cause.to_owned(), share, clock_percent };
        (slowed && share >= THROTTLED_SHARE).then(|| Finding::new(Severity::Warning, throttled))
    };
    evidence(level).filter_map(often).collect()
}

fn evidence(level: &LevelSummary) -> impl Iterator<Item = &BottleneckEvidence> {
    let seen = level.bottleneck.iter();
    seen.flat_map(|Bottleneck { evidence, .. }| evidence)
}
