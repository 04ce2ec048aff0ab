//! How far from the levels something may be said.
//!
//! Holding out the largest level tests a step of the sweep beyond the others, so a step of the same ratio beyond all of
//! them may be predicted, and no more; the same below. Whether the server has a limit farther out, no level tells.

use sizing::performance::{Load, Observation};

use crate::Refused;

/// Range of the loads, and the range that they support.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reach {
    smallest: f64,
    largest: f64,
    from: f64,
    to: f64,
    isl: (f64, f64),
    osl: (f64, f64),
}

impl Reach {
    /// That of these loads; `None` without any.
    pub(super) fn of(observations: &[Observation]) -> Option<Self> {
        let mut loads: Vec<f64> = observations.iter().map(|o| o.load.concurrency).collect();
        loads.sort_by(f64::total_cmp);
        loads.dedup();
        let (smallest, largest) = (*loads.first()?, *loads.last()?);
        let step = |pair: Option<[f64; 2]>| pair.map_or(1.0, |[low, high]| high / low);
        let first = step(loads.first_chunk::<2>().copied());
        let last = step(loads.last_chunk::<2>().copied());
        let ends = |length: fn(&Observation) -> f64| {
            let lengths = observations.iter().map(length);
            lengths.fold((f64::INFINITY, 0.0_f64), |(low, high), length| {
                (low.min(length), high.max(length))
            })
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
        Refused::Untested {
            from: self.from,
            to: self.to,
        }
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
        let inside =
            |(low, high): (f64, f64), length: f64| (low / factor..=high * factor).contains(&length);
        inside(self.isl, load.isl) && inside(self.osl, load.osl)
    }
}
