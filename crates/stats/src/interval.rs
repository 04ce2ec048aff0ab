//! Intervals for a rate and for a mean.
//!
//! The rate's is Wilson's score interval (JASA 22, 1927), which stays within 0 and 1 and says something even at 0 or all
//! successes (Brown and others, Statistical Science 16, 2001, recommend it for small samples). The mean's is
//! Student's; it takes the mean as nearly normal, which latencies reach from a few dozen observations on.

use statrs::distribution::{ContinuousCDF as _, Normal, StudentsT};

use crate::Sample;

/// A closed interval, `low ≤ high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Probability with which an interval contains the truth, strictly between 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Confidence(f64);

impl Confidence {
    /// The customary 95 %.
    pub const P95: Self = Self(0.95);

    /// `None` unless `0 < level < 1`.
    pub fn new(level: f64) -> Option<Self> {
        (level > 0.0 && level < 1.0).then_some(Self(level))
    }

    /// The probability.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The probability left on either side of a two-sided interval.
    pub(crate) fn tail(self) -> f64 {
        (1.0 - self.0) / 2.0
    }
}

/// Wilson's score interval for the success probability. `None` without a trial; successes beyond the trials count as
/// all of them.
///
/// ```
/// use stats::{Confidence, wilson};
/// let rate = wilson(10, 10, Confidence::P95).expect("there were trials");
/// assert!(rate.low > 0.72 && rate.high == 1.0);
/// ```
pub fn wilson(successes: u64, trials: u64, confidence: Confidence) -> Option<Interval> {
    if trials == 0 {
        return None;
    }
    let successes = successes.min(trials);
    let share = successes as f64 / trials as f64;
    wilson_effective(share, trials as f64, confidence)
}

/// Wilson's interval of a share of trials that say as much as `effective` independent ones. `None` unless the share lies
/// between 0 and 1 and `effective` is a positive number.
pub fn wilson_effective(share: f64, effective: f64, confidence: Confidence) -> Option<Interval> {
    if !((0.0..=1.0).contains(&share) && effective > 0.0 && effective.is_finite()) {
        return None;
    }
    let (n, p) = (effective, share);
    let z = normal_quantile(1.0 - confidence.tail());
    let centre = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // At the borders the closed form is exactly 0 and 1; in floating point it is off by a rounding error.
    let low = if share <= 0.0 { 0.0 } else { (centre - half) / scale };
    let high = if share >= 1.0 { 1.0 } else { (centre + half) / scale };
    Some(Interval { low, high })
}

/// Student's interval for the mean. `None` for a single observation.
///
/// ```
/// use stats::{Confidence, Sample, mean_interval};
/// let mean = mean_interval(&Sample::new(vec![1.0, 2.0, 3.0])?, Confidence::P95).expect("more than one observation");
/// assert!((mean.high - 4.484_137_711_750_330).abs() < 1e-12); // 2 + t(0.975, 2) / √3
/// # Ok::<(), stats::SampleError>(())
/// ```
pub fn mean_interval(sample: &Sample, confidence: Confidence) -> Option<Interval> {
    let standard_error = (sample.variance()? / sample.n() as f64).sqrt();
    let half = student_quantile(1.0 - confidence.tail(), (sample.n() - 1) as f64) * standard_error;
    Some(Interval { low: sample.mean() - half, high: sample.mean() + half })
}

pub(crate) fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

/// Probability that a standard normal variate is not above `z`. The error function of statrs 0.19 is right to 11 digits
/// only; that of `libm` to the last.
pub(crate) fn normal_probability(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// Quantile of Student's t. From 1,000 degrees of freedom on by the expansion around the normal quantile (Abramowitz
/// and Stegun 26.7.5, error of order `ν⁻⁵`): the root finder of statrs 0.19 loses digits there (it is off by 3·10⁻⁶
/// at 100,000). The degrees of freedom are positive.
///
/// # Panics
/// When they are not, or `p` does not lie between 0 and 1.
pub fn student_quantile(p: f64, degrees_of_freedom: f64) -> f64 {
    const EXPANSION_FROM: f64 = 1000.0;
    if degrees_of_freedom < EXPANSION_FROM {
        return StudentsT::new(0.0, 1.0, degrees_of_freedom)
            .expect("location and scale are constants and there is at least one degree of freedom")
            .inverse_cdf(p);
    }
    let z = normal_quantile(p);
    let s = z * z;
    let terms = [
        z * (s + 1.0) / 4.0,
        z * ((5.0 * s + 16.0) * s + 3.0) / 96.0,
        z * (((3.0 * s + 19.0) * s + 17.0) * s - 15.0) / 384.0,
        z * ((((79.0 * s + 776.0) * s + 1482.0) * s - 1920.0) * s - 945.0) / 92160.0,
    ];
    let inverse = degrees_of_freedom.recip();
    z + inverse * terms.into_iter().rev().fold(0.0, |sum, term| term + inverse * sum)
}
