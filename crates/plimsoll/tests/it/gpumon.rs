//! GPU telemetry through the real binary: an agent with a fake GPU on one side, a run against a simulated server on the
//! other; recording, replay and import.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{Sim, json, run, stderr, stdout, xtask};

/// 300 W by the counter and by instant power.
const GPU: &str = r#"
driver = "580.95.05"
[[devices]]
uuid = "GPU-fake"
name = "NVIDIA H100 80GB HBM3"
compute_capability = [9, 0]
[devices.values]
gpu_util = 97
memory_util = 61
memory_total = 85_520_809_984
memory_reserved = 554_827_776
memory_used = 76_235_669_504
field_185 = 300_000
field_186 = 300_000
energy = { start = 9_000_000_000, per_second = 300_000 }
temperature = 61
sm_clock = 1_755
memory_clock = 2_619
throttle = 0
power_limit = 700_000
gpm_support = 1
gpm_2 = 85
gpm_10 = 61
"#;

/// The fake library where the loader looks for NVIDIA's, with a scenario beside it.
fn driver(scenario: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let name = format!("{}fake_nvml{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let executable = std::env::current_exe().expect("a path");
    let built: PathBuf = executable
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(&name))
        .find(|path| path.exists())
        .expect("cargo builds fake-nvml, a dev-dependency, before these tests");
    let library = folder.path().join("libnvidia-ml.so.1");
    fs::copy(built, &library).expect("a copy");
    fs::write(library.with_extension("toml"), scenario).expect("a scenario");
    folder
}

/// An agent as a process of its own; dropped, it is killed.
struct Agent {
    process: Child,
    url: String,
}

impl Agent {
    fn start(driver: &TempDir) -> Self {
        let mut process = xtask(&["gpumon", "--serve", "127.0.0.1:0", "--interval-ms", "100", "--json"])
            .env("LD_LIBRARY_PATH", driver.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the agent starts");
        let mut document = String::new();
        let mut lines = BufReader::new(process.stdout.take().expect("piped"));
        while !document.trim_end().ends_with('}') {
            assert!(lines.read_line(&mut document).expect("UTF-8") > 0, "it says where it is: {document}");
        }
        let said: Value = serde_json::from_str(&document).expect("JSON");
        assert_eq!(said["sources"][0], "nvml");
        Self { process, url: said["url"].as_str().expect("a URL").to_owned() }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.kill().expect("it was running or has ended");
        self.process.wait().expect("it ends");
    }
}

fn bench(server: &str, results: &Path, run_id: &str, more: &[&str]) -> Value {
    let fixed = [
        "bench",
        "--url",
        server,
        "--concurrency",
        "1,2",
        "--request-count",
        "4",
        "--osl",
        "8",
        "--json",
        "--run-id",
        run_id,
    ];
    let output = xtask(&fixed)
        .args(["--result-dir", results.to_str().expect("UTF-8")])
        .args(more)
        .output()
        .expect("the binary runs");
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(&output));
    json(&output)
}

#[test]
fn a_client_elsewhere_reads_the_gpus_through_the_agent() {
    let driver = driver(GPU);
    let agent = Agent::start(&driver);
    let sim = Sim::start(&[]);
    let results = tempfile::tempdir().expect("a folder");
    let document = bench(&sim.url, results.path(), "remote", &["--gpu-telemetry", &agent.url]);
    let gpu = fs::read_to_string(results.path().join("remote/gpu.jsonl")).expect("gpu.jsonl");
    for kind in ["device", "sample", "clock"] {
        assert!(gpu.contains(&format!("{{\"kind\":\"{kind}\"")), "{kind}: {gpu}");
    }
    for level in document["summary"]["levels"].as_array().expect("levels") {
        let energy = &level["energy"];
        assert_eq!(energy["issues"], serde_json::json!([]), "{energy}");
        let watts = energy["energy_j"].as_f64().expect("J") / level["window_s"].as_f64().expect("s");
        // The counter has a step of a millisecond, and its readings are 100 ms apart.
        assert!((watts - 300.0).abs() < 3.0, "{watts}");
        assert!((energy["idle_w"].as_f64().expect("W") - 300.0).abs() < 3.0);
        assert!(energy["j_per_total_token"].as_f64() < energy["j_per_output_token"].as_f64());
        assert!(level["bottleneck"]["verdict"].is_string(), "{level}");
    }
}

#[test]
fn telemetry_that_is_not_there_does_not_stop_a_run() {
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    let document =
        bench(&sim.url, results.path(), "without", &["--gpu-telemetry", "none", "--server-metrics", &sim.url]);
    assert_eq!(document["summary"]["levels"].as_array().map(Vec::len), Some(2));
    let no_driver = driver("driver = \"580\"\ninit = \"DRIVER_NOT_LOADED\"");
    let output = xtask(&["gpumon"]).env("LD_LIBRARY_PATH", no_driver.path()).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("the NVIDIA driver is not loaded; GPU telemetry is off"), "{}", stderr(&output));
    let untouched = tempfile::tempdir().expect("a folder");
    let wrong = run(&[
        "bench",
        "--url",
        &sim.url,
        "--gpu-telemetry",
        "http://me:pw@gpu-host:9400",
        "--result-dir",
        untouched.path().to_str().expect("UTF-8"),
    ]);
    assert_eq!(
        fs::read_dir(untouched.path()).expect("a folder").count(),
        0,
        "a flag that is wrong leaves no run folder"
    );
    assert_eq!(wrong.status.code(), Some(2));
    assert!(!stderr(&wrong).contains("pw"), "{}", stderr(&wrong));
}

#[test]
fn what_was_recorded_can_be_played_again() {
    let driver = driver(GPU);
    let file = driver.path().join("trace.jsonl");
    let path = file.to_str().expect("UTF-8");
    let recorded = xtask(&["gpumon", "--record", path, "--interval-ms", "100", "--duration-seconds", "1"])
        .env("LD_LIBRARY_PATH", driver.path())
        .output()
        .expect("the binary runs");
    assert_eq!(recorded.status.code(), Some(0), "{}", stderr(&recorded));
    assert!(stderr(&recorded).contains("all 11 metrics available"), "{}", stderr(&recorded));
    let table = stdout(&recorded);
    assert!(table.contains("GPU-fake") && table.contains("300.0"), "{table}");
    let played = run(&["gpumon", "--replay", path, "--duration-seconds", "1"]);
    assert_eq!(played.status.code(), Some(0), "{}", stderr(&played));
    assert!(stdout(&played).contains("GPU-fake"), "{}", stdout(&played));
}

#[test]
fn a_log_of_nvidia_smi_becomes_part_of_a_run() {
    let results = tempfile::tempdir().expect("a folder");
    let sim = Sim::start(&["--profile", "fixed"]);
    bench(&sim.url, results.path(), "log", &["--gpu-telemetry", "none"]);
    let folder = results.path().join("log");
    let manifest: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("manifest.json")).expect("a manifest")).expect("JSON");
    let started = manifest["started"]["unix_ns"].as_u64().expect("a time") / 1_000_000;
    let row = |ms: u64| format!("{}, GPU-log, 97 %, 301.5 W", started + ms);
    let log = results.path().join("smi.csv");
    let rows: Vec<String> = (1..20).map(|i| row(100 * i)).collect();
    fs::write(&log, format!("timestamp, uuid, utilization.gpu [%], power.draw.instant [W]\n{}\n", rows.join("\n")))
        .expect("a log");
    let import = || {
        run(&["gpumon", "--import", log.to_str().expect("UTF-8"), "--into", folder.to_str().expect("UTF-8"), "--json"])
    };
    let imported = import();
    assert_eq!(imported.status.code(), Some(0), "{}", stderr(&imported));
    assert_eq!((&json(&imported)["samples"], &json(&imported)["devices"]), (&19.into(), &1.into()));
    let again = import();
    assert_eq!(again.status.code(), Some(2), "twice would count double");
    let report = json(&run(&["report", folder.to_str().expect("UTF-8"), "--json"]));
    assert_eq!(report[0]["summary"]["levels"][0]["gpu"]["gpus"], 1, "{report}");
}

#[test]
fn the_clients_error_is_measured_without_and_with_the_sampler() {
    let driver = driver(GPU);
    let output = xtask(&["overhead", "--beside-sampler", "1", "--streams", "2", "--json"])
        .env("LD_LIBRARY_PATH", driver.path())
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let effect = &json(&output)["beside_sampler"][0];
    assert_eq!((&effect["streams"], &effect["rounds"], &effect["gpus"]), (&2.into(), &1.into(), &1.into()));
    // Sixteen requests of 1.09 s, two at a time: 9 s with ten readings a second.
    let samples = effect["samples"].as_u64().expect("a number");
    assert!((60..=120).contains(&samples), "{samples}");
    for figure in ["ttft_error_p50_ms", "gap_error_p99_ms", "cpu_us_per_event"] {
        let of = |side: &str| effect[side][figure].as_f64().expect("a figure");
        assert!((of("ratio") - of("with") / of("without")).abs() < 1e-9, "{effect}");
        assert!(of("with") > 0.0, "{effect}");
    }
}
