//! Quantiles, and the intervals that a sample supports without assuming its distribution.
//!
//! The figure is Hyndman and Fan's type 7 (The American Statistician 50, 1996): linear interpolation between order
//! statistics, as numpy and most load tools have it. The interval is the classical one from the binomial distribution
//! (David and Nagaraja, Order Statistics, 3rd ed., section 7.1): the number of observations below the true `q`-quantile
//! is binomial with parameters `n` and `q`, so two order statistics enclose that quantile with a known probability.
//!
//! When a sample is too small, no two order statistics do, and the honest answer is none. At 95 % the smallest samples
//! are 6 for the median, 36 for p90, 72 for p95 and 368 for p99. The load generator of `MLPerf` stops early by the stricter
//! one-sided 99 % (64 for p90, 662 for p99: mlcommons/endpoints, early stopping), because it certifies a bound; here the
//! interval is printed instead.

use statrs::distribution::{Binomial, DiscreteCDF as _};

use crate::{Confidence, Interval, Sample};

/// A share of the distribution, from 0 to 1: 0.95 is the 95th percentile.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Quantile(f64);

impl Quantile {
    /// The median.
    pub const P50: Self = Self(0.5);
    /// The 90th percentile.
    pub const P90: Self = Self(0.9);
    /// The 95th percentile.
    pub const P95: Self = Self(0.95);
    /// The 99th percentile.
    pub const P99: Self = Self(0.99);

    /// `None` unless `0 ≤ q ≤ 1`.
    pub fn new(q: f64) -> Option<Self> {
        (0.0..=1.0).contains(&q).then_some(Self(q))
    }

    /// The share.
    pub fn get(self) -> f64 {
        self.0
    }
}

/// The quantile of type 7: linear between the two order statistics around rank `(n − 1)·q`.
///
/// ```
/// use stats::{Quantile, Sample, quantile};
/// let sample = Sample::new(vec![10.0, 20.0, 30.0, 40.0])?;
/// assert_eq!(quantile(&sample, Quantile::P50), 25.0);
/// # Ok::<(), stats::SampleError>(())
/// ```
pub fn quantile(sample: &Sample, q: Quantile) -> f64 {
    let sorted = sample.sorted();
    let position = (sorted.len() - 1) as f64 * q.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 ≤ position ≤ len − 1, a memory size"
    )]
    let below = position.floor() as usize;
    let low = sorted[below];
    let Some(&high) = sorted.get(below + 1) else {
        return low;
    };
    (low + (position - position.floor()) * (high - low)).clamp(low, high)
}

/// The same quantiles of values that are not sorted, by selection: linear in their number where sorting is not, for samples
/// of which nothing but some quantiles is wanted. The values change places. `qs` ascend; without values there is nothing.
///
/// ```
/// use stats::{Quantile, select_quantiles};
/// let mut values = [40.0, 10.0, 30.0, 20.0];
/// assert_eq!(select_quantiles(&mut values, &[Quantile::P50]), [25.0]);
/// ```
pub fn select_quantiles(values: &mut [f64], qs: &[Quantile]) -> Vec<f64> {
    let mut found = Vec::with_capacity(qs.len());
    let last = values.len().saturating_sub(1);
    // What lies before `from` is not larger than what lies behind it.
    let (mut from, mut rest) = (0, values);
    for q in qs {
        if rest.is_empty() {
            break;
        }
        let position = last as f64 * q.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 ≤ position ≤ len − 1, a memory size"
        )]
        let below = (position.floor() as usize).max(from);
        let (_, low, above) = rest.select_nth_unstable_by(below - from, f64::total_cmp);
        let low = *low;
        let next = above.iter().copied().min_by(f64::total_cmp);
        found.push(next.map_or(low, |high| (low + (position - position.floor()) * (high - low)).clamp(low, high)));
        rest = &mut rest[below - from..];
        from = below;
    }
    found
}

/// The ranks, from 1, of the two order statistics that enclose the true quantile with at least the given confidence,
/// with at most half of the remaining probability on either side. `None` when `n` is too small for such a pair.
///
/// ```
/// use stats::{Confidence, Quantile, order_statistic_ranks};
/// assert_eq!(order_statistic_ranks(6, Quantile::P50, Confidence::P95), Some((1, 6)));
/// assert_eq!(order_statistic_ranks(5, Quantile::P50, Confidence::P95), None);
/// ```
pub fn order_statistic_ranks(n: u64, q: Quantile, confidence: Confidence) -> Option<(u64, u64)> {
    let below = Binomial::new(q.0, n).ok()?;
    let tail = confidence.tail();
    // Where all of the mass lies at one end, that end's order statistic is missing; asking first also spares the
    // bisection below its edge cases.
    if n == 0 || below.cdf(0) > tail || below.cdf(n - 1) < 1.0 - tail {
        return None;
    }
    let low = below.inverse_cdf(tail);
    let high = below.inverse_cdf(1.0 - tail) + 1;
    (low >= 1 && high <= n).then_some((low, high))
}

/// An interval that contains the true quantile with at least the given confidence, whatever the distribution. `None`
/// when the sample is too small for it; then the quantile itself should not be printed either.
///
/// ```
/// use stats::{Confidence, Quantile, Sample, quantile_interval};
/// let sample = Sample::new((1..=72).map(f64::from).collect())?;
/// let p95 = quantile_interval(&sample, Quantile::P95, Confidence::P95).expect("72 observations are enough for p95");
/// assert_eq!((p95.low, p95.high), (64.0, 72.0));
/// assert_eq!(quantile_interval(&sample, Quantile::P99, Confidence::P95), None);
/// # Ok::<(), stats::SampleError>(())
/// ```
pub fn quantile_interval(sample: &Sample, q: Quantile, confidence: Confidence) -> Option<Interval> {
    let (low, high) = order_statistic_ranks(sample.n(), q, confidence)?;
    let at = |rank: u64| {
        let index = usize::try_from(rank - 1).ok()?;
        sample.sorted().get(index).copied()
    };
    Some(Interval { low: at(low)?, high: at(high)? })
}
