//! From a run folder to its documents. Needs neither GPU nor server.

use std::path::{Path, PathBuf};

use analysis::{SizingTarget, Summary};
use anyhow::Context as _;
use records::{RunData, RunDir, run_dir};
use report::Language;
use serde::Serialize;

use crate::{
    cli::{Lang, ReportArgs},
    exit::{Exit, WithExit as _},
    judge::JudgeArgs,
    output,
    series::{ReportedSeries, Series},
};

/// Width of the console table where the terminal's is not known.
pub(crate) const CONSOLE_WIDTH: usize = 100;
/// vLLM's default on every card of less than 70 GiB and on any A100; a server does not tell its own.
const ASSUMED_MAX_NUM_BATCHED_TOKENS: u64 = 2048;

pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<Exit> {
    let opened: Vec<Opened> = args.runs.iter().map(|run| open(run)).collect::<anyhow::Result<_>>()?;
    let (languages, judge) = (args.lang.written(), &args.judge);
    let reported: Vec<Told> = opened
        .iter()
        .map(|opened| {
            Ok(match opened {
                Opened::Run(dir) => {
                    args.ask.keep(dir);
                    Told::Run(Box::new(write(dir, languages, judge)?))
                }
                Opened::Series(series) => Told::Series(Box::new(series.report(languages, judge)?)),
            })
        })
        .collect::<anyhow::Result<_>>()?;
    output::emit(args.json, &reported, |reported| {
        reported
            .iter()
            .map(|told| match told {
                Told::Run(run) => run.console(args.lang),
                Told::Series(series) => series.console(args.lang),
            })
            .collect::<Vec<_>>()
            .join("\n\n")
    })?;
    Ok(Exit::Ok)
}

/// What a folder holds.
enum Opened {
    Run(RunDir),
    Series(Series),
}

/// What was written of it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Told {
    Run(Box<Reported>),
    Series(Box<ReportedSeries>),
}

fn open(path: &Path) -> anyhow::Result<Opened> {
    if let Some(series) = Series::open(path) {
        return Ok(Opened::Series(series));
    }
    let dir = RunDir::open(path).and_then(|dir| dir.read_manifest().map(|_| dir));
    Ok(Opened::Run(dir.exit(Exit::Usage)?))
}

/// A run, its summary and the documents that were written.
#[derive(Debug, Serialize)]
pub(crate) struct Reported {
    run_dir: PathBuf,
    files: Vec<PathBuf>,
    pub(crate) summary: Summary,
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

impl Lang {
    /// The language of the console.
    pub(crate) fn spoken(self) -> Language {
        match self {
            Self::En | Self::Both => Language::En,
            Self::Ko => Language::Ko,
        }
    }

    /// The languages of the documents.
    pub(crate) fn written(self) -> &'static [Language] {
        match self {
            Self::En => &[Language::En],
            Self::Ko => &[Language::Ko],
            Self::Both => &[Language::En, Language::Ko],
        }
    }
}

/// What the run means.
pub(crate) fn summarise(run: &RunData) -> Summary {
    let engine = &run.manifest.engine;
    let capacity = analysis::server_capacity(engine, ASSUMED_MAX_NUM_BATCHED_TOKENS);
    let sizing = analysis::sizing_section(&run.manifest.plan.model, engine.version.as_deref(), SizingTarget::default());
    analysis::summarise(run, capacity, sizing)
}

/// Writes summary and documents into the run folder.
pub(crate) fn write(dir: &RunDir, languages: &[Language], judge: &JudgeArgs) -> anyhow::Result<Reported> {
    let mut run = RunData::load(dir)?;
    run.manifest.judgement = judge.judgement(run.manifest.judgement);
    let mut summary = summarise(&run);
    summary.plan = crate::buy::kept(dir)?.map(Box::new);
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
