//! `cargo xtask size`: the engine's own arithmetic, forwards (`predict`), on a log (`explain`), and as a plan for a load.

mod args;
mod explain;
mod headers;
mod load;
mod predict;
mod setup;

use args::{LoadArgs, SizeCommand};

use clap::Args;

use crate::exit::Exit;

/// Flags of `size`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SizeArgs {
    #[command(subcommand)]
    command: Option<SizeCommand>,
    #[command(flatten)]
    plan: LoadArgs,
}

pub(crate) fn run(args: &SizeArgs) -> anyhow::Result<Exit> {
    match &args.command {
        None => load::run(&args.plan),
        Some(SizeCommand::Predict(args)) => predict::run(args),
        Some(SizeCommand::Explain(args)) => explain::run(args),
    }
}
