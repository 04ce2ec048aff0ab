//! The plimsoll command: parse, call one library function per subcommand, print.
//!
//! The only crate that knows flags, the terminal, signals, exit codes and where files lie.

mod access;
mod buy;
mod cli;
mod compare;
mod dry_run;
mod engine;
mod exit;
mod find_capacity;
mod gpumon;
mod host;
mod interrupt;
mod judge;
mod levels;
mod measure;
mod output;
mod overhead;
mod plan;
mod progress;
mod recorder;
mod redact;
mod report;
mod resume;
mod run;
mod series;
mod sim;
mod size;
mod stop_when;
mod telemetry;
mod workload;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser as _;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    // Every stream is an open file, and the usual limit is 1,024. Where it cannot be raised, connecting says so.
    drop(rlimit::increase_nofile_limit(u64::MAX));
    let result = match Cli::parse().command {
        Command::All(args) => run::all(&args),
        Command::Bench(args) => run::bench(&args),
        Command::Report(args) => report::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Size(args) => size::run(&args),
        Command::Plan(args) => buy::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Overhead(args) => overhead::run(&args),
        Command::Gpumon(args) => gpumon::run(&args),
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
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")), PathBuf::from)
}
