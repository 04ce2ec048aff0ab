//! How many plans a second one core makes: the aim is a million.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sizing::{Bytes, Engine, EngineFlags, KvMemory, catalogue};

fn plans(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan");
    group.throughput(Throughput::Elements(1));
    for (version, name) in [
        ("0.11.2", "Qwen/Qwen3-8B"),
        ("0.11.2", "google/gemma-3-12b-it"),
        ("0.32.0", "Qwen/Qwen3.5-27B"),
        ("0.27.1", "google/gemma-4-31B-it"),
    ] {
        let engine = Engine::vllm(version).expect("in the table");
        let shape = &catalogue::model(name)
            .expect("in the catalogue")
            .shape
            .value;
        let flags = EngineFlags::new(4096);
        let memory = KvMemory::Available(Bytes::from_gib(10.28));
        group.bench_function(name, |b| {
            b.iter(|| engine.plan(black_box(shape), black_box(&flags), black_box(memory)));
        });
    }
    group.finish();
}

criterion_group!(benches, plans);
criterion_main!(benches);
