//! One level: hands out requests to its slots, collects their records, decides when it is over.

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::Bytes;
use records::{PhaseKind, RequestRecord, Stage};
use tokio_util::sync::CancellationToken;

use super::{
    Event,
    loss::LossDetector,
    tally::Tally,
    worker::{Worker, event_loop},
};
use crate::{
    LoadError, LoadPlan, SinkError,
    clock::Clock,
    keep_alive::Habit,
    overhead::ThreadLoad,
    plan::Level,
    workload::{PromptId, prompt},
};

/// Time between two reports of progress, and between two looks at the drain deadline.
const PROGRESS: Duration = Duration::from_millis(100);

/// What all levels share.
pub(super) struct Context {
    pub(super) plan: Arc<LoadPlan>,
    pub(super) addresses: Arc<[SocketAddr]>,
    pub(super) clock: Clock,
    /// What the run has learned about the server's connections.
    pub(super) habit: Arc<Habit>,
    pub(super) stop: CancellationToken,
    pub(super) processors: NonZeroUsize,
}

/// How a level ended.
pub(super) struct End {
    pub(super) kind: EndKind,
    /// Requests taken by slots.
    pub(super) issued: u64,
}

pub(super) enum EndKind {
    Done,
    Stopped,
    ServerLost { message: String },
}

type Sink<'a> = dyn FnMut(Event) -> Result<(), SinkError> + 'a;

/// Runs one level on threads of its own and returns when all of them have ended.
pub(super) fn run(
    context: &Context,
    index: u32,
    level: Level,
    first_request: u64,
    sink: &mut Sink<'_>,
) -> Result<End, LoadError> {
    let over = context.stop.child_token();
    let plan = Arc::clone(&context.plan);
    let schedule = Arc::new(Schedule::new(plan, index, level, first_request, over));
    let concurrency = level.concurrency.get();
    tell(
        sink,
        Event::LevelStarted {
            level: index,
            concurrency,
        },
    )?;
    let (records, threads) = start(context, &schedule)?;
    let mut tally = Tally::new(index, level);
    let lost = collect(context, &schedule, &records, &mut tally, sink)?;
    let loads = join(threads, index)?;
    for phase in tally.phases(context.clock.now(), &loads) {
        tell(sink, Event::Phase(phase))?;
    }
    let issued = schedule.issued();
    let kind = match lost {
        Some(message) => EndKind::ServerLost { message },
        None if tally.is_measured() => {
            tell(sink, Event::LevelDone { level: index })?;
            EndKind::Done
        }
        None => EndKind::Stopped,
    };
    Ok(End { kind, issued })
}

/// Takes records until every slot has stopped. The message when the server was lost.
fn collect(
    context: &Context,
    schedule: &Schedule,
    records: &mpsc::Receiver<RequestRecord>,
    tally: &mut Tally,
    sink: &mut Sink<'_>,
) -> Result<Option<String>, LoadError> {
    let mut detector = LossDetector::new(schedule.level.concurrency.get());
    let mut lost = None;
    let mut failure = None;
    let mut measured_since = None;
    let mut over_since = None;
    let mut told = Instant::now();
    loop {
        let event = match records.recv_timeout(PROGRESS) {
            Ok(record) => {
                tally.add(&record);
                lost = lost.or_else(|| detector.observe(&record.outcome));
                Some(Event::Request(record))
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if event.is_none() && schedule.over.is_cancelled() {
            let waited = over_since.get_or_insert_with(Instant::now).elapsed();
            if waited > context.plan.spec().drain {
                let level = schedule.index;
                return Err(failure.unwrap_or(LoadError::DrainDeadline { level, waited }));
            }
        } else if event.is_none() && schedule.is_measured() {
            let waited = measured_since.get_or_insert_with(Instant::now).elapsed();
            if waited > context.plan.spec().drain {
                schedule.over.cancel();
            }
        }
        let progress = (told.elapsed() >= PROGRESS).then(|| {
            told = Instant::now();
            Event::Progress(tally.progress(schedule.issued()))
        });
        // After the first failure records are only counted: the sink is not asked again.
        for event in event.into_iter().chain(progress) {
            if failure.is_none() {
                failure = tell(sink, event).err();
            }
        }
        if failure.is_some() || lost.is_some() {
            schedule.over.cancel();
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None => tell(sink, Event::Progress(tally.progress(schedule.issued()))).map(|()| lost),
    }
}

fn tell(sink: &mut Sink<'_>, event: Event) -> Result<(), LoadError> {
    sink(event).map_err(|source| LoadError::Sink { source })
}

type Threads = Vec<JoinHandle<Vec<ThreadLoad>>>;

/// Starts the threads; the channel closes when the last of them has ended.
fn start(
    context: &Context,
    schedule: &Arc<Schedule>,
) -> Result<(mpsc::Receiver<RequestRecord>, Threads), LoadError> {
    let failed = |source| LoadError::Thread { source };
    let slots = schedule.level.concurrency;
    let count = context.plan.spec().threads.count(slots, context.processors);
    // All event loops before the first thread: a level never runs on fewer than it was given.
    let runtimes: Vec<_> = (0..count)
        .map(|_| event_loop())
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let (sender, receiver) = mpsc::channel();
    let level_start = context.clock.now();
    let mut threads = Vec::with_capacity(count);
    for (number, runtime) in runtimes.into_iter().enumerate() {
        let worker = Worker {
            plan: Arc::clone(&context.plan),
            addresses: Arc::clone(&context.addresses),
            clock: context.clock,
            habit: Arc::clone(&context.habit),
            schedule: Arc::clone(schedule),
            halt: schedule.over.child_token(),
            slots: (0..slots.get()).skip(number).step_by(count).collect(),
            level_start,
            records: sender.clone(),
        };
        let started = thread::Builder::new()
            .name(format!("load-{number}"))
            .spawn(move || worker.run(&runtime));
        match started {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                schedule.over.cancel();
                return Err(failed(error));
            }
        }
    }
    Ok((receiver, threads))
}

fn join(threads: Threads, level: u32) -> Result<Vec<Vec<ThreadLoad>>, LoadError> {
    threads
        .into_iter()
        .map(|thread| thread.join().map_err(|_| LoadError::Panicked { level }))
        .collect()
}

/// Which request comes next. Shared by all slots of a level.
pub(super) struct Schedule {
    plan: Arc<LoadPlan>,
    index: u32,
    level: Level,
    first_request: u64,
    issued: AtomicU64,
    measured_left: AtomicU64,
    phase: AtomicU8,
    bodies: Vec<Bytes>,
    /// Set when the level is broken off, or cool-down takes too long: what is in flight is then cancelled.
    pub(super) over: CancellationToken,
}

/// A request that a slot has taken.
pub(super) struct Place {
    pub(super) request: u64,
    pub(super) stage: Stage,
    pub(super) output_tokens: u32,
    pub(super) body: Bytes,
}

/// Bodies made before a level starts, some 400 bytes each.
const MAX_PREPARED: u64 = 65_536;

const WARMUP: u8 = 0;
const MEASURE: u8 = 1;
const DRAIN: u8 = 2;

impl Schedule {
    fn new(
        plan: Arc<LoadPlan>,
        index: u32,
        level: Level,
        first_request: u64,
        over: CancellationToken,
    ) -> Self {
        let mut schedule = Self {
            plan,
            index,
            level,
            first_request,
            issued: AtomicU64::new(0),
            measured_left: AtomicU64::new(level.requests.get()),
            phase: AtomicU8::new(if level.warmup_requests == 0 {
                MEASURE
            } else {
                WARMUP
            }),
            bodies: Vec::new(),
            over,
        };
        // One cool-down request a slot; what comes after these, or after too many, is made when it is taken.
        let prepared =
            level.warmup_requests + level.requests.get() + u64::from(level.concurrency.get());
        let prepared = prepared.min(MAX_PREPARED);
        schedule.bodies = (0..prepared).map(|k| schedule.body(k)).collect();
        schedule
    }

    /// Takes the next request; none when the last measured one has ended.
    pub(super) fn take(&self) -> Option<Place> {
        if self.is_measured() {
            return None;
        }
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let stage = self.stage(number);
        if stage == Stage::Measured {
            self.phase.fetch_max(MEASURE, Ordering::Relaxed);
        }
        let prepared = usize::try_from(number)
            .ok()
            .and_then(|n| self.bodies.get(n));
        Some(Place {
            request: self.first_request + number,
            stage,
            output_tokens: self.output_tokens(number),
            body: prepared.cloned().unwrap_or_else(|| self.body(number)),
        })
    }

    /// A request that was taken has ended.
    pub(super) fn ended(&self, stage: Stage) {
        if stage == Stage::Measured && self.measured_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.phase.fetch_max(DRAIN, Ordering::Relaxed);
        }
    }

    /// Whether the last measured request has ended.
    fn is_measured(&self) -> bool {
        self.measured_left.load(Ordering::Relaxed) == 0
    }

    /// Index into the plan's levels.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// Requests taken.
    pub(super) fn issued(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }

    /// The phase that the level is in.
    pub(super) fn phase(&self) -> PhaseKind {
        match self.phase.load(Ordering::Relaxed) {
            WARMUP => PhaseKind::Warmup,
            MEASURE => PhaseKind::Measure,
            _ => PhaseKind::Drain,
        }
    }

    fn stage(&self, number: u64) -> Stage {
        let Level {
            warmup_requests,
            requests,
            ..
        } = self.level;
        if number < warmup_requests {
            Stage::Warmup
        } else if number - warmup_requests < requests.get() {
            Stage::Measured
        } else {
            Stage::Cooldown
        }
    }

    fn output_tokens(&self, number: u64) -> u32 {
        let spec = self.plan.spec();
        match self.stage(number) {
            Stage::Measured => spec.osl.get(),
            _ => spec.warmup_osl.get(),
        }
    }

    fn body(&self, number: u64) -> Bytes {
        let text = prompt(PromptId {
            seed: self.plan.spec().seed,
            level: self.index,
            request: number,
        });
        self.plan.template().body(&text, self.output_tokens(number))
    }
}
