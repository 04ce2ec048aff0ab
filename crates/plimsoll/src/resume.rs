//! The run folder in hand, new or resumed. `--resume` goes on with a run that was killed, interrupted or stopped by a full disk.
//!
//! Levels that were measured to their end stay as they are; the others run again, whole, with prompts that were never
//! sent. What the cut-off levels had recorded moves to `requests.cut_off.jsonl` and `phases.cut_off.jsonl`: a level is one
//! experiment, and two halves of it, hours apart, are not. The settings are read from the run's own command line.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    iter,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Parser as _;
use loadgen::{Done, LoadPlan};
use records::{ClockAnchor, EndReason, GpuLine, Manifest, Offset, RunData, RunDir, Target, run_dir};
use serde::Deserialize;

use crate::{
    cli::{Cli, Command, LoadArgs, OutputArgs, TelemetryArgs},
    exit::{self, Exit, WithExit as _},
    find_capacity, host, report, workload,
};

/// Between the last record and the first one of the resumption, where the clocks give no better figure.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// A run with its folder: a new one, or one that is to go on.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) dir: RunDir,
    pub(crate) manifest: Manifest,
    /// The settings of its command line, with the headers of this one.
    pub(crate) load: LoadArgs,
    pub(crate) done: Done,
    /// The run's epoch on this process's clock.
    pub(crate) epoch: Instant,
    /// Held while the run goes on: two processes must not write one folder.
    pub(crate) lock: File,
}

#[derive(Deserialize)]
struct Line {
    level: Option<u32>,
    #[serde(default)]
    request: u64,
}

/// A complete run that goes on with a level more, which its manifest has already.
pub(crate) fn next_level(path: &Path, load: &LoadArgs, manifest: Manifest) -> anyhow::Result<Begun> {
    let dir = RunDir::open(path).exit(Exit::Usage)?;
    let lock = lock(&dir)?;
    let run = RunData::load(&dir)?;
    begun(dir, lock, &run, manifest, load.clone())
}

/// Reads the folder; nothing in it is changed yet.
pub(crate) fn open(path: &Path, now: &LoadArgs) -> anyhow::Result<Begun> {
    let dir = RunDir::open(path).exit(Exit::Usage)?;
    let lock = lock(&dir)?;
    let run = RunData::load(&dir)?;
    let manifest = run.manifest.clone();
    let load = settings(&manifest, now);
    let searching = load.as_ref().is_ok_and(|load| find_capacity::is_under_way(&manifest, load));
    if manifest.end == Some(EndReason::Completed) && !searching {
        return Err(exit::error(
            Exit::Usage,
            format!(
                "resume {}: the run is complete\nhint: cargo xtask report {0} writes its report again",
                path.display()
            ),
        ));
    }
    begun(dir, lock, &run, manifest, load?)
}

fn begun(dir: RunDir, lock: File, run: &RunData, manifest: Manifest, load: LoadArgs) -> anyhow::Result<Begun> {
    let complete = report::summarise(run).levels.into_iter().filter(|level| level.complete);
    let levels: BTreeSet<u32> = complete.map(|level| level.level).collect();
    let aside = fs::read(dir.path().join(aside(run_dir::REQUESTS))).unwrap_or_default();
    let set_aside = lines(&aside).filter_map(|l| serde_json::from_slice::<Line>(l).ok()).map(|l| l.request);
    let recorded = run.requests.iter().map(|r| r.request);
    Ok(Begun {
        done: Done {
            levels,
            next_request: recorded.chain(set_aside).max().map_or(0, |last| last + 1),
            attempt: u32::try_from(manifest.resumed.len()).unwrap_or(u32::MAX).saturating_add(1),
        },
        epoch: epoch(run)?,
        load,
        manifest,
        dir,
        lock,
    })
}

impl Begun {
    /// A run that begins now: makes its folder.
    pub(crate) fn new(manifest: Manifest, load: LoadArgs, output: &OutputArgs, epoch: Instant) -> anyhow::Result<Self> {
        let dir = RunDir::create(&output.result_dir, &manifest.run_id).exit(Exit::Usage)?;
        let lock = lock(&dir)?;
        dir.write_manifest(&manifest)?;
        Ok(Self { dir, manifest, load, done: Done::default(), epoch, lock })
    }

    /// Profile of the simulated server, where the run loads one.
    pub(crate) fn simulated_profile(&self) -> Option<&str> {
        self.manifest.target.simulated_profile()
    }

    /// Whether what would be sent now is what was to be sent then.
    pub(crate) fn check(&self, plan: LoadPlan) -> anyhow::Result<LoadPlan> {
        let plan = match workload::calibration(&self.manifest.plan) {
            Some(calibration) => plan.calibrated(calibration),
            None => plan,
        };
        if plan.to_record() == self.manifest.plan {
            return Ok(plan);
        }
        Err(exit::error(
            Exit::Usage,
            format!(
                "resume {}: what would be sent now is not what the run began with\nhint: is another engine or version at this address, or was the run made by another version of plimsoll? start a new run",
                self.dir.path().display()
            ),
        ))
    }

    /// Sets the cut-off levels aside and notes in the manifest that the run goes on.
    pub(crate) fn go_on(mut self, target: Target) -> anyhow::Result<Self> {
        for file in [run_dir::REQUESTS, run_dir::PHASES] {
            self.keep_whole_levels(file)?;
        }
        for file in [run_dir::GPU, run_dir::SERVER] {
            self.drop_torn_line(file)?;
        }
        self.manifest.target = target;
        self.manifest.ended = None;
        self.manifest.end = None;
        self.manifest
            .resumed
            .push(ClockAnchor { offset_ns: Offset::from_duration(self.epoch.elapsed()), unix_ns: host::unix_ns() });
        self.dir.write_manifest(&self.manifest)?;
        Ok(self)
    }

    fn keep_whole_levels(&self, file: &str) -> anyhow::Result<()> {
        let text = self.read(file)?;
        let whole = |line: &&[u8]| {
            serde_json::from_slice::<Line>(line)
                .is_ok_and(|line| line.level.is_none_or(|level| self.done.levels.contains(&level)))
        };
        let (kept, cut): (Vec<_>, Vec<_>) = lines(&text).partition(whole);
        if cut.is_empty() {
            return Ok(());
        }
        // The copy first: killed in between, a record is in both files and not in neither.
        let earlier = self.read(&aside(file))?;
        self.dir.write(&aside(file), &[earlier, joined(&cut)].concat())?;
        Ok(self.dir.write(file, &joined(&kept))?)
    }

    fn drop_torn_line(&self, file: &str) -> anyhow::Result<()> {
        let text = self.read(file)?;
        let end = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if end < text.len() {
            self.dir.write(file, &text[..end])?;
        }
        Ok(())
    }

    fn read(&self, file: &str) -> anyhow::Result<Vec<u8>> {
        let path = self.dir.path().join(file);
        match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.with_context(|| format!("read {}", path.display())),
        }
    }
}

/// `requests.cut_off.jsonl` of `requests.jsonl`.
fn aside(file: &str) -> String {
    format!("{}.cut_off.jsonl", file.trim_end_matches(".jsonl"))
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|b| *b == b'\n').filter(|line| !line.is_empty())
}

fn joined(lines: &[&[u8]]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.iter().copied().chain(iter::once(b'\n'))).collect()
}

/// Keeps a second process out of the folder for as long as the file is held.
fn lock(dir: &RunDir) -> anyhow::Result<File> {
    let path = dir.path();
    let folder = File::open(path).with_context(|| format!("open {}", path.display()))?;
    match folder.try_lock() {
        Err(fs::TryLockError::WouldBlock) => {
            Err(exit::error(Exit::Usage, format!("write to {}: the run is still going on", path.display())))
        }
        // A file system without locks: nothing is lost but this protection.
        Ok(()) | Err(fs::TryLockError::Error(_)) => Ok(folder),
    }
}

/// The run's own settings. Headers are secrets and were not written down.
pub(crate) fn settings(manifest: &Manifest, now: &LoadArgs) -> anyhow::Result<LoadArgs> {
    let words = iter::once("xtask").chain(manifest.argv.iter().map(String::as_str));
    let then = Cli::try_parse_from(words)
        .map_err(|e| exit::error(Exit::Usage, format!("understand the command line of the run: {e}")))?;
    let (load, urls) = match then.command {
        Command::All(args) => (args.load, args.url),
        Command::Bench(args) => (args.load, args.url),
        _ => {
            return Err(exit::error(Exit::Usage, "resume: the folder is no measurement"));
        }
    };
    given_again("--header", &load.header, &now.header)?;
    let sent = &load.telemetry.telemetry_header;
    given_again("--telemetry-header", sent, &now.telemetry.telemetry_header)?;
    Ok(LoadArgs {
        header: now.header.clone(),
        telemetry: TelemetryArgs { telemetry_header: now.telemetry.telemetry_header.clone(), ..load.telemetry },
        replicas: urls.into_iter().skip(1).collect(),
        seed: Some(manifest.plan.seed),
        model: Some(manifest.plan.model.clone()),
        ..load
    })
}

/// Whether every header that the run sent is given now: their values were not written down.
fn given_again(flag: &str, then: &[String], now: &[String]) -> anyhow::Result<()> {
    let name = |header: &String| Some(header.split_once(':')?.0.to_lowercase());
    let now: Vec<_> = now.iter().filter_map(name).collect();
    match then.iter().filter_map(name).find(|name| !now.contains(name)) {
        None => Ok(()),
        Some(name) => Err(exit::error(
            Exit::Usage,
            format!(
                "resume: the run sent the header {name}, whose value was not written down\nhint: give it again with {flag}"
            ),
        )),
    }
}

/// The run's epoch, so that the clock goes on through the pause. After a restart of the machine the monotonic clock does
/// not reach back as far: then the pause is left out.
fn epoch(run: &RunData) -> anyhow::Result<Instant> {
    let gpu = run.gpu.iter().filter_map(|line| match line {
        GpuLine::Sample(sample) => Some(sample.t_ns),
        _ => None,
    });
    let ends = run.requests.iter().map(|r| r.finished_ns);
    let ends = ends.chain(run.phases.iter().map(|p| p.end_ns));
    let ends = ends.chain(run.server.iter().map(|s| s.t_ns)).chain(gpu);
    let recorded = Duration::from_nanos(ends.max().unwrap_or_default().0) + AFTERWARDS;
    let by_wall = Duration::from_nanos(host::unix_ns().saturating_sub(run.manifest.started.unix_ns));
    let now = Instant::now();
    now.checked_sub(by_wall.max(recorded)).or_else(|| now.checked_sub(recorded)).ok_or_else(|| {
        exit::error(Exit::Usage, "resume: this machine was started after the run, and the run is longer than that is ago\nhint: start a new run")
    })
}
