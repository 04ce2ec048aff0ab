//! What limits a level: one run for each verdict, with the proof that is asked of it.

use analysis::{BottleneckEvidence as Evidence, BottleneckVerdict as Verdict, Summary, summarise};
use records::{
    ClientLoad, Engine, GpuLine, GpuSample, GpuState, Offset, PhaseKind, RunData, ServerCounters, ServerDetail,
    ServerSample,
};

use crate::build::{Level, MS, closed_loop};

/// Levels of 1, 2 and 4 requests of two seconds each whose length grows by `growth` from one to the next: 1 is a server
/// that is not loaded, 2 one that gives no more.
fn run(growth: u64) -> RunData {
    let level = |concurrency: u32, factor: u64| Level {
        concurrency,
        rounds: 3,
        ttft_ns: 200 * MS * factor,
        e2el_ns: 2_000 * MS * factor,
        tokens: 10,
    };
    closed_loop(&[level(1, 1), level(2, growth), level(4, growth * growth)])
}

/// Every half second of the run.
fn times(run: &RunData) -> impl Iterator<Item = Offset> + use<> {
    let end = run.phases.iter().map(|p| p.end_ns.0).max().unwrap();
    (0..=end / (500 * MS) + 2).map(|i| Offset(i * 500 * MS))
}

fn with_server(mut run: RunData, running: f64, waiting: f64, kv_usage: f64) -> RunData {
    run.server = times(&run)
        .map(|t_ns| ServerSample {
            t_ns,
            rtt_ns: MS,
            engine: Engine::Vllm,
            running: Some(running),
            waiting: Some(waiting),
            kv_usage: Some(kv_usage),
            counters: ServerCounters { preemptions: Some(0.0), ..ServerCounters::default() },
            detail: ServerDetail::default(),
        })
        .collect();
    run
}

fn with_gpu(mut run: RunData, sample: &GpuSample) -> RunData {
    let at = |t_ns| GpuLine::Sample(GpuSample { t_ns, uuid: "GPU-1".into(), ..sample.clone() });
    run.gpu = times(&run).map(at).collect();
    run.gpu.push(GpuLine::State(GpuState {
        uuid: "GPU-1".into(),
        sm_clock_max_mhz: Some(2_000),
        ..GpuState::default()
    }));
    run
}

fn verdicts(run: &RunData) -> Vec<Verdict> {
    let levels = summarise(run, None, None).levels;
    levels.iter().map(|level| level.bottleneck.as_ref().unwrap().verdict).collect()
}

fn last(summary: &Summary) -> &analysis::Bottleneck {
    summary.levels.last().unwrap().bottleneck.as_ref().unwrap()
}

#[test]
fn a_level_after_which_more_load_gives_more_is_limited_by_nothing() {
    let run = with_server(run(1), 2.0, 0.0, 0.1);
    assert_eq!(verdicts(&run), [Verdict::Nothing; 3]);
    let summary = summarise(&run, None, None);
    let first = summary.levels[0].bottleneck.as_ref().unwrap();
    assert_eq!(first.evidence[0], Evidence::GrowthToNext { concurrency: 2, share: 1.0 });
    let previous = |e: &Evidence| matches!(e, Evidence::GrowthFromPrevious { concurrency: 2, .. });
    assert!(last(&summary).evidence.iter().any(previous), "the largest level has only a smaller one beside it");
}

#[test]
fn requests_that_wait_with_room_in_the_cache_lack_slots() {
    let run = with_server(run(2), 2.0, 1.5, 0.5);
    assert_eq!(verdicts(&run), [Verdict::Queue; 3]);
    let summary = summarise(&run, None, None);
    assert_eq!(last(&summary).evidence[0], Evidence::Waiting { mean: 1.5 });
}

/// With two running, each has 0.35 of the cache, and 0.3 is left: less than a third one needs.
#[test]
fn requests_that_wait_for_a_full_cache_lack_memory() {
    let full = with_server(run(2), 2.0, 1.5, 0.7);
    assert_eq!(verdicts(&full), [Verdict::KvCache; 3]);

    let mut preempting = with_server(run(2), 2.0, 0.0, 0.5);
    let end = preempting.server.len() as f64;
    for (i, sample) in preempting.server.iter_mut().enumerate() {
        sample.counters.preemptions = Some(i as f64 / end * 100.0);
    }
    let summary = summarise(&preempting, None, None);
    assert_eq!(last(&summary).verdict, Verdict::KvCache);
    assert!(matches!(last(&summary).evidence[0], Evidence::Preemptions { .. }));
}

#[test]
fn the_engines_own_reason_to_wait_is_told() {
    let mut run = with_server(run(2), 2.0, 3.0, 0.1);
    for sample in &mut run.server {
        sample.detail.waiting_by_reason = [("capacity".to_owned(), 2.0), ("deferred".to_owned(), 1.0)].into();
    }
    let summary = summarise(&run, None, None);
    let capacity = Evidence::WaitingFor { reason: "capacity".into(), mean: 2.0 };
    assert!(last(&summary).evidence.contains(&capacity));
}

#[test]
fn a_busy_client_comes_before_everything_else() {
    let mut run = with_server(run(2), 2.0, 1.5, 0.9);
    for phase in run.phases.iter_mut().filter(|p| p.kind == PhaseKind::Measure) {
        phase.client =
            Some(ClientLoad { cpu_ns: phase.end_ns.0 - phase.start_ns.0, threads: 1, ..ClientLoad::default() });
    }
    assert_eq!(verdicts(&run), [Verdict::Client; 3]);
}

#[test]
fn how_the_gpu_spends_its_time_decides_where_nothing_waits() {
    let base = || with_server(run(2), 2.0, 0.0, 0.1);
    let busy = GpuSample {
        gpu_util_percent: Some(99),
        sm_active_percent: Some(85.0),
        dram_active_percent: Some(30.0),
        sm_clock_mhz: Some(1_950),
        throttle_bits: Some(0),
        ..GpuSample::default()
    };
    let of = |change: &dyn Fn(&mut GpuSample)| {
        let mut sample = busy.clone();
        change(&mut sample);
        verdicts(&with_gpu(base(), &sample))[2]
    };
    assert_eq!(of(&|_| {}), Verdict::Compute);
    assert_eq!(of(&|s| s.dram_active_percent = Some(61.0)), Verdict::MemoryBandwidth);
    let capped = |s: &mut GpuSample| {
        s.throttle_bits = Some(0x4);
        s.sm_clock_mhz = Some(1_400);
    };
    assert_eq!(of(&capped), Verdict::Power);
    assert_eq!(
        of(&|s| s.throttle_bits = Some(0x4)),
        Verdict::Compute,
        "at 97.5 % of its clock it lost next to nothing"
    );
    let hot = |s: &mut GpuSample| {
        s.throttle_bits = Some(0x8 | 0x40);
        s.sm_clock_mhz = Some(1_400);
    };
    assert_eq!(of(&hot), Verdict::Thermal, "slowed by hardware, because of heat");
}

#[test]
fn counters_of_held_back_time_tell_what_bits_seen_now_and_then_missed() {
    let mut run = with_gpu(
        with_server(run(2), 2.0, 0.0, 0.1),
        &GpuSample { sm_clock_mhz: Some(1_000), throttle_bits: Some(0), ..GpuSample::default() },
    );
    for line in &mut run.gpu {
        if let GpuLine::Sample(sample) = line {
            sample.power_violation_ns = Some(sample.t_ns.0 * 3 / 4);
        }
    }
    let summary = summarise(&run, None, None);
    assert_eq!(last(&summary).verdict, Verdict::Power);
    let Evidence::PowerThrottled { share } = last(&summary).evidence[0] else { panic!("{summary:?}") };
    assert!((share - 0.75).abs() < 1e-9, "{share}");
}

#[test]
fn without_a_look_into_the_gpu_the_step_is_the_limit_and_what_was_not_seen_is_named() {
    let run = with_server(run(2), 2.0, 0.0, 0.1);
    let summary = summarise(&run, None, None);
    assert_eq!(last(&summary).verdict, Verdict::EngineStep);
    for missing in ["gpu", "gpu_profiling", "throttle_reasons"] {
        assert!(last(&summary).missing.contains(&missing.to_owned()), "{missing}");
    }
}

#[test]
fn who_saw_nothing_says_nothing() {
    let summary = summarise(&run(2), None, None);
    assert_eq!(last(&summary).verdict, Verdict::Unknown);
    assert!(last(&summary).missing.contains(&"server_metrics".to_owned()));
}
