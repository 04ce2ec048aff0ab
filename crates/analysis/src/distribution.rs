//! Figures with their uncertainty: from a list of observations to what may be printed of it.
//!
//! The rule for percentiles is that of `stats`: a percentile that a sample of that size cannot enclose at all is absent.
//! Its interval is that of the effective sample, because requests of a wave share the server's steps; where the effective
//! sample is too small, the percentile stands without one.
//!
//! Failed requests count as infinitely late in the percentiles of [`adjusted_percentiles`].

use std::num::NonZeroUsize;

use stats::{
    BatchMeans, Confidence, Interval, Quantile, Sample, effective_quantile_interval, order_statistic_ranks, quantile,
    select_quantiles, wilson_effective,
};

use crate::{AdjustedPercentiles, Distribution, Estimate};

/// Observations on either side of a limit from which on they show themselves how much they depend on each other.
const ENOUGH_ON_A_SIDE: f64 = 20.0;

/// How observations of a level are to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// The least that is served together: the requests of a wave.
    pub(crate) wave: NonZeroUsize,
    /// Confidence of intervals.
    pub(crate) confidence: Confidence,
    /// Of two effective samples that may stand for a share, always to take the smaller one.
    cautious: bool,
}

impl Reading {
    /// Of a level of so many slots.
    pub(crate) fn new(concurrency: u32, confidence: Confidence) -> Self {
        let wave = usize::try_from(concurrency).ok().and_then(NonZeroUsize::new);
        Self { wave: wave.unwrap_or(NonZeroUsize::MIN), confidence, cautious: false }
    }

    /// For who waits until an interval is narrow: one that is so by chance must not be taken.
    pub(crate) fn cautious(self) -> Self {
        Self { cautious: true, ..self }
    }

    /// Batch means of the series.
    pub(crate) fn batches(&self, series: &[f64]) -> Option<BatchMeans> {
        BatchMeans::new(series, self.wave)
    }

    /// Effective sample for an interval of the share of observations up to `limit`; `None` for fewer than two waves.
    ///
    /// Where few lie on one side of the limit, little there shows how much they depend on each other: it is then not
    /// more than that of the observations themselves. Infinite observations, requests that failed, count on their side
    /// only.
    pub(crate) fn effective_for_share_up_to(&self, series: &[f64], limit: f64) -> Option<f64> {
        self.least(series, limit, |batches| batches.effective_for(self.confidence))
    }

    /// The same for draws, which take the design effect as known.
    pub(crate) fn effective_of_share_up_to(&self, series: &[f64], limit: f64) -> Option<f64> {
        self.least(series, limit, BatchMeans::effective)
    }

    fn least(&self, series: &[f64], limit: f64, effective: impl Fn(&BatchMeans) -> f64) -> Option<f64> {
        let shares = BatchMeans::of_share(series, limit, self.wave)?;
        let of_share = effective(&shares);
        let smaller_side = shares.mean().min(1.0 - shares.mean()) * series.len() as f64;
        if !self.cautious && smaller_side.round() >= ENOUGH_ON_A_SIDE {
            return Some(of_share);
        }
        let of_series = self.batches(series).or_else(|| {
            let finite: Vec<f64> = series.iter().copied().filter(|x| x.is_finite()).collect();
            self.batches(&finite)
        });
        Some(of_series.map_or(of_share, |batches| effective(&batches).min(of_share)))
    }
}

/// What one observation a request supports saying, in the order in which the requests were sent. `None` without any, or
/// when one is no number.
pub(crate) fn distribution(series: &[f64], reading: Reading) -> Option<Distribution> {
    let sample = Sample::new(series.to_vec()).ok()?;
    let batches = reading.batches(series);
    let percentile = |q| {
        order_statistic_ranks(sample.n(), q, reading.confidence)?;
        let value = quantile(&sample, q);
        let effective = reading.effective_for_share_up_to(series, value);
        let interval =
            effective.and_then(|effective| effective_quantile_interval(&sample, q, effective, reading.confidence));
        Some(estimate(value, interval))
    };
    let of_mean = batches.map(|batches| batches.mean_interval(reading.confidence));
    Some(Distribution {
        n: sample.n(),
        effective: batches.map(|batches| batches.effective()),
        mean: estimate(sample.mean(), of_mean),
        min: sample.min(),
        max: sample.max(),
        p50: percentile(Quantile::P50),
        p90: percentile(Quantile::P90),
        p95: percentile(Quantile::P95),
        p99: percentile(Quantile::P99),
    })
}

/// What many observations a request support saying. They resemble each other, so that an interval would claim too much and
/// is left out.
pub(crate) fn pooled(mut values: Vec<f64>, confidence: Confidence) -> Option<Distribution> {
    const SHOWN: [Quantile; 4] = [Quantile::P50, Quantile::P90, Quantile::P95, Quantile::P99];
    let mean = stats::mean(&values)?;
    let n = values.len() as u64;
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // A run has a gap for every token: they are not sorted for the sake of four of them.
    let selected = select_quantiles(&mut values, &SHOWN);
    let percentile = |at: usize| {
        order_statistic_ranks(n, SHOWN[at], confidence)?;
        Some(estimate(*selected.get(at)?, None))
    };
    Some(Distribution {
        n,
        effective: None,
        mean: estimate(mean, None),
        min,
        max,
        p50: percentile(0),
        p90: percentile(1),
        p95: percentile(2),
        p99: percentile(3),
    })
}

/// The share of observations up to `limit`, with Wilson's interval of the effective sample; `None` without any.
pub(crate) fn share_up_to(series: &[f64], limit: f64, reading: Reading) -> Option<Estimate> {
    let n = series.len() as f64;
    let value = series.iter().filter(|x| **x <= limit).count() as f64 / n;
    let effective = reading.effective_for_share_up_to(series, limit);
    let interval = wilson_effective(value, effective.unwrap_or(n).min(n), reading.confidence)?;
    Some(estimate(value, Some(interval)))
}

/// Mean of finite numbers; `None` without any, or when one is not finite.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    stats::mean(&values.collect::<Vec<_>>())
}

/// `a / b` where that is a number.
pub(crate) fn ratio(a: f64, b: f64) -> Option<f64> {
    Some(a / b).filter(|ratio| ratio.is_finite())
}

pub(crate) fn estimate(value: f64, interval: Option<Interval>) -> Estimate {
    Estimate { value, low: interval.map(|interval| interval.low), high: interval.map(|interval| interval.high) }
}

/// The quantile of the sample together with `failed` infinite observations; `None` when it is infinite.
pub(crate) fn failure_adjusted(sample: &Sample, failed: u64, q: Quantile) -> Option<f64> {
    let largest_rank = (sample.n() - 1) as f64;
    let rank = (sample.n() - 1 + failed) as f64 * q.get();
    if largest_rank == 0.0 {
        return (rank == 0.0).then(|| sample.max());
    }
    // Of a rank between the largest finite observation and an infinite one, the interpolation is infinite: the share
    // exceeds 1 and is no quantile.
    Some(quantile(sample, Quantile::new(rank / largest_rank)?))
}

/// The percentiles that so many requests support. Without a sample every request failed and all are infinite.
pub(crate) fn adjusted_percentiles(
    sample: Option<&Sample>,
    failed: u64,
    confidence: Confidence,
) -> AdjustedPercentiles {
    let n = sample.map_or(0, Sample::n) + failed;
    let at = |q| {
        order_statistic_ranks(n, q, confidence)?;
        failure_adjusted(sample?, failed, q)
    };
    AdjustedPercentiles {
        n,
        p50: at(Quantile::P50),
        p90: at(Quantile::P90),
        p95: at(Quantile::P95),
        p99: at(Quantile::P99),
    }
}

/// Returns the confidence that a run's intervals shall have: 95 % unless it says otherwise.
pub(crate) fn confidence(level: Option<f64>) -> Confidence {
    level.and_then(Confidence::new).unwrap_or(Confidence::P95)
}
