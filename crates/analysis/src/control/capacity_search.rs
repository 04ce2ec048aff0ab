//! Which load to try next when the largest that meets objectives is sought.
//!
//! First a bracket: loads are doubled until one fails (halved until one holds). Then the bracket is narrowed next to
//! where a straight line puts the capacity, until its ends are neighbours or nearer than the tolerance. All of that takes
//! the least that a level can be: far from the capacity a few waves are plain enough, and near it they will be added to.
//! From then on only chance is left, and the end of the bracket on whose side the interval is wider is watched again,
//! for as long as the width asks. Each probe is an ordinary level; those of the same load count as one in
//! [`LoadCapacity`].
//!
//! Probing near the crossing is what spends requests well: the figure of a level far from it says nothing of where it is.
//! The end is decided by the width of the interval, so the interval is a little less sure than one of a fixed number of
//! requests; `docs/methodology.md` has how often it holds the truth.

use records::SearchEnd;

use crate::LoadCapacity;

/// A straight line over a wide bracket is a guess: the next load is no nearer to an end than this share of it.
const MARGIN: f64 = 1.0 / 8.0;

/// How much of what a load was watched so far is added at least: each level has a warm-up of its own.
const LEAST_GROWTH: f64 = 0.5;

/// And at most, before the interval is looked at again.
const MOST_GROWTH: f64 = 4.0;

/// How much more than the fewest effective requests are aimed at: their number is an estimate.
const SURELY: f64 = 1.15;

/// The bracket is close enough at so many times the tolerance: the straight line goes on from there.
const CLOSE: f64 = 1.5;

/// When the search ends, and what there is to try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchLimits {
    /// Width of the interval over the capacity at which it is tight enough, such as 0.1.
    pub tolerance: f64,
    /// Requests, warm-up included, after which no further probe is begun.
    pub max_requests: u64,
    /// Smallest load to try, above 0.
    pub smallest: f64,
    /// Largest load to try.
    pub largest: f64,
    /// Effective requests at a load without which nothing bounds its strain from above ([`fewest_effective`]).
    pub fewest: f64,
    /// Distance of neighbouring loads: 1 for requests in flight, 0 for rates. An interval as narrow is tight whatever
    /// was asked.
    pub step: f64,
}

impl SearchLimits {
    /// The nearest load that can be tried.
    fn possible(&self, load: f64) -> f64 {
        let load = if self.step > 0.0 { (load / self.step).round() * self.step } else { three_digits(load) };
        load.clamp(self.smallest, self.largest.max(self.smallest))
    }
}

/// A rate that someone would type.
fn three_digits(rate: f64) -> f64 {
    let text = format!("{rate:.2e}");
    text.parse().unwrap_or(rate)
}

/// A level that was run to its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probe {
    /// Requests kept in flight, or sent per second.
    pub load: f64,
    /// How much it measured, in the least that a level measures.
    pub volumes: u32,
    /// Requests that were spent on it, warm-up included.
    pub requests: u64,
    /// Independent requests that would say as much of the strain; 0 where that is not known.
    pub effective: f64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SearchStep {
    /// Run a level.
    Probe {
        /// Requests to keep in flight, or to send per second.
        load: f64,
        /// How many times the least that a level measures.
        volumes: u32,
    },
    /// Stop.
    Stop(SearchEnd),
}

/// The next step after these probes, in any order, and what the run's summary says of the capacity after them. Without
/// a probe it is `first`.
///
/// ```
/// use analysis::{LoadCapacity, Probe, SearchLimits, SearchStep, next_search_step};
/// let limits = SearchLimits { tolerance: 0.1, max_requests: 10_000, smallest: 1.0, largest: 1024.0, fewest: 72.0, step: 1.0 };
/// let held = LoadCapacity { load: None, low: Some(8.0), high: None, held_at: Some(8.0), failed_at: None };
/// let probes = [Probe { load: 8.0, volumes: 1, requests: 40, effective: 20.0 }];
/// assert_eq!(next_search_step(&probes, &held, 8.0, limits), SearchStep::Probe { load: 16.0, volumes: 1 });
/// ```
pub fn next_search_step(probes: &[Probe], capacity: &LoadCapacity, first: f64, limits: SearchLimits) -> SearchStep {
    let least = |load: f64| SearchStep::Probe { load: limits.possible(load), volumes: 1 };
    let loads = || probes.iter().map(|probe| probe.load);
    let extremes = loads().map(|load| (load, load));
    let Some((smallest, largest)) = extremes.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        return least(first);
    };
    if is_tight(capacity, limits) {
        return SearchStep::Stop(SearchEnd::Tight);
    }
    let spent: u64 = probes.iter().map(|probe| probe.requests).sum();
    if spent >= limits.max_requests {
        return SearchStep::Stop(SearchEnd::Spent);
    }
    match (capacity.held_at, capacity.failed_at) {
        (_, None) if largest >= limits.largest => SearchStep::Stop(SearchEnd::NeverFailed),
        (_, None) => least(2.0 * largest),
        (None, Some(_)) if smallest <= limits.smallest => SearchStep::Stop(SearchEnd::NeverHeld),
        (None, Some(_)) => least((smallest / 2.0).max(limits.smallest)),
        (Some(held), Some(failed)) => narrow(probes, capacity, (held, failed), limits),
    }
}

/// The smallest sample of which not all are likely to lie below the quantile that has to be within the limit: `n` with
/// `attainmentⁿ` at most half of what the confidence leaves. 72 for 95 % of the requests at 95 % confidence.
pub fn fewest_effective(attainment: f64, confidence: f64) -> f64 {
    (((1.0 - confidence) / 2.0).ln() / attainment.ln()).clamp(1.0, 1e6)
}

/// Whether the interval is as narrow as asked, or as one step. Ends that are not known are never tight.
fn is_tight(capacity: &LoadCapacity, limits: SearchLimits) -> bool {
    let (Some(value), Some(low), Some(high)) = (capacity.load, capacity.low, capacity.high) else {
        return false;
    };
    low > 0.0 && high - low <= (limits.tolerance * value).max(limits.step)
}

/// The next load once one has held and one has failed.
fn narrow(probes: &[Probe], capacity: &LoadCapacity, (held, failed): (f64, f64), limits: SearchLimits) -> SearchStep {
    let estimate = capacity.load.unwrap_or_else(|| held.midpoint(failed));
    // Around the estimate, which knows that strain rises: a level that failed by chance below others that held is no end.
    let loads = || probes.iter().map(|probe| probe.load);
    let below = loads().filter(|load| *load <= estimate);
    let below = below.max_by(f64::total_cmp).unwrap_or(held);
    let above = loads().filter(|load| *load > estimate);
    let above = above.min_by(f64::total_cmp).unwrap_or(failed);
    let gap = above - below;
    let low = capacity.low.unwrap_or(0.0);
    let high = capacity.high.unwrap_or(f64::INFINITY);
    // Where chance is not what widens the interval, the bracket is.
    let known = low >= below && high <= above;
    let close = if known { 1.0 } else { CLOSE };
    if gap > (close * limits.tolerance * estimate).max(limits.step) {
        let margin = (MARGIN * gap).max(limits.step);
        let within = estimate.clamp(below + margin, (above - margin).max(below + margin));
        return SearchStep::Probe { load: limits.possible(within), volumes: 1 };
    }
    // What bounds the interval at the load itself is not that load's chance but the next one's.
    let lower = low < below && estimate - low >= high - estimate;
    let load = if lower { below } else { above };
    let of_load = || probes.iter().filter(|probe| probe.load.total_cmp(&load).is_eq());
    let watched: u32 = of_load().map(|probe| probe.volumes).sum();
    let effective: f64 = of_load().map(|probe| probe.effective).sum();
    let growth = if lower && effective < limits.fewest {
        // Fewer say nothing of how high the strain may be.
        SURELY * limits.fewest / effective.max(1.0) - 1.0
    } else {
        // The width goes with the root of what was watched.
        let too_wide = (high - low) / (limits.tolerance * estimate).max(limits.step);
        too_wide * too_wide - 1.0
    };
    let growth = growth.clamp(LEAST_GROWTH, MOST_GROWTH);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and twice a u32 at most; saturating"
    )]
    let volumes = (f64::from(watched) * growth).ceil() as u32;
    SearchStep::Probe { load, volumes: volumes.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOTS: SearchLimits =
        SearchLimits { tolerance: 0.1, max_requests: 100_000, smallest: 1.0, largest: 1000.0, fewest: 72.0, step: 1.0 };
    const RATES: SearchLimits = SearchLimits { smallest: 0.01, step: 0.0, ..SLOTS };

    /// A server without chance that holds up to `truth`: the interval is the bracket.
    fn search(truth: f64, first: f64, limits: SearchLimits) -> (Vec<f64>, SearchEnd) {
        let mut probes: Vec<Probe> = Vec::new();
        loop {
            let loads = || probes.iter().map(|probe| probe.load);
            let held_at = loads().filter(|load| *load <= truth).reduce(f64::max);
            let failed_at = loads().filter(|load| *load > truth).reduce(f64::min);
            let both = held_at.zip(failed_at);
            let capacity = LoadCapacity {
                load: both.map(|(low, high)| low.midpoint(high)),
                low: held_at,
                high: failed_at,
                held_at,
                failed_at,
            };
            match next_search_step(&probes, &capacity, first, limits) {
                SearchStep::Probe { load, volumes } => {
                    probes.push(Probe { load, volumes, requests: 40 * u64::from(volumes), effective: 100.0 });
                }
                SearchStep::Stop(end) => return (loads().collect(), end),
            }
            assert!(probes.len() < 1000, "it ends");
        }
    }

    #[test]
    fn the_bracket_closes_on_every_planted_capacity() {
        for truth in 11..500 {
            let (loads, end) = search(f64::from(truth), 8.0, SLOTS);
            assert_eq!(end, SearchEnd::Tight, "{truth}");
            let held = loads.iter().filter(|load| **load <= f64::from(truth));
            let failed = loads.iter().filter(|load| **load > f64::from(truth));
            let held = held.copied().fold(0.0, f64::max);
            let failed = failed.copied().fold(f64::INFINITY, f64::min);
            assert!(failed - held <= 0.1 * failed, "{truth}");
            // Doubling to the truth, then halving a bracket of its width to a tenth: log₂ of each.
            assert!(loads.len() <= 16, "{truth}: {loads:?}");
        }
    }

    #[test]
    fn rates_are_sought_between_whole_numbers_and_below_one() {
        for truth in [0.037, 0.41, 3.3, 77.7] {
            let (loads, end) = search(truth, 1.0, RATES);
            assert_eq!(end, SearchEnd::Tight, "{truth}");
            let nearest = loads.iter().map(|load| (load / truth - 1.0).abs());
            assert!(nearest.fold(f64::INFINITY, f64::min) <= 0.1, "{truth}: {loads:?}");
            let typed = |load: &f64| (load - three_digits(*load)).abs() < 1e-12;
            assert!(loads.iter().all(typed), "{loads:?}");
        }
    }

    #[test]
    fn a_server_that_never_fails_and_one_that_never_holds_end_the_search() {
        assert_eq!(search(5000.0, 8.0, SLOTS).1, SearchEnd::NeverFailed);
        assert_eq!(search(5000.0, 8.0, SLOTS).0.last(), Some(&1000.0));
        assert_eq!(search(0.0, 8.0, SLOTS), (vec![8.0, 4.0, 2.0, 1.0], SearchEnd::NeverHeld));
        assert_eq!(search(0.001, 0.02, RATES).1, SearchEnd::NeverHeld);
    }

    #[test]
    fn a_spent_budget_ends_the_search_before_another_probe() {
        let limits = SearchLimits { max_requests: 100, ..SLOTS };
        let (loads, end) = search(200.0, 8.0, limits);
        assert_eq!((loads, end), (vec![8.0, 16.0, 32.0], SearchEnd::Spent));
    }

    #[test]
    fn what_widens_the_interval_is_watched_for_as_long_as_that_asks() {
        let probe = |load, volumes| Probe { load, volumes, requests: 1, effective: 10.0 * f64::from(volumes) };
        let probes = [probe(8.0, 1), probe(40.0, 9), probe(41.0, 5)];
        let few = [probe(8.0, 1), probe(40.0, 4), probe(41.0, 5)];
        let next_of = |probes: &[Probe], low, high| {
            let capacity = LoadCapacity {
                load: Some(40.5),
                low: Some(low),
                high: Some(high),
                held_at: Some(40.0),
                failed_at: Some(41.0),
            };
            next_search_step(probes, &capacity, 8.0, SLOTS)
        };
        let next = |low, high| next_of(&probes, low, high);
        let again = |load, volumes| SearchStep::Probe { load, volumes };
        // 82.8 effective requests are aimed at, and 40 there are.
        assert_eq!(next_of(&few, 0.0, 42.0), again(40.0, 5));
        // 5.265 wide against 4.05 is 1.3 times: 0.69 of what there is brings it down.
        assert_eq!(next(36.6, 41.865), again(40.0, 7));
        assert_eq!(next(39.5, 44.765), again(41.0, 4));
        // Far too wide, or without a bound: five times as long in all, and then another look.
        assert_eq!(next(10.0, 42.0), again(40.0, 36));
        assert_eq!(next(39.0, f64::INFINITY), again(41.0, 20));
        // At the lower end of the bracket already: only the upper one can raise it.
        assert_eq!(next(40.0, 44.5), again(41.0, 3));
        assert_eq!(next(39.0, 42.0), SearchStep::Stop(SearchEnd::Tight));
    }
}
