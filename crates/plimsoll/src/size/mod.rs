//! `cargo xtask size`: the engine's own arithmetic, forwards (`predict`), on a log (`explain`), and as a plan for a load.

mod args;
mod explain;
mod headers;
mod plan;
mod predict;
mod setup;

pub(crate) use args::{PlanArgs, SizeCommand};

use crate::{cli::SizeArgs, exit::Exit};

pub(crate) fn run(args: &SizeArgs) -> anyhow::Result<Exit> {
    match &args.command {
        None => plan::run(&args.plan),
        Some(SizeCommand::Predict(args)) => predict::run(args),
        Some(SizeCommand::Explain(args)) => explain::run(args),
    }
}
