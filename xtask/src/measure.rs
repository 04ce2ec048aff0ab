//! The measuring part: ask the server what it is, load it, write down everything that happens. Nothing is computed here.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use loadgen::{Event, LoadPlan, RunEnd, StopHandle};
use records::{
    ClockAnchor, EndReason, EngineFacts, Manifest, Offset, Phase, PhaseKind, RunDir, SCHEMA_VERSION,
    Target, run_dir,
};

use crate::{
    cli::{LoadArgs, OutputArgs},
    exit::{self, Exit, WithExit as _},
    host,
    interrupt::Interrupt,
    plan::{self, Defaults},
    progress::{Progress, log},
    recorder::Recorder,
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

/// Measures `target` as `load` says and leaves a run folder, whatever happens on the way.
pub(crate) fn measure(
    target: Target,
    load: &LoadArgs,
    defaults: Defaults,
    output: &OutputArgs,
) -> anyhow::Result<Measured> {
    let access = plan::access(load)?;
    let engine = gpumon::describe(target.url(), &access).exit(Exit::Server)?;
    let (plan, mut notes) = plan::build(target.url(), load, defaults, &engine)?;
    let stop = StopHandle::default();
    let interrupt = {
        let stop = stop.clone();
        Interrupt::install_with(move || stop.stop())?
    };
    loadgen::probe(&plan).exit(Exit::Server)?;

    let epoch = Instant::now();
    let mut manifest = manifest(target, &plan, engine, output);
    let dir = RunDir::create(&output.result_dir, &manifest.run_id).exit(Exit::Usage)?;
    dir.write_manifest(&manifest)?;
    let recorder = Recorder::start(&dir, &manifest, &access, epoch)?;
    let (end, said) = load_and_record(&plan, recorder, epoch, &stop);
    notes.extend(said);
    let _ = interrupt;

    manifest.ended = Some(anchor(epoch));
    manifest.end = Some(end.clone());
    manifest.notes = notes;
    dir.write_manifest(&manifest)?;
    Ok(Measured { dir, end })
}
