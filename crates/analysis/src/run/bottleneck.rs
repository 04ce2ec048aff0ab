//! What limited each level, with what proves it.
//!
//! The order of the questions is the order in which one cause hides another: a busy client makes every other figure its
//! own; a server that lacks KV blocks or slots has requests waiting, and its GPU may then be busy or not; and only where
//! nothing waits does it mean anything how the GPU spends its time. Between the two stands the plain test of "nothing":
//! the next larger level gave more, nearly in proportion. What was not measured is named and proves nothing.

use records::{GpuLine, GpuSample, RunData};
use stats::Span;

use crate::{
    Bottleneck, BottleneckEvidence as Evidence, BottleneckVerdict as Verdict, Invalid, LevelSummary,
    distribution::mean,
    level::readings::{Counter, Gauge},
    level::window::LevelRecords,
    run::limits::{Point, points},
};

/// Mean number of waiting requests from which on there is a queue: one on average. A scrape may catch single requests
/// on their way into the batch.
pub(crate) const QUEUE_MEAN: f64 = 1.0;

/// Share of proportional growth from which on a level is not limited: the next one gave at least half of what more load
/// can give at most.
pub(crate) const GROWS_SHARE: f64 = 0.5;

/// Bandwidth in use, in percent, from which on memory is the limit: three quarters of the 80 % that NVIDIA's DCGM manual
/// ("Profiling Metrics", memory bandwidth utilisation) gives as the most that can be reached.
pub(crate) const DRAM_BUSY_PERCENT: f64 = 60.0;

/// Multiprocessors with work, in percent, from which on they may be the limit: the same manual calls 0.8 "necessary, but
/// not sufficient, for effective use of the GPU".
pub(crate) const SM_BUSY_PERCENT: f64 = 80.0;

/// Share of the time with clocks held back from which on that is the limit.
pub(crate) const THROTTLED_SHARE: f64 = 0.5;

/// Clock in percent of the largest, above which holding it back cost too little to be the limit: speed goes with the clock
/// at most in proportion.
pub(crate) const CLOCK_KEPT_PERCENT: f64 = 95.0;

/// `nvmlClocksEventReasons` of `nvml.h`: software power cap, hardware slowdown (which power or heat may cause; it counts
/// as power unless a thermal bit stands beside it), hardware power brake.
const POWER_BITS: u64 = 0x4 | 0x8 | 0x80;
/// Software and hardware thermal slowdown.
const THERMAL_BITS: u64 = 0x20 | 0x40;

/// Judges every level. `records` are the same levels, in the same order.
pub(crate) fn judge_all(levels: &mut [LevelSummary], records: &[LevelRecords<'_>], run: &RunData) {
    let points = points(levels);
    for (level, records) in levels.iter_mut().zip(records) {
        let gpu = records.window.map(|window| gpu_clues(window, &run.gpu));
        let clues = Clues {
            waiting_for: records.window.map(|window| waiting_for(window, run)).unwrap_or_default(),
            growth: growth(level.concurrency, &points),
            gpu: gpu.unwrap_or_default(),
        };
        level.bottleneck = Some(judge(level, &clues));
    }
}

/// What is known of a level beside its summary.
#[derive(Clone, Debug, Default)]
struct Clues {
    /// Mean number of waiting requests by the engine's reason.
    waiting_for: Vec<(String, f64)>,
    growth: Option<Evidence>,
    gpu: GpuClues,
}

/// Means over the window and over the GPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct GpuClues {
    power_share: Option<f64>,
    thermal_share: Option<f64>,
    clock_percent: Option<f64>,
    dram_percent: Option<f64>,
    sm_percent: Option<f64>,
    tensor_percent: Option<f64>,
    util_percent: Option<f64>,
}

fn judge(level: &LevelSummary, clues: &Clues) -> Bottleneck {
    let mut evidence = Vec::new();
    let verdict = client(level, &mut evidence)
        .or_else(|| server(level, clues, &mut evidence))
        .or_else(|| underloaded(clues, &mut evidence))
        .or_else(|| gpu(clues.gpu, &mut evidence))
        .or_else(|| engine_step(level, clues));
    evidence.extend(seen_besides(level, clues, &evidence));
    Bottleneck { verdict: verdict.unwrap_or(Verdict::Unknown), evidence, missing: missing(level, clues.gpu) }
}

fn client(level: &LevelSummary, evidence: &mut Vec<Evidence>) -> Option<Verdict> {
    evidence.extend(level.invalid.iter().filter_map(|reason| match *reason {
        Invalid::ClientBusy { cpu_percent } => Some(Evidence::ClientBusy { cpu_percent }),
        Invalid::ClientLate { lag_p99_ms } => Some(Evidence::ClientLate { lag_p99_ms }),
        _ => None,
    }));
    (!evidence.is_empty()).then_some(Verdict::Client)
}

/// Requests that wait, and what for.
fn server(level: &LevelSummary, clues: &Clues, evidence: &mut Vec<Evidence>) -> Option<Verdict> {
    let server = level.server?;
    let kv = kv_usage(level);
    let full = matches!(kv, Some(Evidence::KvUsage { max, full_from }) if max >= full_from);
    if let Some(count) = server.preemptions.filter(|count| *count >= 1.0) {
        evidence.push(Evidence::Preemptions { count });
        evidence.extend(kv);
        return Some(Verdict::KvCache);
    }
    let mean = server.waiting_mean.filter(|waiting| *waiting >= QUEUE_MEAN)?;
    evidence.push(Evidence::Waiting { mean });
    evidence.extend(
        clues.waiting_for.iter().map(|(reason, mean)| Evidence::WaitingFor { reason: reason.clone(), mean: *mean }),
    );
    evidence.extend(kv);
    Some(if full { Verdict::KvCache } else { Verdict::Queue })
}

/// The cache is full for one more request of the mean size when less is free than each running one has: with `r` running,
/// from a usage of `r/(r + 1)` on.
fn kv_usage(level: &LevelSummary) -> Option<Evidence> {
    let server = level.server?;
    let running = server.running_mean.filter(|running| *running > 0.0)?;
    Some(Evidence::KvUsage { max: server.kv_usage_max?, full_from: running / (running + 1.0) })
}

fn underloaded(clues: &Clues, evidence: &mut Vec<Evidence>) -> Option<Verdict> {
    let growth = clues.growth.clone()?;
    let grows = growth_share(&growth).is_some_and(|share| share >= GROWS_SHARE);
    grows.then(|| {
        evidence.push(growth);
        Verdict::Nothing
    })
}

fn growth_share(evidence: &Evidence) -> Option<f64> {
    match evidence {
        Evidence::GrowthToNext { share, .. } | Evidence::GrowthFromPrevious { share, .. } => Some(*share),
        _ => None,
    }
}

/// Throttling before what the GPU was busy with: it explains why the same work takes longer.
fn gpu(gpu: GpuClues, evidence: &mut Vec<Evidence>) -> Option<Verdict> {
    let slowed = gpu.clock_percent.is_none_or(|percent| percent < CLOCK_KEPT_PERCENT);
    let often = |share: Option<f64>| share.filter(|share| slowed && *share >= THROTTLED_SHARE);
    let clock = gpu.clock_percent.map(|percent| Evidence::SmClock { percent });
    if let Some(share) = often(gpu.thermal_share) {
        evidence.push(Evidence::ThermalThrottled { share });
        evidence.extend(clock);
        return Some(Verdict::Thermal);
    }
    if let Some(share) = often(gpu.power_share) {
        evidence.push(Evidence::PowerThrottled { share });
        evidence.extend(clock);
        return Some(Verdict::Power);
    }
    if let Some(percent) = gpu.dram_percent.filter(|percent| *percent >= DRAM_BUSY_PERCENT) {
        evidence.push(Evidence::DramActive { percent });
        return Some(Verdict::MemoryBandwidth);
    }
    // Without a look at the memory, busy multiprocessors may as well be waiting for it.
    if let Some(percent) = gpu.sm_percent.filter(|percent| *percent >= SM_BUSY_PERCENT && gpu.dram_percent.is_some()) {
        evidence.push(Evidence::SmActive { percent });
        return Some(Verdict::Compute);
    }
    None
}

/// Nothing waits, all requests run, and more load would not give more: each step takes as long as it takes.
fn engine_step(level: &LevelSummary, clues: &Clues) -> Option<Verdict> {
    let nothing_waits = level.server?.waiting_mean? < QUEUE_MEAN;
    let flat = growth_share(clues.growth.as_ref()?)? < GROWS_SHARE;
    (nothing_waits && flat).then_some(Verdict::EngineStep)
}

/// What was seen and is not among the evidence yet.
fn seen_besides(level: &LevelSummary, clues: &Clues, already: &[Evidence]) -> Vec<Evidence> {
    let server = level.server.unwrap_or_default();
    let gpu = clues.gpu;
    let all = [
        clues.growth.clone(),
        server.running_mean.map(|mean| Evidence::Running { mean }),
        server.waiting_mean.map(|mean| Evidence::Waiting { mean }),
        kv_usage(level),
        gpu.dram_percent.map(|percent| Evidence::DramActive { percent }),
        gpu.sm_percent.map(|percent| Evidence::SmActive { percent }),
        gpu.tensor_percent.map(|percent| Evidence::TensorActive { percent }),
        gpu.util_percent.map(|percent| Evidence::GpuUtil { percent }),
        gpu.power_share.map(|share| Evidence::PowerThrottled { share }),
        gpu.thermal_share.map(|share| Evidence::ThermalThrottled { share }),
        // What held back clocks cost shows in the clock alone.
        gpu.clock_percent.filter(|_| held_back(gpu)).map(|percent| Evidence::SmClock { percent }),
    ];
    all.into_iter().flatten().filter(|evidence| !already.contains(evidence)).collect()
}

fn held_back(gpu: GpuClues) -> bool {
    [gpu.power_share, gpu.thermal_share].into_iter().flatten().any(|share| share > 0.0)
}

fn missing(level: &LevelSummary, gpu: GpuClues) -> Vec<String> {
    let server = level.server.unwrap_or_default();
    [
        ("client", level.client.is_none()),
        ("server_metrics", server.waiting_mean.is_none()),
        ("kv_usage", server.kv_usage_max.is_none()),
        ("gpu", level.gpu.is_none()),
        ("gpu_profiling", gpu.dram_percent.is_none()),
        ("throttle_reasons", gpu.power_share.is_none()),
    ]
    .into_iter()
    .filter(|(_, missing)| *missing)
    .map(|(what, _)| what.to_owned())
    .collect()
}

/// Growth to the next larger level, or from the next smaller one where there is no larger.
fn growth(concurrency: u32, points: &[Point]) -> Option<Evidence> {
    let at = points.iter().position(|point| point.concurrency == concurrency)?;
    let larger = points[at..].iter().find(|point| point.concurrency > concurrency);
    if let Some(next) = larger {
        let share = points[at].growth_share(*next)?;
        return Some(Evidence::GrowthToNext { concurrency: next.concurrency, share });
    }
    let previous = points[..at].iter().rev().find(|point| point.concurrency < concurrency)?;
    let share = previous.growth_share(points[at])?;
    Some(Evidence::GrowthFromPrevious { concurrency: previous.concurrency, share })
}

fn waiting_for(window: Span, run: &RunData) -> Vec<(String, f64)> {
    let inside = || run.server.iter().filter(|s| (window.start()..window.end()).contains(&s.t_ns.0));
    let mut reasons: Vec<&String> = inside().flat_map(|s| s.detail.waiting_by_reason.keys()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let of = |reason: &String| {
        let waiting = inside().filter_map(|s| s.detail.waiting_by_reason.get(reason).copied());
        Some((reason.clone(), mean(waiting)?))
    };
    reasons.into_iter().filter_map(of).collect()
}

fn gpu_clues(window: Span, lines: &[GpuLine]) -> GpuClues {
    let samples: Vec<&GpuSample> = lines
        .iter()
        .filter_map(|line| match line {
            GpuLine::Sample(sample) => Some(sample),
            _ => None,
        })
        .collect();
    let inside = || samples.iter().copied().filter(|s| (window.start()..window.end()).contains(&s.t_ns.0));
    let over = |figure: fn(&GpuSample) -> Option<f64>| over_gpus(&samples, figure, window);
    let bits = |mask: u64| {
        mean(inside().filter_map(|s| {
            let bits = s.throttle_bits?;
            let thermal = bits & THERMAL_BITS != 0;
            let counts = bits & mask != 0 && (mask == THERMAL_BITS || bits & mask != 0x8 || !thermal);
            Some(f64::from(u8::from(counts)))
        }))
    };
    GpuClues {
        power_share: more(counted(&samples, |s| s.power_violation_ns, window), bits(POWER_BITS)),
        thermal_share: more(counted(&samples, |s| s.thermal_violation_ns, window), bits(THERMAL_BITS)),
        clock_percent: clock_max(lines)
            .zip(over(|s| s.sm_clock_mhz.map(f64::from)))
            .map(|(most, mean)| 100.0 * mean / most),
        dram_percent: over(|s| s.dram_active_percent),
        sm_percent: over(|s| s.sm_active_percent),
        tensor_percent: over(|s| s.tensor_active_percent),
        util_percent: over(|s| s.gpu_util_percent.map(f64::from)),
    }
}

/// The larger of two accounts: some drivers leave the counter of heat at 0, and bits are seen only at the ticks.
fn more(counter: Option<f64>, bits: Option<f64>) -> Option<f64> {
    counter.into_iter().chain(bits).max_by(f64::total_cmp)
}

fn by_gpu<'s, 'u>(samples: &'s [&'u GpuSample], uuid: &'s str) -> impl Iterator<Item = &'u GpuSample> + 's {
    samples.iter().copied().filter(move |sample| sample.uuid == uuid)
}

fn uuids<'u>(samples: &[&'u GpuSample]) -> Vec<&'u str> {
    let mut uuids: Vec<&str> = samples.iter().map(|sample| sample.uuid.as_str()).collect();
    uuids.sort_unstable();
    uuids.dedup();
    uuids
}

/// Time-weighted mean of a gauge, averaged over the devices that give it.
fn over_gpus(samples: &[&GpuSample], figure: fn(&GpuSample) -> Option<f64>, window: Span) -> Option<f64> {
    let of = |uuid: &str| {
        let readings = by_gpu(samples, uuid).filter_map(|s| Some((s.t_ns.0, figure(s)?)));
        Gauge::new(readings).mean(window)
    };
    mean(uuids(samples).into_iter().filter_map(of))
}

/// Share of the window in which a counter of nanoseconds ran; of the GPU that was held back most.
fn counted(samples: &[&GpuSample], nanoseconds: fn(&GpuSample) -> Option<u64>, window: Span) -> Option<f64> {
    let of = |uuid: &str| {
        let readings = by_gpu(samples, uuid).filter_map(|s| Some((s.t_ns.0, nanoseconds(s)?)));
        let growth = Counter::new(readings).growth(window).ok()?;
        Some((growth / window.ticks() as f64).min(1.0))
    };
    uuids(samples).into_iter().filter_map(of).max_by(f64::total_cmp)
}

/// Mean over the GPUs of their largest clocks.
fn clock_max(lines: &[GpuLine]) -> Option<f64> {
    mean(lines.iter().filter_map(|line| match line {
        GpuLine::State(state) => state.sm_clock_max_mhz.map(f64::from),
        _ => None,
    }))
}
