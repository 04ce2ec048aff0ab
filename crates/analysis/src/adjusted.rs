//! Percentiles that count failures: a request that failed is one that was infinitely late.

use stats::{Confidence, Quantile, Sample, order_statistic_ranks, quantile};

use crate::AdjustedPercentiles;

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
pub(crate) fn percentiles(sample: Option<&Sample>, failed: u64, confidence: Confidence) -> AdjustedPercentiles {
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
