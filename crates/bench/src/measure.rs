//! One run: asks the server what it is, loads it, and writes down everything that happens. Computes nothing.

use std::{
    thread,
    time::{Duration, Instant},
};

use loadgen::{Done, Level, LoadPlan, RunEnd, StopHandle, workload::Workload};
use records::{
    ClockAnchor, EndReason, EngineFacts, Manifest, Offset, Phase, PhaseKind, RunDir, SCHEMA_VERSION, ServerUrl, Target,
    redact_url,
};

use crate::{
    BenchError, Context, Event,
    access::{Credentials, Watch},
    begun::Begun,
    host,
    recorder::Recorder,
    schedule,
    settings::Settings,
    stop_when::Watcher,
    telemetry::{self, Telemetry},
};

/// Characters of a model's name that a folder's name repeats at most.
const MODEL_NAME_CHARS_MAX: usize = 80;
/// Length of the baseline before the load, where there is a GPU whose idle power matters.
const IDLE_BASELINE: Duration = Duration::from_secs(10);
/// Time between two looks at the clock while the baseline lasts.
const IDLE_POLL: Duration = Duration::from_millis(250);

/// Result of one run.
#[derive(Debug)]
pub(crate) struct Measured {
    /// The run folder.
    pub(crate) dir: RunDir,
    /// How the load ended.
    pub(crate) end: EndReason,
}

/// Measures `levels`, or what `begun` still lacks of them. Once the load has begun it leaves a run folder that can be
/// reported, whatever happens.
pub(crate) fn measure(
    context: &Context<'_>,
    settings: &Settings,
    levels: Vec<Level>,
    begun: Option<Begun>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Measured, BenchError> {
    let Context { secrets, stop, .. } = *context;
    telemetry::check(&settings.telemetry, secrets)?;
    let url = &settings.target.url;
    let credentials = Credentials::for_server(&settings.connection, secrets)?;
    let watch = Watch::open(url, &settings.connection, &credentials)?;
    let engine = gpumon::describe::engine_facts(&watch.base, &watch.access);
    // The error with the server's own address in place of the tunnel's.
    let engine =
        engine.map_err(|e| BenchError::Server { reason: e.to_string().replace(&watch.base.to_string(), url) })?;
    let (plan, mut notes) = schedule::build(settings, levels, secrets, &engine)?;
    let epoch = begun.as_ref().map_or_else(Instant::now, |begun| begun.epoch);
    let probed = loadgen::probe(&plan, epoch, stop).map_err(BenchError::from).and_then(|_| match &begun {
        Some(begun) => begun.check(plan),
        None => calibrated(plan, epoch, stop, &mut notes),
    });
    // A trial that was stopped fails, too.
    let plan = if stop.is_stopped() { Err(BenchError::Stopped) } else { probed }?;

    let target = target(settings)?;
    let Begun { dir, mut manifest, done, lock: _lock, .. } = match begun {
        Some(begun) => begun.go_on(target)?,
        None => Begun::new(manifest(context, settings, target, &plan, engine), settings, epoch)?,
    };
    on_event(Event::RunStarted { dir: dir.path(), plan: &manifest.plan });
    let telemetry = Telemetry::start(&settings.telemetry, secrets, &watch.base, &watch.access, epoch)?;
    let mut recorder = Recorder::new(&dir, telemetry)?;
    idle_baseline(&mut recorder, epoch, stop, on_event)?;
    let mut watcher = settings
        .stop
        .map(|rule| Watcher::new(rule, manifest.judgement.confidence_level, manifest.plan.levels.clone(), stop));
    let end = load_and_record(&plan, &done, epoch, stop, &mut |event| {
        if let Some(watcher) = &mut watcher {
            watcher.observe(event);
        }
        on_event(Event::Load(event));
        recorder.record(event)
    });
    on_event(Event::LoadEnded);
    notes.extend(watcher.into_iter().flat_map(Watcher::notes));
    notes.extend(replicas(settings));
    notes.extend(context.notes.iter().cloned());
    let end = match recorder.finish() {
        Ok(more) => {
            notes.extend(more);
            end
        }
        Err(error) => failed(end, &error),
    };
    manifest.ended = Some(anchor(epoch));
    manifest.end = Some(end.clone());
    for note in notes {
        if !manifest.notes.contains(&note) {
            manifest.notes.push(note);
        }
    }
    let end = match dir.write_manifest(&manifest) {
        Ok(()) => end,
        // The manifest of the start is still there, and says the same: a run that did not come to its end.
        Err(error) => failed(end, &error.into()),
    };
    Ok(Measured { dir, end })
}

/// The target as the manifest contains it.
fn target(settings: &Settings) -> Result<Target, BenchError> {
    let url = settings.target.url.parse::<ServerUrl>()?.to_string();
    Ok(match settings.target.simulated_profile.clone() {
        Some(profile) => Target::Simulated { url, profile },
        None => Target::Server { url },
    })
}

fn replicas(settings: &Settings) -> Option<String> {
    let replicas = &settings.target.replicas;
    let others = replicas.iter().map(|url| redact_url(url)).collect::<Vec<_>>().join(", ");
    (!replicas.is_empty()).then(|| {
        format!(
            "the load was shared by several servers, slot by slot; besides the target: {others}; telemetry watched the target only"
        )
    })
}

/// The plan with prompts made to the server's own count of tokens.
fn calibrated(
    plan: LoadPlan,
    epoch: Instant,
    stop: &StopHandle,
    notes: &mut Vec<String>,
) -> Result<LoadPlan, BenchError> {
    if !matches!(plan.spec().work.workload, Workload::Synthetic(_)) {
        return Ok(plan);
    }
    if let Some(calibration) = loadgen::calibrate(&plan, epoch, stop)? {
        return Ok(plan.calibrated(calibration));
    }
    notes.push(
        "the server does not count prompt tokens, so a prompt has as many words as tokens were asked for".to_owned(),
    );
    Ok(plan)
}

/// The first failure counts: a full disk makes everything after it fail too.
fn failed(end: EndReason, error: &BenchError) -> EndReason {
    match end {
        EndReason::Failed { .. } => end,
        _ => EndReason::Failed { message: with_causes(error) },
    }
}

/// The message of an error with those of its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Watches the machine without load, so that its idle draw is known.
fn idle_baseline(
    recorder: &mut Recorder,
    epoch: Instant,
    stop: &StopHandle,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<(), BenchError> {
    let start_ns = Offset::from_duration(epoch.elapsed());
    let until = Instant::now() + if recorder.has_gpu() { IDLE_BASELINE } else { Duration::ZERO };
    while Instant::now() < until && !stop.is_stopped() {
        on_event(Event::IdleBaseline { left: until - Instant::now() });
        thread::sleep(IDLE_POLL);
    }
    recorder.idle_scrape()?;
    let end_ns = Offset::from_duration(epoch.elapsed());
    recorder.phase(&Phase { kind: PhaseKind::Idle, level: None, start_ns, end_ns, client: None, ended_by: None })
}

fn load_and_record(
    plan: &LoadPlan,
    done: &Done,
    epoch: Instant,
    stop: &StopHandle,
    on_event: &mut dyn FnMut(&loadgen::Event) -> Result<(), BenchError>,
) -> EndReason {
    match loadgen::resume(plan, done, epoch, stop, &mut |event| on_event(&event).map_err(Into::into)) {
        Ok(RunEnd::Completed) => EndReason::Completed,
        Ok(RunEnd::Interrupted) => EndReason::Interrupted,
        Ok(RunEnd::ServerLost { message }) => EndReason::ServerLost { message },
        Err(error) => EndReason::Failed { message: with_causes(&error) },
    }
}

fn manifest(
    context: &Context<'_>,
    settings: &Settings,
    target: Target,
    plan: &LoadPlan,
    engine: EngineFacts,
) -> Manifest {
    let started = ClockAnchor { offset_ns: Offset::ZERO, unix_ns: host::unix_ns() };
    let plan = plan.to_record();
    let run_id = settings.output.run_id.clone();
    let run_id = run_id.unwrap_or_else(|| self::run_id(started.unix_ns, settings, &plan.model));
    let mut complete = settings.clone();
    complete.target.model = Some(plan.model.clone());
    complete.load.seed = Some(plan.seed);
    complete.output.run_id = Some(run_id.clone());
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id,
        tool: host::tool(),
        argv: context.command_line.to_vec(),
        settings: serde_json::to_value(complete).ok(),
        search: None,
        target,
        plan,
        host: host::host(),
        engine,
        started,
        ended: None,
        end: None,
        resumed: Vec::new(),
        notes: Vec::new(),
        judgement: settings.judgement,
    }
}

/// `20261124-064500-gemma-3-12b-it`, with `-simulated` where it is.
pub(crate) fn run_id(unix_ns: u64, settings: &Settings, model: &str) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(unix_ns)).unwrap_or_default();
    let name = model.rsplit('/').next().unwrap_or(model);
    let safe: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' }).collect();
    let simulated = if settings.target.simulated_profile.is_some() { "-simulated" } else { "" };
    // A name is ASCII here, and a file system takes 255 bytes of one.
    let safe: String = safe.trim_start_matches('.').chars().take(MODEL_NAME_CHARS_MAX).collect();
    format!("{}-{safe}{simulated}", time.strftime("%Y%m%d-%H%M%S"))
}

fn anchor(epoch: Instant) -> ClockAnchor {
    ClockAnchor { offset_ns: Offset::from_duration(epoch.elapsed()), unix_ns: host::unix_ns() }
}
