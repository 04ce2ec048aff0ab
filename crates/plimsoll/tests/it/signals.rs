//! Signals and a terminal that is gone: a run ends when it is told to, and not because nobody reads what it says.

use std::{fs, path::Path, process::Stdio, thread, time::Duration};

use serde_json::Value;

use crate::binary::{Sim, signal, wait_for_content, wait_until, xtask};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A load that would go on for minutes.
const LONG: [&str; 9] =
    ["bench", "--gpu-telemetry", "none", "--concurrency", "1", "--request-count", "100000", "--run-id", "r"];

fn manifest(results: &Path) -> Value {
    let text = fs::read(results.join("r/manifest.json")).expect("a manifest");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn a_closed_stderr_does_not_keep_a_run_from_ending() {
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    for name in ["TERM", "INT", "HUP"] {
        let folder = results.path().join(name);
        let mut run = xtask(&LONG)
            .args(["--url", &sim.url, "--result-dir", text(&folder)])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        // The reading end goes: every write to stderr fails from now on.
        drop(run.stderr.take());
        wait_for_content(&folder.join("r/requests.jsonl"));
        signal(&run, name);
        wait_until(|| manifest(&folder)["end"]["kind"] == "interrupted", "the orderly end of the run");
        assert_eq!(run.wait().expect("it ends").code(), Some(130), "{name}");
    }
}

#[test]
fn an_error_keeps_its_exit_code_where_it_cannot_be_printed() {
    let full = fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let status = xtask(&["report", "no/such/run"]).stderr(full).status().expect("it runs");
    assert_eq!(status.code(), Some(2));
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    // What `nohup` does.
    let mut run = std::process::Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_plimsoll")])
        .args(LONG)
        .args(["--url", &sim.url, "--result-dir", text(results.path())])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let requests = results.path().join("r/requests.jsonl");
    wait_for_content(&requests);
    signal(&run, "HUP");
    let before = requests.metadata().expect("it exists").len();
    wait_until(|| requests.metadata().is_ok_and(|now| now.len() > before), "more records after the signal");
    thread::sleep(Duration::from_millis(50));
    assert!(run.try_wait().expect("it can be asked").is_none(), "it goes on");
    signal(&run, "TERM");
    assert_eq!(run.wait().expect("it ends").code(), Some(130));
}

#[test]
fn runs_that_begin_in_one_second_take_different_folders() {
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    let start = || {
        let mut run = xtask(&["bench", "--gpu-telemetry", "none", "--concurrency", "1", "--request-count", "1"]);
        run.args(["--osl", "2", "--url", &sim.url, "--result-dir", text(results.path())]);
        run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    };
    let runs: Vec<_> = (0..3).map(|_| start()).collect();
    for mut run in runs {
        // 5: on a busy machine the client is late, and the run says so.
        let code = run.wait().expect("it ends").code();
        assert!(matches!(code, Some(0 | 5)), "{code:?}");
    }
    assert_eq!(fs::read_dir(results.path()).expect("a folder").count(), 3);
}
