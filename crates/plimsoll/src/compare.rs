//! `plimsoll compare`: is the second run better or worse than the first?

use std::path::{Path, PathBuf};

use analysis::{CompareOptions, Comparison, RunSeries, Summary, Verdict};
use bench::SeriesDir;
use clap::Args;
use records::{Manifest, RunData, RunDir};

use crate::{
    exit::{self, Exit, WithExit as _},
    judge::JudgeArgs,
    lang::Lang,
    output, summary,
};

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Run folder to compare with
    #[arg(value_name = "FIRST")]
    first: PathBuf,
    /// Run folder that is to be judged
    #[arg(value_name = "SECOND")]
    second: PathBuf,
    /// Smallest change in percent that matters
    #[arg(long, default_value_t = 5.0, value_name = "PERCENT")]
    threshold: f64,
    /// Compare although the runs differ in model, prompt or output length, or cache state
    #[arg(long)]
    anyway: bool,
    /// Language of the text
    #[arg(long, value_enum, default_value_t = Lang::En)]
    lang: Lang,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    judge: JudgeArgs,
}

pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<Exit> {
    let comparison = match (SeriesDir::open(&args.first), SeriesDir::open(&args.second)) {
        (Some(first), Some(second)) => series(args, &first, &second)?,
        (None, None) => runs(args)?,
        _ => {
            return Err(exit::error(
                Exit::Usage,
                "a series of runs cannot be compared with a single run\nhint: name one run of the series, or two series",
            ));
        }
    };
    let text = ::report::comparison(&comparison, args.lang.spoken())?;
    output::emit(args.json, &comparison, |_| text)?;
    Ok(match comparison.verdict {
        Verdict::Worse => Exit::NotMet,
        _ => Exit::Ok,
    })
}

fn load(args: &CompareArgs, path: &Path) -> anyhow::Result<RunData> {
    let dir = RunDir::open(path).exit(Exit::Usage)?;
    let mut run = RunData::load(&dir).exit(Exit::Usage)?;
    run.manifest.judgement = args.judge.judgement(run.manifest.judgement);
    Ok(run)
}

fn options(args: &CompareArgs, confidence: Option<f64>) -> CompareOptions {
    CompareOptions { confidence: confidence.unwrap_or(0.95), threshold: args.threshold / 100.0, anyway: args.anyway }
}

fn runs(args: &CompareArgs) -> anyhow::Result<Comparison> {
    let (first, second) = (load(args, &args.first)?, load(args, &args.second)?);
    let options = options(args, second.manifest.judgement.confidence_level);
    analysis::compare(&first, &second, options).exit(Exit::Usage)
}

fn series(args: &CompareArgs, first: &SeriesDir, second: &SeriesDir) -> anyhow::Result<Comparison> {
    let read = |series: &SeriesDir| -> anyhow::Result<(Option<Manifest>, Vec<Summary>)> {
        let (mut manifest, mut summaries) = (None, Vec::new());
        for run in series.runs() {
            let run = load(args, &run)?;
            summaries.push(summary::summarise(&run));
            manifest.get_or_insert(run.manifest);
        }
        Ok((manifest, summaries))
    };
    let (of_first, of_second) = (read(first)?, read(second)?);
    let confidence = of_second.1.first().and_then(|run| run.confidence_level);
    analysis::compare_series(
        RunSeries { name: first.name(), manifest: of_first.0.as_ref(), runs: &of_first.1 },
        RunSeries { name: second.name(), manifest: of_second.0.as_ref(), runs: &of_second.1 },
        options(args, confidence),
    )
    .exit(Exit::Usage)
}
