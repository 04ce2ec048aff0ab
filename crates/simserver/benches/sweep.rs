//! What a sweep costs in virtual time.
//!
//! ```text
//! cargo bench -p simserver
//! ```

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use simserver::Profile;
use simserver::simulate::{ClosedLoop, closed_loop};

/// Four waves of every level, at least ten requests, as `cargo xtask all` sends to a real server; 40 prompt and 100 output tokens.
fn sweep(profile: &Profile, levels: impl IntoIterator<Item = u32>) -> usize {
    let level = |concurrency: u32| {
        let load = ClosedLoop {
            concurrency,
            requests_per_slot: 10u32.div_ceil(concurrency).max(4),
            prompt_tokens: 40,
            output_tokens: 100,
            ramp: Duration::from_millis(3),
            turnaround: Duration::from_millis(3),
        };
        closed_loop(profile, &load).map_or(0, |served| served.len())
    };
    levels.into_iter().map(level).sum()
}

fn benches(criterion: &mut Criterion) {
    let Ok(profile) = Profile::builtin("rtx3090-gemma3-12b-bnb4") else {
        return;
    };
    criterion.bench_function("sweep of eight levels, 1 to 64", |b| {
        b.iter(|| sweep(black_box(&profile), [1, 2, 4, 8, 16, 32, 48, 64]));
    });
    let mut group = criterion.benchmark_group("full sweep");
    group.sample_size(10);
    group.bench_function("all 64 levels", |b| {
        b.iter(|| sweep(black_box(&profile), 1..=64));
    });
    group.finish();
}

criterion_group!(sweeps, benches);
criterion_main!(sweeps);
