//! Which load to try next when the largest that meets objectives is sought.
//!
//! First a bracket: loads are doubled until one fails (halved until one holds). Then it is halved, next to where a straight
//! line puts the capacity, until its ends are neighbours or nearer than the tolerance. From then on only chance is left,
//! and the end of the bracket that has been watched less is watched again. Each probe is an ordinary level; those of the
//! same concurrency count as one in [`SloCapacity`].
//!
//! Probing near the crossing is what spends requests well: the figure of a level far from it says nothing of where it is.
//! The end is decided by the width of the interval, so the interval is a little less sure than one of a fixed number of
//! requests; `docs/methodology.md` has how often it holds the truth.

use crate::SloCapacity;

/// An interval no wider than from one concurrency to the next is tight whatever was asked.
const NARROWEST: f64 = 1.0;

/// When the search ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchLimits {
    /// Width of the interval over the capacity at which it is tight enough, such as 0.1.
    pub tolerance: f64,
    /// Requests, warm-up included, after which no further probe is begun.
    pub max_requests: u64,
    /// Largest concurrency to try.
    pub max_concurrency: u32,
}

/// A level that was run to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Requests kept in flight.
    pub concurrency: u32,
    /// Requests that were spent on it, warm-up included.
    pub requests: u64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchStep {
    /// Run a level of this concurrency.
    Probe(u32),
    /// Stop.
    Stop(SearchEnd),
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchEnd {
    /// The interval is as tight as asked.
    Tight,
    /// The requests are spent.
    Spent,
    /// The largest concurrency to try still held.
    NeverFailed,
    /// A single request at a time already failed.
    NeverHeld,
}

/// The next step after these probes, in any order, and what the run's summary says of the capacity after them. Without
/// a probe it is `first`.
///
/// ```
/// use analysis::{Probe, SearchLimits, SearchStep, SloCapacity, next_search_step};
/// let limits = SearchLimits { tolerance: 0.1, max_requests: 10_000, max_concurrency: 1024 };
/// let held = SloCapacity { concurrency: None, low: Some(8.0), high: None, held_at: Some(8), failed_at: None };
/// let probes = [Probe { concurrency: 8, requests: 40 }];
/// assert_eq!(next_search_step(&probes, &held, 8, limits), SearchStep::Probe(16));
/// ```
pub fn next_search_step(
    probes: &[Probe],
    capacity: &SloCapacity,
    first: u32,
    limits: SearchLimits,
) -> SearchStep {
    let first = first.clamp(1, limits.max_concurrency.max(1));
    let loads = || probes.iter().map(|probe| probe.concurrency);
    let (Some(smallest), Some(largest)) = (loads().min(), loads().max()) else {
        return SearchStep::Probe(first);
    };
    if is_tight(capacity, limits.tolerance) {
        return SearchStep::Stop(SearchEnd::Tight);
    }
    let spent: u64 = probes.iter().map(|probe| probe.requests).sum();
    if spent >= limits.max_requests {
        return SearchStep::Stop(SearchEnd::Spent);
    }
    match (capacity.held_at, capacity.failed_at) {
        (_, None) if largest >= limits.max_concurrency => SearchStep::Stop(SearchEnd::NeverFailed),
        (_, None) => SearchStep::Probe(largest.saturating_mul(2).min(limits.max_concurrency)),
        (None, Some(_)) if smallest <= 1 => SearchStep::Stop(SearchEnd::NeverHeld),
        (None, Some(_)) => SearchStep::Probe(smallest / 2),
        (Some(held), Some(failed)) => {
            SearchStep::Probe(narrow(probes, capacity, (held, failed), limits))
        }
    }
}

/// Whether the interval is as narrow as asked, or as one concurrency. Ends that are not known are never tight.
fn is_tight(capacity: &SloCapacity, tolerance: f64) -> bool {
    let (Some(value), Some(low), Some(high)) = (capacity.concurrency, capacity.low, capacity.high)
    else {
        return false;
    };
    low > 0.0 && high - low <= (tolerance * value).max(NARROWEST)
}

/// The next load once one has held and one has failed.
fn narrow(
    probes: &[Probe],
    capacity: &SloCapacity,
    (held, failed): (u32, u32),
    limits: SearchLimits,
) -> u32 {
    let gap = failed.saturating_sub(held);
    let between = f64::from(held).midpoint(f64::from(failed));
    let estimate = capacity.concurrency.unwrap_or(between);
    if gap > 1 && f64::from(gap) > limits.tolerance * estimate {
        // A straight line over a wide bracket is a guess: no nearer to an end than a quarter of the bracket.
        let margin = f64::from(gap) / 4.0;
        let within = estimate.clamp(f64::from(held) + margin, f64::from(failed) - margin);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between two loads, which are u32"
        )]
        let within = within.round() as u32;
        return within.clamp(held + 1, failed - 1);
    }
    // Requests of one slot: a wave of a larger level says no more than one of a smaller.
    let watched = |load: u32| {
        let of_load = probes.iter().filter(|probe| probe.concurrency == load);
        of_load.map(|probe| probe.requests).sum::<u64>() / u64::from(load.max(1))
    };
    if watched(held) <= watched(failed) {
        held
    } else {
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SearchLimits = SearchLimits {
        tolerance: 0.1,
        max_requests: 100_000,
        max_concurrency: 1000,
    };

    /// A server without chance that holds up to `truth`: the interval is the bracket.
    fn search(truth: u32, first: u32, limits: SearchLimits) -> (Vec<u32>, SearchEnd) {
        let mut probes: Vec<Probe> = Vec::new();
        loop {
            let loads = || probes.iter().map(|probe| probe.concurrency);
            let held_at = loads().filter(|load| *load <= truth).max();
            let failed_at = loads().filter(|load| *load > truth).min();
            let both = held_at.zip(failed_at);
            let capacity = SloCapacity {
                concurrency: both.map(|(low, high)| f64::from(low).midpoint(f64::from(high))),
                low: held_at.map(f64::from),
                high: failed_at.map(f64::from),
                held_at,
                failed_at,
            };
            match next_search_step(&probes, &capacity, first, limits) {
                SearchStep::Probe(concurrency) => probes.push(Probe {
                    concurrency,
                    requests: u64::from(concurrency) * 4,
                }),
                SearchStep::Stop(end) => return (loads().collect(), end),
            }
            assert!(probes.len() < 1000, "it ends");
        }
    }

    #[test]
    fn the_bracket_closes_on_every_planted_capacity() {
        for truth in 11..500 {
            let (loads, end) = search(truth, 8, LIMITS);
            assert_eq!(end, SearchEnd::Tight, "{truth}");
            let held = loads.iter().filter(|load| **load <= truth).max();
            let failed = loads.iter().filter(|load| **load > truth).min();
            let (held, failed) = (*held.unwrap(), *failed.unwrap());
            assert!(
                f64::from(failed - held) <= 0.1 * f64::from(failed),
                "{truth}"
            );
            // Doubling to the truth, then halving a bracket of its width to a tenth: log₂ of each.
            assert!(loads.len() <= 16, "{truth}: {loads:?}");
        }
    }

    #[test]
    fn a_server_that_never_fails_and_one_that_never_holds_end_the_search() {
        assert_eq!(search(5000, 8, LIMITS).1, SearchEnd::NeverFailed);
        assert_eq!(search(5000, 8, LIMITS).0.last(), Some(&1000));
        assert_eq!(
            search(0, 8, LIMITS),
            (vec![8, 4, 2, 1], SearchEnd::NeverHeld)
        );
    }

    #[test]
    fn a_spent_budget_ends_the_search_before_another_probe() {
        let limits = SearchLimits {
            max_requests: 100,
            ..LIMITS
        };
        let (loads, end) = search(200, 8, limits);
        assert_eq!((loads, end), (vec![8, 16, 32], SearchEnd::Spent));
    }

    #[test]
    fn neighbours_are_watched_in_turn() {
        let capacity = SloCapacity {
            concurrency: Some(4.5),
            low: Some(3.0),
            high: Some(6.0),
            held_at: Some(4),
            failed_at: Some(5),
        };
        let probe = |concurrency, waves: u64| Probe {
            concurrency,
            requests: u64::from(concurrency) * waves,
        };
        let next = |probes: &[Probe]| next_search_step(probes, &capacity, 4, LIMITS);
        assert_eq!(next(&[probe(4, 8), probe(5, 4)]), SearchStep::Probe(5));
        assert_eq!(next(&[probe(4, 4), probe(5, 8)]), SearchStep::Probe(4));
    }
}
