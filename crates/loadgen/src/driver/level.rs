//! One level: hands out requests to its slots, collects their records, decides when it is over.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use records::{Clock, PhaseKind, RequestRecord};
use tokio_util::sync::CancellationToken;

use super::{
    Enough, Event, Route,
    level_progress::LevelProgress,
    schedule::{Position, Schedule},
    server_loss::LossDetector,
    worker::{Worker, event_loop},
};
use crate::{LoadError, LoadPlan, SinkError, keep_alive::KeepAliveSupport, level::Level, overhead::ThreadLoad};

/// Time between two reports of progress, and between two looks at the drain deadline.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Between the start of a level's threads and the first arrival of an open loop.
const LEVEL_LEAD: Duration = Duration::from_millis(20);

/// What all levels share.
pub(super) struct Context {
    pub(super) plan: Arc<LoadPlan>,
    pub(super) routes: Arc<[Route]>,
    pub(super) clock: Clock,
    /// What the run has learned about the server's connections.
    pub(super) habit: Arc<KeepAliveSupport>,
    pub(super) stop: CancellationToken,
    /// Set by a caller that has seen enough of a level.
    pub(super) enough: Enough,
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
pub(super) fn run(context: &Context, level: Level, position: Position, sink: &mut Sink<'_>) -> Result<End, LoadError> {
    let index = position.index;
    let over = context.stop.child_token();
    let plan = Arc::clone(&context.plan);
    let concurrency = level.most_in_flight().get();
    let warmup = level.warmup_requests;
    let ramped = level.is_ramped();
    let enough = context.enough.clone();
    let schedule = Arc::new(Schedule::new(plan, level, position, over).until(enough));
    tell(sink, Event::LevelStarted { level: index, concurrency })?;
    let (records, threads) = start(context, &schedule)?;
    let mut tally = LevelProgress::new(index, warmup, schedule.planned()).ramped(ramped);
    let lost = collect(context, &schedule, &records, &mut tally, sink)?;
    let loads = join(threads, index)?;
    let whole = lost.is_none() && schedule.is_measured() && !tally.lost_measured();
    for mut phase in tally.phases(context.clock.at(Instant::now()), &loads) {
        if whole && phase.kind == PhaseKind::Measure {
            phase.ended_by = schedule.ended_by();
        }
        tell(sink, Event::Phase(phase))?;
    }
    let issued = schedule.issued();
    let kind = match lost {
        Some(message) => EndKind::ServerLost { message },
        None if whole => {
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
    tally: &mut LevelProgress,
    sink: &mut Sink<'_>,
) -> Result<Option<String>, LoadError> {
    let mut detector = LossDetector::new(schedule.level.most_in_flight().get());
    let mut lost = None;
    let mut failure = None;
    let mut measured_since = None;
    let mut over_since = None;
    let mut told = Instant::now();
    loop {
        let event = match records.recv_timeout(PROGRESS_INTERVAL) {
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
                let level = schedule.index();
                return Err(failure.unwrap_or(LoadError::DrainDeadline { level, waited }));
            }
        } else if event.is_none() && schedule.is_measured() {
            let waited = measured_since.get_or_insert_with(Instant::now).elapsed();
            if waited > context.plan.spec().drain {
                schedule.over.cancel();
            }
        }
        let progress = (told.elapsed() >= PROGRESS_INTERVAL).then(|| {
            told = Instant::now();
            Event::Progress(tally.progress(schedule.in_flight()))
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
        None => tell(sink, Event::Progress(tally.progress(schedule.in_flight()))).map(|()| lost),
    }
}

fn tell(sink: &mut Sink<'_>, event: Event) -> Result<(), LoadError> {
    sink(event).map_err(|source| LoadError::Sink { source })
}

type Threads = Vec<JoinHandle<Vec<ThreadLoad>>>;

/// Starts the threads; the channel closes when the last of them has ended.
fn start(context: &Context, schedule: &Arc<Schedule>) -> Result<(mpsc::Receiver<RequestRecord>, Threads), LoadError> {
    let failed = |source| LoadError::Thread { source };
    let slots = schedule.level.most_in_flight();
    let count = context.plan.spec().threads.count(slots, context.processors);
    // All event loops before the first thread: a level never runs on fewer than it was given.
    let runtimes: Vec<_> = (0..count).map(|_| event_loop()).collect::<Result<_, _>>().map_err(failed)?;
    let (sender, receiver) = mpsc::channel();
    // Threads take a moment to start; a schedule that begins later is met from its first arrival on.
    let level_start = context.clock.at(Instant::now());
    schedule.start_at(level_start + LEVEL_LEAD);
    let mut threads = Vec::with_capacity(count);
    for (number, runtime) in runtimes.into_iter().enumerate() {
        let worker = Worker {
            plan: Arc::clone(&context.plan),
            routes: Arc::clone(&context.routes),
            clock: context.clock,
            habit: Arc::clone(&context.habit),
            schedule: Arc::clone(schedule),
            halt: schedule.over.child_token(),
            slots: (0..slots.get()).skip(number).step_by(count).collect(),
            level_start,
            records: sender.clone(),
        };
        let started = thread::Builder::new().name(format!("load-{number}")).spawn(move || worker.run(&runtime));
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
    threads.into_iter().map(|thread| thread.join().map_err(|_| LoadError::Panicked { level })).collect()
}
