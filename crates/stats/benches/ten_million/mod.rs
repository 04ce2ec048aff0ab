//! Ten million latencies, and what a report says of them.

use std::num::NonZeroUsize;

use stats::{BatchMeans, Confidence, Quantile, Sample, effective_quantile_interval, quantile};

/// How many.
pub(crate) const LARGE: u32 = 10_000_000;

/// Latencies that look like some: no order, no repeats, a long tail.
pub(crate) fn latencies(n: u32) -> Vec<f64> {
    (0..n)
        .map(|i| {
            let share = (f64::from(i.wrapping_mul(2_654_435_761)) + 0.5) / 4_294_967_296.0;
            100.0 - 50.0 * (1.0 - share).ln()
        })
        .collect()
}

/// What a report says of one metric of a level: mean and four percentiles, each with its interval.
pub(crate) fn summarised(series: &[f64]) -> f64 {
    let one = NonZeroUsize::MIN;
    let sample = Sample::new(series.to_vec()).expect("finite by construction");
    let batches = BatchMeans::new(series, one).expect("more than two");
    let mut sum = batches.mean_interval(Confidence::P95).high;
    for q in [Quantile::P50, Quantile::P90, Quantile::P95, Quantile::P99] {
        let value = quantile(&sample, q);
        let shares = BatchMeans::of_share(series, value, one).expect("more than two");
        let effective = shares.effective_for(Confidence::P95);
        let interval = effective_quantile_interval(&sample, q, effective, Confidence::P95);
        sum += value + interval.expect("a large sample").high;
    }
    sum
}
