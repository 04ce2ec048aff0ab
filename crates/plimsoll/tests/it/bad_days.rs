//! What goes wrong gives a clear message and its exit code, and whatever had been measured is on disk and reports.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::Value;

use crate::binary::{Sim, files, json, run, signal, stderr, stdout, wait_for_content, xtask};

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn summary_of(run_dir: &Path) -> Value {
    let output = run(&["report", path(run_dir), "--json"]);
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    json(&output)[0]["summary"].clone()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn nothing_answers_at_the_url() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let results = tempfile::tempdir().expect("a folder");
    let url = format!("http://{closed}");
    let output = run(&["bench", "--url", &url, "--result-dir", path(results.path())]);
    assert_eq!(code(&output), Some(3));
    let said = stderr(&output);
    assert!(said.contains(&format!("nothing answers at {url}")) && said.contains("hint: "), "{said}");
    assert_eq!(files(results.path()).len(), 0, "no run folder for a run that never began");
}

#[test]
fn the_model_does_not_exist() {
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    let output = run(&["bench", "--url", &sim.url, "--model", "no-such", "--result-dir", path(results.path())]);
    assert_eq!(code(&output), Some(3));
    let said = stderr(&output);
    assert!(said.contains("The model `no-such` does not exist."), "the server's own words: {said}");
    assert_eq!(files(results.path()).len(), 0);
}

#[test]
fn the_server_dies_half_way() {
    // One probe, then at level 1: one warm-up and four measured; it dies in the level after that, and is given up after
    // eight attempts in a row, at the latest in the level of eight.
    let sim = Sim::start(&["--profile", "fixed", "--die-after", "10"]);
    let results = tempfile::tempdir().expect("a folder");
    let output = run(&[
        "all",
        "--url",
        &sim.url,
        "--concurrency",
        "1,4,8,16",
        "--osl",
        "8",
        "--request-count",
        "4",
        "--result-dir",
        path(results.path()),
        "--run-id",
        "dies",
    ]);
    assert_eq!(code(&output), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("the server was lost"), "{}", stderr(&output));
    assert!(stdout(&output).contains("report.html"), "the report was written all the same");

    let summary = summary_of(&results.path().join("dies"));
    assert_eq!(summary["run"]["complete"], false);
    let reason = summary["run"]["incomplete_reason"].as_str().expect("a reason");
    assert!(reason.starts_with("server_lost"), "{reason}");
    let levels = summary["levels"].as_array().expect("levels");
    assert_eq!(levels[0]["requests"]["completed"], 4, "what was measured before is whole");
    assert!(levels.len() < 4, "later levels were not run");
    let failed = levels.iter().map(|l| l["requests"]["failed"].as_u64().expect("a count")).sum::<u64>();
    assert!(failed > 0, "and what failed is counted");
}

/// A slow run, begun and not ended: the reference profile takes seconds a request.
fn begin(results: &Path) -> std::process::Child {
    let process = xtask(&[
        "all",
        "--concurrency",
        "1,2",
        "--osl",
        "40",
        "--request-count",
        "50",
        "--warmup-request-count",
        "0",
        "--result-dir",
        path(results),
        "--run-id",
        "cut",
    ])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .expect("the binary runs");
    wait_for_content(&results.join("cut/requests.jsonl"));
    process
}

#[test]
fn ctrl_c_keeps_and_reports_what_was_measured() {
    let results = tempfile::tempdir().expect("a folder");
    let process = begin(results.path());
    signal(&process, "INT");
    let output = process.wait_with_output().expect("it ends");
    assert_eq!(code(&output), Some(130), "{}", stderr(&output));
    assert!(stdout(&output).contains("report.html"));

    let summary = summary_of(&results.path().join("cut"));
    assert_eq!(summary["run"]["incomplete_reason"], "interrupted");
    assert!(summary["levels"][0]["requests"]["completed"].as_u64() > Some(0));
    let html = fs::read_to_string(results.path().join("cut/report.html")).expect("a report");
    assert!(
        html.contains("INCOMPLETE") && html.contains("interrupted by the user"),
        "the report says that it is partial"
    );
}

#[test]
fn a_killed_run_is_readable() {
    let results = tempfile::tempdir().expect("a folder");
    let mut process = begin(results.path());
    signal(&process, "KILL");
    process.wait().expect("it is gone");

    let summary = summary_of(&results.path().join("cut"));
    assert_eq!(summary["run"]["complete"], false);
    assert_eq!(summary["run"]["incomplete_reason"], "killed");
    assert!(summary["levels"][0]["requests"]["completed"].as_u64() > Some(0));
}

#[test]
fn usage_errors_say_what_to_do() {
    for (args, hint) in [
        (vec!["bench"], "--url"),
        (vec!["bench", "--url", "127.0.0.1:8000"], "http://"),
        (vec!["bench", "--url", "http://user:pw@127.0.0.1:8000"], "credentials"),
        (vec!["bench", "--url", "http://127.0.0.1:8000", "--header", "no colon"], "Name: value"),
        (vec!["all", "--concurrency", "0"], "concurrency"),
        (vec!["all", "--profile", "no-such"], "rtx3090-gemma3-12b-bnb4"),
        (vec!["report", "no/such/run"], "plimsoll bench"),
        (vec!["size", "--model", "no-such-model"], "no-such-model"),
        (vec!["size", "--vllm", "0.1.0"], "0.33.0"),
    ] {
        let output = run(&args);
        let said = stderr(&output);
        assert_eq!(code(&output), Some(2), "{args:?}: {said}");
        assert!(said.contains(hint), "{args:?} names {hint:?}: {said}");
        assert!(!said.contains("pw@"), "{args:?} does not repeat a password: {said}");
    }
}

#[test]
fn secrets_are_in_no_file_and_no_log() {
    const KEY: &str = "sk-plimsoll-5ecret-key";
    const HEADER: &str = "5ecret-header-value";
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    let output = xtask(&[
        "all",
        "--url",
        &sim.url,
        "--concurrency",
        "1",
        "--osl",
        "4",
        "--request-count",
        "2",
        "--header",
        &format!("X-Token: {HEADER}"),
        "--result-dir",
        path(results.path()),
        "--run-id",
        "secret",
    ])
    .env("OPENAI_API_KEY", KEY)
    .output()
    .expect("the binary runs");
    assert_ne!(code(&output), Some(2), "{}", stderr(&output));
    let mut written: Vec<_> =
        files(results.path()).iter().map(|f| fs::read(results.path().join(f)).expect("a file")).collect();
    assert!(written.len() > 8, "the run wrote its files");
    written.push(output.stdout);
    written.push(output.stderr);
    for text in written {
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(!text.contains(KEY) && !text.contains(HEADER), "{text}");
    }
}
