//! How many plans a second one core makes: the aim is a million. And how long the planner takes over the whole catalogue, with
//! everything that would change its answer: the aim is 50 ms.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sizing::planner::{self, Demand, Question, Slo, Target};
use sizing::{Bytes, Engine, EngineFlags, KvMemory, catalogue, fleet::Day};

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
        let shape = &catalogue::model(name).expect("in the catalogue").shape.value;
        let flags = EngineFlags::new(4096);
        let memory = KvMemory::Available(Bytes::from_gib(10.28));
        group.bench_function(name, |b| {
            b.iter(|| engine.plan(black_box(shape), black_box(&flags), black_box(memory)));
        });
    }
    group.finish();
}

fn whole_catalogue(c: &mut Criterion) {
    let mut group = c.benchmark_group("catalogue");
    let fixed = Target::concurrency(50, 3072, 1024);
    let with_slo = Target { slo: Slo { tpot_s: Some(0.05), ttft_s: Some(2.0), ..Slo::default() }, ..fixed.clone() };
    let rate = Target { demand: Demand::Rate(Day::wave(4.0, 2.0)), ..with_slo.clone() };
    for name in ["google/gemma-3-12b-it", "Qwen/Qwen3-8B"] {
        let model = catalogue::model(name).expect("in the catalogue");
        for (load, target) in [("concurrency", &fixed), ("slo", &with_slo), ("rate", &rate)] {
            let question = Question::of(model, target);
            group.bench_function(format!("{name} {load}"), |b| {
                b.iter(|| planner::plan(black_box(&question)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, plans, whole_catalogue);
criterion_main!(benches);
