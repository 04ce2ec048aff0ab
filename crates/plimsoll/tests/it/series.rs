//! Several runs of one plan: folders, joint documents, comparison, and what becomes of a series that is cut off.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;

use crate::binary::{Sim, json, run, signal, stderr, stdout, wait_for_content, xtask};

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn of_file(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).expect("it was written")).expect("JSON")
}

const LOAD: [&str; 10] =
    ["--concurrency", "1,2,4", "--num-runs", "3", "--osl", "4", "--seed", "11", "--request-count", "12"];

fn series(name: &str, url: &str, results: &Path, more: &[&str]) -> std::process::Output {
    let fixed = ["bench", "--url", url, "--run-id", name, "--json"];
    run(&[&fixed[..], &LOAD, &["--result-dir", path(results)], more].concat())
}

fn prompts(folder: &Path) -> Vec<u64> {
    let manifest = of_file(folder.join("manifest.json"));
    let levels = manifest["plan"]["levels"].as_array().expect("levels");
    levels.iter().filter_map(Value::as_u64).collect()
}

#[test]
fn every_run_is_a_run_and_their_means_have_intervals() {
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    let output = series("s", &sim.url, results.path(), &["--level-order", "shuffled"]);
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(&output));
    let folder = results.path().join("s");
    let joint = json(&output)["over_runs"].clone();
    assert_eq!(joint, of_file(folder.join("runs.json")));
    assert_eq!(joint["run_ids"], serde_json::json!(["s-1", "s-2", "s-3"]));
    let levels = joint["levels"].as_array().expect("levels");
    assert_eq!(levels.len(), 3);
    for (level, concurrency) in levels.iter().zip([1, 2, 4]) {
        assert_eq!((&level["concurrency"], &level["runs"]), (&concurrency.into(), &3.into()));
        let ttft = &level["figures"][0];
        assert_eq!((&ttft["metric"], &ttft["n"]), (&"ttft_mean_ms".into(), &3.into()));
        // Each run's own summary has the figure; the profile's TTFT is 100 ms and never less.
        let own: Vec<f64> = (1..=3)
            .map(|k| of_file(folder.join(format!("s-{k}/all_concurrent_results.json"))))
            .map(|summary| {
                let levels = summary["levels"].as_array().expect("levels").clone();
                let same = levels.iter().find(|l| l["concurrency"] == concurrency);
                same.expect("it ran")["ttft_ms"]["mean"]["value"].as_f64().expect("a number")
            })
            .collect();
        let mean = ttft["mean"]["value"].as_f64().expect("a mean");
        assert!((mean - own.iter().sum::<f64>() / 3.0).abs() < 1e-9);
        assert!(own.iter().all(|ms| *ms >= 100.0), "{own:?}");
        let (low, high) = (&ttft["mean"]["low"], &ttft["mean"]["high"]);
        assert!(low.as_f64() < Some(mean) && high.as_f64() > Some(mean));
    }
    // Each run has its own order and its own prompts.
    let orders: BTreeSet<_> = (1..=3).map(|k| prompts(&folder.join(format!("s-{k}")))).collect();
    assert!(orders.len() > 1, "{orders:?}");
    let seeds: BTreeSet<_> =
        (1..=3).map(|k| of_file(folder.join(format!("s-{k}/manifest.json")))["plan"]["seed"].as_u64()).collect();
    assert_eq!(seeds.len(), 3);

    said_again_and_compared(&folder);
}

/// Reported again from the folders alone, in both languages; compared with a series, and with nothing else.
fn said_again_and_compared(folder: &Path) {
    let before = fs::read(folder.join("runs.json")).expect("it was written");
    let again = run(&["report", path(folder), "--lang", "both"]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert_eq!(before, fs::read(folder.join("runs.json")).expect("again"));
    let korean = fs::read_to_string(folder.join("runs.ko.md")).expect("a report");
    assert!(korean.contains("같은 계획의 실행 3회"), "{korean}");
    assert!(fs::read_to_string(folder.join("runs.csv")).expect("a table").lines().count() > 20);
    assert!(stdout(&again).contains("Means over 3 runs"));

    for name in ["runs.md", "runs.html", "runs.ko.md", "runs.ko.html"] {
        let text = fs::read_to_string(folder.join(name)).expect("a report");
        assert!(!text.contains('⟦'), "{name}: a word is missing: {text}");
    }
    let compared = run(&["compare", path(folder), path(folder), "--json"]);
    assert_eq!(compared.status.code(), Some(0), "{}", stderr(&compared));
    assert_eq!(json(&compared)["runs"], serde_json::json!([3, 3]));
    assert_eq!(json(&compared)["verdict"], "no_evidence");
    let mixed = run(&["compare", path(folder), path(&folder.join("s-1"))]);
    assert_eq!(mixed.status.code(), Some(2));
}

#[test]
fn a_series_that_was_killed_is_finished() {
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    let folder = results.path().join("k");
    let fixed = ["bench", "--url", &sim.url, "--run-id", "k", "--json"];
    let args = [&fixed[..], &LOAD, &["--result-dir", path(results.path())]].concat();
    let mut killed = xtask(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    wait_for_content(&folder.join("k-2/requests.jsonl"));
    signal(&killed, "KILL");
    killed.wait().expect("it ends");
    let first = fs::read(folder.join("k-1/requests.jsonl")).expect("records");

    let resumed = run(&["bench", "--resume", path(&folder), "--json"]);
    assert!(matches!(resumed.status.code(), Some(0 | 5)), "{}", stderr(&resumed));
    let joint = json(&resumed)["over_runs"].clone();
    assert_eq!(joint["run_ids"], serde_json::json!(["k-1", "k-2", "k-3"]));
    for level in joint["levels"].as_array().expect("levels") {
        assert_eq!(level["runs"], 3);
    }
    let seed = |k: u32| {
        let manifest = of_file(folder.join(format!("k-{k}/manifest.json")));
        manifest["plan"]["seed"].as_u64().expect("a seed")
    };
    assert_eq!(seed(1), 11);
    assert!(seed(2) != seed(3) && seed(2) != 11);
    let untouched = fs::read(folder.join("k-1/requests.jsonl")).expect("records");
    assert_eq!(first, untouched, "what was whole is whole");
    let nothing_left = run(&["bench", "--resume", path(&folder)]);
    assert_eq!(nothing_left.status.code(), Some(2));
}
