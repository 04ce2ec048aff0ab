//! The measuring part: ask the server what it is, load it, write down everything that happens. Nothing is computed here.

use std::{
    thread,
    time::{Duration, Instant},
};

use loadgen::{LoadPlan, RunEnd, StopHandle};
use records::{
    ClockAnchor, EndReason, EngineFacts, Manifest, Offset, Phase, PhaseKind, RunDir,
    SCHEMA_VERSION, Target,
};

use crate::{
    cli::{LoadArgs, OutputArgs},
    exit::{Exit, WithExit as _},
    host,
    interrupt::Interrupt,
    plan::{self, Defaults, Secrets},
    recorder::{Recorder, Telemetry},
    redact,
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
) -> anyhow::Result<Measured> {
    let secrets = Secrets::gather(load)?;
    let access = secrets.access()?;
    let base = plan::base_url(target.url())?;
    let engine = gpumon::describe::engine_facts(&base, &access).exit(Exit::Server)?;
    let (plan, mut notes) = plan::build(target.url(), load, &secrets, defaults, &engine)?;
    let stop = StopHandle::default();
    let on_interrupt = stop.clone();
    let interrupt = Interrupt::install_with(move || on_interrupt.stop())?;
    let epoch = Instant::now();
    loadgen::probe(&plan, epoch, &stop).exit(Exit::Server)?;

    let mut manifest = manifest(target, &plan, engine, output);
    let dir = RunDir::create(&output.result_dir, &manifest.run_id).exit(Exit::Usage)?;
    dir.write_manifest(&manifest)?;
    let telemetry = Telemetry::start(&base, &access, epoch)?;
    let mut recorder = Recorder::new(&dir, &manifest, telemetry)?;
    idle_baseline(&mut recorder, epoch, &interrupt)?;
    let end = load_and_record(&plan, &mut recorder, epoch, &stop);
    notes.extend(recorder.finish()?);

    manifest.ended = Some(anchor(epoch));
    manifest.end = Some(end.clone());
    manifest.notes = notes;
    dir.write_manifest(&manifest)?;
    Ok(Measured { dir, end })
}

/// Watches the machine without load, so that what it takes idle is known.
fn idle_baseline(
    recorder: &mut Recorder,
    epoch: Instant,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let start_ns = Offset::from_duration(epoch.elapsed());
    let until = Instant::now()
        + if recorder.has_gpu() {
            IDLE_BASELINE
        } else {
            Duration::ZERO
        };
    while Instant::now() < until && !interrupt.requested() {
        recorder.say(&format!(
            "idle baseline, {} s left",
            (until - Instant::now()).as_secs() + 1
        ));
        thread::sleep(Duration::from_millis(250));
    }
    recorder.idle_scrape()?;
    let end_ns = Offset::from_duration(epoch.elapsed());
    recorder.phase(&Phase {
        kind: PhaseKind::Idle,
        level: None,
        start_ns,
        end_ns,
        client: None,
    })
}

fn load_and_record(
    plan: &LoadPlan,
    recorder: &mut Recorder,
    epoch: Instant,
    stop: &StopHandle,
) -> EndReason {
    let end = loadgen::run(plan, epoch, stop, &mut |event| {
        recorder.record(event).map_err(Into::into)
    });
    match end {
        Ok(RunEnd::Completed) => EndReason::Completed,
        Ok(RunEnd::Interrupted) => EndReason::Interrupted,
        Ok(RunEnd::ServerLost { message }) => EndReason::ServerLost { message },
        Err(error) => EndReason::Failed {
            message: format!("{:#}", anyhow::Error::from(error)),
        },
    }
}

fn manifest(target: Target, plan: &LoadPlan, engine: EngineFacts, output: &OutputArgs) -> Manifest {
    let started = ClockAnchor {
        offset_ns: Offset::ZERO,
        unix_ns: host::unix_ns(),
    };
    let plan = plan.to_record();
    let run_id = output
        .run_id
        .clone()
        .unwrap_or_else(|| run_id(started.unix_ns, &target, &plan.model));
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
        notes: Vec::new(),
        judgement: output.judge.judgement(records::Judgement::default()),
    }
}

/// `20261124-064500-gemma-3-12b-it`, with `-simulated` where it is.
fn run_id(unix_ns: u64, target: &Target, model: &str) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(unix_ns)).unwrap_or_default();
    let name = model.rsplit('/').next().unwrap_or(model);
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-._".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let simulated = if target.simulated_profile().is_some() {
        "-simulated"
    } else {
        ""
    };
    format!(
        "{}-{}{simulated}",
        time.strftime("%Y%m%d-%H%M%S"),
        safe.trim_start_matches('.')
    )
}

fn anchor(epoch: Instant) -> ClockAnchor {
    ClockAnchor {
        offset_ns: Offset::from_duration(epoch.elapsed()),
        unix_ns: host::unix_ns(),
    }
}
