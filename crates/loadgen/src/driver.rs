//! Runs a plan: level after level, each either a fixed number of slots that send their next request when the last one
//! ended (closed loop), or a schedule that does not wait for the server (open loop).
//!
//! A level with `c` slots, `W` warm-up and `M` measured requests: requests are numbered in the order in which slots take
//! them; the first `W` are warm-up, the next `M` are measured, what follows is cool-down. Slots never wait for each
//! other, so warm-up is handed over to measurement under full load, and the load stays full until the last measured
//! request has ended. Then nothing more is sent, the cool-down requests in flight (short, as warm-up is) end by
//! themselves, phases are told, and [`Event::LevelDone`] reaches the caller while the server is idle: what client and
//! server counted until then is the same work.
//!
//! An open loop goes the same way: its schedule goes on at the same rate until the last measured request has ended.
//! A request that finds no free slot is sent late and says so: `intended_ns` is the schedule's.
//!
//! Slots live on threads of their own; records reach the calling thread through a channel, and it alone calls the sink.
//! The server's name is resolved once per run, so no resolver's time is in any record.

mod level;
mod level_progress;
mod retry;
mod schedule;
mod server_loss;
mod worker;

pub(crate) use worker::event_loop;

use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use records::{Clock, Outcome, Phase, RequestRecord, Stage};
use tokio_util::sync::CancellationToken;

use crate::{
    LoadError, LoadPlan, SinkError, Target,
    connector::Connector,
    keep_alive::{KeepAliveSupport, SlotConnection},
    request::{Client, Job},
    workload::{Calibration, Prompt, PromptId, Synthetic, Workload},
};

/// What happens during a run, in order.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all events are requests: a box for each would save nothing")]
#[non_exhaustive]
pub enum Event {
    /// A level begins.
    LevelStarted {
        /// Index into the plan's levels.
        level: u32,
        /// Slots; in an open loop, requests in flight at most.
        concurrency: u32,
    },
    /// A request attempt has ended.
    Request(RequestRecord),
    /// About ten times a second, and at the end of a level.
    Progress(Progress),
    /// A phase has ended. Phases are told at the end of their level, also when it was broken off.
    Phase(Phase),
    /// The level ran to its planned end and nothing of ours is in flight. The next level begins when the sink returns.
    LevelDone {
        /// Index into the plan's levels.
        level: u32,
    },
}

/// How far a level is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Index into the plan's levels.
    pub level: u32,
    /// Warm-up and measured requests that have ended.
    pub finished: u64,
    /// Warm-up and measured requests planned; 0 where time decides.
    pub planned: u64,
    /// Requests in flight, whatever their kind.
    pub in_flight: u64,
    /// Output tokens of all requests that have ended.
    pub output_tokens: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Every level ran to its planned end.
    Completed,
    /// [`StopHandle::stop`] was called before that.
    Interrupted,
    /// The server stopped answering; later levels were not run.
    ServerLost {
        /// What was seen.
        message: String,
    },
}

/// Ends a run from another thread. Clones share one switch.
#[derive(Clone, Debug, Default)]
pub struct StopHandle {
    stop: CancellationToken,
    enough: Enough,
}

/// The last level of which enough has been measured, plus one.
#[derive(Clone, Debug, Default)]
struct Enough(Arc<AtomicU64>);

impl Enough {
    fn of(&self, level: u32) -> bool {
        self.0.load(Ordering::Relaxed) == u64::from(level) + 1
    }
}

impl StopHandle {
    /// A switch that is off.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the run: requests in flight are recorded as cancelled, phases are closed. Has no effect the second time.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// No further measured request is taken at this level; those in flight end, under load, and count. For a sink that
    /// has seen enough.
    pub fn enough(&self, level: u32) {
        self.enough.0.store(u64::from(level) + 1, Ordering::Relaxed);
    }

    /// Whether it was called.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }
}

/// What of a plan has been done before, by a run that was cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Levels that need not be run, as indices into the plan's.
    pub levels: BTreeSet<u32>,
    /// Number of the next request.
    pub next_request: u64,
    /// How often the run went on before, this time included: 0 for a run that was never cut off.
    pub attempt: u32,
}

/// Runs the plan on the calling thread and threads of its own, until its end. `epoch` is the zero of all stamps.
///
/// # Errors
/// [`LoadError`]; a request that fails is no error but a record. What the sink was given until then stands.
pub fn run(
    plan: &LoadPlan,
    epoch: Instant,
    stop: &StopHandle,
    sink: &mut dyn FnMut(Event) -> Result<(), SinkError>,
) -> Result<RunEnd, LoadError> {
    resume(plan, &Done::default(), epoch, stop, sink)
}

/// Runs the remaining levels. Interrupted levels restart with fresh prompts.
///
/// # Errors
/// As [`run`].
pub fn resume(
    plan: &LoadPlan,
    done: &Done,
    epoch: Instant,
    stop: &StopHandle,
    sink: &mut dyn FnMut(Event) -> Result<(), SinkError>,
) -> Result<RunEnd, LoadError> {
    let context = level::Context {
        plan: Arc::new(plan.clone()),
        routes: routes(plan)?,
        clock: Clock::new(epoch),
        habit: Arc::default(),
        stop: stop.stop.clone(),
        enough: stop.enough.clone(),
        processors: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    };
    let mut first_request = done.next_request;
    for (index, level) in (0..).zip(&plan.spec().levels) {
        if done.levels.contains(&index) {
            continue;
        }
        if stop.is_stopped() {
            return Ok(RunEnd::Interrupted);
        }
        let position = schedule::Position { index, first_request, attempt: done.attempt };
        let end = level::run(&context, level.clone(), position, sink)?;
        first_request += end.issued;
        match end.kind {
            level::EndKind::Done => {}
            level::EndKind::Stopped => return Ok(RunEnd::Interrupted),
            level::EndKind::ServerLost { message } => return Ok(RunEnd::ServerLost { message }),
        }
    }
    Ok(RunEnd::Completed)
}

/// Sends one short request before a run. Its record is no part of the run: its numbers are those of no planned request.
///
/// # Errors
/// [`LoadError::Probe`] with the server's own message when it did not complete; or what keeps every request from
/// being sent.
pub fn probe(plan: &LoadPlan, epoch: Instant, stop: &StopHandle) -> Result<RequestRecord, LoadError> {
    let id = PromptId { seed: plan.spec().seed, level: TRIAL_LEVEL, request: 0 };
    let prompt = plan.spec().work.workload.entry(id, 0).prompt;
    trial(plan, &prompt, epoch, stop)
}

/// A server and the way to it.
#[derive(Debug)]
struct Route {
    target: Target,
    connector: Connector,
}

/// The ways to all servers of the plan.
fn routes(plan: &LoadPlan) -> Result<Arc<[Route]>, LoadError> {
    let spec = plan.spec();
    let targets = std::iter::once(&spec.target).chain(&spec.replicas);
    targets
        .map(|target| {
            let connector = Connector::new(target)?;
            let target = target.clone();
            Ok(Route { target, connector })
        })
        .collect()
}

/// Level number of trial requests. No plan reaches it, so trial prompts share no prefix with measured ones.
const TRIAL_LEVEL: u32 = u32::MAX >> 12;

/// Words of the two prompts that calibrate tokens per word.
const CALIBRATION_WORDS_MIN: u32 = 32;
const CALIBRATION_WORDS_MAX: u32 = 288;

/// Finds out how words become tokens, with two short requests. `None` when the plan's prompts are not made of words, or
/// the server does not count.
///
/// # Errors
/// As [`probe`].
pub fn calibrate(plan: &LoadPlan, epoch: Instant, stop: &StopHandle) -> Result<Option<Calibration>, LoadError> {
    if !matches!(plan.spec().work.workload, Workload::Synthetic(_)) {
        return Ok(None);
    }
    let tokens = |words: u32| -> Result<Option<u64>, LoadError> {
        let id = PromptId { seed: plan.spec().seed, level: TRIAL_LEVEL, request: u64::from(words) };
        let prompt = Prompt::Text(Synthetic::probe(id, words));
        Ok(trial(plan, &prompt, epoch, stop)?.prompt_tokens)
    };
    let counted = tokens(CALIBRATION_WORDS_MIN)?.zip(tokens(CALIBRATION_WORDS_MAX)?);
    Ok(counted
        .and_then(|(few, many)| Calibration::between((CALIBRATION_WORDS_MIN, few), (CALIBRATION_WORDS_MAX, many))))
}

fn trial(plan: &LoadPlan, prompt: &Prompt, epoch: Instant, stop: &StopHandle) -> Result<RequestRecord, LoadError> {
    let spec = plan.spec();
    let clock = Clock::new(epoch);
    let client = Client {
        target: &spec.target,
        connector: &Connector::new(&spec.target)?,
        timeouts: spec.timeouts,
        stream: spec.work.stream,
        endpoint: spec.work.endpoint,
        answer: None,
        clock,
        halt: stop.stop.clone(),
    };
    let job = Job {
        request: u64::MAX,
        level: u32::MAX,
        stage: Stage::Warmup,
        slot: 0,
        turn: None,
        retry: 0,
        intended: clock.at(Instant::now()),
        asked_output_tokens: spec.warmup_osl.get(),
        body: plan.template().body(prompt, spec.warmup_osl.get()),
    };
    let runtime = event_loop().map_err(|source| LoadError::Thread { source })?;
    let record = runtime.block_on(client.attempt(&mut SlotConnection::new(&KeepAliveSupport::irrelevant()), job));
    match probe_fault(&record.outcome, &spec.target) {
        None => Ok(record),
        Some((message, hint)) => Err(LoadError::Probe { message, hint }),
    }
}

fn probe_fault(outcome: &Outcome, target: &Target) -> Option<(String, &'static str)> {
    let url = target.url();
    Some(match outcome {
        Outcome::Completed { .. } => return None,
        Outcome::ConnectFailed { message, .. } => {
            (format!("no connection to {url}: {message}"), "is the server running, and is this its address?")
        }
        Outcome::TimedOut { phase } => (
            format!("no answer from {url} in time ({phase:?})"),
            "is the server overloaded or behind a firewall? deadlines can be raised",
        ),
        Outcome::HttpStatus { status, body } => {
            let message = crate::openai::error_message(body.as_bytes());
            let message = message.as_deref().unwrap_or(body);
            (format!("the server answered {status}: {message}"), status_hint(*status))
        }
        Outcome::Cut { message } => (format!("the connection broke: {message}"), "look into the server's log"),
        Outcome::ErrorInStream { message } => {
            (format!("the server reported an error: {message}"), "look into the server's log")
        }
        Outcome::Malformed { message } => {
            (message.clone(), "is this the URL of an OpenAI-compatible server that streams?")
        }
        Outcome::NoTokens => ("the answer holds no token".to_owned(), "does the model answer a chat request at all?"),
        Outcome::Cancelled => ("it was stopped".to_owned(), "run again"),
        other => (format!("{other:?}"), "please report this"),
    })
}

fn status_hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "check the API key",
        404 => "check the URL and the model name; GET /v1/models lists the names that the server knows",
        400 | 422 => "the server refuses the request; a field that it does not know may be the reason",
        429 => "the server limits requests; a load test needs that limit lifted",
        _ => "look into the server's log",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_says_what_is_wrong_in_the_servers_own_words() {
        let target = Target::new("http://h:1", "m", None, &[]).unwrap();
        // The body that vLLM 0.11.2 sends for an unknown model.
        let body = r#"{"error":{"message":"The model `no-such-model` does not exist.","type":"NotFoundError","param":null,"code":404}}"#;
        let outcome = Outcome::HttpStatus { status: 404, body: body.to_owned() };
        let (message, hint) = probe_fault(&outcome, &target).unwrap();
        assert_eq!(message, "the server answered 404: The model `no-such-model` does not exist.");
        assert!(hint.contains("model name"));
        let done = Outcome::Completed { finish_reason: None };
        assert_eq!(probe_fault(&done, &target), None);
    }
}
