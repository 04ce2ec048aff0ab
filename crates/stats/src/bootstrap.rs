//! The bootstrap: how a figure would scatter if the sample were drawn again.
//!
//! Percentile intervals, and bias-corrected and accelerated ones (`BCa`: Efron, JASA 82, 1987; Efron and Tibshirani, An
//! Introduction to the Bootstrap, 1993, chapter 14). What is drawn is whatever the caller takes as independent: for
//! requests that share a batch, give the batches (the block bootstrap of Carlstein, Annals of Statistics 14, 1986).
//! With fewer than some twenty blocks these intervals are too narrow, `BCa` or not; Student's are then the better choice.

use std::num::NonZeroU32;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;

use crate::{
    Confidence, Interval, Quantile, Sample,
    interval::{normal_probability, normal_quantile},
    quantile,
};

/// A figure with its replicates.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    estimate: f64,
    replicates: Sample,
    jackknife: Vec<f64>,
}

impl Bootstrap {
    /// From replicates that were made elsewhere, and the figure with each observation left out in turn. `None` when one
    /// of the numbers is not finite, or there are no replicates.
    pub fn new(estimate: f64, replicates: Vec<f64>, jackknife: Vec<f64>) -> Option<Self> {
        let finite = estimate.is_finite() && jackknife.iter().all(|x| x.is_finite());
        let replicates = Sample::new(replicates).ok().filter(|_| finite)?;
        Some(Self { estimate, replicates, jackknife })
    }

    /// The figure of the data itself.
    pub fn estimate(&self) -> f64 {
        self.estimate
    }

    /// The replicates.
    pub fn replicates(&self) -> &Sample {
        &self.replicates
    }

    /// Standard deviation of the replicates; `None` for a single one.
    pub fn standard_error(&self) -> Option<f64> {
        self.replicates.variance().map(f64::sqrt)
    }

    /// Quantiles of the replicates.
    pub fn percentile(&self, confidence: Confidence) -> Interval {
        self.between(confidence.tail(), 1.0 - confidence.tail())
    }

    /// The bias-corrected and accelerated interval. `None` when the figure lies outside its replicates, or does not
    /// change whichever observation is left out.
    pub fn bca(&self, confidence: Confidence) -> Option<Interval> {
        let sorted = self.replicates.sorted();
        let below = sorted.partition_point(|x| *x < self.estimate);
        let up_to = sorted.partition_point(|x| *x <= self.estimate);
        // Ties count half on either side.
        let bias = normal_quantile((below + up_to) as f64 / (2.0 * sorted.len() as f64));
        let leave_out = Sample::new(self.jackknife.clone()).ok()?;
        let power = |exponent| -> f64 {
            let deviations = self.jackknife.iter();
            deviations.map(|x| (leave_out.mean() - x).powi(exponent)).sum()
        };
        let acceleration = power(3) / (6.0 * power(2).powf(1.5));
        let end = |tail: f64| {
            let shifted = bias + normal_quantile(tail);
            normal_probability(bias + shifted / (1.0 - acceleration * shifted))
        };
        let (low, high) = (end(confidence.tail()), end(1.0 - confidence.tail()));
        (low.is_finite() && high.is_finite()).then(|| self.between(low, high))
    }

    fn between(&self, low: f64, high: f64) -> Interval {
        let at = |share: f64| {
            let share = Quantile::new(share.clamp(0.0, 1.0));
            share.map_or(self.estimate, |share| quantile(&self.replicates, share))
        };
        Interval { low: at(low), high: at(high) }
    }
}

/// Draws the data again `replicates` times, with replacement, and computes the figure of each draw: a function of the
/// seed. `None` when the figure of the data, of a draw or of the data without one of its parts is not finite.
///
/// ```
/// use std::num::NonZeroU32;
/// use stats::{Confidence, bootstrap};
/// // Good requests and seconds of six waves: goodput is the ratio of the sums.
/// let waves = [(8.0, 2.0), (7.0, 2.1), (8.0, 1.9), (6.0, 2.4), (8.0, 2.0), (8.0, 2.1)];
/// let goodput = |waves: &[(f64, f64)]| {
///     waves.iter().map(|w| w.0).sum::<f64>() / waves.iter().map(|w| w.1).sum::<f64>()
/// };
/// let goodput = bootstrap(&waves, goodput, NonZeroU32::new(2000).expect("not 0"), 7).expect("finite");
/// let interval = goodput.bca(Confidence::P95).expect("the waves differ");
/// assert!((goodput.estimate() - 3.6).abs() < 1e-12);
/// assert!(interval.low < 3.6 && 3.6 < interval.high);
/// ```
pub fn bootstrap<T: Copy>(
    data: &[T],
    figure: impl Fn(&[T]) -> f64,
    replicates: NonZeroU32,
    seed: u64,
) -> Option<Bootstrap> {
    if data.is_empty() {
        return None;
    }
    let mut random = Pcg64::seed_from_u64(seed);
    let mut draw = data.to_vec();
    let replicates = (0..replicates.get()).map(|_| {
        for slot in &mut draw {
            *slot = data[random.random_range(0..data.len())];
        }
        figure(&draw)
    });
    let replicates = replicates.collect();
    let mut rest = data[1..].to_vec();
    let jackknife = (0..data.len()).map(|i| {
        if i > 0 {
            rest[i - 1] = data[i - 1];
        }
        figure(&rest)
    });
    let jackknife = jackknife.collect();
    Bootstrap::new(figure(data), replicates, jackknife)
}
