//! The plimsoll command as a library: parse, call one library function per subcommand, print.
//!
//! The only crate that knows flags, the terminal, signals and exit codes. Two programs are made of it: `plimsoll`, and
//! `cargo xtask`, which adds what only this repository needs.

mod args;
pub mod cli;
mod compare;
mod dry_run;
pub mod exit;
mod gpumon;
pub mod interrupt;
mod judge;
mod lang;
mod legacy;
mod list;
pub mod output;
mod overhead;
mod plan;
mod program;
pub mod progress;
mod report;
mod run;
mod sim;
mod size;
mod summary;

use std::process::ExitCode;

pub use program::{program_name, set_program_name};

use crate::{cli::Command, exit::Exit};

/// Runs one command of plimsoll. What it printed is on stdout, what it logged on stderr.
///
/// # Errors
/// The command could not do what it was asked for; [`exit::code_of`] gives the code to end with.
pub fn run(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::All(args) => run::all(&args),
        Command::Bench(args) => run::bench(&args),
        Command::Report(args) => report::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Size(args) => size::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Models(args) => list::models(&args),
        Command::Gpus(args) => list::gpus(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Overhead(args) => overhead::run(&args),
        Command::Gpumon(args) => gpumon::run(&args),
    }
}

/// The life of a process: raises the limit on open files, does the work, logs an error and turns the result into an exit
/// code.
pub fn run_to_exit_code(work: impl FnOnce() -> anyhow::Result<Exit>) -> ExitCode {
    // Every stream is an open file, and the usual limit is 1,024. Where it cannot be raised, connecting says so.
    drop(rlimit::increase_nofile_limit(u64::MAX));
    match work() {
        Ok(exit) => exit.into(),
        Err(error) => {
            progress::log(&format!("error: {error:#}"));
            exit::code_of(&error)
        }
    }
}
