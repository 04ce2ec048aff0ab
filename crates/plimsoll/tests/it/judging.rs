//! Runs judged by objectives and held against each other, on the committed sample run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{json, run, stderr, stdout};

const RAW: [&str; 5] = ["manifest.json", "requests.jsonl", "phases.jsonl", "gpu.jsonl", "server.jsonl"];

/// The sample run's raw records elsewhere, every token `percent` of its time after sending.
fn sample(percent: u64) -> (TempDir, PathBuf) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/sample-llama-cpp-smollm2");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let copy = elsewhere.path().join("sample-llama-cpp-smollm2");
    fs::create_dir(&copy).expect("a folder");
    for raw in RAW {
        fs::copy(source.join(raw), copy.join(raw)).expect("a copy");
    }
    let requests = fs::read_to_string(copy.join("requests.jsonl")).expect("UTF-8");
    let mut slowed = String::new();
    for line in requests.lines() {
        let mut record: Value = serde_json::from_str(line).expect("a record");
        let stamps = record["chunks"]["since_sent_ns"].as_array_mut();
        for stamp in stamps.expect("stamps") {
            *stamp = Value::from(stamp.as_u64().expect("nanoseconds") * percent / 100);
        }
        slowed += &record.to_string();
        slowed.push('\n');
    }
    fs::write(copy.join("requests.jsonl"), slowed).expect("a file");
    (elsewhere, copy)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_report_judges_by_the_objectives_of_the_command_line() {
    let (_keep, folder) = sample(100);
    let arguments = ["report", text(&folder), "--goodput", "ttft:700 e2el:2000", "--json"];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let summary = &json(&output)[0]["summary"];
    let section = &summary["goodput"];
    assert_eq!((section["ttft_ms"].as_f64(), section["e2el_ms"].as_f64()), (Some(700.0), Some(2000.0)));
    assert_eq!(section["attainment"], 0.95);
    // By the sample's own table, one request at a time is well within, and eight are not.
    assert!(section["capacity"]["held_at"].as_u64() < section["capacity"]["failed_at"].as_u64());
    let levels = summary["levels"].as_array().expect("levels");
    assert!(levels.iter().all(|level| level["goodput"]["attainment"]["low"].is_number()));
    let report = fs::read_to_string(folder.join("report.md")).expect("a report");
    assert!(report.contains("TTFT ≤ 700 ms, E2EL ≤ 2 s"), "the objectives are named");
}

#[test]
fn objectives_that_make_no_sense_are_a_usage_error() {
    for bad in ["itl:5", "ttft", "ttft:-1", ""] {
        let output = run(&["report", "nowhere", "--goodput", bad]);
        assert_eq!(output.status.code(), Some(2), "{bad}");
        assert!(stderr(&output).contains("goodput"), "{bad}");
    }
}

#[test]
fn a_run_against_itself_is_no_evidence() {
    let (_keep, folder) = sample(100);
    let output = run(&["compare", text(&folder), text(&folder), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let comparison = json(&output);
    assert_eq!(comparison["verdict"], "no_evidence");
    let rows = comparison["rows"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row["change"] == 0.0) && rows.len() > 10);
}

#[test]
fn a_slower_run_ends_with_4_and_a_faster_one_with_0() {
    let ((_a, usual), (_b, slow)) = (sample(100), sample(180));
    let output = run(&["compare", text(&usual), text(&slow)]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stdout(&output).contains("is worse than"), "{}", stdout(&output));
    let output = run(&["compare", text(&slow), text(&usual), "--lang", "ko"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("개선"), "{}", stdout(&output));
}

#[test]
fn another_output_length_is_refused() {
    let ((_a, usual), (_b, other)) = (sample(100), sample(100));
    let path = other.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).expect("a manifest")).expect("JSON");
    manifest["plan"]["osl"] = Value::from(7);
    fs::write(&path, manifest.to_string()).expect("a file");
    let arguments = ["compare", text(&usual), text(&other)];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--anyway"), "{}", stderr(&output));
    let output = run(&[&arguments[..], &["--anyway"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[cfg(unix)]
#[test]
fn documents_are_as_private_as_the_umask_asks() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_keep, folder) = sample(100);
    for (umask, mode) in [("077", 0o600), ("022", 0o644)] {
        let status = std::process::Command::new("sh")
            .args(["-c", "umask $1; shift; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_plimsoll"), umask])
            .args(["report", text(&folder)])
            .stdout(std::process::Stdio::null())
            .status();
        assert!(status.expect("sh runs").success());
        for file in ["report.html", "all_concurrent_results.json"] {
            let found = fs::metadata(folder.join(file)).expect("a document").permissions().mode() & 0o777;
            assert_eq!(found, mode, "{file} by umask {umask}");
        }
    }
}
