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
        limits_ms: objectives.limits_ns.iter().map(|(metric, ns)| (metric, ns as f64 / 1e6)).collect(),
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
    let worst = goodput.met.iter().reduce(|worst, next| if next.1 < worst.1 { next } else { worst })?;
    // Each share counts failed requests as missed: where all miss the same, it is the failures.
    let by_failure = completed.is_some_and(|completed| completed < 1.0 && worst.1 >= completed);
    Some(if by_failure { "failed" } else { worst.0.id() })
}
