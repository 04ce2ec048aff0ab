//! `--find-capacity` on a server of known capacity: as a concurrency, as a rate, and after an interruption.
//!
//! Nothing here is timed closely: the machine may be busy, which makes the server slower and the capacity smaller. The
//! closeness of the search is measured in virtual time (`docs/methodology.md`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{Sim, json, run, signal, stderr, wait_until, xtask};

/// A server whose steps take `base_ms` and `per_sequence_ms` for each sequence, with so many slots.
fn server(slots: u32, base_ms: f64, per_sequence_ms: f64) -> (TempDir, Sim) {
    let folder = tempfile::tempdir().expect("a folder");
    let profile = folder.path().join("profile.toml");
    let text = format!(
        "name = \"planted\"\ndescription = \"a planted capacity\"\nsource = \"by definition\"\nserved_model = \"plimsoll/planted\"\nseed = 1\n\
         eos_mean_tokens = 200\n[limits]\nmax_model_len = 8192\nmax_num_seqs = {slots}\nmax_num_batched_tokens = 65536\n\
         [kv_cache]\nblock_size = 16\nnum_gpu_blocks = 65536\ngroups = 1\n\
         [timing]\nkind = \"linear\"\nadmission_ms = 0.0\nnoise_fraction = 0.0\nbase_ms = {base_ms:.1}\nper_sequence_ms = {per_sequence_ms:.1}\nper_prompt_token_ms = 0.0\n"
    );
    fs::write(&profile, text).expect("a profile");
    let sim = Sim::start(&["--profile", path(&profile)]);
    (folder, sim)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn search<'a>(sim: &'a Sim, results: &'a Path, goodput: &'a str) -> Vec<&'a str> {
    let mut flags = vec!["bench", "--url", &sim.url, "--find-capacity"];
    flags.extend(["--goodput", goodput, "--osl", "8", "--json"]);
    flags.extend(["--capacity-tolerance", "40%", "--capacity-budget", "300"]);
    flags.extend(["--result-dir", path(results), "--run-id", "search"]);
    flags
}

fn manifest(folder: &Path) -> Value {
    let text = fs::read(folder.join("manifest.json")).expect("a manifest");
    serde_json::from_slice(&text).expect("JSON")
}

/// The summary of a search that came to its end, by itself.
#[track_caller]
fn assert_over(output: &Output, folder: &Path) -> Value {
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(output));
    let manifest = manifest(folder);
    let notes = manifest["notes"].as_array().expect("notes");
    let notes: Vec<&str> = notes.iter().filter_map(Value::as_str).collect();
    let over = "the levels were chosen by a search for the capacity, which spent ";
    let ends: Vec<_> = notes.iter().filter(|note| note.starts_with(over)).collect();
    assert!(ends.len() == 1 && ends[0].contains(" requests, warm-up included, and ended because "));
    assert_eq!(manifest["end"]["kind"], "completed");
    let summary = json(output)["summary"].clone();
    let levels = summary["levels"].as_array().expect("levels");
    assert_eq!(levels.len(), manifest["plan"]["levels"].as_array().map_or(0, Vec::len));
    assert!(levels.iter().all(|level| level["complete"] == true));
    summary
}

/// A step of `c` sequences takes 4 + 3c ms: within 26.5 ms up to 7.5.
#[test]
fn the_largest_concurrency_within_the_objective_is_found() {
    let (folder, sim) = server(64, 4.0, 3.0);
    let results = folder.path().join("results");
    let mut flags = search(&sim, &results, "tpot:26.5");
    flags.extend(["--concurrency", "2", "--request-count", "20"]);
    let output = run(&flags);
    let summary = assert_over(&output, &results.join("search"));
    let capacity = &summary["goodput"]["capacity"];
    let number = |key: &str| capacity[key].as_f64().expect("a number");
    // The truth is 7.5; a busy machine only takes from it.
    assert!((3.0..8.5).contains(&number("concurrency")), "{capacity}");
    assert!(capacity["held_at"].as_u64() < capacity["failed_at"].as_u64());
    assert!(summary["goodput"]["capacity_per_s"].is_null());
    let tried: Vec<_> = summary["levels"].as_array().expect("levels").iter().collect();
    assert_eq!(tried[0]["concurrency"], 2);
    assert_eq!(tried[0]["requests"]["measured"], 20);
    assert!(stderr(&output).contains("find capacity: next level, concurrency "));
}

/// One slot and 8 steps of 2 ms: a request takes 16 ms, and no more than 62.5 of them fit into a second.
#[test]
fn the_largest_rate_within_the_objective_is_found() {
    let (folder, sim) = server(1, 1.0, 1.0);
    let results = folder.path().join("results");
    let mut flags = search(&sim, &results, "ttft:150");
    flags.extend(["--request-rate", "20", "--burstiness", "inf"]);
    flags.extend(["--request-count", "80"]);
    let output = run(&flags);
    let summary = assert_over(&output, &results.join("search"));
    let capacity = &summary["goodput"]["capacity_per_s"];
    let (held, failed) = (capacity["held_at"].as_f64(), capacity["failed_at"].as_f64());
    let (held, failed) = (held.expect("a rate held"), failed.expect("a rate failed"));
    // At 80 requests a queue of 150 ms takes 9 requests more than were served: from 62.5 · 80/71 on it is there.
    assert!(held < failed && held <= 71.0, "{capacity}");
    let levels = summary["levels"].as_array().expect("levels");
    let asked = |level: &Value| level["request_rate"]["planned_per_s"].as_f64();
    assert_eq!(levels.first().and_then(asked), Some(20.0));
    assert!(levels.iter().filter_map(asked).any(|rate| rate.total_cmp(&failed).is_eq()));
    assert!(stderr(&output).contains(" requests per second, "));
}

#[test]
fn a_search_that_was_interrupted_goes_on() {
    let (folder, sim) = server(64, 4.0, 3.0);
    let results = folder.path().join("results");
    let mut flags = search(&sim, &results, "tpot:26.5");
    flags.extend(["--concurrency", "2", "--request-count", "20"]);
    let process = xtask(&flags).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let found: PathBuf = results.join("search");
    let third = || fs::read_to_string(found.join("requests.jsonl")).is_ok_and(|text| text.contains("\"level\":2,"));
    wait_until(third, "the third level");
    signal(&process, "INT");
    let output = process.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let before = manifest(&found)["plan"].clone();
    assert_eq!(before["levels"], serde_json::json!([2, 4, 8]));

    let output = run(&["bench", "--resume", path(&found), "--json"]);
    let summary = assert_over(&output, &found);
    let after = manifest(&found);
    assert_eq!(after["resumed"].as_array().map(Vec::len), Some(1));
    let levels = after["plan"]["levels"].as_array().expect("levels");
    assert_eq!(levels[..3], *before["levels"].as_array().expect("levels"));
    assert!(levels.len() > 3, "it went on from there");
    assert!(summary["goodput"]["capacity"]["held_at"].is_u64());
    let again = run(&["bench", "--resume", path(&found)]);
    assert_eq!(again.status.code(), Some(2), "a search that is over is over");
}

#[test]
fn a_search_needs_objectives_and_one_place_to_begin() {
    let code = |flags: &[&str]| {
        let mut all = vec!["bench", "--url", "http://127.0.0.1:9", "--find-capacity"];
        all.extend(flags);
        run(&all).status.code()
    };
    assert_eq!(code(&[]), Some(2), "no objectives");
    assert_eq!(code(&["--goodput", "ttft:5", "--concurrency", "1,2"]), Some(2));
    assert_eq!(code(&["--goodput", "ttft:5", "--request-rate", "1,2"]), Some(2));
    assert_eq!(code(&["--goodput", "ttft:5", "--num-runs", "2"]), Some(2));
}
