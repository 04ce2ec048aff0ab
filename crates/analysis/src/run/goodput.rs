//! The run against the objectives of `--goodput`: where they hold, and which of them fails first.

use records::Objectives;

use crate::{GoodputSection, LevelSummary, LoadCapacity, SloCapacity};

/// The run against its objectives.
pub(crate) fn section(
    objectives: &Objectives,
    levels: &[LevelSummary],
    capacity: SloCapacity,
    capacity_per_s: Option<LoadCapacity>,
) -> GoodputSection {
    let ms = |ns: Option<u64>| ns.map(|ns| ns as f64 / 1e6);
    let failed_at = |level: &&LevelSummary| match capacity_per_s {
        Some(per_s) => {
            let rate = level.request_rate.and_then(|rate| rate.planned_per_s);
            rate.is_some() && rate == per_s.failed_at
        }
        None => Some(level.concurrency) == capacity.failed_at,
    };
    let failing = levels.iter().find(failed_at);
    let best = levels
        .iter()
        .filter_map(|level| Some((level.concurrency, level.goodput?.requests_per_s.value)))
        .filter(|(_, rate)| *rate > 0.0)
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    GoodputSection {
        ttft_ms: ms(objectives.ttft_ns),
        tpot_ms: ms(objectives.tpot_ns),
        e2el_ms: ms(objectives.e2el_ns),
        attainment: objectives.attainment,
        capacity,
        capacity_per_s,
        missed_first: failing.and_then(missed_most).map(str::to_owned),
        best_at: best.map(|best| best.0),
    }
}

/// The objective that the smallest share of requests met; of equal ones the first.
fn missed_most(level: &LevelSummary) -> Option<&'static str> {
    let goodput = level.goodput?;
    let completed = level.success_rate.map(|rate| rate.value);
    let shares = [("ttft", goodput.ttft), ("tpot", goodput.tpot), ("e2el", goodput.e2el)];
    let worst = shares
        .into_iter()
        .filter_map(|(name, share)| Some((name, share?)))
        .reduce(|worst, next| if next.1 < worst.1 { next } else { worst })?;
    // Each share counts failed requests as missed: where all miss the same, it is the failures.
    let by_failure = completed.is_some_and(|completed| completed < 1.0 && worst.1 >= completed);
    Some(if by_failure { "failed" } else { worst.0 })
}
