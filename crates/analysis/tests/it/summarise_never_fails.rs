//! Whatever a run folder holds, however torn: a summary, all of whose numbers are numbers, and the same one every time.

use analysis::{ServerCapacity, summarise};
use proptest::{collection::vec, option, prelude::*};
use records::{
    Chunks, ClientLoad, ConnectPhase, Connection, EndReason, Engine, GpuDevice, GpuLine, GpuSample, HistogramTotals,
    Offset, Outcome, Phase, PhaseKind, RequestRecord, RunData, ServerCounters, ServerSample, ServerTimings, Skipped,
    Stage, TimeoutPhase, TokenCount, TokenSource,
};
use serde_json::Value;

use crate::build::manifest;

/// Mostly small, so that records meet in time; sometimes anything.
fn ns() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0_u64..50, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn figure() -> impl Strategy<Value = Option<f64>> {
    option::of(prop_oneof![4 => 0.0..100.0, 1 => -f64::MAX..f64::MAX])
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let completed = Outcome::Completed { finish_reason: None };
    let refused = Outcome::ConnectFailed { phase: ConnectPhase::Connect, message: "refused".to_owned() };
    let late = Outcome::TimedOut { phase: TimeoutPhase::FirstByte };
    prop_oneof![
        6 => Just(completed),
        1 => Just(refused),
        1 => Just(late),
        1 => Just(Outcome::NoTokens),
        1 => Just(Outcome::Cancelled),
    ]
}

fn chunks() -> impl Strategy<Value = Chunks> {
    (0_u64..20, vec(ns(), 0..5), vec(0_u32..5, 0..5)).prop_map(|(count, since_sent_ns, tokens)| Chunks {
        count,
        since_sent_ns,
        tokens,
    })
}

prop_compose! {
    fn request()(
        level in 0_u32..4,
        stage in prop::sample::select(vec![Stage::Warmup, Stage::Measured, Stage::Cooldown]),
        (intended, sent, finished) in (ns(), ns(), ns()),
        chunks in chunks(),
        tokens in option::of(ns()),
        (prompt_tokens, cached_prompt_tokens) in (option::of(ns()), option::of(ns())),
        timings in option::of((ns(), ns(), ns(), ns())),
        outcome in outcome(),
    ) -> RequestRecord {
        RequestRecord {
            request: 0,
            level,
            stage,
            slot: level,
            turn: None,
            retry: 0,
            intended_ns: Offset(intended),
            sent_ns: Offset(sent),
            connection: Connection::Reused,
            head_ns: None,
            chunks,
            first_output_ns: None,
            finished_ns: Offset(finished),
            asked_output_tokens: 5,
            prompt_tokens,
            cached_prompt_tokens,
            output_tokens: tokens.map(|count| TokenCount { count, source: TokenSource::Usage }),
            server_timings: timings.map(|(prompt_tokens, prompt_ns, output_tokens, output_ns)| {
                ServerTimings { prompt_tokens, prompt_ns, output_tokens, output_ns }
            }),
            outcome,
        }
    }
}

prop_compose! {
    fn phase()(
        kind in prop::sample::select(vec![PhaseKind::Warmup, PhaseKind::Measure, PhaseKind::Drain]),
        level in option::of(0_u32..4),
        (start, end) in (ns(), ns()),
        client in option::of((ns(), 0_u32..3, ns())),
    ) -> Phase {
        Phase {
            kind,
            level,
            start_ns: Offset(start),
            end_ns: Offset(end),
            ended_by: None,
            client: client.map(|(cpu_ns, threads, lag)| ClientLoad {
                cpu_ns,
                threads,
                lag_max_ns: lag,
                lag_p99_ns: lag,
                lag_samples: 10,
                unstamped_reads: [None, Some(0), Some(lag)][(lag % 3) as usize],
            }),
        }
    }
}

prop_compose! {
    fn gpu()(
        device in prop::sample::select(vec!["a", "b"]),
        t in ns(),
        (memory, energy, power) in (option::of(ns()), option::of(ns()), option::of(ns())),
        announced in any::<bool>(),
    ) -> GpuLine {
        let uuid = device.to_owned();
        if announced {
            return GpuLine::Device(GpuDevice { uuid, ..GpuDevice::default() });
        }
        GpuLine::Sample(GpuSample {
            t_ns: Offset(t),
            uuid,
            memory_used_bytes: memory,
            energy_mj: energy,
            power_average_mw: power,
            gpu_util_percent: Some(50),
            ..GpuSample::default()
        })
    }
}

prop_compose! {
    fn scrape()(
        t in ns(),
        (running, waiting, kv_usage) in (figure(), figure(), figure()),
        (prompt_tokens, output_tokens, preemptions) in (figure(), figure(), figure()),
        (prefix_queries, prefix_hits) in (figure(), figure()),
        (sum, count) in (figure(), figure()),
    ) -> ServerSample {
        let totals = sum.zip(count).map(|(sum_seconds, count)| HistogramTotals { sum_seconds, count });
        ServerSample {
            t_ns: Offset(t),
            rtt_ns: 1,
            engine: Engine::Vllm,
            running,
            waiting,
            kv_usage,
            counters: ServerCounters {
                prompt_tokens,
                output_tokens,
                preemptions,
                prefix_queries,
                prefix_hits,
                ttft: totals,
                e2el: totals,
                ..ServerCounters::default()
            },
            detail: records::ServerDetail::default(),
        }
    }
}

prop_compose! {
    fn run()(
        levels in vec((0_u32..5, 0_u64..4), 0..4),
        requests in vec(request(), 0..30),
        phases in vec(phase(), 0..8),
        gpu in vec(gpu(), 0..10),
        server in vec(scrape(), 0..10),
        ended in any::<bool>(),
    ) -> RunData {
        let mut manifest = manifest(&levels, 5);
        manifest.end = ended.then_some(EndReason::Completed);
        let skipped = vec![Skipped { file: "requests.jsonl", line: 1, reason: "torn".to_owned() }];
        RunData { manifest, requests, phases, gpu, server, skipped }
    }
}

/// Path of the first `null`: what a number that is none becomes in JSON. A failure without a message has none either.
fn null_within(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::Null if path.ends_with("/example") => None,
        Value::Null => Some(path.to_owned()),
        Value::Array(items) => items.iter().enumerate().find_map(|(i, item)| null_within(item, &format!("{path}/{i}"))),
        Value::Object(fields) => fields.iter().find_map(|(name, field)| null_within(field, &format!("{path}/{name}"))),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_summary_of_numbers_and_always_the_same(run in run()) {
        let capacity = || Some(ServerCapacity {
            source: "/props".to_owned(),
            max_model_len: Some(10),
            gpu_blocks: None,
            block_size: None,
            kv_cache_bytes: None,
            kv_cache_tokens: None,
            max_concurrency: Some(1.0),
            slots: None,
        });
        let summary = summarise(&run, capacity(), None);
        prop_assert_eq!(&summary, &summarise(&run, capacity(), None));
        let document = serde_json::to_value(&summary).unwrap();
        prop_assert_eq!(null_within(&document, ""), None);
        let begun: std::collections::BTreeSet<u32> =
            run.requests.iter().map(|record| record.level).chain(run.phases.iter().filter_map(|p| p.level)).collect();
        prop_assert_eq!(summary.levels.len(), begun.len());
        for level in &summary.levels {
            let n = level.requests;
            prop_assert_eq!(n.measured, n.completed + n.failed + n.cancelled);
            let of_measured = |f: &&analysis::FailureCount| {
                !f.kind.starts_with("warmup/") && !f.kind.starts_with("cooldown/")
            };
            let listed: u64 = level.failures.iter().filter(of_measured).map(|f| f.count).sum();
            prop_assert_eq!(n.failed, listed);
        }
        let recorded = summary.levels.iter().map(|l| l.requests.measured + l.requests.warmup + l.requests.cooldown);
        prop_assert_eq!(recorded.sum::<u64>(), run.requests.len() as u64);
    }
}
