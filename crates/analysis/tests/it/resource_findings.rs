//! What a level waited for, on data that shows it and on data that does not.

use analysis::{FindingKind, summarise};
use records::{
    Engine, GpuLine, GpuSample, GpuState, HistogramTotals, Offset, RunData, ServerCounters, ServerDetail, ServerSample,
};

use crate::build::{Level, MS, closed_loop};

/// A level of two slots: five requests each of TTFT 400 ms and E2EL 2 s, the first for warm-up, from 1 s on.
fn run() -> RunData {
    closed_loop(&[Level { concurrency: 2, rounds: 4, ttft_ns: 400 * MS, e2el_ns: 2_000 * MS, tokens: 10 }])
}

fn end(run: &RunData) -> u64 {
    run.requests.iter().map(|r| r.finished_ns.0).max().unwrap()
}

fn scrape(t_ns: u64) -> ServerSample {
    ServerSample {
        t_ns: Offset(t_ns),
        rtt_ns: MS,
        engine: Engine::Vllm,
        running: Some(2.0),
        waiting: Some(0.0),
        kv_usage: None,
        counters: ServerCounters::default(),
        detail: ServerDetail::default(),
    }
}

/// Idle moments before and after the level, between which ten requests queued for `queue_ms` and had their first token
/// after 390 ms.
fn with_queue(mut run: RunData, queue_ms: f64) -> RunData {
    let counted = |t_ns, requests: f64| {
        let totals = |ms: f64| Some(HistogramTotals { sum_seconds: ms / 1e3 * requests, count: requests });
        ServerSample {
            counters: ServerCounters { ttft: totals(390.0), queue_time: totals(queue_ms), ..ServerCounters::default() },
            ..scrape(t_ns)
        }
    };
    run.server = vec![counted(MS, 0.0), counted(end(&run) + MS, 10.0)];
    run
}

fn with_cache(mut run: RunData, kv_usage: f64, preemptions: f64) -> RunData {
    let of = |t_ns, preemptions| ServerSample {
        kv_usage: Some(kv_usage),
        counters: ServerCounters { preemptions: Some(preemptions), ..ServerCounters::default() },
        ..scrape(t_ns)
    };
    let end = end(&run);
    run.server = vec![of(MS, 0.0), of(end / 2, 0.0), of(end + MS, preemptions)];
    run
}

/// GPU readings twice a second, `held` out of ten of them with the software power cap (0x4) or, for `thermal`, the software
/// thermal slowdown (0x20) of `nvml.h`.
fn with_gpu(mut run: RunData, held: u64, bit: u64, clock_mhz: u32) -> RunData {
    let sample = |i: u64| {
        GpuLine::Sample(GpuSample {
            t_ns: Offset(i * 500 * MS),
            uuid: "GPU-1".into(),
            sm_clock_mhz: Some(clock_mhz),
            throttle_bits: Some(if i % 10 < held { bit } else { 0 }),
            ..GpuSample::default()
        })
    };
    run.gpu = (0..=end(&run) / (500 * MS) + 2).map(sample).collect();
    run.gpu.push(GpuLine::State(GpuState {
        uuid: "GPU-1".into(),
        sm_clock_max_mhz: Some(2_000),
        ..GpuState::default()
    }));
    run
}

fn found(run: &RunData, wanted: fn(&FindingKind) -> bool) -> Vec<FindingKind> {
    let findings = summarise(run, None, None).findings;
    let kinds = findings.into_iter().map(|finding| finding.what);
    kinds.filter(wanted).collect()
}

fn queued(run: &RunData) -> Vec<FindingKind> {
    found(run, |kind| matches!(kind, FindingKind::TtftQueued { .. }))
}

#[test]
fn a_first_token_that_mostly_waited_in_the_servers_queue_is_told() {
    let queue = queued(&with_queue(run(), 300.0));
    let [FindingKind::TtftQueued { concurrency: 2, place, wait_ms, ttft_ms }] = &queue[..] else {
        panic!("{queue:?}");
    };
    assert_eq!(place, "server");
    assert!((wait_ms - 300.0).abs() < 1e-6 && (ttft_ms - 390.0).abs() < 1e-6);
    assert_eq!(queued(&with_queue(run(), 150.0)), [], "mostly work");
    assert_eq!(queued(&run()), [], "nothing is known of the queue");
}

#[test]
fn requests_that_the_client_sent_late_are_told() {
    let late = |ms: u64| {
        let mut run = run();
        for record in &mut run.requests {
            record.intended_ns = Offset(record.sent_ns.0 - ms * MS);
        }
        queued(&run)
    };
    let found = late(600);
    let [FindingKind::TtftQueued { place, wait_ms, ttft_ms, .. }] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(place, "client");
    assert!((wait_ms - 600.0).abs() < 1e-6 && (ttft_ms - 1000.0).abs() < 1e-6);
    assert_eq!(late(100), []);
}

/// Two share the cache: from two thirds on a third one of their size has no room.
#[test]
fn a_cache_without_room_for_one_more_is_told_until_requests_are_thrown_back() {
    let pressure = |usage, preemptions| {
        found(&with_cache(run(), usage, preemptions), |kind| matches!(kind, FindingKind::KvPressure { .. }))
    };
    assert_eq!(pressure(0.7, 0.0), [FindingKind::KvPressure { concurrency: 2, usage: 0.7, running: 2.0 }]);
    assert_eq!(pressure(0.6, 0.0), []);
    assert_eq!(pressure(0.7, 5.0), [], "then the preemptions are the finding");
}

#[test]
fn clocks_held_back_are_told_with_their_cause_where_they_cost_speed() {
    let throttled = |held, bit, clock| {
        found(&with_gpu(run(), held, bit, clock), |kind| matches!(kind, FindingKind::Throttled { .. }))
    };
    for (bit, expected) in [(0x4, "power"), (0x20, "thermal")] {
        let found = throttled(5, bit, 1_500);
        let [FindingKind::Throttled { cause, share, clock_percent, .. }] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(cause, expected);
        assert!((0.3..0.7).contains(share), "{share}");
        assert!(clock_percent.is_some_and(|percent| (percent - 75.0).abs() < 1e-6));
        assert_eq!(throttled(5, bit, 1_980), [], "the clock was kept");
        assert_eq!(throttled(0, bit, 1_500), [], "slow by choice");
    }
}
