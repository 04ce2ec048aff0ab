//! The plimsoll command: parse, call one library function per subcommand, print.
//!
//! The only crate that knows flags, the terminal, signals, exit codes and where files lie.

mod cli;
mod compare;
mod engine;
mod exit;
mod host;
mod interrupt;
mod judge;
mod measure;
mod output;
mod plan;
mod progress;
mod recorder;
mod redact;
mod report;
mod run;
mod sim;
mod size;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser as _;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::All(args) => run::all(&args),
        Command::Bench(args) => run::bench(&args),
        Command::Report(args) => report::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Size(args) => size::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Engine(command) => engine::run(&command),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            progress::log(&format!("error: {error:#}"));
            exit::code_of(&error)
        }
    }
}

/// Cargo's target folder: where things that can be made again may lie.
fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
        PathBuf::from,
    )
}
