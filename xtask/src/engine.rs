//! `cargo xtask engine`: real engines that need no GPU, for trying Plimsoll out and for end-to-end tests.

mod cpu;
mod install;
mod llama_cpp;
mod process;
mod vllm;

pub(crate) use vllm::VllmArgs;

use records::EngineFacts;

use crate::{cli::EngineCommand, exit::Exit, interrupt::Interrupt, output};
use process::Server;

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

/// Waits until the server answers, says where, and waits for Ctrl-C. `what` names the engine with its model and size;
/// `next` is a command for another terminal, without the address.
fn serve(mut server: Server, model: &str, what: &str, next: &str, json: bool) -> anyhow::Result<Exit> {
    let engine = server.wait_until_ready()?;
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
