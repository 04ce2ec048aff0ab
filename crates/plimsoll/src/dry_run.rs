//! `--dry-run`: what would be sent and when. Nothing is sent, no server is asked.

use bench::{Bench, Secrets, Settings};
use loadgen::{Load, LoadPlan};
use records::EngineFacts;
use serde::Serialize;

use crate::{exit::Exit, output};

/// Arrivals that the text shows of each level.
const SHOWN: usize = 10;

#[derive(Debug, Serialize)]
struct Schedule {
    plan: records::Plan,
    levels: Vec<LevelSchedule>,
}

#[derive(Debug, Serialize)]
struct LevelSchedule {
    warmup_requests: u64,
    /// 0 where time decides.
    requests: u64,
    most_in_flight: u32,
    /// Open loop: instants of warm-up and measured requests since the level's start. They go on at the last rate until
    /// the last measured request has ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    arrivals_ns: Vec<u64>,
}

pub(crate) fn run(mut settings: Settings, secrets: Secrets, json: bool) -> anyhow::Result<Exit> {
    settings.target.model.get_or_insert_with(|| "(the first that the server lists)".to_owned());
    let plan = Bench::new(settings).with_secrets(secrets).plan(&EngineFacts::default())?;
    let schedule = Schedule {
        levels: (0..).zip(&plan.spec().levels).map(|(index, level)| level_schedule(&plan, index, level)).collect(),
        plan: plan.to_record(),
    };
    output::emit(json, &schedule, text)?;
    Ok(Exit::Ok)
}

fn level_schedule(plan: &LoadPlan, index: u32, level: &loadgen::Level) -> LevelSchedule {
    let seed = plan.level_seed(index);
    let requests = level.planned_requests(seed).unwrap_or(0);
    let arrivals_ns = match &level.load {
        Load::Open { arrivals, .. } => {
            let count = usize::try_from(level.warmup_requests + requests).unwrap_or(usize::MAX);
            let times = arrivals.times(seed, level.warmup_requests).take(count);
            times.map(|at| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)).collect()
        }
        Load::Closed { .. } => Vec::new(),
    };
    LevelSchedule {
        warmup_requests: level.warmup_requests,
        requests,
        most_in_flight: level.most_in_flight().get(),
        arrivals_ns,
    }
}

fn text(schedule: &Schedule) -> String {
    let plan = &schedule.plan;
    let mut lines = vec![format!("seed {}, {} output tokens, nothing was sent", plan.seed, plan.osl)];
    for (index, level) in schedule.levels.iter().enumerate() {
        let duration = plan.durations_ns.get(index).filter(|ns| **ns > 0);
        let volume = match (level.requests, duration) {
            (0, Some(&ns)) => format!("measured for {} s", seconds(ns)),
            (n, _) => format!("{n} measured requests"),
        };
        let load = match plan.arrivals.get(index) {
            Some(Some(arrivals)) => open_loop(arrivals),
            _ => format!("closed loop, {} in flight", level.most_in_flight),
        };
        let warmup = level.warmup_requests;
        lines.push(format!("level {}: {load}; {warmup} warm-up requests, {volume}", index + 1));
        if let Some(&last) = level.arrivals_ns.last() {
            let first = level.arrivals_ns.iter().take(SHOWN);
            let shown: Vec<_> = first.map(|&ns| format!("{:.3}", seconds(ns))).collect();
            lines.push(format!("  at {} … {:.3} s after its start", shown.join(" "), seconds(last)));
        }
    }
    lines.join("\n")
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The schedule of an open loop in words.
fn open_loop(arrivals: &records::Arrivals) -> String {
    if arrivals.recorded {
        return format!("open loop, as recorded, at most {} in flight", arrivals.most_in_flight);
    }
    let Some(rate) = arrivals.per_second else {
        return format!("all requests at once, at most {} in flight", arrivals.most_in_flight);
    };
    let pattern = match arrivals.burstiness {
        None => "constant gaps".to_owned(),
        Some(1.0) => "Poisson".to_owned(),
        Some(burstiness) => format!("gamma with burstiness {burstiness}"),
    };
    let ramp = arrivals.ramp.map_or_else(String::new, |ramp| {
        format!(" rising to {} ({:?} ramp over {} s)", ramp.to_per_second, ramp.shape, seconds(ramp.over_ns))
            .to_lowercase()
    });
    let stages: Vec<String> = arrivals.stages.iter().map(|stage| stage.per_second.to_string()).collect();
    let rate = match stages[..] {
        [] => rate.to_string(),
        _ => stages.join(", then "),
    };
    format!("open loop, {rate} requests/s{ramp}, {pattern}, at most {} in flight", arrivals.most_in_flight)
}
