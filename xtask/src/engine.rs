//! `cargo xtask engine`: real engines that need no GPU, for trying Plimsoll out and for end-to-end tests.

mod llama_cpp;
mod process;

use records::EngineFacts;

use crate::{cli::EngineCommand, exit::Exit};

pub(crate) fn run(command: &EngineCommand) -> anyhow::Result<Exit> {
    match command {
        EngineCommand::LlamaCpp(args) => llama_cpp::run(args),
    }
}

/// An engine that answers.
#[derive(Debug, serde::Serialize)]
struct Running {
    url: String,
    model: String,
    engine: EngineFacts,
}
