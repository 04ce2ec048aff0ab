//! From settings to the levels of a plan: closed loops, open loops and ramps, and how much each measures by default.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use loadgen::{
    Level, Load, Volume,
    arrival::{self, Shape, Spacing},
    workload::Trace,
};

use crate::{
    BenchError,
    settings::{Arrivals, LevelOrder, Number, RampShape, RateStage, Settings},
    workload,
};

/// What an open loop measures by default: long enough for queues to show.
const OPEN_LOOP: Duration = Duration::from_mins(1);
/// How many times its default requests a closed loop measures at most where an interval is to end it.
const STOPPED_REQUESTS_FACTOR: u64 = 40;
/// How long an open loop measures at most where an interval is to end it.
const STOPPED_OPEN_LOOP: Duration = Duration::from_mins(10);
/// Warm-up of an open loop: requests of average length must have ended before the first one counts.
const OPEN_WARMUP: Duration = Duration::from_secs(10);
/// Requests per slot that the shortest level of a search measures: fewer waste the budget on warm-up and on misleading
/// probes.
const SEARCH_REQUESTS_PER_SLOT: u64 = 10;

/// The levels of the settings.
pub(crate) fn levels(settings: &Settings) -> Result<Vec<Level>, BenchError> {
    let volume = volume(settings)?;
    let (arrivals, in_flight_max) = match &settings.load.arrivals {
        Arrivals::Concurrency { levels } => {
            return levels.iter().map(|slots| closed(*slots, volume, settings)).collect();
        }
        Arrivals::Rate { per_second, burstiness, in_flight_max } => {
            let spacing = spacing(*burstiness);
            let rate = |&Number(per_second): &Number| {
                if per_second == f64::INFINITY {
                    arrival::Arrivals::AtOnce
                } else {
                    arrival::Arrivals::Steady { per_second, spacing }
                }
            };
            (per_second.iter().map(rate).collect(), in_flight_max)
        }
        Arrivals::Ramp { shape, from_per_second, to_per_second, burstiness, in_flight_max } => {
            let over = volume.and_then(time).ok_or_else(|| {
                BenchError::setting("load.duration_s", "a ramp needs it", "give the ramp's length in seconds")
            })?;
            let shape = match shape {
                RampShape::Linear => Shape::Linear,
                RampShape::Exponential => Shape::Exponential,
            };
            let (from, to) = (*from_per_second, *to_per_second);
            (vec![arrival::Arrivals::Ramp { shape, from, to, over, spacing: spacing(*burstiness) }], in_flight_max)
        }
        Arrivals::Stages { stages, burstiness, in_flight_max } => {
            let stages = stages.iter().map(stage).collect::<Result<_, _>>()?;
            (vec![arrival::Arrivals::Stages { stages, spacing: spacing(*burstiness) }], in_flight_max)
        }
        Arrivals::Trace { in_flight_max, .. } => {
            let trace = workload::trace(&settings.load.arrivals)?;
            (trace.iter().map(Trace::arrivals).collect(), in_flight_max)
        }
    };
    arrivals.into_iter().map(|arrivals| open(arrivals, *in_flight_max, volume, settings)).collect()
}

/// A level that measures so many times as much.
pub(crate) fn grow(level: Level, times: u32) -> Level {
    let times = NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN);
    let count = |n: NonZeroU64| n.saturating_mul(times.into());
    let time = |t: Duration| t.saturating_mul(times.get());
    Level {
        volume: match level.volume {
            Volume::Requests(n) => Volume::Requests(count(n)),
            Volume::Time(t) => Volume::Time(time(t)),
            Volume::Either(n, t) => Volume::Either(count(n), time(t)),
        },
        ..level
    }
}

/// How many times as much as `least` a planned level measures; `None` where that is no whole number.
pub(crate) fn times_as_much(least: &Level, requests: Option<u64>, duration_ns: Option<u64>) -> Option<u32> {
    let whole = |planned: u128, least: u128| {
        let times = planned.is_multiple_of(least.max(1)).then(|| planned / least.max(1));
        times.and_then(|times| u32::try_from(times).ok())
    };
    match least.volume {
        Volume::Requests(n) => whole(requests?.into(), n.get().into()),
        Volume::Time(t) | Volume::Either(_, t) => whole(duration_ns?.into(), t.as_nanos()),
    }
}

/// The levels in the order in which a run of this seed takes them.
pub(crate) fn in_order(levels: Vec<Level>, order: LevelOrder, seed: u64) -> Vec<Level> {
    if order == LevelOrder::Interleaved {
        return levels;
    }
    let mut keyed: Vec<_> = (0..).zip(levels).collect();
    keyed.sort_by_key(|(index, _)| loadgen::workload::shuffle_key(seed, *index));
    keyed.into_iter().map(|(_, level)| level).collect()
}

fn volume(settings: &Settings) -> Result<Option<Volume>, BenchError> {
    let time = settings.load.duration_s.map(|seconds| duration("load.duration_s", seconds));
    Ok(match (settings.load.requests.and_then(NonZeroU64::new), time.transpose()?) {
        (None, None) => None,
        (Some(count), None) => Some(Volume::Requests(count)),
        (None, Some(time)) => Some(Volume::Time(time)),
        (Some(count), Some(time)) => Some(Volume::Either(count, time)),
    })
}

fn time(volume: Volume) -> Option<Duration> {
    match volume {
        Volume::Time(time) | Volume::Either(_, time) => Some(time),
        Volume::Requests(_) => None,
    }
}

fn duration(setting: &'static str, seconds: f64) -> Result<Duration, BenchError> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|e| BenchError::setting(setting, e.to_string(), "give seconds, such as 60"))
}

fn stage(stage: &RateStage) -> Result<arrival::RateStage, BenchError> {
    let over = duration("load.arrivals.stages", stage.seconds)?;
    Ok(arrival::RateStage { per_second: stage.per_second, over })
}

fn spacing(Number(burstiness): Number) -> Spacing {
    if burstiness == f64::INFINITY { Spacing::Constant } else { Spacing::Gamma { burstiness } }
}

fn slots(number: u32) -> Result<NonZeroU32, BenchError> {
    NonZeroU32::new(number)
        .ok_or_else(|| BenchError::setting("load.arrivals", "a concurrency is 0", "keep 1 request in flight at least"))
}

fn closed(concurrency: u32, volume: Option<Volume>, settings: &Settings) -> Result<Level, BenchError> {
    let load = &settings.load;
    let turns = u64::from(settings.work.conversations.map_or(1, |conversations| conversations.turns));
    let per_slot = if settings.search.is_some() { SEARCH_REQUESTS_PER_SLOT } else { load.requests_per_slot };
    let times = if settings.stop.is_some() { STOPPED_REQUESTS_FACTOR } else { 1 };
    let requests = (per_slot * u64::from(concurrency)).max(load.requests_min) * times * turns;
    Ok(Level {
        load: Load::Closed { concurrency: slots(concurrency)? },
        volume: volume.unwrap_or(Volume::Requests(NonZeroU64::new(requests).unwrap_or(NonZeroU64::MIN))),
        // The first conversations have one turn to all of theirs.
        warmup_requests: load.warmup_requests.unwrap_or(u64::from(concurrency) * (turns + 1).div_ceil(2)),
    })
}

fn open(
    arrivals: arrival::Arrivals,
    in_flight_max: u32,
    volume: Option<Volume>,
    settings: &Settings,
) -> Result<Level, BenchError> {
    arrivals.check()?;
    let whole = match &arrivals {
        arrival::Arrivals::Recorded(times) => NonZeroU64::new(times.len() as u64).map(Volume::Requests),
        arrival::Arrivals::Stages { stages, .. } => Some(Volume::Time(stages.iter().map(|stage| stage.over).sum())),
        _ => None,
    };
    let time = if settings.stop.is_some() { STOPPED_OPEN_LOOP } else { OPEN_LOOP };
    let first_rate = arrivals.first_rate();
    let asked = settings.load.warmup_requests;
    let mut level = Level {
        load: Load::Open { arrivals, most_in_flight: slots(in_flight_max)? },
        volume: volume.or(whole).unwrap_or(Volume::Time(time)),
        warmup_requests: asked.unwrap_or(0),
    };
    if let (None, Some(per_second)) = (asked, first_rate) {
        let seconds = OPEN_WARMUP.as_secs_f64();
        let steady = arrival::Arrivals::Steady { per_second, spacing: Spacing::Constant };
        let in_time = steady.times(0, 0).take_while(|at| at.as_secs_f64() < seconds).count() as u64;
        let measured = level.planned_requests(0).unwrap_or(0);
        level.warmup_requests = in_time.min(measured / 4);
    }
    Ok(level)
}
