//! What the summary of a run costs: eight levels, 80,000 requests of 20 tokens, with objectives. `cargo bench -p analysis`.
#![expect(clippy::unwrap_used, reason = "the records are built by the tests' own module")]

#[path = "../tests/it/build.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod build;

use std::hint::black_box;

use analysis::summarise;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use records::{Judgement, Metric, Objectives};

use crate::build::{Level, MS, closed_loop};

fn summary(c: &mut Criterion) {
    let levels = [1, 2, 4, 8, 16, 32, 64, 128].map(|concurrency| Level {
        concurrency,
        rounds: 10_000 / u64::from(concurrency),
        ttft_ns: 100 * MS,
        e2el_ns: 2000 * MS,
        tokens: 20,
    });
    let mut run = closed_loop(&levels);
    run.manifest.judgement = Judgement {
        objectives: Some(Objectives {
            limits_ns: [(Metric::Ttft, 500 * MS), (Metric::Tpot, 50 * MS), (Metric::E2el, 8000 * MS)]
                .into_iter()
                .collect(),
            attainment: 0.95,
        }),
        confidence_level: None,
    };
    let mut group = c.benchmark_group("summary");
    group.sample_size(10).throughput(Throughput::Elements(run.requests.len() as u64));
    group.bench_function("of 80,000 requests", |b| {
        b.iter(|| summarise(black_box(&run), None, None));
    });
    group.finish();
}

criterion_group!(benches, summary);
criterion_main!(benches);
