//! Measures an LLM server: settings in, a run folder and events out.
//!
//! [`run`] asks the server what it is, loads it level by level with telemetry beside it, and leaves a run folder that
//! `analysis` and `report` read. [`Bench`] does the same with everything that a program may add: headers, a switch that
//! ends the measurement, the command line for the record, and [`Bench::resume`] for a measurement that was cut off.
//!
//! The settings are the whole input ([`Settings`]); they are saved in the manifest, and a resumption, a series and a
//! search go on from there. This crate parses no flags, prints nothing and handles no signals: progress is [`Event`]s.

mod access;
mod begun;
mod error;
mod event;
pub mod host;
mod levels;
mod measure;
mod recorder;
pub mod redact;
mod schedule;
mod search;
mod series;
pub mod settings;
mod stop_when;
mod telemetry;
mod workload;

use std::path::Path;

use loadgen::LoadPlan;
use records::{EngineFacts, RunDir};

pub use access::Secrets;
pub use error::{BenchError, Fault};
pub use event::{Event, SearchedLoad};
pub use loadgen::{Event as LoadEvent, StopHandle};
pub use records::EndReason;
pub use series::SeriesDir;
pub use settings::Settings;
pub use telemetry::{GpuSources, gpu_sources, server_source};

use begun::Begun;

/// The README's examples, so that they run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Measures a server and leaves a run folder, or the folder of a series.
///
/// # Errors
/// [`BenchError`] before the load begins. Whatever happens later is the [`Outcome::end`].
pub fn run(settings: &Settings, mut on_event: impl FnMut(Event<'_>)) -> Result<Outcome, BenchError> {
    Bench::new(settings.clone()).run(&mut on_event)
}

/// Result of a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The folder that was written.
    pub folder: Folder,
    /// How the load ended; of a series, that of its last run.
    pub end: EndReason,
}

/// A folder with one run or with a series of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Folder {
    /// One run.
    Run(RunDir),
    /// Several runs of one sweep.
    Series(SeriesDir),
}

impl Folder {
    /// An existing folder.
    ///
    /// # Errors
    /// [`BenchError::Folder`] when it contains neither a run nor a series.
    pub fn open(path: &Path) -> Result<Self, BenchError> {
        if let Some(series) = SeriesDir::open(path) {
            return Ok(Self::Series(series));
        }
        let dir = RunDir::open(path)?;
        dir.read_manifest()?;
        Ok(Self::Run(dir))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Run(dir) => dir.path(),
            Self::Series(series) => series.path(),
        }
    }

    /// The manifest of the run, or of the first run of the series.
    ///
    /// # Errors
    /// [`BenchError::Folder`].
    pub fn manifest(&self) -> Result<records::Manifest, BenchError> {
        Ok(match self {
            Self::Run(dir) => dir.read_manifest()?,
            Self::Series(series) => RunDir::open(&series.run(1))?.read_manifest()?,
        })
    }

    /// The settings that it was measured with; `None` in folders written before settings were saved.
    ///
    /// # Errors
    /// [`BenchError::SettingsUnknown`] when they are those of a newer version.
    pub fn settings(&self) -> Result<Option<Settings>, BenchError> {
        let settings = self.manifest()?.settings.map(serde_json::from_value);
        settings
            .transpose()
            .map_err(|e| BenchError::SettingsUnknown { path: self.path().to_owned(), reason: e.to_string() })
    }
}

/// A measurement that is to be made.
#[derive(Clone, Debug)]
pub struct Bench {
    settings: Settings,
    secrets: Secrets,
    stop: StopHandle,
    command_line: Vec<String>,
    notes: Vec<String>,
}

/// What all parts of a measurement need beside the settings.
pub(crate) struct Context<'a> {
    pub(crate) secrets: &'a Secrets,
    pub(crate) stop: &'a StopHandle,
    pub(crate) command_line: &'a [String],
    pub(crate) notes: &'a [String],
}

impl Bench {
    /// A measurement with these settings.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            secrets: Secrets::default(),
            stop: StopHandle::default(),
            command_line: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Sends these headers.
    #[must_use]
    pub fn with_secrets(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// Ends the measurement when `stop` is used; what had been measured is kept.
    #[must_use]
    pub fn with_stop(self, stop: StopHandle) -> Self {
        Self { stop, ..self }
    }

    /// Records this command line in the manifest, for people; see [`redact::command_line`].
    #[must_use]
    pub fn with_command_line(self, command_line: Vec<String>) -> Self {
        Self { command_line, ..self }
    }

    /// Adds a sentence to the notes of every run.
    #[must_use]
    pub fn with_note(mut self, note: Option<String>) -> Self {
        self.notes.extend(note);
        self
    }

    /// The plan of the load at an engine of these facts, as [`Bench::run`] would carry it out.
    ///
    /// # Errors
    /// [`BenchError`] where the settings cannot be used.
    pub fn plan(&self, engine: &EngineFacts) -> Result<LoadPlan, BenchError> {
        let levels = levels::levels(&self.settings)?;
        Ok(schedule::build(&self.settings, levels, &self.secrets, engine)?.0)
    }

    /// Measures: one run, a series where the settings ask for several runs, or a search for the capacity.
    ///
    /// # Errors
    /// [`BenchError`] before the load begins. Whatever happens later is the [`Outcome::end`].
    pub fn run(&self, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Outcome, BenchError> {
        let mut settings = self.settings.clone();
        self.secrets.name_in(&mut settings);
        if settings.series.runs > 1 {
            let (series, end) = series::run(&self.context(), &settings, on_event)?;
            return Ok(Outcome { folder: Folder::Series(series), end });
        }
        self.one_run(&settings, None, on_event)
    }

    /// Finishes a measurement that was cut off, or does the runs of a series that are missing. The settings of this
    /// [`Bench`] should be the folder's own ([`Folder::settings`]); the server's address may be another.
    ///
    /// # Errors
    /// [`BenchError::Complete`] when nothing is left to do, [`BenchError::PlanChanged`] when the settings or the server
    /// are others, [`BenchError::HeaderMissing`] when a header of the run is not given, and as [`Bench::run`].
    pub fn resume(&self, folder: &Folder, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Outcome, BenchError> {
        let mut settings = self.settings.clone();
        match folder {
            Folder::Run(dir) => {
                let begun = Begun::open(dir.path(), &settings)?;
                settings.load.seed = Some(begun.manifest.plan.seed);
                settings.target.model = Some(begun.manifest.plan.model.clone());
                self.one_run(&settings, Some(begun), on_event)
            }
            Folder::Series(series) => {
                settings.target.model = Some(folder.manifest()?.plan.model);
                let end = series::resume(&self.context(), &settings, series, on_event)?;
                Ok(Outcome { folder: folder.clone(), end })
            }
        }
    }

    fn one_run(
        &self,
        settings: &Settings,
        begun: Option<Begun>,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Outcome, BenchError> {
        let context = self.context();
        let measured = match settings.search {
            Some(limits) => search::run(&context, settings, limits, begun, on_event)?,
            None => measure::measure(&context, settings, levels::levels(settings)?, begun, on_event)?,
        };
        Ok(Outcome { folder: Folder::Run(measured.dir), end: measured.end })
    }

    fn context(&self) -> Context<'_> {
        Context { secrets: &self.secrets, stop: &self.stop, command_line: &self.command_line, notes: &self.notes }
    }
}
