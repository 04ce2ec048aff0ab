//! What can be asked of a server besides translations through the chat API, on the real binary.

use std::fs;

use serde_json::Value;

use crate::binary::{Sim, json, run, stderr};

/// Runs one level of the fixed server with these flags; the level's summary and the manifest's plan.
fn measured(flags: &[&str]) -> (Value, Value) {
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    let folder = results.path().to_str().expect("UTF-8");
    let fixed = [
        "bench",
        "--url",
        &sim.url,
        "--concurrency",
        "4",
        "--seed",
        "1",
        "--json",
        "--run-id",
        "w",
        "--result-dir",
        folder,
    ];
    let output = run(&[&fixed[..], flags].concat());
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(&output));
    let manifest = fs::read(results.path().join("w/manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    (json(&output)["summary"]["levels"][0].clone(), manifest["plan"].clone())
}

#[test]
fn completions_in_one_piece_have_an_end_to_end_latency_and_no_ttft() {
    let (level, plan) =
        measured(&["--endpoint-type", "completions", "--streaming=false", "--osl", "10", "--request-count", "8"]);
    assert_eq!((&plan["endpoint"], &plan["stream"]), (&"/v1/completions".into(), &false.into()));
    assert_eq!((&level["requests"]["completed"], &level["requests"]["failed"]), (&8.into(), &0.into()));
    assert!(level["ttft_ms"].is_null() && level["tpot_ms"].is_null(), "{level}");
    // 100 ms and nine times 10 ms, and never less.
    assert!(level["e2el_ms"]["min"].as_f64() >= Some(190.0), "{level}");
    assert_eq!(level["output_tokens"]["mean"]["value"], 10.0);
}

#[test]
fn prompts_have_the_tokens_asked_for_by_the_servers_own_count() {
    let (level, plan) = measured(&[
        "--isl",
        "400",
        "--shared-prefix-tokens",
        "100",
        "--osl",
        "6",
        "--osl-stddev",
        "2",
        "--request-count",
        "40",
    ]);
    assert_eq!(plan["workload"], "synthetic");
    assert!(plan["workload_options"]["tokens_per_word"].as_f64() > Some(0.0));
    let mean = level["prompt_tokens"]["mean"]["value"].as_f64().expect("counted");
    assert!((mean - 400.0).abs() < 0.03 * 400.0, "{mean}: {plan}");
    assert!(level["output_tokens"]["max"].as_f64() > level["output_tokens"]["min"].as_f64(), "{level}");
}

#[test]
fn own_prompts_are_read_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("own.csv");
    fs::write(&file, "prompt,output_tokens\n\"one, two\",3\nthree,3\n").expect("a file");
    let path = file.to_str().expect("UTF-8");
    let (level, plan) = measured(&["--dataset", path, "--request-count", "8"]);
    assert_eq!((&plan["workload"], &plan["workload_options"]["prompts"]), (&"own.csv".into(), &2.into()));
    assert_eq!(level["output_tokens"]["max"], 3.0);
    fs::write(&file, "question mark\nx\n").expect("a file");
    let refused = run(&["all", "--dry-run", "--dataset", path]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("no column `prompt`"), "{}", stderr(&refused));
}

#[test]
fn recorded_traffic_is_replayed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("azure.csv");
    let rows = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.0000000,120,4\n2023-11-16 18:15:47.0000000,200,8\n2023-11-16 18:15:48.0000000,160,6\n";
    fs::write(&file, rows).expect("a file");
    let path = file.to_str().expect("UTF-8");
    let sim = Sim::start(&["--profile", "fixed"]);
    let results = folder.path().to_str().expect("UTF-8");
    let flags = ["--trace", path, "--trace-speed", "10", "--json", "--run-id", "t", "--result-dir", results];
    let output = run(&[&["bench", "--url", &sim.url], &flags[..]].concat());
    assert!(matches!(output.status.code(), Some(0 | 5)), "{}", stderr(&output));
    let level = &json(&output)["summary"]["levels"][0];
    assert_eq!(level["requests"]["completed"], 3);
    assert_eq!((&level["output_tokens"]["min"], &level["output_tokens"]["max"]), (&4.0.into(), &8.0.into()));
    let prompt = level["prompt_tokens"]["mean"]["value"].as_f64().expect("counted");
    assert!((prompt - 160.0).abs() < 8.0, "{prompt}");
}

#[test]
fn a_level_ends_when_its_interval_is_narrow_and_says_so_where_it_never_was() {
    let (level, plan) = measured(&["--stop-when", "e2el:20%", "--osl", "4"]);
    assert_eq!(plan["stop_when"], "e2el_mean:20%");
    let count = level["requests"]["measured"].as_u64().expect("a count");
    // The profile's times are fixed: narrow at the first look, far from the most that was planned.
    let planned = plan["requests"][0].as_u64().expect("a count");
    assert!(count >= 50 && 2 * count < planned, "{count} of {planned}");
    assert_eq!(level["complete"], true, "{level}");

    let sim = Sim::start(&["--profile", "fixed"]);
    let results = tempfile::tempdir().expect("a folder");
    let folder = results.path().to_str().expect("UTF-8");
    let flags = ["bench", "--url", &sim.url, "--result-dir", folder, "--json"];
    let rule = ["--stop-when", "ttft:0.0001%", "--request-count", "60"];
    let more = ["--osl", "2", "--concurrency", "4"];
    let output = run(&[&flags[..], &rule, &more].concat());
    let summary = &json(&output)["summary"];
    assert_eq!(summary["levels"][0]["requests"]["measured"], 60);
    let notes = summary["run"]["notes"].to_string();
    assert!(notes.contains("--stop-when ttft_mean:0.0001% was not reached"), "{notes}");
}
