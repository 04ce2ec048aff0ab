//! How far from the levels something may be said.
//!
//! Holding out the largest level tests a step of the sweep beyond the others, so a step of the same ratio beyond all of
//! them may be predicted, and no more; the same below. Whether the server has a limit farther out, no level tells.

use sizing::performance::{Load, Observation};

use crate::Refused;

/// Range of the loads, and the range that they support.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    smallest: f64,
    largest: f64,
    from: f64,
    to: f64,
    isl: (f64, f64),
    osl: (f64, f64),
}

impl Range {
    /// That of these loads; `None` without any.
    pub(super) fn new(observations: &[Observation]) -> Option<Self> {
        let mut loads: Vec<f64> = observations.iter().map(|o| o.load.concurrency).collect();
        loads.sort_by(f64::total_cmp);
        loads.dedup();
        let (smallest, largest) = (*loads.first()?, *loads.last()?);
        let step = |pair: Option<[f64; 2]>| pair.map_or(1.0, |[low, high]| high / low);
        let first = step(loads.first_chunk::<2>().copied());
        let last = step(loads.last_chunk::<2>().copied());
        let ends = |length: fn(&Observation) -> f64| {
            let lengths = observations.iter().map(length);
            lengths.fold((f64::INFINITY, 0.0_f64), |(low, high), length| (low.min(length), high.max(length)))
        };
        Some(Self {
            smallest,
            largest,
            from: (smallest / first).max(1.0),
            to: largest * last,
            isl: ends(|o| o.load.isl),
            osl: ends(|o| o.load.osl),
        })
    }

    /// Whether something may be said of so many requests at once.
    pub(super) fn covers(self, load: Load) -> bool {
        // A level holds a little less than its concurrency: what is asked for with whole numbers must not fail by that.
        let slack = 1.02;
        (self.from / slack..=self.to * slack).contains(&load.concurrency)
    }

    /// Why nothing is said beyond.
    pub(super) fn refusal(self) -> Refused {
        Refused::Untested { from: self.from, to: self.to }
    }

    /// Smallest and largest concurrency of which something may be said.
    pub(super) fn concurrency(self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// Whether the load lies between levels.
    pub(super) fn is_within(self, load: Load) -> bool {
        (self.smallest..=self.largest).contains(&load.concurrency)
    }

    /// Whether the load is the smallest or the largest level's.
    pub(super) fn is_at_an_end(self, load: Load) -> bool {
        load.concurrency <= self.smallest || load.concurrency >= self.largest
    }

    /// Whether the lengths are those of the levels, up to `factor`.
    pub(super) fn has_lengths(self, load: Load, factor: f64) -> bool {
        let inside = |(low, high): (f64, f64), length: f64| (low / factor..=high * factor).contains(&length);
        inside(self.isl, load.isl) && inside(self.osl, load.osl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(concurrencies: &[f64]) -> Range {
        let observations: Vec<Observation> = concurrencies
            .iter()
            .map(|&concurrency| Observation {
                load: Load { concurrency, isl: 100.0, osl: 10.0 },
                ttft_s: None,
                tpot_s: Some(0.01),
                output_tokens_per_second: None,
            })
            .collect();
        Range::new(&observations).unwrap()
    }

    #[test]
    fn a_step_of_the_sweep_beyond_its_ends_is_covered_and_no_more() {
        let (from, to) = reach(&[4.0, 8.0, 16.0, 64.0]).concurrency();
        assert!((from - 2.0).abs() < 1e-9 && (to - 256.0).abs() < 1e-9);
        // Less than one request at once is no load.
        let (from, _) = reach(&[1.0, 8.0]).concurrency();
        assert!((from - 1.0).abs() < 1e-9);
        let load = |concurrency: f64, isl: f64| Load { concurrency, isl, osl: 10.0 };
        let reach = reach(&[1.0, 2.0, 4.0]);
        assert!(reach.covers(load(8.0, 100.0)) && !reach.covers(load(9.0, 100.0)));
        assert!(reach.is_within(load(3.0, 100.0)) && !reach.is_within(load(5.0, 100.0)));
        assert!(reach.has_lengths(load(3.0, 105.0), 1.1));
        assert!(!reach.has_lengths(load(3.0, 200.0), 1.1));
    }
}
