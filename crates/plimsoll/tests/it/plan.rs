//! `cargo xtask plan`, on the real binary.

use std::{fs, path::Path};

use serde_json::Value;

use crate::binary::{json, run, stderr, stdout};

fn planned(args: &[&str]) -> Value {
    let output = run(&[&["plan", "--json"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", stderr(&output));
    json(&output)
}

fn refused(args: &[&str]) -> String {
    let output = run(&[&["plan"], args].concat());
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    stderr(&output)
}

fn choices(plan: &Value) -> &Vec<Value> {
    plan["choices"].as_array().expect("choices")
}

/// The issue's own command line without runs: the keys of docs/schema.md, every choice large enough, and what the speeds rest on.
#[test]
fn the_issue_s_question_is_answered_from_the_catalogue_alone() {
    let plan = planned(&["--target", "concurrency=50 context=4096 dtype=bf16"]);
    assert_eq!(plan["model"], "google/gemma-3-12b-it");
    assert_eq!(plan["engine"], "vLLM 0.11.2");
    let basis = plan["basis"]["measured"].as_array().expect("a list");
    assert!(basis.is_empty());
    let note = plan["notes"][0].as_str().expect("a note");
    assert!(note.contains("catalogue"), "{note}");
    let least = plan["recommended"]["least_cost"].as_u64().expect("some card");
    let least = &choices(&plan)[usize::try_from(least).expect("small")];
    assert_eq!((&least["weights"], &least["kv_cache_dtype"]), (&"bf16".into(), &"auto".into()));
    for choice in choices(&plan) {
        let at_once = choice["replicas"].as_f64().unwrap_or(0.0) * choice["concurrency"].as_f64().unwrap_or(0.0);
        assert!((at_once - 50.0).abs() < 1e-6, "{choice}");
        assert!(choice["seats"]["likely"].as_f64() >= choice["concurrency"].as_f64(), "{choice}");
    }
    let command = least["command"].as_str().expect("a command");
    assert!(command.starts_with("vllm serve google/gemma-3-12b-it --dtype bfloat16"), "{command}");
    assert!(command.contains("--max-model-len 4096"), "{command}");
}

/// One price in a file of one's own is the only price there is; a rate has hours and replicas that a simulation confirms.
#[test]
fn own_prices_replace_the_built_in_ones_and_a_rate_gets_a_day() {
    let folder = tempfile::tempdir().expect("a folder");
    let prices = folder.path().join("prices.toml");
    fs::write(
        &prices,
        "[[set]]\nname = \"ours\"\ndate = \"2026-11-01\"\nsource = \"offer 4711\"\npurchase = [{ gpu = \"L40S\", cards = 1, usd = 7777 }]\n",
    )
    .expect("written");
    let prices = prices.to_str().expect("UTF-8");
    let plan =
        planned(&["--prices", prices, "--gpus", "L40S,A100 80GB", "--target", "rate=2 peak=2 isl=500 osl=100 spare=1"]);
    for choice in choices(&plan) {
        let known = choice["cost"].get("purchase").is_some();
        assert_eq!(known, choice["gpu"] == "L40S", "{choice}");
        assert_eq!(choice["spare"], 1);
    }
    let hours = plan["fleet"]["hours"].as_array().expect("a day");
    assert_eq!(hours.len(), 24);
    let queue = &plan["simulated_queue"];
    let simulated = queue["waits"][0].as_f64().expect("a share");
    let erlang = queue["erlang_waits"].as_f64().expect("a share");
    assert!(simulated <= erlang + 0.05, "{queue}");
}

#[test]
fn a_wrong_request_says_what_to_do() {
    let no_load = refused(&["--target", "context=4096"]);
    assert!(no_load.contains("concurrency=N or rate="), "{no_load}");
    let no_card = refused(&["--gpus", "H1000"]);
    assert!(no_card.contains("hint:"), "{no_card}");
    let no_model = refused(&["--model", "no/such"]);
    assert!(no_model.contains("hint:"), "{no_model}");
    let no_run = refused(&["--from", "no-such-folder"]);
    assert!(no_run.contains("hint:"), "{no_run}");
    let no_prices = refused(&["--prices", "no-such-file"]);
    assert!(no_prices.contains("read the prices"), "{no_prices}");
}

/// The sample run names no card: it calibrates nothing, and the plan says so instead of pretending.
#[test]
fn a_run_that_cannot_calibrate_is_named_with_the_reason() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/sample-llama-cpp-smollm2");
    let plan = planned(&["--from", sample.to_str().expect("UTF-8"), "--model", "google/gemma-3-12b-it"]);
    let notes = plan["notes"].to_string();
    assert!(notes.contains("does not name its card"), "{notes}");
    assert!(plan["basis"]["measured"].as_array().is_some_and(Vec::is_empty));
}

/// A plan kept in a run folder is a section of its report in both languages, with its charts and commands.
#[test]
fn a_kept_plan_is_a_section_of_the_report() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/sample-llama-cpp-smollm2");
    let folder = tempfile::tempdir().expect("a folder");
    for file in ["manifest.json", "requests.jsonl", "phases.jsonl", "gpu.jsonl", "server.jsonl"] {
        fs::copy(sample.join(file), folder.path().join(file)).expect("the sample run");
    }
    let run_folder = folder.path().to_str().expect("UTF-8");
    planned(&["--model", "google/gemma-3-12b-it", "--into", run_folder]);
    let output = run(&["report", run_folder, "--lang", "both"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for (file, heading) in [("report.md", "What to buy for a load"), ("report.ko.md", "부하에 맞는 구매 계획")]
    {
        let text = fs::read_to_string(folder.path().join(file)).expect("a report");
        assert!(text.contains(heading), "{file}");
        assert!(text.contains("vllm serve google/gemma-3-12b-it --dtype bfloat16"), "{file}");
        assert!(!text.contains('⟦'), "{file}");
    }
    assert!(folder.path().join("charts/plan_memory.svg").is_file());
    // The same in one step, for the model that the run measured.
    let target = "concurrency=8 isl=106 osl=100";
    let output = run(&["report", run_folder, "--target", target, "--slo", "tpot:50"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = fs::read_to_string(folder.path().join("report.md")).expect("a report");
    assert!(text.contains("TPOT ≤ 50 ms") && text.contains("SmolLM2-135M"), "{text}");
    fs::write(folder.path().join("plan.json"), "{}").expect("written");
    let output = run(&["report", run_folder]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("hint:"), "{}", stderr(&output));
}

#[test]
fn the_text_speaks_both_languages() {
    let english = stdout(&run(&["plan"]));
    assert!(english.is_ascii(), "{english}");
    for part in ["Recommended", "A. Least cost", "What would change the answer", "    vllm serve "] {
        assert!(english.contains(part), "{part}: {english}");
    }
    let korean = stdout(&run(&["plan", "--lang", "ko"]));
    assert!(korean.contains("권장 구성") && !korean.contains('⟦'), "{korean}");
}

/// The same question asked of `size`, `plan` and the report of a run gives the same answer, and the report's rows of GPUs hold
/// what the plan's choices hold and cost the same.
#[test]
fn every_command_gives_the_same_answer() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/sample-llama-cpp-smollm2");
    for (model, requests, context) in [
        ("google/gemma-3-12b-it", "50", "4096"),
        ("Qwen/Qwen3-32B", "16", "2000"),
        ("openai/gpt-oss-120b", "64", "2048"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["manifest.json", "requests.jsonl", "phases.jsonl", "gpu.jsonl", "server.jsonl"] {
            fs::copy(sample.join(file), folder.path().join(file)).expect("the sample run");
        }
        let run_folder = folder.path().to_str().expect("UTF-8");
        let published = if model.contains("gpt-oss") { "mxfp4" } else { "bf16" };
        let target = format!("concurrency={requests} context={context} dtype={published} kv=auto");
        let plan = planned(&["--model", model, "--target", &target, "--into", run_folder]);
        let sized = json(&run(&["size", "--model", model, "--concurrency", requests, "--context", context, "--json"]));
        for key in ["choices", "recommended", "sensitivity", "target", "engine"] {
            assert_eq!(sized["plan"][key], plan[key], "{model}: {key}");
        }
        let reported = json(&run(&["report", run_folder, "--json"]));
        let summary = &reported[0]["summary"];
        assert_eq!(summary["plan"]["recommended"], plan["recommended"], "{model}");
        assert_eq!(summary["sizing"]["options"], sized["sizing"]["options"], "{model}");
        let rows = summary["sizing"]["options"].as_array().expect("rows");
        let mut compared = 0;
        for choice in choices(&plan).iter().filter(|c| c["as_asked"] == true && c["replicas"] == 1) {
            let same = |row: &&Value| row["gpu"] == choice["gpu"] && row["count"] == choice["tensor_parallel"];
            let Some(row) = rows.iter().find(same) else { continue };
            assert_eq!(row["held_max_requests"], choice["seats"]["likely"], "{model}: {row}");
            assert_eq!(row["purchase_usd"], choice["cost"]["purchase"]["usd"], "{model}: {row}");
            assert_eq!(row["cloud_usd_per_hour"], choice["cost"]["cloud_per_hour"]["usd"], "{model}: {row}");
            compared += 1;
        }
        assert!(compared > 3, "{model}: {compared}");
    }
}

#[test]
fn the_catalogue_is_listed() {
    let gpus = json(&run(&["gpus", "h100", "--json"]));
    let names: Vec<_> = gpus.as_array().expect("a list").iter().filter_map(|gpu| gpu["name"].as_str()).collect();
    assert_eq!(names, ["H100 80GB", "H100 PCIe", "H100 NVL"]);
    let models = stdout(&run(&["models", "gpt-oss"]));
    assert!(models.contains("openai/gpt-oss-120b") && models.contains("mxfp4"), "{models}");
    let unknown = refused(&["--model", "google/gemma-3-12b-itt"]);
    assert!(unknown.contains("the nearest are google/gemma-3-12b-it"), "{unknown}");
}
