//! Figures with their uncertainty: from a list of observations to what may be printed of it.
//!
//! The rule for percentiles is that of `stats`: a percentile that the sample cannot enclose with 95 % confidence is
//! absent.

use stats::{
    Confidence, Interval, Quantile, Sample, mean_interval, quantile, quantile_interval, wilson,
};

use crate::{Distribution, Estimate};

/// Whether observations may be taken as independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observations {
    /// One a request.
    Independent,
    /// Many a request, which resemble each other: an interval would claim too much and is left out.
    Pooled,
}

/// What the sample supports saying.
pub(crate) fn distribution(sample: &Sample, observations: Observations) -> Distribution {
    let percentile = |q| {
        let interval = quantile_interval(sample, q, Confidence::P95)?;
        Some(estimate(quantile(sample, q), Some(interval), observations))
    };
    let of_mean = mean_interval(sample, Confidence::P95);
    Distribution {
        n: sample.n(),
        mean: estimate(sample.mean(), of_mean, observations),
        min: sample.min(),
        max: sample.max(),
        p50: percentile(Quantile::P50),
        p90: percentile(Quantile::P90),
        p95: percentile(Quantile::P95),
        p99: percentile(Quantile::P99),
    }
}

/// The distribution of one observation a request; `None` without any.
pub(crate) fn per_request(values: impl Iterator<Item = f64>) -> Option<Distribution> {
    let sample = Sample::new(values.collect()).ok()?;
    Some(distribution(&sample, Observations::Independent))
}

/// A rate with Wilson's interval; `None` without trials.
pub(crate) fn rate(successes: u64, trials: u64) -> Option<Estimate> {
    let interval = wilson(successes, trials, Confidence::P95)?;
    let value = successes as f64 / trials as f64;
    Some(estimate(value, Some(interval), Observations::Independent))
}

/// Mean of finite numbers; `None` without any, or when one is not finite.
pub(crate) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    Sample::new(values.collect())
        .ok()
        .map(|sample| sample.mean())
}

/// `a / b` where that is a number.
pub(crate) fn ratio(a: f64, b: f64) -> Option<f64> {
    Some(a / b).filter(|ratio| ratio.is_finite())
}

fn estimate(value: f64, interval: Option<Interval>, observations: Observations) -> Estimate {
    let interval = interval.filter(|_| observations == Observations::Independent);
    Estimate {
        value,
        low: interval.map(|interval| interval.low),
        high: interval.map(|interval| interval.high),
    }
}
