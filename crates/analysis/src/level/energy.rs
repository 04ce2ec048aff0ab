//! What a level cost in joules.
//!
//! Energy is the growth of the driver's counter over exactly the measuring window, held against the integral of instant
//! power over the same window: `InferenceX` accepts 5 % between the two, and so do we. A counter may be wrong
//! (ml-energy/zeus issue 181, ROCm/amdsmi issue 38), and the power sensor of A100 and H100 looks at a quarter of the time
//! only (arXiv 2312.02741), so neither is taken for the truth alone. Where there is no counter, the integral stands in,
//! and the summary says so. Warm-up and drain are in no window: mixing them in makes a GPU look thriftier than it is.

use std::collections::{BTreeMap, BTreeSet};

use records::{GpuLine, GpuSample, Phase, PhaseKind, RequestRecord};
use stats::Span;

use crate::{
    EnergyLevel, EnergyMethod, GpuEnergy, PhasePower, WindowIssue,
    distribution::ratio,
    level::readings::{Counter, Gauge, Moments},
};

/// Relative difference between counter and integral that is accepted (`InferenceX`, `aggregate_power.py`).
pub(crate) const ENERGY_TOLERANCE: f64 = 0.05;

/// Time in which averaged power still tells of what was before: the driver averages over one second (`nvml.h`,
/// `nvmlDeviceGetPowerUsage`).
pub(crate) const AVERAGE_NS: u64 = 1_000_000_000;

/// One GPU's readings over the whole run. Parts of a GPU (MIG) have no energy of their own and are not among them.
#[derive(Debug, Default)]
pub(crate) struct GpuSeries {
    pub(crate) uuid: String,
    samples: Vec<(u64, u32)>,
    energy: Counter,
    instant: Gauge,
    average: Gauge,
}

/// The whole GPUs of a run, by their ids.
pub(crate) fn whole_gpus(lines: &[GpuLine]) -> Vec<GpuSeries> {
    let parts: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| match line {
            GpuLine::Device(device) if device.parent.is_some() => Some(device.uuid.as_str()),
            _ => None,
        })
        .collect();
    let mut by_uuid: BTreeMap<&str, Vec<&GpuSample>> = BTreeMap::new();
    for line in lines {
        match line {
            GpuLine::Device(device) if device.parent.is_none() => {
                by_uuid.entry(&device.uuid).or_default();
            }
            GpuLine::Sample(sample) if !parts.contains(sample.uuid.as_str()) => {
                by_uuid.entry(&sample.uuid).or_default().push(sample);
            }
            _ => {}
        }
    }
    by_uuid.into_iter().map(|(uuid, samples)| series(uuid, &samples)).collect()
}

fn series(uuid: &str, samples: &[&GpuSample]) -> GpuSeries {
    let watts = |pick: fn(&GpuSample) -> Option<u64>| {
        Gauge::new(samples.iter().filter_map(|s| Some((s.t_ns.0, pick(s)? as f64 / 1e3))))
    };
    GpuSeries {
        uuid: uuid.to_owned(),
        samples: samples.iter().map(|s| (s.t_ns.0, 1)).collect(),
        energy: Counter::new(samples.iter().filter_map(|s| Some((s.t_ns.0, s.energy_mj?)))),
        instant: watts(|s| s.power_instant_mw),
        average: watts(|s| s.power_average_mw),
    }
}

impl GpuSeries {
    fn moments(&self) -> Moments {
        Moments::new(self.samples.iter().map(|(t, _)| *t))
    }

    /// Energy by the counter, in joules.
    pub(crate) fn counter_j(&self, window: Span) -> Result<f64, Vec<WindowIssue>> {
        self.energy.growth(window).map(|millijoules| millijoules / 1e3)
    }

    /// Energy by the integral of power over a window that counts.
    fn integral_j(power: &Gauge, window: Span) -> Option<f64> {
        power.integral(window).filter(|_| power.moments().issues(window).is_empty())
    }

    /// Mean power: by the counter where it tells, else of instant power, else of what the driver averages, from a second
    /// after the window's start on.
    fn power_w(&self, window: Span) -> Option<f64> {
        let seconds = window.ticks() as f64 / 1e9;
        let by_counter = self.counter_j(window).ok().map(|joules| joules / seconds);
        by_counter.or_else(|| self.gauge_w(window))
    }

    /// Mean of instant power, or of averaged power without its first second.
    pub(crate) fn gauge_w(&self, window: Span) -> Option<f64> {
        self.instant.mean(window).or_else(|| {
            let settled = Span::new(window.start() + AVERAGE_NS, window.end());
            settled.and_then(|settled| self.average.mean(settled)).or_else(|| self.average.mean(window))
        })
    }

    fn energy(&self, window: Span, idle: Option<Span>) -> GpuEnergy {
        let mut issues = self.moments().issues(window);
        let counter = self.counter_j(window);
        let instant = Self::integral_j(&self.instant, window);
        let average = Self::integral_j(&self.average, window);
        if let Err(why) = &counter
            && !self.energy.is_empty()
        {
            issues.extend(why.iter().filter(|issue| !issues.contains(issue)).cloned().collect::<Vec<_>>());
        }
        let (method, energy_j) = match (&counter, instant, average) {
            (Ok(joules), _, _) => (Some(EnergyMethod::Counter), Some(*joules)),
            (Err(_), Some(joules), _) => (Some(EnergyMethod::InstantPower), Some(joules)),
            (Err(_), None, Some(joules)) => (Some(EnergyMethod::AveragePower), Some(joules)),
            (Err(_), None, None) => (None, None),
        };
        if let (Ok(counter_j), Some(integral_j)) = (counter, instant)
            && (counter_j - integral_j).abs() > ENERGY_TOLERANCE * counter_j.max(integral_j)
        {
            issues.push(WindowIssue::EnergyMismatch { counter_j, integral_j });
        }
        GpuEnergy {
            uuid: self.uuid.clone(),
            samples: self.moments().inside(window),
            method,
            energy_j,
            integral_j: instant,
            idle_w: idle.and_then(|idle| self.power_w(idle)),
            issues,
        }
    }
}

/// What is known of a level beside the GPUs' readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LevelTokens {
    /// Output tokens that arrived in the window.
    pub(crate) output: Option<f64>,
    /// Prompt tokens whose processing ended in the window.
    pub(crate) prompt: Option<f64>,
}

/// The level's energy; `None` when the run knows no GPU.
pub(crate) fn energy_level(
    window: Span,
    level: u32,
    tokens: LevelTokens,
    lines: &[GpuLine],
    phases: &[Phase],
) -> Option<EnergyLevel> {
    let gpus = whole_gpus(lines);
    if gpus.is_empty() {
        return None;
    }
    let idle = idle(phases);
    let each: Vec<GpuEnergy> = gpus.iter().map(|gpu| gpu.energy(window, idle)).collect();
    let seen = each.iter().filter(|gpu| gpu.samples > 0).count() as u64;
    let mut issues = Vec::new();
    if seen < each.len() as u64 {
        issues.push(WindowIssue::ExpectedGpuCountMismatch { expected: each.len() as u64, seen });
    }
    for issue in each.iter().flat_map(|gpu| &gpu.issues) {
        if !issues.contains(issue) {
            issues.push(issue.clone());
        }
    }
    let all = |figure: fn(&GpuEnergy) -> Option<f64>| each.iter().map(figure).sum::<Option<f64>>();
    let energy_j = all(|gpu| gpu.energy_j);
    let idle_w = all(|gpu| gpu.idle_w);
    let seconds = window.ticks() as f64 / 1e9;
    let above_idle_j = energy_j.zip(idle_w).map(|(energy, idle)| energy - idle * seconds);
    let total = tokens.output.zip(tokens.prompt).map(|(output, prompt)| output + prompt);
    let per = |energy: Option<f64>, tokens: Option<f64>| {
        energy.zip(tokens).and_then(|(energy, tokens)| ratio(energy, tokens))
    };
    Some(EnergyLevel {
        energy_j,
        integral_j: all(|gpu| gpu.integral_j),
        idle_w,
        above_idle_j,
        j_per_output_token: per(energy_j, tokens.output),
        j_per_total_token: per(energy_j, total),
        above_idle_j_per_output_token: per(above_idle_j, tokens.output),
        above_idle_j_per_total_token: per(above_idle_j, total),
        total_tokens: total,
        phases: phase_powers(&gpus, level, phases),
        gpus: each,
        issues,
    })
}

/// The longest baseline without load.
fn idle(phases: &[Phase]) -> Option<Span> {
    let idle = phases.iter().filter(|phase| phase.kind == PhaseKind::Idle);
    idle.filter_map(span).max_by_key(|span| span.ticks())
}

fn span(phase: &Phase) -> Option<Span> {
    Span::new(phase.start_ns.0, phase.end_ns.0)
}

/// Power in each phase of the level, and in the baseline.
fn phase_powers(gpus: &[GpuSeries], level: u32, phases: &[Phase]) -> Vec<PhasePower> {
    let ours = |phase: &&Phase| phase.level == Some(level) || phase.kind == PhaseKind::Idle;
    let power = |phase: &Phase| {
        let span = span(phase)?;
        let power_w = gpus.iter().map(|gpu| gpu.power_w(span)).sum::<Option<f64>>()?;
        Some(PhasePower { phase: phase.kind, seconds: span.ticks() as f64 / 1e9, power_w })
    };
    phases.iter().filter(ours).filter_map(power).collect()
}

/// Prompt tokens of the requests whose first token arrived in the window: their prompts were processed by then. `None`
/// when the server did not count them.
pub(crate) fn prompt_tokens_within(requests: &[&RequestRecord], window: Span) -> Option<f64> {
    let first_token = |request: &RequestRecord| {
        let since_sent = request.chunks.since_sent_ns.first()?;
        Some(request.sent_ns.0.saturating_add(*since_sent))
    };
    requests
        .iter()
        .filter(|request| first_token(request).is_some_and(|t| window.start() < t && t <= window.end()))
        .map(|request| request.prompt_tokens.map(|tokens| tokens as f64))
        .sum()
}
