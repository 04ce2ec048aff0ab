//! Several runs of one sweep: `results/NAME/` contains the runs `NAME-1/`, `NAME-2/`, …
//!
//! Every run is a run like any other. Prompts and arrivals differ from run to run, since each has a seed of its own,
//! which the first one's determines.

use std::{
    fs,
    path::{Path, PathBuf},
};

use records::{EndReason, RunDir, run_dir};

use crate::{
    BenchError, Context, Event,
    begun::Begun,
    host, levels,
    measure::{self, Measured},
    settings::Settings,
};

/// The folder of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesDir {
    path: PathBuf,
    name: String,
}

impl SeriesDir {
    /// An existing series; `None` when the folder is none.
    pub fn open(path: &Path) -> Option<Self> {
        let full = fs::canonicalize(path).ok()?;
        let series = Self { name: full.file_name()?.to_str()?.to_owned(), path: path.to_owned() };
        let is_run = path.join(run_dir::MANIFEST).is_file();
        (!is_run && series.run(1).join(run_dir::MANIFEST).is_file()).then_some(series)
    }

    fn create(settings: &Settings) -> Result<Self, BenchError> {
        let name = settings.output.run_id.clone().unwrap_or_else(|| {
            let model = settings.target.model.as_deref().unwrap_or("runs");
            measure::run_id(host::unix_ns(), settings, model)
        });
        let results = &settings.output.results;
        let path = results.join(&name);
        let created = fs::create_dir_all(results).and_then(|()| fs::create_dir(&path));
        created.map_err(|e| {
            BenchError::setting("output.run_id", format!("{}: {e}", path.display()), "choose another --run-id")
        })?;
        Ok(Self { path, name })
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Name of the series, that of its folder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Folders of the runs that were begun, in order.
    pub fn runs(&self) -> Vec<PathBuf> {
        (1..=u32::MAX).map(|number| self.run(number)).take_while(|run| run.join(run_dir::MANIFEST).is_file()).collect()
    }

    /// Folder of run `number`, counted from 1.
    pub fn run(&self, number: u32) -> PathBuf {
        self.path.join(self.run_id(number))
    }

    fn run_id(&self, number: u32) -> String {
        format!("{}-{number}", self.name)
    }
}

/// Seed of a run: the first one's plus an odd constant for each run before it.
fn seed(first: u64, number: u32) -> u64 {
    const STEP: u64 = 1_000_003;
    first.wrapping_add(STEP.wrapping_mul(u64::from(number) - 1))
}

/// Runs a series from its beginning.
pub(crate) fn run(
    context: &Context<'_>,
    settings: &Settings,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<(SeriesDir, EndReason), BenchError> {
    // The levels first: settings that cannot be used leave no folder.
    levels::levels(settings)?;
    let series = SeriesDir::create(settings)?;
    let first_seed = settings.load.seed.unwrap_or_else(host::unix_ns);
    let end = go_on(context, settings, &series, Position { next: 1, first_seed }, None, on_event)?;
    Ok((series, end))
}

/// Finishes a series that was cut off.
pub(crate) fn resume(
    context: &Context<'_>,
    settings: &Settings,
    series: &SeriesDir,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<EndReason, BenchError> {
    let last = u32::try_from(series.runs().len()).unwrap_or(u32::MAX);
    let manifest = |number| RunDir::open(&series.run(number))?.read_manifest();
    let whole = manifest(last)?.end == Some(EndReason::Completed);
    if whole && last >= settings.series.runs {
        return Err(BenchError::Complete { path: series.path.clone() });
    }
    let begun = (!whole).then(|| Begun::open(&series.run(last), settings)).transpose()?;
    let position = Position { next: if whole { last + 1 } else { last }, first_seed: manifest(1)?.plan.seed };
    go_on(context, settings, series, position, begun, on_event)
}

/// Where a series is to go on.
struct Position {
    next: u32,
    first_seed: u64,
}

fn go_on(
    context: &Context<'_>,
    settings: &Settings,
    series: &SeriesDir,
    Position { next, first_seed }: Position,
    mut begun: Option<Begun>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<EndReason, BenchError> {
    for number in next..=settings.series.runs {
        if context.stop.is_stopped() {
            return Ok(EndReason::Interrupted);
        }
        on_event(Event::SeriesRun { number, runs: settings.series.runs });
        let mut settings = settings.clone();
        settings.load.seed = Some(seed(first_seed, number));
        settings.output.results.clone_from(&series.path);
        settings.output.run_id = Some(series.run_id(number));
        let levels = levels::levels(&settings)?;
        let Measured { end, .. } = measure::measure(context, &settings, levels, begun.take(), on_event)?;
        if end != EndReason::Completed {
            return Ok(end);
        }
    }
    Ok(EndReason::Completed)
}
