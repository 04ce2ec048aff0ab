//! From the folder of a series to its documents: those of each run, and the joint ones `runs.json`, `runs.md`,
//! `runs.html`, `runs.csv`, made from the runs' folders alone.

use std::{fs, path::PathBuf};

use analysis::{OverRuns, Summary};
use anyhow::Context as _;
use bench::{Folder, SeriesDir};
use records::RunDir;
use report::Language;
use serde::Serialize;

use super::{Reported, write as write_run};
use crate::{judge::JudgeArgs, lang::Lang, legacy, output::CONSOLE_WIDTH};

/// Document of a series.
const RUNS: &str = "runs.json";

/// Runs of a series with their documents.
#[derive(Debug, Serialize)]
pub(crate) struct ReportedSeries {
    series_dir: PathBuf,
    files: Vec<PathBuf>,
    /// Figures over all runs.
    over_runs: OverRuns,
    /// Every run.
    pub(super) runs: Vec<Reported>,
}

impl ReportedSeries {
    /// Tables of all runs, the joint one last.
    pub(super) fn console(&self, lang: Lang) -> String {
        let runs = self.runs.iter().map(|run| run.console(lang));
        let joint = report::over_runs_console(&self.over_runs, lang.spoken(), CONSOLE_WIDTH);
        let files = self.files.iter().map(|file| format!("  {}", file.display()));
        let paths: Vec<_> = files.collect();
        runs.chain([format!("{}\n\n{}", joint.trim_end(), paths.join("\n"))]).collect::<Vec<_>>().join("\n\n")
    }
}

/// Writes the documents of all runs and of the series.
pub(super) fn write(series: &SeriesDir, languages: &[Language], judge: &JudgeArgs) -> anyhow::Result<ReportedSeries> {
    let runs = series.runs();
    let runs: Vec<Reported> =
        runs.iter().map(|run| write_run(&RunDir::open(run)?, languages, judge)).collect::<anyhow::Result<_>>()?;
    let summaries: Vec<Summary> = runs.iter().map(|run| run.summary.clone()).collect();
    let planned = u64::from(planned(series)).max(runs.len() as u64);
    let over_runs = analysis::over_runs(series.name(), &summaries, planned).context("the series has no run")?;
    let mut json = serde_json::to_vec_pretty(&over_runs).context("cannot write the runs as JSON")?;
    json.push(b'\n');
    let mut files = vec![file(series, RUNS, &json)?];
    for &language in languages {
        for document in report::render_over_runs(&over_runs, language)? {
            files.push(file(series, &document.path, &document.bytes)?);
        }
    }
    files.sort();
    files.dedup();
    Ok(ReportedSeries { series_dir: series.path().to_owned(), files, over_runs, runs })
}

/// Runs that the settings ask for.
fn planned(series: &SeriesDir) -> u32 {
    let folder = Folder::Series(series.clone());
    legacy::settings(&folder).map_or(1, |settings| settings.series.runs)
}

fn file(series: &SeriesDir, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    let path = series.path().join(name);
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
