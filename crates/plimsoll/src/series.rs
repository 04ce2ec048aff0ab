//! `--num-runs`: the whole sweep several times, each time a run folder of its own, and what the runs say together.
//!
//! `results/NAME/` holds the runs `NAME-1/`, `NAME-2/`, … and `runs.json`, `runs.md`, `runs.html`, `runs.csv`. Every run is a
//! run like any other; the joint documents are made from the runs' folders alone. Prompts and arrivals differ from run to
//! run, since each has a seed of its own, which the first one's determines.

use std::{
    fs,
    path::{Path, PathBuf},
};

use analysis::{OverRuns, Summary};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use records::{EndReason, RunDir, Target, run_dir};
use serde::Serialize;

use crate::{
    cli::{Lang, LoadArgs, OutputArgs},
    exit::{self, Exit, WithExit as _},
    host,
    judge::JudgeArgs,
    levels::Defaults,
    measure::{self, Measured},
    progress::log,
    report::{self, CONSOLE_WIDTH, Reported},
    resume::{self, Begun},
};

/// How often to run, and in which order.
#[derive(Clone, Debug, Args)]
pub(crate) struct SeriesArgs {
    /// Run the whole sweep this often, with other prompts each time; a run folder for each, and joint documents with the
    /// mean over runs and its interval
    #[arg(long, visible_alias = "num-profile-runs", value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) num_runs: u32,
    /// Order of the levels in each run
    #[arg(long, value_enum, default_value_t = LevelOrder::Interleaved)]
    pub(crate) level_order: LevelOrder,
}

/// Order of the levels in each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelOrder {
    /// As given, all levels in each run: 1,2,4,1,2,4
    Interleaved,
    /// Drawn by the seed, another one in each run
    Shuffled,
}

/// Document of a series.
const RUNS: &str = "runs.json";

/// Runs of a series with their documents.
#[derive(Debug, Serialize)]
pub(crate) struct ReportedSeries {
    series_dir: PathBuf,
    files: Vec<PathBuf>,
    /// What the runs say together.
    pub(crate) over_runs: OverRuns,
    /// Every run.
    pub(crate) runs: Vec<Reported>,
}

impl ReportedSeries {
    /// Tables of all runs, the joint one last.
    pub(crate) fn console(&self, lang: Lang) -> String {
        let runs = self.runs.iter().map(|run| run.console(lang));
        let joint = ::report::over_runs_console(&self.over_runs, lang.spoken(), CONSOLE_WIDTH);
        let files = self.files.iter().map(|file| format!("  {}", file.display()));
        let paths: Vec<_> = files.collect();
        runs.chain([format!("{}\n\n{}", joint.trim_end(), paths.join("\n"))]).collect::<Vec<_>>().join("\n\n")
    }
}

/// A series on disk.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    dir: PathBuf,
    name: String,
}

impl Series {
    /// `None` when the folder is no series.
    pub(crate) fn open(dir: &Path) -> Option<Self> {
        let full = fs::canonicalize(dir).ok()?;
        let series = Self { name: full.file_name()?.to_str()?.to_owned(), dir: dir.to_owned() };
        let is_run = dir.join(run_dir::MANIFEST).is_file();
        (!is_run && series.run(1).join(run_dir::MANIFEST).is_file()).then_some(series)
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its name, that of its folder.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, number: u32) -> PathBuf {
        self.dir.join(self.run_id(number))
    }

    fn run_id(&self, number: u32) -> String {
        format!("{}-{number}", self.name)
    }

    /// Folders of the runs that were begun, in order.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        (1..=u32::MAX).map(|number| self.run(number)).take_while(|run| run.join(run_dir::MANIFEST).is_file()).collect()
    }

    /// Documents of all runs and of the series, again from the folders alone.
    pub(crate) fn report(&self, languages: &[::report::Language], judge: &JudgeArgs) -> anyhow::Result<ReportedSeries> {
        let runs: Vec<Reported> = self
            .runs()
            .iter()
            .map(|run| report::write(&RunDir::open(run).exit(Exit::Usage)?, languages, judge))
            .collect::<anyhow::Result<_>>()?;
        let summaries: Vec<Summary> = runs.iter().map(|run| run.summary.clone()).collect();
        let planned = self.planned()?.max(u32::try_from(runs.len()).unwrap_or(u32::MAX));
        let over_runs =
            analysis::over_runs(&self.name, &summaries, u64::from(planned)).context("the series has no run")?;
        let mut json = serde_json::to_vec_pretty(&over_runs).context("write the runs as JSON")?;
        json.push(b'\n');
        let mut files = vec![self.write(RUNS, &json)?];
        for &language in languages {
            for file in ::report::render_over_runs(&over_runs, language)? {
                files.push(self.write(&file.path, &file.bytes)?);
            }
        }
        files.sort();
        files.dedup();
        Ok(ReportedSeries { series_dir: self.dir.clone(), files, over_runs, runs })
    }

    /// Runs that the command line asked for.
    fn planned(&self) -> anyhow::Result<u32> {
        let manifest = RunDir::open(&self.run(1)).exit(Exit::Usage)?.read_manifest()?;
        let flags = ["--num-runs", "--num-profile-runs"];
        let mut words = manifest.argv.iter();
        while let Some(word) = words.next() {
            let value = match word.split_once('=') {
                Some((flag, value)) if flags.contains(&flag) => Some(value),
                None if flags.contains(&&**word) => words.next().map(String::as_str),
                _ => None,
            };
            if let Some(number) = value.and_then(|value| value.parse().ok()) {
                return Ok(number);
            }
        }
        Ok(1)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.dir.join(name);
        fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

/// Seed of a run, the first one's plus an odd constant times its number less one.
fn seed(first: u64, number: u32) -> u64 {
    const STEP: u64 = 1_000_003;
    first.wrapping_add(STEP.wrapping_mul(u64::from(number) - 1))
}

/// A series that was cut off: what it is to go on with.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) series: Series,
    pub(crate) load: LoadArgs,
    /// The run that was cut off; none where the last one that was begun is whole.
    begun: Option<Begun>,
    next: u32,
    first_seed: u64,
    pub(crate) target: Target,
}

/// Reads a series; nothing in it is changed yet.
pub(crate) fn open(series: Series, now: &LoadArgs) -> anyhow::Result<Resumed> {
    let runs = series.runs();
    let last = u32::try_from(runs.len()).unwrap_or(u32::MAX);
    let manifest = |number| {
        let dir = RunDir::open(&series.run(number)).exit(Exit::Usage)?;
        dir.read_manifest().exit(Exit::Usage)
    };
    let first = manifest(1)?;
    let whole = manifest(last)?.end == Some(EndReason::Completed);
    let mut load = resume::settings(&first, now)?;
    load.resume = None;
    if whole && last >= load.series.num_runs {
        return Err(exit::error(
            Exit::Usage,
            format!(
                "resume {}: all runs are complete\nhint: cargo xtask report {0} writes their reports again",
                series.dir.display()
            ),
        ));
    }
    let begun = (!whole).then(|| resume::open(&series.run(last), now));
    Ok(Resumed {
        begun: begun.transpose()?,
        next: if whole { last + 1 } else { last },
        first_seed: first.plan.seed,
        target: first.target,
        series,
        load,
    })
}

/// Runs the series from its beginning.
pub(crate) fn run(
    target: &Target,
    load: &LoadArgs,
    defaults: Defaults,
    output: &OutputArgs,
) -> anyhow::Result<(Series, Option<EndReason>)> {
    let name = output.run_id.clone().unwrap_or_else(|| {
        let model = load.model.as_deref().unwrap_or("runs");
        measure::run_id(host::unix_ns(), target, model)
    });
    let series = Series { dir: output.result_dir.join(&name), name };
    fs::create_dir_all(&output.result_dir)
        .and_then(|()| fs::create_dir(&series.dir))
        .with_context(|| format!("create {}", series.dir.display()))
        .exit(Exit::Usage)?;
    let resumed = Resumed {
        series,
        load: load.clone(),
        begun: None,
        next: 1,
        first_seed: load.seed.unwrap_or_else(host::unix_ns),
        target: target.clone(),
    };
    go_on(resumed, target, defaults, output)
}

/// Runs what is missing; the reason why it stopped early, if it did.
pub(crate) fn go_on(
    resumed: Resumed,
    target: &Target,
    defaults: Defaults,
    output: &OutputArgs,
) -> anyhow::Result<(Series, Option<EndReason>)> {
    let Resumed { series, load, mut begun, next, first_seed, .. } = resumed;
    for number in next..=load.series.num_runs {
        log(&format!("run {number} of {}", load.series.num_runs));
        let load = LoadArgs { seed: Some(seed(first_seed, number)), ..load.clone() };
        let output =
            OutputArgs { result_dir: series.dir.clone(), run_id: Some(series.run_id(number)), ..output.clone() };
        let Measured { end, .. } = measure::measure(target.clone(), &load, defaults, &output, begun.take())?;
        if end != EndReason::Completed {
            return Ok((series, Some(end)));
        }
    }
    Ok((series, None))
}
