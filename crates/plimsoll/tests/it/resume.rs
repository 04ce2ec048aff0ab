//! A run that was killed, interrupted or stopped by a full disk goes on where it was: whole levels stay, the others run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::binary::{Sim, json, run, signal, stderr, wait_until, xtask};

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A run with a level that is soon done and one that takes a while.
fn flags<'a>(sim: &'a Sim, results: &'a Path, second: &'a str) -> Vec<&'a str> {
    let mut flags = vec!["bench", "--url", &sim.url, "--osl", "20", "--warmup-request-count", "1"];
    flags.extend(["--concurrency", second, "--request-count", "24"]);
    flags.extend(["--result-dir", path(results), "--run-id", "cut"]);
    flags
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn level_lines(folder: &Path, level: u64) -> Vec<String> {
    let text = fs::read_to_string(folder.join("requests.jsonl")).expect("requests");
    let of_level = |line: &&str| serde_json::from_str::<Value>(line).is_ok_and(|record| record["level"] == level);
    text.lines().filter(of_level).map(str::to_owned).collect()
}

/// Begins a run and ends it by `name` when the first level is on disk and the second has begun.
fn cut_off(results: &Path, name: &str) -> (Sim, PathBuf, Output) {
    let sim = Sim::start(&["--profile", "fixed"]);
    let process = xtask(&flags(&sim, results, "12,2")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let process = process.expect("the binary runs");
    let folder = results.join("cut");
    let begun = || lines(&folder.join("requests.jsonl")).iter().any(|r| r["level"] == 1);
    wait_until(begun, "the second level");
    let early = run(&["bench", "--resume", path(&folder)]);
    assert_eq!(early.status.code(), Some(2), "a run that goes on is left alone");
    assert!(stderr(&early).contains("still going on"), "{}", stderr(&early));
    signal(&process, name);
    let output = process.wait_with_output().expect("it ends");
    (sim, folder, output)
}

fn resume(folder: &Path) -> Value {
    let output = run(&["bench", "--resume", path(folder), "--json"]);
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(&output));
    json(&output)["summary"].clone()
}

fn assert_whole(folder: &Path, summary: &Value, measured: &[u64]) {
    assert_eq!(summary["run"]["complete"], true);
    let levels = summary["levels"].as_array().expect("levels");
    let completed: Vec<_> = levels.iter().filter_map(|l| l["requests"]["completed"].as_u64()).collect();
    assert_eq!(completed, measured);
    assert!(levels.iter().all(|l| l["complete"] == true));
    let manifest: Value =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).expect("a manifest")).expect("JSON");
    assert_eq!(manifest["end"]["kind"], "completed");
    assert_eq!(manifest["resumed"].as_array().map(Vec::len), Some(1));
    let requests = lines(&folder.join("requests.jsonl"));
    let mut numbers: Vec<_> = requests.iter().filter_map(|r| r["request"].as_u64()).collect();
    numbers.sort_unstable();
    let count = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "every request has its own number");
}

fn resumes_after(name: &str) {
    let results = tempfile::tempdir().expect("a folder");
    let (sim, folder, output) = cut_off(results.path(), name);
    assert!(!output.status.success());
    let before = level_lines(&folder, 0);
    assert_eq!(before.iter().filter(|l| l.contains("\"measured\"")).count(), 24);
    let partial = level_lines(&folder, 1).len();

    let summary = resume(&folder);
    assert_whole(&folder, &summary, &[24, 24]);
    assert_eq!(level_lines(&folder, 0), before, "what was whole is as it was, to the byte");
    let aside = lines(&folder.join("requests.cut_off.jsonl"));
    assert!(aside.len() >= partial && aside.iter().all(|r| r["level"] == 1));
    let moment = |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["sent_ns"].as_u64();
    let last = before.iter().filter_map(|l| moment(l)).max();
    assert!(level_lines(&folder, 1).iter().all(|l| moment(l) > last), "the run's clock went on");

    let again = run(&["bench", "--resume", path(&folder)]);
    assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
    assert!(stderr(&again).contains("the run is complete"));
    drop(sim);
}

#[test]
fn a_killed_run_goes_on() {
    resumes_after("KILL");
}

#[test]
fn an_interrupted_run_goes_on() {
    resumes_after("INT");
}

#[test]
fn a_full_disk_stops_the_run_with_its_reason_and_the_run_can_go_on() {
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    // No file may grow beyond 24 KiB (blocks of 512 bytes): the first level fits, the second does not. Without the trap
    // the kernel would kill the process instead of refusing the write, as a full disk does.
    let output = Command::new("sh")
        .args(["-c", "trap '' 25; ulimit -f 48; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_plimsoll")])
        .args(flags(&sim, results.path(), "12,2,12"))
        .env_remove("OPENAI_API_KEY")
        .output()
        .expect("sh runs");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("write requests.jsonl") || said.contains("write the run folder"), "{said}");
    assert!(said.contains("File too large") && said.contains("--resume"), "{said}");

    let folder = results.path().join("cut");
    let report = run(&["report", path(&folder), "--json"]);
    assert_eq!(report.status.code(), Some(0), "{}", stderr(&report));
    let summary = &json(&report)[0]["summary"];
    assert_eq!(summary["run"]["complete"], false);
    assert_eq!(summary["levels"][0]["requests"]["completed"], 24, "what was whole is whole");

    assert_whole(&folder, &resume(&folder), &[24, 24, 24]);
}

/// A run goes on with its own settings: a flag that would change them is refused, and not ignored.
#[test]
fn flags_that_would_change_a_resumed_run_are_refused_by_name() {
    for flags in [
        &["--ca-cert", "ca.pem"][..],
        &["--insecure"],
        &["--http2"],
        &["--gpu-telemetry", "none"],
        &["--gpu-uuid", "GPU-1"],
        &["--server-metrics", "http://127.0.0.1:9"],
        &["--osl", "3"],
        &["--concurrency", "1"],
        &["--find-capacity", "--goodput", "ttft:5"],
        &["--run-id", "other"],
        &["--dry-run"],
    ] {
        for command in ["all", "bench"] {
            let output = run(&[&[command, "--resume", "no/such/run"], flags].concat());
            assert_eq!(output.status.code(), Some(2), "{flags:?}");
            let refused = format!("{} cannot be used with --resume", flags[0]);
            assert!(stderr(&output).contains(&refused), "{flags:?}: {}", stderr(&output));
        }
    }
    // Headers are secrets, which are written down nowhere; the others change nothing that is measured.
    for flags in [&["--header", "X-Key: a"][..], &["--goodput", "ttft:5", "--json"], &["--url", "http://127.0.0.1:9"]] {
        let output = run(&[&["bench", "--resume", "no/such/run"], flags].concat());
        assert!(stderr(&output).contains("manifest.json"), "{flags:?}: {}", stderr(&output));
    }
}

/// A folder from before the manifest contained settings: they are read from its command line.
#[test]
fn a_run_whose_manifest_has_no_settings_goes_on() {
    let results = tempfile::tempdir().expect("a folder");
    let (_sim, folder, _) = cut_off(results.path(), "INT");
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).expect("a manifest")).expect("JSON");
    let settings = manifest.as_object_mut().expect("an object").remove("settings").expect("settings");
    assert_eq!(settings["work"]["osl"], 20);
    fs::write(&path, manifest.to_string()).expect("written");
    assert_whole(&folder, &resume(&folder), &[24, 24]);
}

/// The settings are the manifest's, whatever its command line says: that is for people.
#[test]
fn the_recorded_command_line_is_not_parsed_again() {
    let results = tempfile::tempdir().expect("a folder");
    let (_sim, folder, _) = cut_off(results.path(), "INT");
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).expect("a manifest")).expect("JSON");
    manifest["argv"] = serde_json::json!(["bench", "--a-flag-of-another-version"]);
    fs::write(&path, manifest.to_string()).expect("written");
    assert_whole(&folder, &resume(&folder), &[24, 24]);
}

#[test]
fn an_open_loop_is_planned_run_and_reported() {
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    let load = [
        "--request-rate",
        "20,40",
        "--benchmark-duration",
        "1.5",
        "--warmup-request-count",
        "2",
        "--osl",
        "4",
        "--seed",
        "5",
    ];
    let planned = run(&[&["bench", "--url", "http://127.0.0.1:9", "--dry-run", "--json"], &load[..]].concat());
    assert_eq!(planned.status.code(), Some(0), "no server is asked: {}", stderr(&planned));
    let planned = json(&planned);
    let text = run(&[&["all", "--dry-run"], &load[..]].concat());
    assert!(String::from_utf8_lossy(&text.stdout).contains("open loop, 20 requests/s, Poisson"));

    let folder = ["--result-dir", path(results.path()), "--run-id", "open", "--json"];
    let output = run(&[&["bench", "--url", &sim.url], &load[..], &folder].concat());
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(&output));
    let summary = &json(&output)["summary"];
    let requests = lines(&results.path().join("open/requests.jsonl"));
    for level in [0, 1] {
        let schedule = &planned["levels"][level];
        assert_eq!(summary["levels"][level]["requests"]["completed"], schedule["requests"]);
        let intended = moments(&requests, level);
        let arrivals = schedule["arrivals_ns"].as_array().expect("a list");
        let arrivals: Vec<_> = arrivals.iter().filter_map(Value::as_u64).collect();
        assert_eq!(since_first(&intended), since_first(&arrivals), "sent for when the dry run said");
    }
}

/// When warm-up and measured requests of a level were meant to be sent.
fn moments(requests: &[Value], level: usize) -> Vec<u64> {
    let of_level = |r: &&Value| r["level"] == level && r["stage"] != "cooldown";
    let moments = requests.iter().filter(of_level);
    let mut moments: Vec<_> = moments.filter_map(|r| r["intended_ns"].as_u64()).collect();
    moments.sort_unstable();
    moments
}

fn since_first(times: &[u64]) -> Vec<u64> {
    times.iter().map(|t| t - times[0]).collect()
}

#[test]
fn loads_that_contradict_themselves_are_refused() {
    for (flags, hint) in [
        (vec!["--request-rate", "0"], "above zero"),
        (vec!["--request-rate", "2", "--burstiness=-1"], "above zero"),
        (vec!["--request-rate", "inf"], "--request-count"),
        (vec!["--request-rate", "2", "--concurrency", "1,2"], "one number"),
        (vec!["--ramp-up-strategy", "linear"], "--ramp-up-start-rps"),
        (vec!["--benchmark-duration=-3"], "--benchmark-duration"),
        (vec!["--resume", "no/such/run"], "plimsoll bench"),
        (vec!["--resume", "x", "--osl", "3"], "--osl"),
    ] {
        let output = run(&[&["all"], &flags[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(hint), "{flags:?} names {hint:?}: {}", stderr(&output));
    }
}
