//! Which request comes next at a level, and when it is due. Shared by all its threads; knows no clock and no network.
//!
//! Requests are numbered in the order in which they are taken: first warm-up, then measured, then cool-down until the
//! last measured one has ended. In an open loop the number decides when a request is due.

mod conversation;
mod pace;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use records::{MeasureEnd, Offset, PhaseKind, Stage, Turn};
use tokio_util::sync::CancellationToken;

use self::pace::Pace;
use super::Enough;
use crate::{
    LoadPlan,
    arrival::{Arrivals, Times},
    level::{Level, Load},
    openai::Endpoint,
    workload::{Lengths, Prompt, PromptId, mix},
};

/// A request that was taken.
pub(super) struct Place {
    pub(super) request: u64,
    pub(super) stage: Stage,
    pub(super) output_tokens: u32,
    pub(super) body: Bytes,
    /// Open loop: when it is to be sent.
    pub(super) due: Option<Offset>,
    /// Which turn of which conversation it is.
    pub(super) turn: Option<Turn>,
}

/// Where a level stands in its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Index into the plan's levels.
    pub(super) index: u32,
    /// Number of its first request within the run.
    pub(super) first_request: u64,
    /// How often the run went on after it had been cut off: prompts of a level that was begun before are not sent again.
    pub(super) attempt: u32,
}

/// The level's requests.
pub(super) struct Schedule {
    plan: Arc<LoadPlan>,
    pub(super) level: Level,
    position: Position,
    /// Measured requests; none while time alone decides.
    measured: Option<u64>,
    counts: Mutex<Counts>,
    phase: AtomicU8,
    bodies: Vec<(Bytes, u32)>,
    /// Whether the caller has seen enough.
    enough: Enough,
    /// Set when the last measured request has ended.
    pub(super) measured_ended: CancellationToken,
    /// Set when the level is broken off, or cool-down takes too long: what is in flight is then cancelled.
    pub(super) over: CancellationToken,
}

struct Counts {
    start: Offset,
    arrivals: Option<Times>,
    /// Requests taken.
    issued: u64,
    /// Requests taken or to be taken by conversations that have begun.
    promised: u64,
    conversations: u64,
    in_flight: u64,
    measured_issued: u64,
    measured_ended: u64,
    measured_until: Option<Offset>,
    pace: Pace,
    /// Why no further measured request will be taken.
    closed: Option<MeasureEnd>,
}

/// Bodies made before a level starts, some 400 bytes each.
const PREPARED_REQUESTS_MAX: u64 = 65_536;
/// Resumptions whose prompts can be told apart, and levels of one run.
const LEVELS: u32 = 1 << 16;

const WARMUP: u8 = 0;
const MEASURE: u8 = 1;
const DRAIN: u8 = 2;

impl Schedule {
    pub(super) fn new(plan: Arc<LoadPlan>, level: Level, position: Position, over: CancellationToken) -> Self {
        let seed = plan.level_seed(position.index);
        let measured = level.planned_requests(seed).or(level.volume.requests());
        let arrivals = match &level.load {
            Load::Open { arrivals, .. } => Some(arrivals.times(seed, level.warmup_requests)),
            Load::Closed { .. } => None,
        };
        let slots = u64::from(level.most_in_flight().get());
        let first_phase = if level.warmup_requests == 0 { MEASURE } else { WARMUP };
        // In an open loop one cool-down request a slot, too; how long those of a closed one are is known when they are
        // taken, and what comes after too many is made then.
        let cool_down = if arrivals.is_some() { slots } else { 0 };
        let prepared = if plan.spec().work.conversations.is_some() {
            0
        } else {
            level
                .warmup_requests
                .saturating_add(measured.unwrap_or(16 * slots))
                .saturating_add(cool_down)
                .min(PREPARED_REQUESTS_MAX)
        };
        let mut schedule = Self {
            plan,
            level,
            position,
            measured,
            counts: Mutex::new(Counts {
                start: Offset::ZERO,
                arrivals,
                issued: 0,
                promised: 0,
                conversations: 0,
                in_flight: 0,
                measured_issued: 0,
                measured_ended: 0,
                measured_until: None,
                pace: Pace::default(),
                closed: (measured == Some(0)).then_some(MeasureEnd::Time),
            }),
            phase: AtomicU8::new(first_phase),
            bodies: Vec::new(),
            enough: Enough::default(),
            measured_ended: CancellationToken::new(),
            over,
        };
        schedule.bodies = (0..prepared).map(|k| schedule.body(k, schedule.prepared_stage(k), 0.0)).collect();
        schedule
    }

    /// Closes early once the caller has seen enough.
    pub(super) fn until(self, enough: Enough) -> Self {
        Self { enough, ..self }
    }

    /// What ended the measurement; none while it goes on.
    pub(super) fn ended_by(&self) -> Option<MeasureEnd> {
        self.counts().closed
    }

    /// The moment from which arrivals count.
    pub(super) fn start_at(&self, start: Offset) {
        self.counts().start = start;
    }

    /// Takes the next request at `now`; none when nothing is left to send.
    pub(super) fn take(&self, now: Offset) -> Option<Place> {
        let (number, stage, due, left) = {
            let mut counts = self.counts();
            let counts = &mut *counts;
            self.close_early(counts, now);
            if counts.is_measured() || self.burst_is_over(counts) {
                return None;
            }
            let due = match &mut counts.arrivals {
                // After the last recorded arrival there is nothing to send.
                Some(times) => Some(counts.start + times.next()?),
                None => None,
            };
            let (stage, _) = self.next_stage(counts, now, 1);
            let number = counts.issued;
            counts.issued += 1;
            counts.in_flight += u64::from(due.is_none());
            if stage == Stage::Measured {
                counts.pace.taken(now);
            }
            (number, stage, due, counts.pace.left(now))
        };
        if stage == Stage::Measured {
            self.reach(MEASURE);
        }
        let prepared = usize::try_from(number).ok().and_then(|n| self.bodies.get(n));
        // What was prepared for another stage asks for another length.
        let prepared = prepared.filter(|_| self.prepared_stage(number) == stage);
        let (body, output_tokens) = prepared.cloned().unwrap_or_else(|| self.body(number, stage, left));
        Some(Place { request: self.position.first_request + number, stage, output_tokens, body, due, turn: None })
    }

    /// A request of an open loop is being sent.
    pub(super) fn sending(&self) {
        self.counts().in_flight += 1;
    }

    /// A request that was sent has ended, after this time.
    pub(super) fn ended(&self, stage: Stage, took: Duration) {
        let mut counts = self.counts();
        counts.in_flight = counts.in_flight.saturating_sub(1);
        if stage == Stage::Measured {
            counts.measured_ended += 1;
            counts.pace.ended(took);
        }
        if counts.is_measured() {
            self.reach(DRAIN);
            self.measured_ended.cancel();
        }
    }

    /// Whether the last measured request has ended.
    pub(super) fn is_measured(&self) -> bool {
        self.counts().is_measured()
    }

    /// Index into the plan's levels.
    pub(super) fn index(&self) -> u32 {
        self.position.index
    }

    /// Requests taken.
    pub(super) fn issued(&self) -> u64 {
        self.counts().issued
    }

    /// Requests sent that have not ended.
    pub(super) fn in_flight(&self) -> u64 {
        self.counts().in_flight
    }

    /// Measured requests planned, 0 where time decides.
    pub(super) fn planned(&self) -> u64 {
        self.measured.unwrap_or(0)
    }

    /// The phase that the level is in.
    pub(super) fn phase(&self) -> PhaseKind {
        match self.phase.load(Ordering::Relaxed) {
            WARMUP => PhaseKind::Warmup,
            MEASURE => PhaseKind::Measure,
            _ => PhaseKind::Drain,
        }
    }

    fn reach(&self, phase: u8) {
        self.phase.fetch_max(phase, Ordering::Relaxed);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A closed loop that stops on time takes no measured request after it; nor does a level of which the caller has seen
    /// enough.
    fn close_early(&self, counts: &mut Counts, now: Offset) {
        if counts.measured_until.is_some_and(|until| now >= until) {
            counts.closed.get_or_insert(MeasureEnd::Time);
        }
        if counts.measured_issued > 0 && self.enough.of(self.position.index) {
            counts.closed.get_or_insert(MeasureEnd::Tight);
        }
    }

    /// To which part of the level the next `wanted` requests belong, and how many of them are still wanted there.
    fn next_stage(&self, counts: &mut Counts, now: Offset, wanted: u32) -> (Stage, u32) {
        let within = |left: u64| u32::try_from(left).map_or(wanted, |left| wanted.min(left));
        let warmup_left = self.level.warmup_requests.saturating_sub(counts.promised);
        if warmup_left > 0 {
            let wanted = within(warmup_left);
            counts.promised += u64::from(wanted);
            return (Stage::Warmup, wanted);
        }
        if counts.closed.is_some() {
            return (Stage::Cooldown, wanted);
        }
        if let (None, Some(time)) = (&counts.arrivals, self.level.volume.time()) {
            counts.measured_until.get_or_insert(now + time);
        }
        let measured_left = self.measured.map_or(u64::MAX, |all| all - counts.measured_issued);
        let wanted = within(measured_left);
        counts.measured_issued += u64::from(wanted);
        counts.promised += u64::from(wanted);
        if let Some(planned) = self.measured
            && counts.measured_issued >= planned
        {
            // In an open loop the number may be that of the arrivals in a given time.
            let by_number = self.level.volume.requests() == Some(planned);
            counts.closed = Some(if by_number { MeasureEnd::Requests } else { MeasureEnd::Time });
        }
        (Stage::Measured, wanted)
    }

    /// All at once has no load to keep up afterwards.
    fn burst_is_over(&self, counts: &Counts) -> bool {
        let at_once = matches!(self.level.load, Load::Open { arrivals: Arrivals::AtOnce, .. });
        at_once && counts.closed.is_some()
    }

    fn prepared_stage(&self, number: u64) -> Stage {
        let after = number.checked_sub(self.level.warmup_requests);
        match (after, self.measured) {
            (None, _) => Stage::Warmup,
            (Some(after), Some(planned)) if after >= planned => Stage::Cooldown,
            _ => Stage::Measured,
        }
    }

    /// The request's body and the output tokens that it asks for. Short warm-up fills a closed loop at little cost, and
    /// cool-down takes the share `left` of the whole length. In an open loop the load is rate times length, so there they
    /// are as long as the others.
    fn body(&self, number: u64, stage: Stage, left: f64) -> (Bytes, u32) {
        let (prompt, output_tokens) = self.ask(number, stage, 0, left);
        (self.plan.template().body(&prompt, output_tokens), output_tokens)
    }

    /// What a request asks, and the output tokens that it asks for; `turn` counts the questions before it, `left` is how
    /// much of the whole length cool-down takes.
    fn ask(&self, number: u64, stage: Stage, turn: u32, left: f64) -> (Prompt, u32) {
        let spec = self.plan.spec();
        let id =
            PromptId { seed: spec.seed, level: self.position.index + self.position.attempt * LEVELS, request: number };
        let nth = self.position.first_request + number;
        let entry = if turn == 0 { spec.work.workload.entry(id, nth) } else { spec.work.workload.follow_up(id, nth) };
        let whole = || {
            let osl = Lengths { mean: spec.osl.get(), stddev: spec.work.osl_stddev };
            let key = self.prompt_key(number);
            entry.output_tokens.unwrap_or_else(|| osl.of(key, 1))
        };
        let output_tokens = match (stage, &self.level.load) {
            _ if spec.work.endpoint == Endpoint::Embeddings => 0,
            (Stage::Measured, _) | (_, Load::Open { .. }) => whole(),
            (Stage::Cooldown, _) => pace::part(whole(), left, spec.warmup_osl.get()),
            _ => spec.warmup_osl.get(),
        };
        (entry.prompt, output_tokens)
    }

    /// What decides lengths of the request, or of the conversation, of this number.
    fn prompt_key(&self, number: u64) -> u64 {
        let level = self.position.index + self.position.attempt * LEVELS;
        mix(mix(self.plan.spec().seed) ^ (u64::from(level) << 44) ^ number)
    }
}

impl Counts {
    fn is_measured(&self) -> bool {
        self.closed.is_some() && self.measured_ended >= self.measured_issued
    }
}
