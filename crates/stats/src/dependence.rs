//! Observations that are not independent: how much a series really says.
//!
//! A server runs requests in batches, so neighbours in a series of latencies resemble each other, and in a closed loop in
//! step a whole wave does. Non-overlapping batch means (Schmeiser, Operations Research 30, 1982) take that into account
//! without a model of it: means of stretches that are long enough are independent, whatever happens within a stretch.
//!
//! There are at most 60 batches: more of them gain next to nothing in precision, and each is shorter (Schmeiser). Where
//! they are still too short to be independent, their means follow each other; they are then taken as a first-order
//! autoregressive series, as ASAP3 does (Steiger and others, ACM Transactions on Modeling and Computer Simulation 15, 2005):
//! with a correlation ρ between neighbours the variance of their mean is (1 + ρ)/(1 − ρ) times as large. A negative ρ is
//! taken as none. The *design effect* is the factor by which dependence multiplies the variance of a mean (Kish, Survey
//! Sampling, 1965, section 8.2); the sample divided by it is the *effective* sample. It says nothing of drift: see
//! `steady_state`.

use std::num::NonZeroUsize;

use crate::{Confidence, Interval, compensated_sum, interval::student_quantile};

/// Most batches.
const MOST: usize = 60;

/// Fewest batches of which one can tell whether they follow each other.
const FEWEST_FOR_CORRELATION: usize = 8;

/// Most that neighbouring batches are taken to resemble each other: beyond, the series is too short to say.
const MOST_ALIKE: f64 = 0.8;

/// A series in order of time, cut into batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchMeans {
    n: usize,
    size: usize,
    batches: usize,
    mean: f64,
    variance: f64,
    variance_of_means: f64,
    alike: f64,
}

impl BatchMeans {
    /// Cuts the series into batches of a multiple of `smallest` observations: in a closed loop the number of slots, because a
    /// wave is the least that is served together. `None` when that gives fewer than two batches, or when an observation
    /// is not finite.
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use stats::BatchMeans;
    /// // Ten waves of eight requests that all share their wave's latency: 80 observations that say as much as 10.
    /// let shared: Vec<f64> = (0..80).map(|i| [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0][i / 8]).collect();
    /// let batches = BatchMeans::new(&shared, NonZeroUsize::new(8).expect("not 0")).expect("ten batches");
    /// assert_eq!(batches.batches(), 10);
    /// assert!((9.0..12.0).contains(&batches.effective()));
    /// ```
    pub fn new(series: &[f64], smallest: NonZeroUsize) -> Option<Self> {
        let n = series.len();
        let size = first_size(n, smallest)?;
        let mean = compensated_sum(series.iter().copied()) / n as f64;
        let variance = variance_around(series, mean);
        let means = series
            .chunks_exact(size)
            .map(|batch| compensated_sum(batch.iter().copied()) / size as f64)
            .collect::<Vec<_>>();
        Self::of_means(n, size, mean, variance, &means)
    }

    /// The same for the share of observations up to `limit`: of the series that is 1 where an observation is and 0 where it
    /// is not, without making that series. Infinite observations are welcome here.
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use stats::BatchMeans;
    /// let series = [1.0, 5.0, 2.0, f64::INFINITY, 1.0, 1.0];
    /// let shares = BatchMeans::of_share(&series, 2.0, NonZeroUsize::MIN).expect("six batches");
    /// assert!((shares.mean() - 4.0 / 6.0).abs() < 1e-12);
    /// ```
    pub fn of_share(series: &[f64], limit: f64, smallest: NonZeroUsize) -> Option<Self> {
        let n = series.len();
        let size = first_size(n, smallest)?;
        let count = |part: &[f64]| part.iter().map(|x| u64::from(*x <= limit)).sum::<u64>() as f64;
        let share = count(series) / n as f64;
        // Bernoulli's, unbiased.
        let variance = share * (1.0 - share) * n as f64 / (n - 1) as f64;
        let means = series.chunks_exact(size).map(|batch| count(batch) / size as f64).collect::<Vec<_>>();
        Self::of_means(n, size, share, variance, &means)
    }

    fn of_means(n: usize, size: usize, mean: f64, variance: f64, means: &[f64]) -> Option<Self> {
        let mean_of_means = compensated_sum(means.iter().copied()) / means.len() as f64;
        let variance_of_means = variance_around(means, mean_of_means);
        let finite = mean.is_finite() && variance.is_finite() && variance_of_means.is_finite();
        finite.then(|| Self {
            n,
            size,
            batches: means.len(),
            mean,
            variance,
            variance_of_means,
            alike: likeness(means, mean_of_means),
        })
    }

    /// Observations a batch.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whole batches; at least 2.
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// By how much the correlation of neighbouring batches multiplies the variance of their mean; 1 without any.
    fn inflation(&self) -> f64 {
        (1.0 + self.alike) / (1.0 - self.alike)
    }

    /// Variance of the mean times `n`.
    fn long_run_variance(&self) -> f64 {
        self.size as f64 * self.variance_of_means * self.inflation()
    }

    /// Variance of the mean over what it would be if observations were independent; below 1 when a batch balances what
    /// its observations do. 1 for a constant series, of which nothing can be said.
    pub fn design_effect(&self) -> f64 {
        let effect = self.long_run_variance() / self.variance;
        if effect.is_finite() { effect } else { 1.0 }
    }

    /// Independent observations that would say as much of the mean: `n` over the design effect, never more than `n`.
    pub fn effective(&self) -> f64 {
        self.n as f64 / self.design_effect().max(1.0)
    }

    /// The effective sample for an interval: smaller by what it costs that the design effect itself is estimated, from
    /// so many batches only (Korn and Graubard, Survey Methodology 24, 1998).
    pub fn effective_for(&self, confidence: Confidence) -> f64 {
        if self.variance <= 0.0 {
            return self.n as f64;
        }
        let q = 1.0 - confidence.tail();
        let price = student_quantile(q, (self.n - 1) as f64) / student_quantile(q, self.degrees_of_freedom());
        self.effective() * price * price
    }

    /// Mean of all observations, the last broken batch included.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Standard error of the mean.
    pub fn standard_error(&self) -> f64 {
        (self.long_run_variance() / self.n as f64).sqrt()
    }

    /// Degrees of freedom of the standard error: batches less one. Fewer where they follow each other, because ρ is an
    /// estimate too, with a variance of (1 − ρ²)/b (Bartlett 1946): with the delta method, of the `b − 1` there remain
    /// (1 − ρ²)/(3 − ρ²); and never more than there are independent batches in so many that follow each other.
    pub fn degrees_of_freedom(&self) -> f64 {
        let batches = (self.batches - 1) as f64;
        if self.alike <= 0.0 {
            return batches;
        }
        let unexplained = 1.0 - self.alike.powi(2);
        let kept = (unexplained / (2.0 + unexplained)).min(self.inflation().recip());
        (batches * kept).max(1.0)
    }

    /// Student's interval for the mean from the batches.
    pub fn mean_interval(&self, confidence: Confidence) -> Interval {
        let half = self.standard_error() * student_quantile(1.0 - confidence.tail(), self.degrees_of_freedom());
        Interval { low: self.mean - half, high: self.mean + half }
    }
}

/// A multiple of `smallest` that gives at most [`MOST`] batches; `None` for fewer than two.
fn first_size(n: usize, smallest: NonZeroUsize) -> Option<usize> {
    let waves = n / smallest.get();
    (waves >= 2).then(|| smallest.get() * waves.div_ceil(MOST))
}

fn variance_around(values: &[f64], mean: f64) -> f64 {
    let squares = values.iter().map(|x| (x - mean).powi(2));
    compensated_sum(squares) / (values.len() - 1) as f64
}

/// Correlation of neighbours, from 0 to [`MOST_ALIKE`]; 0 for too few of them. Its estimate from `b` means is low by
/// (1 + 4ρ)/b (Marriott and Pope, Biometrika 41, 1954), which is given back.
fn likeness(means: &[f64], mean: f64) -> f64 {
    if means.len() < FEWEST_FOR_CORRELATION {
        return 0.0;
    }
    let squares = compensated_sum(means.iter().map(|x| (x - mean).powi(2)));
    let products = compensated_sum(means.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)));
    let estimate = products / squares;
    let correlation = estimate + (1.0 + 4.0 * estimate) / means.len() as f64;
    // Of means that are all the same nothing can be said.
    if correlation.is_finite() { correlation.clamp(0.0, MOST_ALIKE) } else { 0.0 }
}
