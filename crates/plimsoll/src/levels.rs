//! From flags to the levels of a plan: closed loops, open loops and ramps, and how much each measures by default.

use std::{
    iter,
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use loadgen::{
    Level, Load, Volume,
    arrival::{Arrivals, Shape, Spacing},
};

use crate::{
    cli::{LoadArgs, RampUp},
    exit::{self, Exit},
    series::LevelOrder,
    workload,
};

/// The levels when the user names none.
const CONCURRENCY: [u32; 8] = [1, 2, 4, 8, 16, 32, 48, 64];
/// Most requests in flight in an open loop. A server that is behind by as many has been overrun.
const MOST_IN_FLIGHT: u32 = 10_000;
/// What an open loop measures when the user does not say: long enough for queues to show.
const OPEN_LOOP: Duration = Duration::from_mins(1);
/// How many times the requests of a level there are at most where an interval is to end it.
const STOPPED_LATEST: u64 = 40;
/// The same for an open loop.
const OPEN_LOOP_STOPPED_LATEST: Duration = Duration::from_mins(10);
/// Warm-up of an open loop: requests of average length must have ended before the first one counts.
const OPEN_WARMUP: Duration = Duration::from_secs(10);

/// How many requests are measured when the user does not say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    per_slot: u64,
    at_least: u64,
}

impl Defaults {
    /// Enough for intervals at every level without waiting for an afternoon.
    pub(crate) const SERVER: Self = Self { per_slot: 4, at_least: 10 };
    /// The simulated card is as slow as the real one, and hardly scatters: two waves show all there is in two minutes.
    pub(crate) const SIMULATED: Self = Self { per_slot: 2, at_least: 4 };

    /// What the shortest level of a search measures: fewer requests spend too large a share on warm-up, and lead to loads
    /// that are tried in vain.
    pub(crate) fn searching(self) -> Self {
        Self { per_slot: 10, ..self }
    }

    fn requests(self, concurrency: u32) -> u64 {
        (self.per_slot * u64::from(concurrency)).max(self.at_least)
    }
}

/// The levels of the run.
pub(crate) fn levels(load: &LoadArgs, defaults: Defaults) -> anyhow::Result<Vec<Level>> {
    let volumes = load.search.volumes.iter().copied();
    let levels = least(load, defaults)?.into_iter();
    let grown = levels.zip(volumes.chain(iter::repeat(1)));
    Ok(grown.map(|(level, times)| grow(level, times)).collect())
}

/// A level that measures so many times as much.
fn grow(level: Level, times: u32) -> Level {
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

/// The levels, each as large as it is by default.
fn least(load: &LoadArgs, defaults: Defaults) -> anyhow::Result<Vec<Level>> {
    let volume = volume(load)?;
    let arrivals = arrivals(load)?;
    if arrivals.is_empty() {
        let asked = if load.concurrency.is_empty() { &CONCURRENCY[..] } else { &load.concurrency };
        return asked.iter().map(|&c| closed(c, volume, load, defaults)).collect();
    }
    let most_in_flight = match load.concurrency[..] {
        [] => MOST_IN_FLIGHT,
        [most] => most,
        _ => {
            return Err(exit::error(
                Exit::Usage,
                "understand --concurrency: with --request-rate it is the most in flight, so one number\nhint: name several rates instead",
            ));
        }
    };
    arrivals.into_iter().map(|a| open(a, most_in_flight, volume, load)).collect()
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

fn volume(load: &LoadArgs) -> anyhow::Result<Option<Volume>> {
    let time = load.benchmark_duration.map(|s| {
        Duration::try_from_secs_f64(s).map_err(|e| {
            exit::error(Exit::Usage, format!("understand --benchmark-duration: {e}\nhint: give seconds, such as 60"))
        })
    });
    Ok(match (load.request_count.and_then(NonZeroU64::new), time.transpose()?) {
        (None, None) => None,
        (Some(count), None) => Some(Volume::Requests(count)),
        (None, Some(time)) => Some(Volume::Time(time)),
        (Some(count), Some(time)) => Some(Volume::Either(count, time)),
    })
}

fn arrivals(load: &LoadArgs) -> anyhow::Result<Vec<Arrivals>> {
    let spacing = if load.burstiness == f64::INFINITY {
        Spacing::Constant
    } else {
        Spacing::Gamma { burstiness: load.burstiness }
    };
    if let (Some(strategy), Some(from), Some(to), Some(Some(over))) = (
        load.ramp_up_strategy,
        load.ramp_up_start_rps,
        load.ramp_up_end_rps,
        volume(load)?.map(|volume| match volume {
            Volume::Time(time) | Volume::Either(_, time) => Some(time),
            Volume::Requests(_) => None,
        }),
    ) {
        let shape = match strategy {
            RampUp::Linear => Shape::Linear,
            RampUp::Exponential => Shape::Exponential,
        };
        return Ok(vec![Arrivals::Ramp { shape, from, to, over, spacing }]);
    }
    if let Some(trace) = workload::trace(load)? {
        return Ok(vec![trace.arrivals()]);
    }
    if !load.stages.stages.is_empty() {
        let stages = load.stages.stages.iter().map(|stage| stage.0).collect();
        return Ok(vec![Arrivals::Stages { stages, spacing }]);
    }
    let rate = |&per_second: &f64| {
        if per_second == f64::INFINITY { Arrivals::AtOnce } else { Arrivals::Steady { per_second, spacing } }
    };
    Ok(load.request_rate.iter().map(rate).collect())
}

fn closed(concurrency: u32, volume: Option<Volume>, load: &LoadArgs, defaults: Defaults) -> anyhow::Result<Level> {
    let slots = NonZeroU32::new(concurrency).ok_or_else(|| exit::error(Exit::Usage, "--concurrency is at least 1"))?;
    let times = if load.stop.stop_when.is_some() { STOPPED_LATEST } else { 1 };
    let by_default = || {
        NonZeroU64::new(defaults.requests(concurrency) * times * load.session.turns())
            .map_or(Volume::Requests(NonZeroU64::MIN), Volume::Requests)
    };
    Ok(Level {
        load: Load::Closed { concurrency: slots },
        volume: volume.unwrap_or_else(by_default),
        // The first conversations have one turn to all of theirs.
        warmup_requests: load
            .warmup_request_count
            .unwrap_or(u64::from(concurrency) * (load.session.turns() + 1).div_ceil(2)),
    })
}

fn open(arrivals: Arrivals, most_in_flight: u32, volume: Option<Volume>, load: &LoadArgs) -> anyhow::Result<Level> {
    arrivals.check().map_err(|e| exit::error(Exit::Usage, e.to_string()))?;
    let most_in_flight =
        NonZeroU32::new(most_in_flight).ok_or_else(|| exit::error(Exit::Usage, "--concurrency is at least 1"))?;
    let whole = match &arrivals {
        Arrivals::Recorded(times) => NonZeroU64::new(times.len() as u64).map(Volume::Requests),
        Arrivals::Stages { stages, .. } => Some(Volume::Time(stages.iter().map(|stage| stage.over).sum())),
        _ => None,
    };
    let time = if load.stop.stop_when.is_some() { OPEN_LOOP_STOPPED_LATEST } else { OPEN_LOOP };
    let volume = volume.or(whole).unwrap_or(Volume::Time(time));
    let first_rate = arrivals.first_rate();
    let mut level = Level {
        load: Load::Open { arrivals, most_in_flight },
        volume,
        warmup_requests: load.warmup_request_count.unwrap_or(0),
    };
    if let (None, Some(rate)) = (load.warmup_request_count, first_rate) {
        let seconds = OPEN_WARMUP.as_secs_f64();
        let in_time = Arrivals::Steady { per_second: rate, spacing: Spacing::Constant };
        let in_time = in_time.times(0, 0).take_while(|at| at.as_secs_f64() < seconds).count() as u64;
        let measured = level.planned_requests(0).unwrap_or(0);
        level.warmup_requests = in_time.min(measured / 4);
    }
    Ok(level)
}
