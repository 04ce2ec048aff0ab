//! What a level's statistics cost: the sample of a long run (100,000 requests), its quantiles and intervals.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use stats::{Confidence, Quantile, Sample, mean_interval, quantile, quantile_interval};

const N: u32 = 100_000;

/// Unsorted and without repeats: multiples of an odd number modulo a power of two.
fn values() -> Vec<f64> {
    (0..N)
        .map(|i| f64::from(i.wrapping_mul(2_654_435_761) % (1 << 20)))
        .collect()
}

fn statistics(c: &mut Criterion) {
    let values = values();
    c.bench_function("sample of 100k", |b| {
        b.iter_batched(|| values.clone(), Sample::new, BatchSize::LargeInput);
    });
    let sample = Sample::new(values).expect("finite by construction");
    c.bench_function("quantile", |b| {
        b.iter(|| quantile(black_box(&sample), Quantile::P95));
    });
    c.bench_function("quantile interval", |b| {
        b.iter(|| quantile_interval(black_box(&sample), Quantile::P95, Confidence::P95));
    });
    c.bench_function("mean interval", |b| {
        b.iter(|| mean_interval(black_box(&sample), Confidence::P95));
    });
}

criterion_group!(benches, statistics);
criterion_main!(benches);
