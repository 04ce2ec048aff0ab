//! The largest load that meets objectives, as an estimate with an interval.
//!
//! Each level has the quantile of its requests' strain (see `goodput`). Strain can only rise with the load, so the levels
//! are made to (monotone regression of its logarithm, weighted by their effective samples), and the load at which a
//! straight line between levels passes 1 is the capacity. The interval repeats that with each level's quantile drawn from
//! where it may lie given its effective sample (`stats::draw_quantiles`): a bootstrap that respects waves and failures and
//! costs the same for ten requests as for a million. Where a level's sample does not reach a draw, the lower end of the
//! interval does without that level and the upper end takes its largest observation.
//!
//! The interval covers the chance within the run. It does not cover how far the truth between two levels is from a
//! straight line; `held_at` and `failed_at` bound that without any assumption but that strain rises.

use stats::{Crossing, Quantile, Sample, crossing, draw_quantiles, non_decreasing};

use crate::{LoadCapacity, distribution::Reading, level::goodput::SloRatios};

/// Draws of the bootstrap: the ends of a 95 % interval are then the 50th draw from either end.
const DRAWS: usize = 2000;

/// Strain is taken as no larger than this: how far beyond the limit a level is says nothing of where the limit is.
const LARGEST_STRAIN: f64 = 100.0;

/// A level that was run to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tested<'a> {
    /// Requests in flight, or per second.
    pub(crate) load: f64,
    pub(crate) slo_ratios: &'a SloRatios,
    pub(crate) reading: Reading,
}

/// A level as the bootstrap sees it.
struct Point {
    load: f64,
    strain: f64,
    weight: f64,
    largest: f64,
    draws: Vec<Option<f64>>,
}

/// Capacity from levels in rising order of load. `seed` makes the draws.
pub(crate) fn capacity(levels: &[Tested<'_>], seed: u64) -> LoadCapacity {
    let points: Vec<Point> = (0..).zip(levels).map(|(i, level)| point(level, seed.wrapping_add(i))).collect();
    let measured: Vec<Option<f64>> = points.iter().map(|point| Some(point.strain)).collect();
    let drawn = |unreached: fn(&Point) -> Option<f64>| {
        let mut loads: Vec<f64> = (0..DRAWS)
            .map(|i| {
                let draw = |point: &Point| point.draws.get(i)?.or_else(|| unreached(point));
                load(&points, &points.iter().map(draw).collect::<Vec<_>>())
            })
            .collect();
        loads.sort_unstable_by(f64::total_cmp);
        loads
    };
    let cautious = drawn(|_| None);
    let hopeful = drawn(|point| Some(point.largest));
    let confidence = levels.first().map_or(0.95, |level| level.reading.confidence.get());
    let tail = (1.0 - confidence) / 2.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the number of draws")]
    let rank = (tail * DRAWS as f64) as usize;
    let largest = levels.last().map(|level| level.load);
    let holds = |level: &&Tested<'_>| level.slo_ratios.quantile().is_some_and(|q| q <= 1.0);
    let failed_at = levels.iter().find(|level| !holds(level));
    LoadCapacity {
        load: Some(load(&points, &measured)).filter(|load| load.is_finite() && *load > 0.0),
        // Beyond the largest level only that level is known to hold.
        low: cautious.get(rank).map(|&low| low.min(largest.unwrap_or(0.0))),
        high: hopeful.get(DRAWS - 1 - rank).copied().filter(|high| high.is_finite()),
        held_at: levels.iter().take_while(holds).last().map(|level| level.load),
        failed_at: failed_at.map(|level| level.load),
    }
}

fn point(level: &Tested<'_>, seed: u64) -> Point {
    let slo_ratios = level.slo_ratios;
    // Of a single wave nothing shows how waves differ: it counts as one observation.
    let effective = slo_ratios.effective(level.reading).unwrap_or(1.0);
    let effective = effective.max(1.0);
    let q = usable(slo_ratios.attainment, effective);
    Point {
        load: level.load,
        strain: slo_ratios.quantile().unwrap_or(f64::INFINITY),
        weight: effective,
        largest: slo_ratios.sample.as_ref().map_or(f64::INFINITY, Sample::max),
        draws: draw_quantiles(slo_ratios.sample.as_ref(), slo_ratios.failed, q, effective, DRAWS, seed),
    }
}

/// A share of all or none has no distribution to draw from; it is held as nearly as the sample can tell.
fn usable(attainment: Quantile, effective: f64) -> Quantile {
    let nearest = 1.0 / (effective + 1.0);
    Quantile::new(attainment.get().clamp(nearest * 1e-3, 1.0 - nearest * 1e-3)).unwrap_or(attainment)
}

/// The load at which these ratios pass 1: 0 below the smallest level, infinite beyond the largest. A level whose strain
/// is not known is left out; when the largest is, no more is known than the largest that is.
fn load(points: &[Point], slo_ratios: &[Option<f64>]) -> f64 {
    let known = || points.iter().zip(slo_ratios).filter_map(|(point, strain)| Some((point, (*strain)?)));
    let logarithms: Vec<f64> =
        known().map(|(_, strain)| strain.clamp(1.0 / LARGEST_STRAIN, LARGEST_STRAIN).ln()).collect();
    let weights: Vec<f64> = known().map(|(point, _)| point.weight).collect();
    let rising = non_decreasing(&logarithms, &weights);
    let line: Vec<(f64, f64)> =
        known().zip(&rising).map(|((point, _), logarithm)| (point.load, logarithm.exp())).collect();
    // e⁰ is exactly 1; a regression of logarithms that are 0 may be off by a rounding error.
    match crossing(&line, 1.0 + 1e-12) {
        Crossing::Below => 0.0,
        Crossing::At(load) => load,
        Crossing::Beyond if slo_ratios.last().is_some_and(Option::is_some) => f64::INFINITY,
        Crossing::Beyond => line.last().map_or(0.0, |point| point.0),
    }
}
