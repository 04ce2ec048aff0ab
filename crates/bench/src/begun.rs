//! The run folder in hand, new or resumed.
//!
//! A run that was killed, interrupted or stopped by a full disk goes on. Levels that were measured to their end stay as
//! they are; the others run again, whole, with prompts that were never sent. Records of the cut-off levels move to
//! `requests.cut_off.jsonl` and `phases.cut_off.jsonl`: a level is one experiment, and two halves of it, hours apart, are
//! not. The settings are those in the run's manifest.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    iter,
    path::Path,
    time::{Duration, Instant},
};

use loadgen::{Done, LoadPlan};
use records::{ClockAnchor, EndReason, GpuLine, Manifest, Offset, RecordError, RunData, RunDir, Target, run_dir};
use serde::Deserialize;

use crate::{BenchError, host, settings::Settings, workload};

/// Between the last record and the first one of the resumption, where the clocks give no better figure.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Runs that may begin in one second without names of their own.
const RUNS_IN_A_SECOND_MAX: u32 = 1_000;

/// A run with its folder: a new one, or one that is to go on.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) dir: RunDir,
    pub(crate) manifest: Manifest,
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

impl Begun {
    /// A run that begins now: makes its folder. Where the user named no run, one that began in the same second takes the
    /// next free number.
    pub(crate) fn new(mut manifest: Manifest, settings: &Settings, epoch: Instant) -> Result<Self, BenchError> {
        let name = manifest.run_id.clone();
        let mut numbers = 2..=RUNS_IN_A_SECOND_MAX;
        let dir = loop {
            match RunDir::create(&settings.output.results, &manifest.run_id) {
                Err(RecordError::Exists { path }) if settings.output.run_id.is_none() => {
                    let number = numbers.next().ok_or(BenchError::Create(RecordError::Exists { path }))?;
                    rename(&mut manifest, format!("{name}-{number}"));
                }
                made => break made.map_err(BenchError::Create)?,
            }
        };
        let lock = lock(&dir)?;
        dir.write_manifest(&manifest)?;
        Ok(Self { dir, manifest, done: Done::default(), epoch, lock })
    }

    /// A run that was cut off; nothing in its folder is changed yet.
    pub(crate) fn open(path: &Path, settings: &Settings) -> Result<Self, BenchError> {
        let begun = Self::read(path)?;
        let searching = settings.search.is_some() && begun.manifest.search.is_none();
        if begun.manifest.end == Some(EndReason::Completed) && !searching {
            return Err(BenchError::Complete { path: path.to_owned() });
        }
        Ok(begun)
    }

    /// A complete run that goes on with one level more, which `manifest` has already.
    pub(crate) fn with_next_level(path: &Path, manifest: Manifest) -> Result<Self, BenchError> {
        Ok(Self { manifest, ..Self::read(path)? })
    }

    fn read(path: &Path) -> Result<Self, BenchError> {
        let dir = RunDir::open(path)?;
        let lock = lock(&dir)?;
        let run = RunData::load(&dir)?;
        let complete = analysis::summarise(&run, None, None).levels.into_iter().filter(|level| level.complete);
        let levels: BTreeSet<u32> = complete.map(|level| level.level).collect();
        let aside = fs::read(dir.path().join(aside(run_dir::REQUESTS))).unwrap_or_default();
        let set_aside = lines(&aside).filter_map(|l| serde_json::from_slice::<Line>(l).ok()).map(|l| l.request);
        let recorded = run.requests.iter().map(|r| r.request);
        Ok(Self {
            done: Done {
                levels,
                next_request: recorded.chain(set_aside).max().map_or(0, |last| last + 1),
                attempt: u32::try_from(run.manifest.resumed.len()).unwrap_or(u32::MAX).saturating_add(1),
            },
            epoch: epoch(&run, path)?,
            manifest: run.manifest,
            dir,
            lock,
        })
    }

    /// The plan as it was calibrated, if it is what was to be sent when the run began.
    pub(crate) fn check(&self, plan: LoadPlan) -> Result<LoadPlan, BenchError> {
        let plan = match workload::calibration(&self.manifest.plan) {
            Some(calibration) => plan.calibrated(calibration),
            None => plan,
        };
        if plan.to_record() == self.manifest.plan {
            return Ok(plan);
        }
        Err(BenchError::PlanChanged { path: self.dir.path().to_owned() })
    }

    /// Sets the cut-off levels aside and notes in the manifest that the run goes on.
    pub(crate) fn go_on(mut self, target: Target) -> Result<Self, BenchError> {
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

    fn keep_whole_levels(&self, file: &str) -> Result<(), BenchError> {
        let text = self.bytes(file)?;
        let whole = |line: &&[u8]| {
            serde_json::from_slice::<Line>(line)
                .is_ok_and(|line| line.level.is_none_or(|level| self.done.levels.contains(&level)))
        };
        let (kept, cut): (Vec<_>, Vec<_>) = lines(&text).partition(whole);
        if cut.is_empty() {
            return Ok(());
        }
        // The copy first: killed in between, a record is in both files and not in neither.
        let earlier = self.bytes(&aside(file))?;
        self.dir.write(&aside(file), &[earlier, joined(&cut)].concat())?;
        Ok(self.dir.write(file, &joined(&kept))?)
    }

    fn drop_torn_line(&self, file: &str) -> Result<(), BenchError> {
        let text = self.bytes(file)?;
        let end = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if end < text.len() {
            self.dir.write(file, &text[..end])?;
        }
        Ok(())
    }

    fn bytes(&self, file: &str) -> Result<Vec<u8>, BenchError> {
        let path = self.dir.path().join(file);
        match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.map_err(|reason| BenchError::File { path, reason }),
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

/// Names the run in the manifest and in the settings that it contains.
fn rename(manifest: &mut Manifest, run_id: String) {
    if let Some(kept) = manifest.settings.as_mut().and_then(|settings| settings.pointer_mut("/output/run_id")) {
        *kept = run_id.clone().into();
    }
    manifest.run_id = run_id;
}

/// Keeps a second process out of the folder for as long as the file is held.
fn lock(dir: &RunDir) -> Result<File, BenchError> {
    let path = dir.path().to_owned();
    match File::open(&path) {
        Err(reason) => Err(BenchError::File { path, reason }),
        Ok(folder) => match folder.try_lock() {
            Err(fs::TryLockError::WouldBlock) => Err(BenchError::InUse { path }),
            // A file system without locks: nothing is lost but this protection.
            Ok(()) | Err(fs::TryLockError::Error(_)) => Ok(folder),
        },
    }
}

/// The run's epoch, so that the clock goes on through the pause. After a restart of the machine the monotonic clock does
/// not reach back as far: then the pause is left out.
fn epoch(run: &RunData, path: &Path) -> Result<Instant, BenchError> {
    let gpu = run.gpu.iter().filter_map(|line| match line {
        GpuLine::Sample(sample) => Some(sample.t_ns),
        _ => None,
    });
    let ends = run.requests.iter().map(|r| r.finished_ns);
    let ends = ends.chain(run.phases.iter().map(|p| p.end_ns));
    let ends = ends.chain(run.server.iter().map(|s| s.t_ns)).chain(gpu);
    let recorded = Duration::from_nanos(ends.max().unwrap_or_default().0) + PAUSE_MIN;
    let by_wall = Duration::from_nanos(host::unix_ns().saturating_sub(run.manifest.started.unix_ns));
    let now = Instant::now();
    let epoch = now.checked_sub(by_wall.max(recorded)).or_else(|| now.checked_sub(recorded));
    epoch.ok_or_else(|| BenchError::ClockLost { path: path.to_owned() })
}
