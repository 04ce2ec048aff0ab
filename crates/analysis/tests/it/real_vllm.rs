//! A run on a real vLLM (`fixtures/runs/vllm-0.12.0-full-kv`): what the server counted is what the client counted, and
//! the level at which the KV cache was full says so.
//!
//! The truth is in the engine's own `/metrics`, added up here without this crate.

use std::path::Path;

use analysis::{BottleneckVerdict, FindingKind, Summary, summarise};
use records::{PhaseKind, RunData, RunDir, ServerSample};

const LEVELS: [u32; 3] = [1, 4, 16];

fn run() -> RunData {
    let folder = "../../fixtures/runs/vllm-0.12.0-full-kv";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    RunData::load(&RunDir::open(&folder).unwrap()).unwrap()
}

fn summary(run: &RunData) -> Summary {
    let summary = summarise(run, None, None);
    let levels: Vec<u32> = summary.levels.iter().map(|level| level.concurrency).collect();
    assert_eq!(levels, LEVELS);
    summary
}

/// What the engine said while requests of a level were measured.
fn measured(run: &RunData, level: u32) -> Vec<&ServerSample> {
    let of_level = |phase: &&records::Phase| phase.level == Some(level) && phase.kind == PhaseKind::Measure;
    let window = run.phases.iter().find(of_level).unwrap();
    let inside = |sample: &&ServerSample| (window.start_ns..window.end_ns).contains(&sample.t_ns);
    run.server.iter().filter(inside).collect()
}

#[test]
fn the_engine_was_read_at_least_once_a_second() {
    let run = run();
    assert_eq!(run.skipped, vec![]);
    for level in 0..3 {
        let samples = measured(&run, level);
        assert!(samples.len() >= 9, "level {level}: {}", samples.len());
        let longest = samples.windows(2).map(|pair| pair[1].t_ns.0 - pair[0].t_ns.0).max();
        assert!(longest.unwrap() <= 1_000_000_000, "level {level}: {longest:?}");
    }
}

/// Over the whole run, warm-up and cool-down among it: the growth of the server's counters, and the sum of what each
/// response said.
#[test]
fn the_servers_counters_are_the_clients() {
    let run = run();
    let (first, last) = (run.server.first().unwrap(), run.server.last().unwrap());
    let prompt = last.counters.prompt_tokens.unwrap() - first.counters.prompt_tokens.unwrap();
    let output = last.counters.output_tokens.unwrap() - first.counters.output_tokens.unwrap();
    let sent: u64 = run.requests.iter().filter_map(|record| record.prompt_tokens).sum();
    // By the usage of each response: a generation may end in half a character, which is counted and never sent.
    let received: u64 = run.requests.iter().filter_map(|record| Some(record.output_tokens?.count)).sum();
    assert_eq!((sent as f64, received as f64), (prompt, output));
    // Level by level, the same two totals are in the summary, and add up.
    let summary = summary(&run);
    let servers = || summary.levels.iter().map(|level| level.server.unwrap());
    for server in servers() {
        assert_eq!(server.prompt_tokens.unwrap().client.to_bits(), server.prompt_tokens.unwrap().server.to_bits());
        assert_eq!(server.output_tokens.unwrap().client.to_bits(), server.output_tokens.unwrap().server.to_bits());
    }
    let total: f64 = servers().map(|server| server.output_tokens.unwrap().server).sum();
    assert!((total - output).abs() < 0.5, "{total} of {output}");
    let times = summary.findings.iter().filter(|finding| matches!(finding.what, FindingKind::Disagreement { .. }));
    assert_eq!(times.count(), 0, "TTFT and E2EL agree too");
}

#[test]
fn gauges_of_each_level_are_those_of_the_engine() {
    let run = run();
    for (level, index) in summary(&run).levels.iter().zip(0..) {
        let samples = measured(&run, index);
        let mean = |gauge: fn(&ServerSample) -> Option<f64>| {
            samples.iter().filter_map(|sample| gauge(sample)).sum::<f64>() / samples.len() as f64
        };
        let server = level.server.unwrap();
        assert!((server.running_mean.unwrap() - mean(|s| s.running)).abs() < 1e-9);
        assert!((server.waiting_mean.unwrap() - mean(|s| s.waiting)).abs() < 1e-9);
        let full = samples.iter().filter_map(|sample| sample.kv_usage).fold(0.0, f64::max);
        assert!((server.kv_usage_max.unwrap() - full).abs() < 1e-9);
    }
}

/// 24 blocks of 128 tokens, one of them reserved; a request of 192 + 160 tokens takes three at its end. Four requests
/// take 12 of 23 at most, sixteen would take 48.
#[test]
fn sixteen_requests_do_not_fit_and_the_verdict_is_the_cache() {
    let run = run();
    let summary = summary(&run);
    let of = |index: usize| {
        let level = &summary.levels[index];
        (level.server.unwrap(), level.bottleneck.as_ref().unwrap().verdict)
    };
    let (four, verdict) = of(1);
    assert!((four.kv_usage_max.unwrap() - 12.0 / 23.0).abs() < 1e-9);
    assert_eq!((four.preemptions, four.waiting_mean), (Some(0.0), Some(0.0)));
    assert_ne!(verdict, BottleneckVerdict::KvCache);
    let (sixteen, verdict) = of(2);
    assert_eq!(verdict, BottleneckVerdict::KvCache);
    assert_eq!(sixteen.kv_usage_max, Some(1.0));
    let counted = run.server.last().unwrap().counters.preemptions.unwrap()
        - run.server.first().unwrap().counters.preemptions.unwrap();
    assert!(counted > 0.0);
    assert_eq!(sixteen.preemptions, Some(counted));
    assert!(sixteen.waiting_mean.unwrap() > 5.0, "{sixteen:?}");
}
