//! One step of a run: what decides when its requests are sent, and how many of them count. Pure.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use crate::{
    PlanError,
    arrival::{Arrivals, RateStage, Shape, Spacing},
};

/// One step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// What decides when requests are sent.
    pub load: Load,
    /// What is measured.
    pub volume: Volume,
    /// Requests sent before that. In a closed loop, fewer than there are slots leave connections to be made while
    /// measuring.
    pub warmup_requests: u64,
}

/// What decides when requests are sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// Slots that send their next request when the last one has ended.
    Closed {
        /// Slots.
        concurrency: NonZeroU32,
    },
    /// A schedule that does not wait for the server.
    Open {
        /// The schedule.
        arrivals: Arrivals,
        /// Requests in flight at most: beyond it they are sent late, and their records say so.
        most_in_flight: NonZeroU32,
    },
}

/// When a level has been measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volume {
    /// After this many requests.
    Requests(NonZeroU64),
    /// With the requests sent within this time after the first measured one.
    Time(Duration),
    /// Whichever is first.
    Either(NonZeroU64, Duration),
}

impl Volume {
    pub(crate) fn requests(self) -> Option<u64> {
        match self {
            Self::Requests(n) | Self::Either(n, _) => Some(n.get()),
            Self::Time(_) => None,
        }
    }

    pub(crate) fn time(self) -> Option<Duration> {
        match self {
            Self::Time(d) | Self::Either(_, d) => Some(d),
            Self::Requests(_) => None,
        }
    }
}

/// Arrivals planned at most: a schedule longer than this is a slip of the keyboard.
const ARRIVALS_MAX: u64 = 50_000_000;

impl Level {
    /// A level of the closed loop.
    pub fn closed(concurrency: NonZeroU32, requests: NonZeroU64, warmup_requests: u64) -> Self {
        Self { load: Load::Closed { concurrency }, volume: Volume::Requests(requests), warmup_requests }
    }

    /// Most requests that it may have in flight.
    pub fn most_in_flight(&self) -> NonZeroU32 {
        match self.load {
            Load::Closed { concurrency } => concurrency,
            Load::Open { most_in_flight, .. } => most_in_flight,
        }
    }

    /// Whether its rate of arrivals moves.
    pub(crate) fn is_ramped(&self) -> bool {
        matches!(&self.load, Load::Open { arrivals: Arrivals::Ramp { .. } | Arrivals::Stages { .. }, .. })
    }

    /// Measured requests, where they are known beforehand: always but for a closed loop that stops on time.
    pub fn planned_requests(&self, seed: u64) -> Option<u64> {
        let Load::Open { arrivals, .. } = &self.load else {
            return match self.volume {
                Volume::Requests(n) => Some(n.get()),
                Volume::Time(_) | Volume::Either(..) => None,
            };
        };
        if let (Arrivals::Recorded(times), None) = (arrivals, self.volume.time()) {
            let left = (times.len() as u64).saturating_sub(self.warmup_requests);
            return self.volume.requests().map(|asked| asked.min(left));
        }
        let Some(time) = self.volume.time() else {
            return self.volume.requests();
        };
        let at_most = self.volume.requests().unwrap_or(ARRIVALS_MAX);
        let from = usize::try_from(self.warmup_requests).unwrap_or(usize::MAX);
        let mut measured = arrivals.times(seed, self.warmup_requests).skip(from).peekable();
        let end = measured.peek().copied().unwrap_or_default() + time;
        let within = measured.take_while(|at| *at < end).take(usize::try_from(at_most).unwrap_or(usize::MAX));
        Some(within.count() as u64)
    }

    pub(crate) fn check(&self) -> Result<(), PlanError> {
        if let Load::Open { arrivals, .. } = &self.load {
            arrivals.check()?;
            if *arrivals == Arrivals::AtOnce && self.volume.requests().is_none() {
                return Err(PlanError::EndlessBurst);
            }
        }
        if self.volume.time().is_some_and(|time| time.is_zero()) {
            return Err(PlanError::ZeroDeadline { which: "benchmark duration" });
        }
        Ok(())
    }

    /// Slots of a closed loop, 0 for an open one.
    pub(crate) fn closed_slots(&self) -> u32 {
        match self.load {
            Load::Closed { concurrency } => concurrency.get(),
            Load::Open { .. } => 0,
        }
    }

    /// The schedule that `seed` gives, as the manifest holds it; `None` for a closed loop.
    pub(crate) fn arrivals_record(&self, seed: u64) -> Option<records::Arrivals> {
        let Load::Open { arrivals, most_in_flight } = &self.load else {
            return None;
        };
        let (spacing, ramp) = match *arrivals {
            Arrivals::AtOnce | Arrivals::Recorded(_) => (None, None),
            Arrivals::Steady { spacing, .. } | Arrivals::Stages { spacing, .. } => (Some(spacing), None),
            Arrivals::Ramp { shape, to, over, spacing, .. } => {
                let shape = match shape {
                    Shape::Linear => records::RampShape::Linear,
                    Shape::Exponential => records::RampShape::Exponential,
                };
                let over_ns = duration_ns(over);
                (Some(spacing), Some(records::Ramp { shape, to_per_second: to, over_ns }))
            }
        };
        Some(records::Arrivals {
            per_second: arrivals.first_rate(),
            burstiness: match spacing {
                Some(Spacing::Gamma { burstiness }) => Some(burstiness),
                _ => None,
            },
            ramp,
            stages: self.stages_record(arrivals, seed),
            recorded: matches!(arrivals, Arrivals::Recorded(_)),
            most_in_flight: most_in_flight.get(),
        })
    }

    /// Ends of the stages, counted from the first measured arrival.
    fn stages_record(&self, arrivals: &Arrivals, seed: u64) -> Vec<records::RateStage> {
        let Arrivals::Stages { stages, .. } = arrivals else {
            return Vec::new();
        };
        let warmup = usize::try_from(self.warmup_requests).unwrap_or(usize::MAX);
        let first = arrivals.times(seed, self.warmup_requests).nth(warmup);
        let first = first.map_or(0.0, |first| first.as_secs_f64());
        let rate = stages.first().map_or(1.0, |stage| stage.per_second);
        let mut end = self.warmup_requests as f64 / rate - first;
        let record = |stage: &RateStage| {
            end += stage.over.as_secs_f64();
            let until = Duration::try_from_secs_f64(end).unwrap_or_default();
            records::RateStage { per_second: stage.per_second, until_ns: duration_ns(until) }
        };
        stages.iter().map(record).collect()
    }
}

/// Nanoseconds of a record.
pub(crate) fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
