//! The largest tested level that held each latency objective.
//!
//! Objectives are E2EL below 8, 10 and 12 s, those of the reference report, when the levels' figures reach into that
//! range (one is below 12 s and one is not below 8 s). Otherwise they are chosen from the data, so that the table says
//! something: the next round number above the smallest figure, above the geometric middle, and above the largest.
//!
//! A level is held against its 95th percentile, failed requests counting as infinitely late, where every level has
//! enough requests for that percentile; else against its mean, and then a level with a failed request holds nothing.
//! Levels that were stopped before their end are left out. Held against percentiles, the row also says where between the
//! levels the objective is passed (`capacity`).

use records::{Metric, Objectives, PerMetric};
use stats::{Confidence, Quantile, order_statistic_ranks};

use crate::{
    LoadCapacity, SloCapacity, SloRow, SloStatistic,
    distribution::Reading,
    distribution::failure_adjusted,
    level::LevelFigures,
    level::goodput::SloRatios,
    run::capacity::{self, Tested},
};

/// Objectives of the reference report, in milliseconds.
pub(crate) const DEFAULT_OBJECTIVES_MS: [f64; 3] = [8_000.0, 10_000.0, 12_000.0];

/// One level's figure.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Held {
    concurrency: u32,
    /// In milliseconds; `None` when the figure is infinite.
    e2el_ms: Option<f64>,
    output_tok_s: Option<f64>,
}

pub(crate) fn rows(levels: &[LevelFigures<'_>], seed: u64) -> Vec<SloRow> {
    let complete = by_concurrency(levels);
    let supported = |level: &&LevelFigures<'_>| {
        let n = level.summary.requests.completed + level.summary.requests.failed;
        order_statistic_ranks(n, Quantile::P95, Confidence::P95).is_some()
    };
    let statistic = if complete.iter().all(supported) { SloStatistic::P95 } else { SloStatistic::Mean };
    let held: Vec<Held> = complete
        .iter()
        .map(|level| Held {
            concurrency: level.summary.concurrency,
            e2el_ms: figure(level, statistic),
            output_tok_s: level.summary.output_tok_s,
        })
        .collect();
    objectives(held.iter().filter_map(|level| level.e2el_ms))
        .into_iter()
        .map(|objective| SloRow {
            capacity: (statistic == SloStatistic::P95).then(|| row_capacity(objective, &complete, seed)),
            ..row(objective, statistic, &held)
        })
        .collect()
}

/// The complete levels in rising order.
fn by_concurrency<'a, 'b>(levels: &'b [LevelFigures<'a>]) -> Vec<&'b LevelFigures<'a>> {
    let complete = levels.iter().filter(|level| level.summary.complete);
    let mut complete: Vec<_> = complete.collect();
    complete.sort_by_key(|level| level.summary.concurrency);
    complete
}

/// Capacity under the objectives of the run, in requests in flight.
pub(crate) fn capacity(levels: &[LevelFigures<'_>], seed: u64) -> SloCapacity {
    let load = |level: &LevelFigures<'_>| Some(f64::from(level.summary.concurrency));
    slots(pooled(levels, load, seed).unwrap_or(LoadCapacity::UNKNOWN))
}

/// The same in requests per second; `None` unless every level was to be loaded at a steady rate.
pub(crate) fn capacity_per_s(levels: &[LevelFigures<'_>], seed: u64) -> Option<LoadCapacity> {
    let rate = |level: &LevelFigures<'_>| {
        let rate = level.summary.request_rate?;
        rate.planned_per_s.filter(|_| rate.planned_until_per_s.is_none())
    };
    pooled(levels, rate, seed)
}

/// A load that was run again is one load watched for longer. `None` where a level has no such load, or there is none.
fn pooled(
    levels: &[LevelFigures<'_>],
    load: impl Fn(&LevelFigures<'_>) -> Option<f64>,
    seed: u64,
) -> Option<LoadCapacity> {
    let complete = levels.iter().filter(|level| level.summary.complete);
    let complete = complete.map(|level| Some((load(level)?, level)));
    let mut complete: Vec<_> = complete.collect::<Option<_>>()?;
    complete.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut loads: Vec<(f64, Reading, SloRatios)> = Vec::with_capacity(complete.len());
    for (load, level) in complete {
        let Some(slo_ratios) = level.slo_ratios.as_ref() else {
            continue;
        };
        match loads.last_mut() {
            Some((same, _, pooled)) if same.total_cmp(&load).is_eq() => pooled.extend(slo_ratios),
            _ => loads.push((load, level.reading, slo_ratios.clone())),
        }
    }
    let tested: Vec<Tested<'_>> =
        loads.iter().filter_map(|(load, reading, slo_ratios)| tested(*load, *reading, slo_ratios)).collect();
    (!tested.is_empty()).then(|| capacity::capacity(&tested, seed))
}

/// Loads that are whole numbers of slots.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the loads are concurrencies of levels, which are u32"
)]
fn slots(of: LoadCapacity) -> SloCapacity {
    SloCapacity {
        concurrency: of.load,
        low: of.low,
        high: of.high,
        held_at: of.held_at.map(|load| load as u32),
        failed_at: of.failed_at.map(|load| load as u32),
    }
}

fn row_capacity(e2el_below_ms: f64, levels: &[&LevelFigures<'_>], seed: u64) -> SloCapacity {
    let limits_ns = PerMetric::from_iter([(Metric::E2el, nanoseconds(e2el_below_ms))]);
    let objectives = Objectives { limits_ns, attainment: Quantile::P95.get() };
    let slo_ratios: Vec<_> =
        levels.iter().filter_map(|level| Some((*level, SloRatios::new(&level.requests, &objectives)?))).collect();
    let tested: Vec<Tested<'_>> = slo_ratios
        .iter()
        .filter_map(|(level, slo_ratios)| tested(f64::from(level.summary.concurrency), level.reading, slo_ratios))
        .collect();
    slots(capacity::capacity(&tested, seed))
}

fn tested(load: f64, reading: Reading, slo_ratios: &SloRatios) -> Option<Tested<'_>> {
    (!slo_ratios.series.is_empty()).then_some(Tested { load, slo_ratios, reading })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an objective in the range of latencies, which are u64 nanoseconds"
)]
fn nanoseconds(ms: f64) -> u64 {
    (ms * 1e6).round() as u64
}

fn row(e2el_below_ms: f64, statistic: SloStatistic, levels: &[Held]) -> SloRow {
    let holds = |level: &&Held| level.e2el_ms.is_some_and(|e2el| e2el < e2el_below_ms);
    let best = levels.iter().take_while(holds).last();
    SloRow {
        e2el_below_ms,
        statistic,
        concurrency: best.map(|level| level.concurrency),
        e2el_ms: best.and_then(|level| level.e2el_ms),
        output_tok_s: best.and_then(|level| level.output_tok_s),
        bounded: levels.iter().any(|level| !holds(&level)),
        capacity: None,
    }
}

fn figure(level: &LevelFigures<'_>, statistic: SloStatistic) -> Option<f64> {
    let sample = level.e2el_ms.as_ref()?;
    let failed = level.summary.requests.failed;
    match statistic {
        SloStatistic::P95 => failure_adjusted(sample, failed, Quantile::P95),
        SloStatistic::Mean => (failed == 0).then(|| sample.mean()),
    }
}

fn objectives(figures: impl Iterator<Item = f64> + Clone) -> Vec<f64> {
    let Some((low, high)) = figures.map(|figure| (figure, figure)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        return Vec::new();
    };
    let [smallest, .., largest] = DEFAULT_OBJECTIVES_MS;
    if low < largest && high >= smallest {
        return DEFAULT_OBJECTIVES_MS.to_vec();
    }
    let mut round = vec![next_round(low), next_round((low * high).sqrt()), next_round(high)];
    round.dedup();
    round
}

/// The smallest of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 × 10ᵏ above `x`, at least a microsecond's worth.
fn next_round(x: f64) -> f64 {
    const TENTHS: [f64; 11] = [10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0];
    let x = x.max(1e-3);
    #[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite number is below 309")]
    let exponent = x.log10().floor() as i32 - 1;
    // Multiplying or dividing by a whole power of ten gives the nearest number to the decimal; a negative power not.
    let scaled = |tenths: f64| match exponent {
        0.. => tenths * 10_f64.powi(exponent),
        _ => tenths / 10_f64.powi(-exponent),
    };
    let above = TENTHS.into_iter().map(scaled).find(|round| *round > x);
    above.unwrap_or_else(|| scaled(120.0))
}
