//! What sampling costs: eight GPUs at ten readings a second, through the real loader and wrapper against the fake library.
//!
//! `cargo run --release -p gpumon --example sampler_cost [SECONDS]` prints the processor time of the sampler's thread, as
//! the kernel counts it, in percent of one core. The fake library answers at once, so this is our own share; a driver adds
//! what its calls take, which every sample records as `read_ns`.
#![expect(clippy::print_stdout, reason = "an example reports on the terminal")]
#![expect(clippy::unwrap_used, reason = "an example fails by panicking")]

use std::{
    env, fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use gpumon::{Line, Period, Sampler, Source as _, nvml};
use records::GpuLine;

const GPUS: usize = 8;
const PERIOD: Duration = Duration::from_millis(100);

fn main() {
    let seconds = env::args().nth(1).map_or(20, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libnvidia-ml.so");
    fs::copy(fake_library(), &library).unwrap();
    fs::write(library.with_extension("toml"), scenario()).unwrap();
    let mut gpus = nvml::open_library(&library).unwrap();
    assert_eq!(gpus.describe().len(), GPUS);

    let period = Period::try_from(PERIOD).unwrap();
    let began = Instant::now();
    let sampler = Sampler::start(vec![Box::new(gpus)], period, began).unwrap();
    // The thread names itself, and its lines are taken as a run takes them.
    thread::sleep(Duration::from_millis(50));
    let thread = telemetry_thread();
    let before = processor_ns(&thread);
    let start = Instant::now();
    let mut taken = 0;
    while start.elapsed() < Duration::from_secs(seconds) {
        thread::sleep(Duration::from_millis(500));
        let is_sample = |line: &Line| matches!(line, Line::Gpu(GpuLine::Sample(_)));
        taken += sampler.drain().iter().filter(|line| is_sample(line)).count();
    }
    let used = processor_ns(&thread) - before;
    let lasted = start.elapsed();
    let report = sampler.stop();
    println!(
        "{GPUS} GPUs every {} ms for {:.1} s: {taken} samples, {} missed ticks",
        PERIOD.as_millis(),
        lasted.as_secs_f64(),
        report.missed
    );
    println!(
        "processor time of the sampler's thread: {:.2} ms = {:.3} % of one core, {:.1} us a sample",
        used as f64 / 1e6,
        100.0 * used as f64 / lasted.as_nanos() as f64,
        used as f64 / 1e3 / taken as f64
    );
}

/// Everything that a Hopper card gives, profiling among it.
fn scenario() -> String {
    let values = "gpu_util = 97\nmemory_util = 61\nmemory_total = 85_520_809_984\nmemory_reserved = 554_827_776\n\
        memory_used = 76_235_669_504\nfield_185 = 512_345\nfield_186 = { start = 500_000, per_call = 1_000 }\nfield_82 = 77\n\
        field_138_all = 1_000\nfield_139_all = 2_000\nenergy = { start = 9_000_000_000, per_call = 250_000 }\ntemperature = 61\n\
        sm_clock = 1_755\nmemory_clock = 2_619\nthrottle = 4\npower_limit = 700_000\npower_violation = 5\nthermal_violation = 0\n\
        gpm_support = 1\ngpm_2 = 85\ngpm_3 = 40\ngpm_5 = 30\ngpm_10 = 61\ngpm_20 = 1\ngpm_21 = 2\ngpm_60 = 3\ngpm_61 = 4\n\
        sm_clock_max = 1_980\npcie_generation = 5\npcie_width = 16\npcie_replays = 3\necc_uncorrected = 0\n";
    let gpu = |i: usize| {
        format!(
            "[[devices]]\nuuid = \"GPU-{i}\"\nname = \"NVIDIA H100\"\ncompute_capability = [9, 0]\n[devices.values]\n{values}"
        )
    };
    let gpus: Vec<String> = (0..GPUS).map(gpu).collect();
    format!("driver = \"580.95.05\"\n{}", gpus.concat())
}

/// The library as cargo built it, beside or below this executable's folder.
fn fake_library() -> PathBuf {
    let name = format!("{}fake_nvml{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let executable = env::current_exe().unwrap();
    let profile = executable.ancestors().nth(2).unwrap();
    [profile.join(&name), profile.join("deps").join(&name)]
        .into_iter()
        .find(|path| path.exists())
        .expect("cargo builds fake-nvml, a dev-dependency, before this example")
}

/// The kernel's folder of the sampler's thread.
fn telemetry_thread() -> PathBuf {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        .map(|task| task.unwrap().path())
        .find(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "telemetry"))
        .expect("the sampler's thread runs")
}

/// Time that the thread has spent on a processor.
fn processor_ns(thread: &std::path::Path) -> u64 {
    let text = fs::read_to_string(thread.join("schedstat")).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}
