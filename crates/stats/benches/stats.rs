//! What statistics cost: recording, quantiles, merging, the bootstrap, a fitted law, and ten million latencies at once.
//!
//! `cargo bench -p stats`; beside it `python3 fixtures/stats/side_by_side.py` does the same with numpy.

use std::{hint::black_box, num::NonZeroU32};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use stats::{
    Confidence, Histogram, Quantile, Sample, ScalabilityLaw, bootstrap, effective_quantile_interval, quantile,
};

mod ten_million;

use ten_million::{LARGE, latencies, summarised};

fn large(c: &mut Criterion) {
    let series = latencies(LARGE);
    let mut group = c.benchmark_group("ten million latencies");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(LARGE)));
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
        b.iter_batched_ref(|| histogram.clone(), |histogram| histogram.merge(&other), BatchSize::LargeInput);
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
        b.iter(|| effective_quantile_interval(black_box(&sample), Quantile::P95, 500.0, Confidence::P95));
    });
    let waves: Vec<(f64, f64)> = latencies(100).into_iter().map(|x| (64.0, x)).collect();
    let ratio = |waves: &[(f64, f64)]| waves.iter().map(|w| w.0).sum::<f64>() / waves.iter().map(|w| w.1).sum::<f64>();
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
