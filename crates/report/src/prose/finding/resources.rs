//! Findings on what a level waited for: the queue, the KV cache, clocks.

use analysis::FindingKind;

use super::Pen;
use crate::{
    number::{percent, percent_range, range},
    prose::list,
};

/// The sentence on findings of one kind; `None` for others.
pub(super) fn sentence(kinds: &[&FindingKind], pen: Pen<'_>) -> Option<String> {
    let key = match kinds.first()? {
        FindingKind::TtftQueued { place, .. } => match place.as_str() {
            "client" => "finding.ttft_queued_client",
            _ => "finding.ttft_queued_server",
        },
        FindingKind::KvPressure { .. } => "finding.kv_pressure",
        FindingKind::Throttled { cause, .. } => match cause.as_str() {
            "thermal" => "finding.throttled_thermal",
            _ => "finding.throttled_power",
        },
        _ => return None,
    };
    // Level, what is told of it as a share, and the times that TTFT is made of.
    let levels: Vec<(u32, f64, [f64; 2])> = kinds
        .iter()
        .filter_map(|kind| match **kind {
            FindingKind::TtftQueued { concurrency, wait_ms, ttft_ms, .. } => {
                Some((concurrency, wait_ms / ttft_ms, [wait_ms, ttft_ms]))
            }
            FindingKind::KvPressure { concurrency, usage, .. } => Some((concurrency, usage, [0.0; 2])),
            FindingKind::Throttled { concurrency, share, .. } => Some((concurrency, share, [0.0; 2])),
            _ => None,
        })
        .collect();
    let at: Vec<u32> = levels.iter().map(|level| level.0).collect();
    let shares = levels.iter().map(|level| level.1);
    let largest = shares.clone().fold(0.0, f64::max);
    let shown =
        if matches!(kinds.first()?, FindingKind::KvPressure { .. }) { percent(largest) } else { percent_range(shares) };
    let time = |part: usize| range(levels.iter().map(|level| level.2[part]), |ms| pen.figures.time(ms));
    let values = [("c", &*list(&at, pen.words)), ("range", &*shown), ("wait", &*time(0)), ("ttft", &*time(1))];
    Some(pen.words.say(key, &values))
}
