//! The measuring part: ask the server what it is, load it, write down everything that happens. Nothing is computed here.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use loadgen::{Done, LoadPlan, RunEnd, StopHandle, workload::Workload};
use records::{
    ClockAnchor, EndReason, EngineFacts, Manifest, Offset, Phase, PhaseKind, RunDir, SCHEMA_VERSION, Target,
};

use crate::{
    access::{Secrets, Watch},
    cli::{LoadArgs, OutputArgs},
    exit::{self, Exit, WithExit as _},
    host,
    interrupt::Interrupt,
    levels::Defaults,
    overhead, plan,
    recorder::Recorder,
    redact,
    resume::Begun,
    stop_when::Watcher,
    telemetry::{self, Telemetry},
};

/// Length of the baseline before the load, where there is a GPU whose idle power matters.
const IDLE_BASELINE: Duration = Duration::from_secs(10);

/// What a measurement left.
#[derive(Debug)]
pub(crate) struct Measured {
    /// The run folder.
    pub(crate) dir: RunDir,
    /// How the load ended.
    pub(crate) end: EndReason,
}

/// Measures `target` as `load` says. Leaves a run folder that can be reported, whatever happens once the load has begun.
pub(crate) fn measure(
    target: Target,
    load: &LoadArgs,
    defaults: Defaults,
    output: &OutputArgs,
    begun: Option<Begun>,
) -> anyhow::Result<Measured> {
    telemetry::check(&load.telemetry)?;
    let secrets = Secrets::gather(load)?;
    let watch = Watch::open(target.url(), load, &secrets)?;
    let engine = gpumon::describe::engine_facts(&watch.base, &watch.access);
    let engine = engine.map_err(|e| exit::error(Exit::Server, not_through(e, &watch, target.url())))?;
    let (plan, mut notes) = plan::build(target.url(), load, &secrets, defaults, &engine)?;
    let stop = StopHandle::default();
    let on_interrupt = stop.clone();
    let interrupt = Interrupt::install_with(move || on_interrupt.stop())?;
    let epoch = begun.as_ref().map_or_else(Instant::now, |begun| begun.epoch);
    loadgen::probe(&plan, epoch, &stop).exit(Exit::Server)?;
    let plan = match &begun {
        Some(begun) => begun.check(plan)?,
        None => calibrated(plan, epoch, &stop, &mut notes)?,
    };

    let Begun { dir, mut manifest, done, lock: _lock, .. } = match begun {
        Some(begun) => begun.go_on(target)?,
        None => Begun::new(manifest(target, &plan, engine, output), load.clone(), output, epoch)?,
    };
    let telemetry = Telemetry::start(&load.telemetry, &watch.base, &watch.access, epoch)?;
    let mut recorder = Recorder::new(&dir, &manifest, telemetry)?;
    idle_baseline(&mut recorder, epoch, &interrupt)?;
    let judged = manifest.judgement.confidence_level;
    let slots = manifest.plan.levels.clone();
    let mut watcher = Watcher::new(&load.stop, judged, slots, &stop);
    let end = load_and_record(&plan, &done, &mut recorder, &mut watcher, epoch, &stop);
    notes.extend(watcher.into_iter().flat_map(Watcher::notes));
    notes.extend((!load.replicas.is_empty()).then(|| {
        let others = load.replicas.iter().map(|url| records::redact_url(url)).collect::<Vec<_>>().join(", ");
        format!("the load was shared by several servers, slot by slot; besides the target: {others}; telemetry watched the target only")
    }));
    notes.extend(overhead_note(&output.result_dir, load.series.num_runs));
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

/// What `overhead` measured on this machine; the runs of a series lie a folder deeper.
fn overhead_note(result_dir: &Path, runs: u32) -> Option<String> {
    let above = result_dir.parent().filter(|_| runs > 1);
    overhead::note(result_dir).or_else(|| overhead::note(above?))
}

/// The error with the server's own address in place of the tunnel's.
fn not_through(error: impl Into<anyhow::Error>, watch: &Watch, url: &str) -> String {
    format!("{:#}", error.into()).replace(&watch.base.to_string(), url)
}

/// The plan with prompts made to the server's own count of tokens.
fn calibrated(plan: LoadPlan, epoch: Instant, stop: &StopHandle, notes: &mut Vec<String>) -> anyhow::Result<LoadPlan> {
    if !matches!(plan.spec().work.workload, Workload::Synthetic(_)) {
        return Ok(plan);
    }
    if let Some(calibration) = loadgen::calibrate(&plan, epoch, stop).exit(Exit::Server)? {
        return Ok(plan.calibrated(calibration));
    }
    notes.push(
        "the server does not count prompt tokens, so a prompt has as many words as tokens were asked for".to_owned(),
    );
    Ok(plan)
}

/// What the first failure says counts: a full disk makes everything after it fail too.
fn failed(end: EndReason, error: &anyhow::Error) -> EndReason {
    match end {
        EndReason::Failed { .. } => end,
        _ => EndReason::Failed { message: format!("{error:#}") },
    }
}

/// Watches the machine without load, so that what it takes idle is known.
fn idle_baseline(recorder: &mut Recorder, epoch: Instant, interrupt: &Interrupt) -> anyhow::Result<()> {
    let start_ns = Offset::from_duration(epoch.elapsed());
    let until = Instant::now() + if recorder.has_gpu() { IDLE_BASELINE } else { Duration::ZERO };
    while Instant::now() < until && !interrupt.requested() {
        recorder.say(&format!("idle baseline, {} s left", (until - Instant::now()).as_secs() + 1));
        thread::sleep(Duration::from_millis(250));
    }
    recorder.idle_scrape()?;
    let end_ns = Offset::from_duration(epoch.elapsed());
    recorder.phase(&Phase { kind: PhaseKind::Idle, level: None, start_ns, end_ns, client: None, ended_by: None })
}

fn load_and_record(
    plan: &LoadPlan,
    done: &Done,
    recorder: &mut Recorder,
    watcher: &mut Option<Watcher>,
    epoch: Instant,
    stop: &StopHandle,
) -> EndReason {
    let end = loadgen::resume(plan, done, epoch, stop, &mut |event| {
        if let Some(watcher) = watcher {
            watcher.observe(&event);
        }
        recorder.record(event).map_err(Into::into)
    });
    match end {
        Ok(RunEnd::Completed) => EndReason::Completed,
        Ok(RunEnd::Interrupted) => EndReason::Interrupted,
        Ok(RunEnd::ServerLost { message }) => EndReason::ServerLost { message },
        Err(error) => EndReason::Failed { message: format!("{:#}", anyhow::Error::from(error)) },
    }
}

fn manifest(target: Target, plan: &LoadPlan, engine: EngineFacts, output: &OutputArgs) -> Manifest {
    let started = ClockAnchor { offset_ns: Offset::ZERO, unix_ns: host::unix_ns() };
    let plan = plan.to_record();
    let run_id = output.run_id.clone().unwrap_or_else(|| run_id(started.unix_ns, &target, &plan.model));
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id,
        tool: host::tool(),
        argv: redact::argv(std::env::args().skip(1)),
        target,
        plan,
        host: host::host(),
        engine,
        started,
        ended: None,
        end: None,
        resumed: Vec::new(),
        notes: Vec::new(),
        judgement: output.judge.judgement(records::Judgement::default()),
    }
}

/// `20261124-064500-gemma-3-12b-it`, with `-simulated` where it is.
pub(crate) fn run_id(unix_ns: u64, target: &Target, model: &str) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(unix_ns)).unwrap_or_default();
    let name = model.rsplit('/').next().unwrap_or(model);
    let safe: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' }).collect();
    let simulated = if target.simulated_profile().is_some() { "-simulated" } else { "" };
    format!("{}-{}{simulated}", time.strftime("%Y%m%d-%H%M%S"), safe.trim_start_matches('.'))
}

fn anchor(epoch: Instant) -> ClockAnchor {
    ClockAnchor { offset_ns: Offset::from_duration(epoch.elapsed()), unix_ns: host::unix_ns() }
}
