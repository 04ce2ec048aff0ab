//! Whether sampling eight GPUs ten times a second disturbs the client: `cargo xtask overhead --beside-sampler` with the
//! fake NVIDIA library in place of the driver's, so that it runs on a machine without GPUs. The fake answers at once:
//! this is our own share, and a driver adds what its calls take.
//!
//! ```text
//! cargo build --release -p xtask && cargo run --release -p xtask --example sampler_effect -- --streams 64,1000
//! ```

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::Context as _;

const GPUS: usize = 8;

/// What a Hopper card gives, profiling among it.
const VALUES: &str = "gpu_util = 97\nmemory_util = 61\nmemory_total = 85_520_809_984\nmemory_reserved = 554_827_776\n\
    memory_used = 76_235_669_504\nfield_185 = 512_345\nfield_186 = { start = 500_000, per_call = 1_000 }\nfield_82 = 77\n\
    energy = { start = 9_000_000_000, per_second = 500_000 }\ntemperature = 61\nsm_clock = 1_755\nmemory_clock = 2_619\n\
    throttle = 4\npower_limit = 700_000\npower_violation = 5\nthermal_violation = 0\ngpm_support = 1\ngpm_2 = 85\n\
    gpm_3 = 40\ngpm_5 = 30\ngpm_10 = 61\ngpm_20 = 1\ngpm_21 = 2\ngpm_60 = 3\ngpm_61 = 4\nsm_clock_max = 1_980\n";

fn main() -> anyhow::Result<ExitCode> {
    let executable = env::current_exe().context("find this program")?;
    let profile = executable.ancestors().nth(2).context("find its folder")?;
    let folder = tempfile::tempdir().context("make a folder")?;
    let library = folder.path().join("libnvidia-ml.so.1");
    fs::copy(fake_library(profile)?, &library).context("copy the fake library")?;
    fs::write(library.with_extension("toml"), scenario()).context("write its scenario")?;
    let xtask = profile.join("xtask");
    let status = Command::new(&xtask)
        .args(["overhead", "--beside-sampler", "5"])
        .args(env::args().skip(1))
        .env("LD_LIBRARY_PATH", folder.path())
        .status()
        .with_context(|| format!("run {}: build it first, in the same profile", xtask.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn scenario() -> String {
    let gpu = |i: usize| {
        format!(
            "[[devices]]\nuuid = \"GPU-{i}\"\nname = \"NVIDIA H100\"\ncompute_capability = [9, 0]\n[devices.values]\n{VALUES}"
        )
    };
    let gpus: Vec<String> = (0..GPUS).map(gpu).collect();
    format!("driver = \"580.95.05\"\n{}", gpus.concat())
}

/// The library as cargo built it, in the profile's folder or below it.
fn fake_library(profile: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("{}fake_nvml{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    [profile.join(&name), profile.join("deps").join(&name)]
        .into_iter()
        .find(|path| path.exists())
        .context("cargo builds fake-nvml, a dev-dependency, before this example")
}
