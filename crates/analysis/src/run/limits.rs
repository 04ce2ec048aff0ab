//! Where the server bends and ends, over all levels.
//!
//! Levels that were stopped before their end are left out: their figures would look like a limit. Peaks, saturation and
//! the findings on throughput stand on levels whose figures are valid: where the client may have been the limit, a peak
//! or a fall would be the client's. Growth from the smallest to the largest level is a fact of all complete levels.

use crate::{Distribution, LevelSummary, Limits, Peak, distribution::ratio};

/// Share of proportional growth below which throughput counts as flat. Proportional growth is what a server gives that
/// is not loaded at all; a tenth of it is what remains when queueing has replaced batching.
pub(crate) const FLAT_SHARE_OF_PROPORTIONAL: f64 = 0.1;

/// A level as the limits see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    /// Requests kept in flight.
    pub(crate) concurrency: u32,
    /// Aggregate output throughput.
    pub(crate) output_tok_s: f64,
}

impl Point {
    /// Growth of throughput to a larger level, as a share of what proportional growth would give; below 0 when it fell,
    /// `None` when the level is not larger or the throughput here is 0.
    pub(crate) fn growth_share(self, to: Self) -> Option<f64> {
        let load = ratio(f64::from(to.concurrency), f64::from(self.concurrency))? - 1.0;
        let output = ratio(to.output_tok_s, self.output_tok_s)? - 1.0;
        ratio(output, load).filter(|_| load > 0.0)
    }
}

/// The complete levels, by concurrency.
pub(crate) fn by_concurrency(levels: &[LevelSummary]) -> Vec<&LevelSummary> {
    let mut complete: Vec<&LevelSummary> = levels.iter().filter(|level| level.complete).collect();
    complete.sort_by_key(|level| level.concurrency);
    complete
}

/// Throughput of the complete levels whose figures are valid, by concurrency.
pub(crate) fn points(levels: &[LevelSummary]) -> Vec<Point> {
    let sorted = by_concurrency(levels);
    let valid = sorted.into_iter().filter(|level| is_valid(level));
    valid.filter_map(point).collect()
}

fn is_valid(level: &LevelSummary) -> bool {
    level.invalid.is_empty()
}

fn point(level: &LevelSummary) -> Option<Point> {
    let completed = level.requests.completed > 0;
    Some(Point { concurrency: level.concurrency, output_tok_s: level.output_tok_s.filter(|_| completed)? })
}

pub(crate) fn limits(levels: &[LevelSummary]) -> Limits {
    let sorted = by_concurrency(levels);
    let points = points(levels);
    let of_all: Vec<Point> = sorted.iter().filter_map(|level| point(level)).collect();
    let ends = of_all.first().zip(of_all.last());
    Limits {
        largest_tested: levels.iter().map(|level| level.concurrency).max(),
        largest_stable: largest_stable(levels),
        peak_output: peak(points.iter().map(|p| (p.concurrency, p.output_tok_s))),
        peak_per_request: peak(sorted.iter().filter_map(|level| {
            let speed = level.per_request_tok_s.filter(|_| is_valid(level))?;
            Some((level.concurrency, speed.mean.value))
        })),
        saturation: saturation(&points),
        ttft_growth: growth(&sorted, |level| level.ttft_ms),
        e2el_growth: growth(&sorted, |level| level.e2el_ms),
        output_growth: ends
            .filter(|(first, last)| first.concurrency < last.concurrency)
            .and_then(|(first, last)| ratio(last.output_tok_s, first.output_tok_s)),
    }
}

/// Largest level at which every measured request completed, with all smaller ones, whichever order they ran in.
fn largest_stable(levels: &[LevelSummary]) -> Option<u32> {
    let held = |level: &&LevelSummary| level.complete && level.requests.failed == 0 && level.requests.completed > 0;
    let concurrency = |level: &LevelSummary| level.concurrency;
    let first_failed = levels.iter().filter(|level| !held(level)).map(concurrency).min();
    let stable = levels.iter().filter(held).map(concurrency);
    stable.filter(|&stable| first_failed.is_none_or(|failed| stable < failed)).max()
}

/// The largest; of equal ones, that at the smallest level.
fn peak(speeds: impl Iterator<Item = (u32, f64)>) -> Option<Peak> {
    let peak = speeds.reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    Some(Peak { concurrency: peak.0, tok_s: peak.1 })
}

/// Smallest level from which on every larger one adds next to nothing.
fn saturation(points: &[Point]) -> Option<u32> {
    let flat = |from: Point, to: Point| from.growth_share(to).is_some_and(|share| share < FLAT_SHARE_OF_PROPORTIONAL);
    points.iter().enumerate().find_map(|(i, &point)| {
        let larger = &points[i + 1..];
        let saturated = !larger.is_empty() && larger.iter().all(|&to| flat(point, to));
        saturated.then_some(point.concurrency)
    })
}

/// Mean at the largest level / mean at the smallest.
fn growth(sorted: &[&LevelSummary], figure: impl Fn(&LevelSummary) -> Option<Distribution>) -> Option<f64> {
    let mut means = sorted.iter().filter_map(|level| Some((level.concurrency, figure(level)?.mean.value)));
    let (smallest, first) = means.next()?;
    let (largest, last) = means.last()?;
    ratio(last, first).filter(|_| largest > smallest)
}
