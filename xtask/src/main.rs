//! `cargo xtask`: the commands of plimsoll, and what only this repository needs beside them.

mod engine;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use plimsoll::cli;

/// How much load does this server really hold, and what would it take to hold the load we want?
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
#[command(after_help = cli::AFTER_HELP.replace("PROGRAM", "cargo xtask"))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Plimsoll(Box<cli::Command>),
    /// Install and run a real engine that needs no GPU, until Ctrl-C
    #[command(subcommand)]
    Engine(engine::EngineCommand),
}

fn main() -> ExitCode {
    plimsoll::set_program_name("cargo xtask");
    let Cli { command } = cli::parse();
    plimsoll::run_to_exit_code(|| match command {
        Command::Plimsoll(command) => plimsoll::run(*command),
        Command::Engine(command) => engine::run(&command),
    })
}
