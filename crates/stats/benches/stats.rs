//! What statistics cost: recording, quantiles, merging, the bootstrap, a fitted law, and ten million latencies at once.
//!
//! `cargo bench -p stats`; beside it `python3 fixtures/stats/side_by_side.py` does the same with numpy.

use std::{
    hint::black_box,
    num::{NonZeroU32, NonZeroUsize},
};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use stats::{
    BatchMeans, Confidence, Histogram, Quantile, Sample, ScalabilityLaw, bootstrap,
    effective_quantile_interval, quantile,
};

const LARGE: u32 = 10_000_000;

/// Latencies that look like some: no order, no repeats, a long tail.
fn latencies(n: u32) -> Vec<f64> {
    (0..n)
        .map(|i| {
            let share = (f64::from(i.wrapping_mul(2_654_435_761)) + 0.5) / 4_294_967_296.0;
            100.0 - 50.0 * (1.0 - share).ln()
        })
        .collect()
}

/// What a report says of one metric of a level: mean and four percentiles, each with its interval.
fn summarised(series: &[f64]) -> f64 {
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

fn large(c: &mut Criterion) {
    let series = latencies(LARGE);
    let mut group = c.benchmark_group("ten million latencies");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(u64::from(LARGE)));
    group.bench_function("mean, p50, p90, p95, p99 with intervals", |b| {
        b.iter(|| summarised(black_box(&series)));
    });
    group.finish();
}

fn histograms(c: &mut Criterion) {
    let mut values = latencies(100_000).into_iter().cycle();
    let mut histogram = Histogram::default();
    c.bench_function("record one latency", |b| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some milliseconds in nanoseconds"
        )]
        b.iter(|| histogram.record(values.next().map_or(1, |ms| (ms * 1e6) as u64)));
    });
    let other = histogram.clone();
    c.bench_function("merge two histograms", |b| {
        b.iter_batched_ref(
            || histogram.clone(),
            |histogram| histogram.merge(&other),
            BatchSize::LargeInput,
        );
    });
    c.bench_function("quantile of a histogram", |b| {
        b.iter(|| histogram.quantile(black_box(Quantile::P95)));
    });
}

fn small(c: &mut Criterion) {
    let series = latencies(100_000);
    c.bench_function("sort a sample of 100,000", |b| {
        b.iter_batched(|| series.clone(), Sample::new, BatchSize::LargeInput);
    });
    let sample = Sample::new(series).expect("finite by construction");
    c.bench_function("exact quantile", |b| {
        b.iter(|| quantile(black_box(&sample), Quantile::P95));
    });
    c.bench_function("interval of a quantile", |b| {
        b.iter(|| {
            effective_quantile_interval(black_box(&sample), Quantile::P95, 500.0, Confidence::P95)
        });
    });
    let waves: Vec<(f64, f64)> = latencies(100).into_iter().map(|x| (64.0, x)).collect();
    let ratio = |waves: &[(f64, f64)]| {
        waves.iter().map(|w| w.0).sum::<f64>() / waves.iter().map(|w| w.1).sum::<f64>()
    };
    let replicates = NonZeroU32::new(2000).expect("not 0");
    c.bench_function("bootstrap of a ratio, 2,000 draws of 100 waves, BCa", |b| {
        b.iter(|| {
            let figure = bootstrap(black_box(&waves), ratio, replicates, 1).expect("finite");
            figure.bca(Confidence::P95)
        });
    });
    let levels = [
        (1.0, 55.6),
        (2.0, 28.4),
        (4.0, 56.0),
        (8.0, 109.6),
        (16.0, 211.2),
        (32.0, 400.0),
        (48.0, 489.6),
        (64.0, 620.8),
    ];
    c.bench_function("scalability law of 8 levels with a regime change", |b| {
        b.iter(|| ScalabilityLaw::fit(black_box(&levels), Confidence::P95));
    });
}

criterion_group!(benches, large, histograms, small);
criterion_main!(benches);
