//! `cargo xtask compare`: is the second run better or worse than the first?

use std::path::PathBuf;

use analysis::{CompareOptions, Verdict};
use clap::Args;
use records::{RunData, RunDir};

use crate::{
    cli::Lang,
    exit::{Exit, WithExit as _},
    judge::JudgeArgs,
    output,
};

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
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
    let load = |path: &PathBuf| -> anyhow::Result<RunData> {
        let dir = RunDir::open(path).exit(Exit::Usage)?;
        let mut run = RunData::load(&dir).exit(Exit::Usage)?;
        run.manifest.judgement = args.judge.judgement(run.manifest.judgement);
        Ok(run)
    };
    let (first, second) = (load(&args.first)?, load(&args.second)?);
    let options = CompareOptions {
        confidence: second.manifest.judgement.confidence_level.unwrap_or(0.95),
        threshold: args.threshold / 100.0,
        anyway: args.anyway,
    };
    let comparison = analysis::compare(&first, &second, options).exit(Exit::Usage)?;
    let text = report::comparison(&comparison, args.lang.spoken())?;
    output::emit(args.json, &comparison, |_| text)?;
    Ok(match comparison.verdict {
        Verdict::Worse => Exit::NotMet,
        _ => Exit::Ok,
    })
}
