//! The `plimsoll` program; all of it is in the library.

use std::process::ExitCode;

use clap::Parser;
use plimsoll::cli::{self, AFTER_HELP, Command};

/// How much load does this server really hold, and what would it take to hold the load we want?
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, max_term_width = 100, after_help = AFTER_HELP.replace("PROGRAM", "plimsoll"))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let Cli { command } = cli::parse();
    plimsoll::run_to_exit_code(|| plimsoll::run(command))
}
