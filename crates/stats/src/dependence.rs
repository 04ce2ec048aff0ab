//! Observations that are not independent: how much a series really says.
//!
//! A server runs requests in batches, so neighbours in a series of latencies resemble each other, and in a closed loop in
//! step a whole wave does. Non-overlapping batch means (Schmeiser, Operations Research 30, 1982) take that into account
//! without a model of it: means of stretches that are long enough are independent, whatever happens within a stretch.
//!
//! There are at most 30 batches: more of them gain next to nothing in precision, and each is shorter (Schmeiser). Whether
//! they are long enough is decided by von Neumann's ratio (Annals of Mathematical Statistics 12, 1941): they are doubled
//! until their means no longer follow each other (Fishman, Management Science 24, 1978). The design effect is the
//! factor by which dependence multiplies the variance of a mean (Kish, Survey Sampling, 1965, section 8.2); the sample
//! divided by it is the *effective* sample. It says nothing of drift: see `steady_state`.

use std::num::NonZeroUsize;

use crate::{Confidence, Interval, compensated_sum, interval::student_quantile};

/// Most batches.
const MOST: usize = 30;

/// Fewest batches that doubling leaves.
const FEWEST_AFTER_DOUBLING: usize = 8;

/// One-sided 5 % point of the normal distribution: from there on neighbouring means count as alike.
const ALIKE: f64 = 1.644_853_626_951_472_2;

/// A series in order of time, cut into batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchMeans {
    n: usize,
    size: usize,
    batches: usize,
    mean: f64,
    variance: f64,
    variance_of_means: f64,
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
            .map(|batch| compensated_sum(batch.iter().copied()) / size as f64);
        Self::of_means(n, size, mean, variance, means.collect())
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
        let means = series
            .chunks_exact(size)
            .map(|batch| count(batch) / size as f64);
        Self::of_means(n, size, share, variance, means.collect())
    }

    /// Doubles the batches until their means do not follow each other. A last batch without a partner is dropped.
    fn of_means(
        n: usize,
        first: usize,
        mean: f64,
        variance: f64,
        first_means: Vec<f64>,
    ) -> Option<Self> {
        let (mut size, mut means) = (first, first_means);
        while means.len() >= 2 * FEWEST_AFTER_DOUBLING && follow_each_other(&means) {
            size *= 2;
            means = means
                .chunks_exact(2)
                .map(|pair| pair[0].midpoint(pair[1]))
                .collect();
        }
        let mean_of_means = compensated_sum(means.iter().copied()) / means.len() as f64;
        let variance_of_means = variance_around(&means, mean_of_means);
        let finite = mean.is_finite() && variance.is_finite() && variance_of_means.is_finite();
        finite.then_some(Self {
            n,
            size,
            batches: means.len(),
            mean,
            variance,
            variance_of_means,
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

    /// Variance of the mean over what it would be if observations were independent; below 1 when a batch balances what
    /// its observations do. 1 for a constant series, of which nothing can be said.
    pub fn design_effect(&self) -> f64 {
        let effect = self.size as f64 * self.variance_of_means / self.variance;
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
        let price = student_quantile(q, (self.n - 1) as f64)
            / student_quantile(q, (self.batches - 1) as f64);
        self.effective() * price * price
    }

    /// Mean of all observations, the last broken batch included.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Standard error of the mean.
    pub fn standard_error(&self) -> f64 {
        (self.size as f64 * self.variance_of_means / self.n as f64).sqrt()
    }

    /// Degrees of freedom of the standard error.
    pub fn degrees_of_freedom(&self) -> f64 {
        (self.batches - 1) as f64
    }

    /// Student's interval for the mean from the batches.
    pub fn mean_interval(&self, confidence: Confidence) -> Interval {
        let half = self.standard_error()
            * student_quantile(1.0 - confidence.tail(), self.degrees_of_freedom());
        Interval {
            low: self.mean - half,
            high: self.mean + half,
        }
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

/// Whether neighbours are more alike than chance makes them.
fn follow_each_other(means: &[f64]) -> bool {
    let b = means.len() as f64;
    let mean = compensated_sum(means.iter().copied()) / b;
    let squares = compensated_sum(means.iter().map(|x| (x - mean).powi(2)));
    let steps = compensated_sum(means.windows(2).map(|pair| (pair[1] - pair[0]).powi(2)));
    let correlation = 1.0 - steps / (2.0 * squares);
    correlation * ((b * b - 1.0) / (b - 2.0)).sqrt() > ALIKE
}
