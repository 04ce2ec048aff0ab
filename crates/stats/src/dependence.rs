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
        let waves = n / smallest.get();
        let mut size = smallest.get() * waves.div_ceil(MOST).max(1);
        if waves < 2 || series.iter().any(|x| !x.is_finite()) {
            return None;
        }
        let mean = compensated_sum(series.iter().copied()) / n as f64;
        let variance = variance_around(series, mean);
        let mut means = means_of(series, size);
        while means.len() >= 2 * FEWEST_AFTER_DOUBLING && follow_each_other(&means) {
            size *= 2;
            means = means_of(series, size);
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

fn means_of(series: &[f64], size: usize) -> Vec<f64> {
    let batches = series.chunks_exact(size);
    batches
        .map(|batch| compensated_sum(batch.iter().copied()) / size as f64)
        .collect()
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
