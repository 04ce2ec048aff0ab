//! vLLM on the CPU: a Python environment, a model made on this machine, and the server until Ctrl-C.
//!
//! Two builds, because none runs everywhere: 0.11.2 is compiled for AVX-512 with bf16 throughout, and its plain variant
//! wants a newer C++ library than Debian 12 has; 0.12.0's plain variant runs from AVX2 on. Both link `PyTorch`'s CUDA build,
//! the only one in the package index; see `stubs` for what that needs. Versions are pinned in `xtask/engines/`, without
//! hashes, because the wheels differ from one Python to the next.

mod stubs;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use nix::sys::statvfs::statvfs;

use super::{
    choice::{self, Candidate},
    cpu,
    install::{self, Hashes, Install, Watch},
    llama_cpp,
    process::Server,
    serve,
};
use plimsoll::{
    exit::{self, Exit},
    interrupt::Interrupt,
};

const LOCK: &str = include_str!("../../engines/vllm.lock");
const TINY: &str = include_str!("../../engines/tiny_model.py");
const SMOLLM2: &str = include_str!("../../engines/smollm2_from_gguf.py");
/// Downloads and unpacked packages together; half of it remains.
const INSTALL_MEGABYTES: u64 = 4_600;
const GIGABYTE: u64 = 1_000_000_000;
/// Where the environment's interpreter is.
const PYTHON: &str = "bin/python";

/// How to run vLLM.
#[derive(Clone, Debug, Args)]
pub(crate) struct VllmArgs {
    /// Port to listen on, on the loopback interface; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Model
    #[arg(long, value_enum, default_value_t = ModelKind::Tiny)]
    model: ModelKind,
    /// Most requests in a step; more wait
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    max_num_seqs: u32,
    /// Most tokens of a request, prompt and output together
    #[arg(long, value_name = "N", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(64..=8192))]
    max_model_len: u32,
    /// Memory of the KV cache
    #[arg(long, value_name = "GIB", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    kv_cache_gib: u32,
    /// Blocks of the KV cache, of 128 tokens each, instead of as many as its memory holds: few make requests wait and be
    /// preempted
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    kv_cache_blocks: Option<u32>,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    json: bool,
}

/// A model that needs no download of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModelKind {
    /// A llama of 4 layers with random weights: fast, and what it writes is noise
    Tiny,
    /// SmolLM2-135M-Instruct, converted from a GGUF package
    Smollm2,
}

impl ModelKind {
    /// Name to ask for.
    fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Smollm2 => "smollm2-135m",
        }
    }
}

/// A build of vLLM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Build {
    version: &'static str,
    /// Name of the folder under `target/engines/`.
    folder: &'static str,
    /// Type of weights and cache. Of bf16, 0.12.0 makes nonsense on a CPU with AVX2 only: SmolLM2 no longer knows the
    /// capital of France, which it does in single precision.
    dtype: &'static str,
    /// The packages that differ from the other build's.
    lock: &'static str,
}

const AVX512_BF16: Build = Build {
    version: "0.11.2",
    folder: "vllm-0.11.2-avx512bf16",
    dtype: "bfloat16",
    lock: include_str!("../../engines/vllm-0.11.2-avx512bf16.lock"),
};
const AVX2: Build = Build {
    version: "0.12.0",
    folder: "vllm-0.12.0-avx2",
    dtype: "float32",
    lock: include_str!("../../engines/vllm-0.12.0-avx2.lock"),
};

impl Candidate for Build {
    fn folder(&self) -> &'static str {
        self.folder
    }
}

pub(super) fn run(args: &VllmArgs, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let name = args.model.name();
    let builds = builds_for(&cpu::flags());
    let (build, server) = choice::first_that_answers("vLLM", &builds, |&build| {
        let home = installed(build, interrupt)?;
        let model = model(args.model, &home, interrupt)?;
        let log = home.join("server.log");
        let mut server = Server::spawn("vLLM", command(args, build, &home, &model), args.port, log, interrupt)?;
        server.wait_until_it_generates(name)?;
        Ok(server)
    })?;
    let what = format!("vLLM {} with {name} (at most {} requests in a step)", build.version, args.max_num_seqs);
    serve(server, name, &what, "cargo xtask all --concurrency 1,8,32", args.json)
}

/// The builds that a CPU may run by its flags, the fastest first.
fn builds_for(flags: &cpu::Flags) -> Vec<Build> {
    [("avx512_bf16", AVX512_BF16), ("avx2", AVX2)]
        .into_iter()
        .filter(|(flag, _)| flags.has(flag))
        .map(|(_, build)| build)
        .collect()
}

/// The build's environment, installed if it is not there.
fn installed(build: Build, interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
    let what = format!("vLLM {} for the CPU", build.version);
    let wanted = Install {
        what: &what,
        folder: build.folder,
        proof: &[PYTHON, "stubs/libcuda.so.1"],
        megabytes: INSTALL_MEGABYTES,
    };
    let home = install::once(&wanted, interrupt, |partial, watch| {
        let free = statvfs(partial).context("look at the free space")?;
        let free = free.blocks_available().saturating_mul(free.fragment_size());
        enough_space(free, partial)?;
        environment(build, partial, watch)
    })?;
    fs::canonicalize(&home).with_context(|| format!("find {}", home.display()))
}

fn enough_space(free: u64, at: &Path) -> anyhow::Result<()> {
    const NEEDED: u64 = 5 * GIGABYTE;
    if free >= NEEDED {
        return Ok(());
    }
    Err(exit::error(
        Exit::Usage,
        format!(
            "install vLLM: it takes {} GB while installing, and {:.1} GB are free at {}\nhint: set CARGO_TARGET_DIR to a folder on a larger disk",
            NEEDED / GIGABYTE,
            free as f64 / GIGABYTE as f64,
            at.display()
        ),
    ))
}

fn environment(build: Build, partial: &Path, watch: &Watch<'_>) -> anyhow::Result<()> {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--without-pip"]).arg(partial);
    watch.run(venv)?;
    let python = partial.join(PYTHON);
    watch.run(install::pip(Some(&python), Hashes::None, partial, &[LOCK, build.lock])?)?;
    stubs::make(&packages(partial)?.join("torch/lib"), &partial.join("stubs"), watch)
}

/// Where the environment keeps its packages.
fn packages(home: &Path) -> anyhow::Result<PathBuf> {
    let versions = fs::read_dir(home.join("lib")).context("list the environment")?;
    let packages = versions.flatten().map(|version| version.path().join("site-packages"));
    packages.into_iter().find(|folder| folder.join("vllm").is_dir()).context("find vllm among the installed packages")
}

/// The model's folder, made if it is not there.
fn model(kind: ModelKind, home: &Path, interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
    let folder = format!("vllm-model-{}", kind.name());
    let wanted = Install {
        what: &format!("the model {}", kind.name()),
        folder: &folder,
        proof: &["config.json", "tokenizer.json"],
        megabytes: 300,
    };
    let made = install::once(&wanted, interrupt, |partial, watch| {
        let mut python = interpreter(home);
        python.arg("-c");
        match kind {
            ModelKind::Tiny => python.arg(TINY).arg(partial),
            ModelKind::Smollm2 => {
                python.arg(SMOLLM2).arg(fs::canonicalize(llama_cpp::weights(interrupt)?)?).arg(partial)
            }
        };
        watch.run(python)
    })?;
    fs::canonicalize(&made).with_context(|| format!("find {}", made.display()))
}

/// The environment's Python, which loads the stand-ins and asks no one on the network.
fn interpreter(home: &Path) -> Command {
    let mut python = Command::new(home.join(PYTHON));
    python
        .env("LD_LIBRARY_PATH", home.join("stubs"))
        .env("HF_HOME", home.join("cache"))
        .env("VLLM_CACHE_ROOT", home.join("cache"))
        .env("VLLM_CONFIG_ROOT", home.join("cache"))
        .env("HF_HUB_OFFLINE", "1")
        .env("TRANSFORMERS_OFFLINE", "1")
        .env("VLLM_NO_USAGE_STATS", "1")
        .env("DO_NOT_TRACK", "1")
        // What it has compiled is kept beside it: else every start takes half a minute longer.
        .env_remove("PYTHONDONTWRITEBYTECODE");
    python
}

fn command(args: &VllmArgs, build: Build, home: &Path, model: &Path) -> Command {
    let mut command = interpreter(home);
    // Without its own address it would listen for its parts on every interface.
    command
        .env("VLLM_HOST_IP", "127.0.0.1")
        // One processor is the client's and the HTTP server's: else the one waits for the other at every token.
        .env("VLLM_CPU_NUM_OF_RESERVED_CPU", "1")
        .env("VLLM_CPU_KVCACHE_SPACE", args.kv_cache_gib.to_string())
        .args(["-m", "vllm.entrypoints.cli.main", "serve"])
        .arg(model)
        .args(["--served-model-name", args.model.name()])
        .args(["--dtype", build.dtype, "--enforce-eager"])
        .args(["--max-model-len", &args.max_model_len.to_string()])
        .args(["--max-num-seqs", &args.max_num_seqs.to_string()]);
    if let Some(blocks) = args.kv_cache_blocks {
        command.args(["--num-gpu-blocks-override", &blocks.to_string()]);
    }
    if args.model == ModelKind::Tiny {
        command.args(["--load-format", "dummy"]);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the flags of a Zen 4, a Zen 3 and a Core i7-3770.
    #[test]
    fn builds_follow_the_flags_of_the_cpu() {
        let builds = |flags: &str| {
            builds_for(&cpu::Flags::of(&format!("processor\t: 0\nmodel name\t: x\nflags\t\t: fpu {flags} sse2\n")))
        };
        let zen4 = "avx avx2 avx512f avx512bw avx512_bf16 avx512_vnni";
        assert_eq!(builds(zen4), [AVX512_BF16, AVX2]);
        assert_eq!(builds("avx fma avx2 bmi2"), [AVX2]);
        assert_eq!(builds("avx avx512_bf16x avx2x"), []);
        assert_eq!(builds("sse4_2 avx f16c"), []);
        assert_eq!(builds_for(&cpu::Flags::of("")), []);
    }

    #[test]
    fn a_full_disk_is_said_before_anything_is_fetched() {
        let said = enough_space(4_999_999_999, Path::new("/t")).unwrap_err().to_string();
        assert!(said.contains("takes 5 GB") && said.contains("5.0 GB are free"), "{said}");
        assert!(enough_space(5_000_000_000, Path::new("/t")).is_ok());
    }

    /// Each build names one vLLM and one torch, and nothing that the common list names too.
    #[test]
    fn the_lists_of_packages_do_not_contradict_each_other() {
        let names = |lock: &str| -> Vec<String> {
            let pinned = lock.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            pinned.map(|line| line.split_once("==").unwrap().0.to_ascii_lowercase()).collect()
        };
        for build in [AVX512_BF16, AVX2] {
            let mut all = names(LOCK);
            all.extend(names(build.lock));
            let count = all.len();
            all.sort();
            all.dedup();
            assert_eq!(all.len(), count, "{}", build.folder);
            assert!(build.lock.contains("\nvllm-cpu") && build.lock.contains("\ntorch=="));
        }
    }
}
