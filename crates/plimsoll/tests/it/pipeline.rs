//! The whole pipeline in small: measure a simulated server, read the folder, report it again.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{files, json, run, stderr, stdout};

/// One short run in both languages, shared by the tests of this file.
static RUN: LazyLock<(TempDir, Value)> = LazyLock::new(|| {
    let results = tempfile::tempdir().expect("a folder");
    let output = run(&[
        "all",
        "--profile",
        "fixed",
        "--concurrency",
        "1,4",
        "--osl",
        "16",
        "--lang",
        "both",
        "--json",
        "--seed",
        "7",
        "--result-dir",
        results.path().to_str().expect("UTF-8"),
        "--run-id",
        "short",
    ]);
    // 5: on a busy machine the client may have been late, and says so.
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(&output));
    let document = json(&output);
    (results, document)
});

fn folder() -> PathBuf {
    RUN.0.path().join("short")
}

const RAW: [&str; 5] = ["manifest.json", "requests.jsonl", "phases.jsonl", "gpu.jsonl", "server.jsonl"];

/// The raw records of the run in a folder of the same name elsewhere: tests run beside each other.
fn copy() -> (TempDir, PathBuf) {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let copy = elsewhere.path().join("short");
    fs::create_dir(&copy).expect("a folder");
    for raw in RAW {
        fs::copy(folder().join(raw), copy.join(raw)).expect("a copy");
    }
    (elsewhere, copy)
}

fn derived(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    files(folder)
        .into_iter()
        .map(|f| f.display().to_string())
        .filter(|f| !RAW.contains(&f.as_str()))
        .map(|f| (f.clone(), fs::read(folder.join(&f)).expect("a file")))
        .collect()
}

#[test]
fn the_document_on_stdout_has_its_promised_keys() {
    let document = &RUN.1;
    assert_eq!(document["run_dir"], folder().to_str().expect("UTF-8"));
    let listed: Vec<_> = document["files"].as_array().expect("files").iter().filter_map(Value::as_str).collect();
    for name in [
        "all_concurrent_results.json",
        "report.md",
        "report.html",
        "report.ko.md",
        "report.ko.html",
        "levels.csv",
        "charts/throughput.svg",
        "charts/throughput.ko.svg",
    ] {
        let path = folder().join(name);
        assert!(listed.contains(&path.to_str().expect("UTF-8")), "{name} is listed");
        assert!(path.is_file(), "{name} was written");
    }
    let stored: Value =
        serde_json::from_slice(&fs::read(folder().join("all_concurrent_results.json")).expect("a file")).expect("JSON");
    assert_eq!(document["summary"], stored);
}

#[test]
fn the_levels_are_what_was_asked() {
    let levels = RUN.1["summary"]["levels"].as_array().expect("levels");
    let seen: Vec<_> = levels
        .iter()
        .map(|l| (l["concurrency"].as_u64(), l["requests"]["completed"].as_u64(), l["requests"]["failed"].as_u64()))
        .collect();
    assert_eq!(seen, [(Some(1), Some(4), Some(0)), (Some(4), Some(8), Some(0))]);
    for level in levels {
        assert_eq!(level["output_tokens"]["min"], 16.0, "every request gave what was asked");
        let server = &level["server"]["output_tokens"];
        assert!(server["server"].as_f64() > Some(0.0), "the server counted: {level}");
        assert_eq!(server["client"], server["server"], "client and server count the same tokens: {level}");
        let in_flight = level["in_flight_mean"].as_f64().expect("a mean");
        let asked = level["concurrency"].as_f64().expect("a level");
        assert!(in_flight > 0.9 * asked && in_flight <= asked, "{in_flight} of {asked} in flight");
    }
}

#[test]
fn every_artefact_of_a_simulated_run_says_so() {
    let korean = "시뮬레이션";
    for (name, bytes) in derived(&folder()) {
        let text = String::from_utf8(bytes).expect("UTF-8").to_lowercase();
        assert!(text.contains("simulated") || text.contains(korean), "{name} says that it is simulated");
    }
    let manifest = fs::read_to_string(folder().join("manifest.json")).expect("a manifest");
    assert!(manifest.contains("\"kind\": \"simulated\""));
    let (_elsewhere, copy) = copy();
    let console = run(&["report", copy.to_str().expect("UTF-8"), "--lang", "both"]);
    assert!(stdout(&console).contains("SIMULATED"), "{}", stdout(&console));
}

#[test]
fn the_same_folder_gives_the_same_bytes_anywhere() {
    let (_elsewhere, copy) = copy();
    let output = run(&["report", copy.to_str().expect("UTF-8"), "--lang", "both"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let (first, second) = (derived(&folder()), derived(&copy));
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, bytes) in first {
        assert!(bytes == second[&name], "{name} differs");
    }
}
