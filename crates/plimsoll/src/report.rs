//! From a run folder to its documents. Needs neither GPU nor server.

mod series;

use std::path::{Path, PathBuf};

use analysis::Summary;
use anyhow::Context as _;
use bench::Folder;
use clap::Args;
use records::{RunData, RunDir, run_dir};
use report::Language;
use serde::Serialize;

use self::series::ReportedSeries;
use crate::{
    exit::Exit,
    judge::JudgeArgs,
    lang::Lang,
    output::{self, CONSOLE_WIDTH},
    plan::{self, AskArgs},
    summary::summarise,
};

/// Flags of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run folders
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Language of report and console
    #[arg(long, value_enum, default_value_t = Lang::En)]
    lang: Lang,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    judge: JudgeArgs,
    #[command(flatten)]
    ask: AskArgs,
}

pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<Exit> {
    let folders: Vec<Folder> = args.runs.iter().map(|run| Folder::open(run)).collect::<Result<_, _>>()?;
    let reported: Vec<Documents> = folders
        .iter()
        .map(|folder| {
            if let Folder::Run(dir) = folder {
                args.ask.keep(dir);
            }
            Documents::write(folder, args.lang.written(), &args.judge)
        })
        .collect::<anyhow::Result<_>>()?;
    output::emit(args.json, &reported, |reported| {
        reported.iter().map(|documents| documents.console(args.lang)).collect::<Vec<_>>().join("\n\n")
    })?;
    Ok(Exit::Ok)
}

/// Documents of a folder.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Documents {
    Run(Box<Reported>),
    Series(Box<ReportedSeries>),
}

impl Documents {
    /// Writes them anew from the folder alone.
    pub(crate) fn write(folder: &Folder, languages: &[Language], judge: &JudgeArgs) -> anyhow::Result<Self> {
        Ok(match folder {
            Folder::Run(dir) => Self::Run(Box::new(write(dir, languages, judge)?)),
            Folder::Series(series) => Self::Series(Box::new(series::write(series, languages, judge)?)),
        })
    }

    /// Tables and paths for the console.
    pub(crate) fn console(&self, lang: Lang) -> String {
        match self {
            Self::Run(run) => run.console(lang),
            Self::Series(series) => series.console(lang),
        }
    }

    /// Summaries of the runs.
    pub(crate) fn summaries(&self) -> Vec<&Summary> {
        match self {
            Self::Run(run) => vec![&run.summary],
            Self::Series(series) => series.runs.iter().map(|run| &run.summary).collect(),
        }
    }
}

/// A run, its summary and the documents that were written.
#[derive(Debug, Serialize)]
pub(crate) struct Reported {
    run_dir: PathBuf,
    files: Vec<PathBuf>,
    summary: Summary,
}

impl Reported {
    /// The table, the verdict and the paths.
    pub(crate) fn console(&self, lang: Lang) -> String {
        let table = report::console(&self.summary, lang.spoken(), CONSOLE_WIDTH);
        let paths: Vec<_> =
            self.files.iter().filter(|f| is_entrance(f)).map(|f| format!("  {}", f.display())).collect();
        format!("{}\n\n{}", table.trim_end(), paths.join("\n"))
    }
}

/// The files that someone opens first; the others are linked from them.
fn is_entrance(file: &Path) -> bool {
    file.extension().is_some_and(|e| e == "html" || e == "md" || e == "json")
}

/// Writes summary and documents into the run folder.
fn write(dir: &RunDir, languages: &[Language], judge: &JudgeArgs) -> anyhow::Result<Reported> {
    let mut run = RunData::load(dir)?;
    run.manifest.judgement = judge.judgement(run.manifest.judgement);
    let mut summary = summarise(&run);
    if let Some(plan) = plan::kept(dir)? {
        summary.sizing = analysis::sizing_section_of(plan.clone());
        summary.plan = Some(Box::new(plan));
    }
    let mut json = serde_json::to_vec_pretty(&summary).context("write the summary as JSON")?;
    json.push(b'\n');
    dir.write(run_dir::SUMMARY, &json)?;
    let mut files = vec![dir.path().join(run_dir::SUMMARY)];
    for &language in languages {
        for file in report::render(&run, &summary, language)? {
            dir.write(&file.path, &file.bytes)?;
            files.push(dir.path().join(&file.path));
        }
    }
    files.sort();
    files.dedup();
    Ok(Reported { run_dir: dir.path().to_owned(), files, summary })
}
