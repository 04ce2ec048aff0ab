//! A histogram of latencies in constant memory, for a live view and for merging what several clients saw.
//!
//! The `HdrHistogram` (Tene, 2012) through its Rust port: whole numbers up to an hour of nanoseconds with three significant
//! digits, so a quantile is off by a thousandth at most. Reports do not use it: they have all observations and take exact
//! quantiles.

use crate::{Quantile, interval::Interval};

/// Significant digits.
const DIGITS: u8 = 3;
/// An hour in nanoseconds; larger values count as this.
const LARGEST: u64 = 3_600_000_000_000;

/// Counts of whole numbers, of nanoseconds for instance, from 1 to 3.6·10¹².
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: hdrhistogram::Histogram::new_with_bounds(1, LARGEST, DIGITS)
                .expect("bounds and digits are constants within the format's limits"),
        }
    }
}

impl Histogram {
    /// Counts a value; one beyond the range counts as the range's end.
    pub fn record(&mut self, value: u64) {
        self.counts.saturating_record(value);
    }

    /// How many values were counted.
    pub fn n(&self) -> u64 {
        self.counts.len()
    }

    /// Adds what another one counted. The order of merging does not matter.
    ///
    /// ```
    /// let (mut all, mut other) = (stats::Histogram::default(), stats::Histogram::default());
    /// all.record(1_000_000);
    /// other.record(3_000_000);
    /// all.merge(&other);
    /// assert_eq!(all.n(), 2);
    /// ```
    pub fn merge(&mut self, other: &Self) {
        // Adding fails only for values beyond the bounds, and all histograms here have the same.
        self.counts += &other.counts;
    }

    /// Between which values the quantile of nearest rank lies; `None` when nothing was counted.
    pub fn quantile(&self, q: Quantile) -> Option<Interval> {
        let value = self.counts.value_at_quantile(q.get());
        (!self.counts.is_empty()).then(|| Interval {
            low: self.counts.lowest_equivalent(value) as f64,
            high: self.counts.highest_equivalent(value) as f64,
        })
    }
}
