//! `cargo xtask plan --from RUN`: a run calibrates the plan. The run is the simulator's in virtual time, with the costs of a real H100
//! (its profile says whose), written as the tool writes a run, so that nothing depends on how busy this machine is.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use simserver::{
    Profile,
    simulate::{ClosedLoop, Served, closed_loop},
};

use crate::binary::{json as document, run, stderr};

const ISL: u32 = 500;
const OSL: u32 = 100;
const LEVELS: [u32; 5] = [2, 4, 8, 16, 32];
const WAVES: u32 = 6;

fn served(concurrency: u32) -> Vec<Served> {
    let profile = Profile::builtin("h100-llama3.1-8b-fp16").expect("a built-in profile");
    let load = ClosedLoop {
        concurrency,
        // One wave before those that count, and two after, so that the load is the same throughout.
        requests_per_slot: WAVES + 3,
        prompt_tokens: ISL,
        output_tokens: OSL,
        ramp: Duration::from_secs(1),
        turnaround: Duration::ZERO,
    };
    closed_loop(&profile, &load).expect("short requests")
}

/// Mean TPOT in seconds of the requests that count.
fn mean_tpot_s(served: &[Served], concurrency: u32) -> f64 {
    let counted = served.iter().skip(concurrency as usize).take((concurrency * WAVES) as usize);
    let tpot: Vec<f64> =
        counted.map(|s| (s.e2el().as_secs_f64() - s.ttft().as_secs_f64()) / f64::from(OSL - 1)).collect();
    tpot.iter().sum::<f64>() / tpot.len() as f64
}

fn ns(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).expect("less than centuries")
}

/// A run folder of the sweep; its manifest is that of the oldest fixture with other levels.
fn write_run(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/runs/schema-1");
    let text = fs::read_to_string(root.join("manifest.json")).expect("a fixture");
    let mut manifest: Value = serde_json::from_str(&text).expect("JSON");
    let model = "meta-llama/Llama-3.1-8B-Instruct";
    manifest["plan"]["levels"] = json!(LEVELS);
    manifest["plan"]["requests"] = json!(LEVELS.map(|c| c * WAVES));
    manifest["plan"]["warmup_requests"] = json!(LEVELS);
    manifest["plan"]["model"] = json!(model);
    manifest["plan"]["osl"] = json!(OSL);
    manifest["engine"]["models"] = json!([model]);
    let (mut requests, mut phases) = (String::new(), String::new());
    let (mut epoch, mut number) = (Duration::from_secs(1), 0);
    for (level, concurrency) in LEVELS.into_iter().enumerate() {
        let mut window = (u64::MAX, 0);
        let mut end = epoch;
        for (index, served) in served(concurrency).iter().enumerate() {
            let stage = match u32::try_from(index).expect("few") / concurrency {
                0 => "warmup",
                wave if wave <= WAVES => "measured",
                _ => "cooldown",
            };
            let (sent, finished) = (ns(epoch + served.sent), ns(epoch + served.last_token));
            if stage == "measured" {
                window = (window.0.min(sent), window.1.max(finished));
            }
            end = end.max(epoch + served.last_token);
            let line = json!({
                "request": number, "level": level, "stage": stage, "slot": served.slot,
                "intended_ns": sent, "sent_ns": sent, "connection": {"kind": "reused"},
                "chunks": {"count": OSL, "since_sent_ns": [ns(served.ttft()), ns(served.e2el())]},
                "finished_ns": finished, "asked_output_tokens": OSL, "prompt_tokens": ISL,
                "output_tokens": {"count": OSL, "source": "usage"},
                "outcome": {"kind": "completed", "finish_reason": "length"},
            });
            requests.extend([line.to_string(), "\n".to_owned()]);
            number += 1;
        }
        let phase = json!({"kind": "measure", "level": level, "start_ns": window.0, "end_ns": window.1});
        phases.extend([phase.to_string(), "\n".to_owned()]);
        epoch = end + Duration::from_secs(1);
    }
    manifest["ended"]["offset_ns"] = json!(ns(epoch));
    for (name, text) in [
        ("manifest.json", manifest.to_string()),
        ("requests.jsonl", requests),
        ("phases.jsonl", phases),
        ("gpu.jsonl", String::new()),
        ("server.jsonl", String::new()),
    ] {
        fs::write(folder.join(name), text).expect("written");
    }
}

fn planned(args: &[&str]) -> Value {
    let target = ["plan", "--json", "--target", "concurrency=24 isl=500 osl=100 dtype=bf16"];
    let output = run(&[&target[..], args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    document(&output)
}

/// TPOT of one H100 that has all requests: low, likely, high.
fn one_h100(plan: &Value) -> [f64; 3] {
    let choices = plan["choices"].as_array().expect("choices");
    let choice = choices
        .iter()
        .find(|choice| choice["gpu"] == "H100 80GB" && choice["tensor_parallel"] == 1 && choice["as_asked"] == true);
    let tpot = &choice.expect("it holds them")["speed"]["tpot_s"];
    ["low", "likely", "high"].map(|end| tpot[end].as_f64().expect("a time"))
}

/// 24 requests at once were not measured. From the catalogue alone the interval is wide; from 2 to 32 it is less than half as
/// wide, holds what the simulator does at 24, and is off by less than a tenth.
#[test]
fn a_run_narrows_the_plan_and_keeps_it_true() {
    let folder = tempfile::tempdir().expect("a folder");
    write_run(folder.path());
    let truth = mean_tpot_s(&served(24), 24);
    let from = folder.path().to_str().expect("UTF-8");
    let system = "gpu=H100 80GB,tp=1,dtype=bf16";
    let calibrated = planned(&["--from", from, "--measured", system]);
    let basis = &calibrated["basis"]["measured"][0];
    assert_eq!((&basis["gpu"], &basis["levels"]), (&json!("H100 80GB"), &json!(LEVELS.len())), "{calibrated}");
    let [low, likely, high] = one_h100(&calibrated);
    assert!((likely / truth - 1.0).abs() < 0.1, "{likely} against {truth}");
    assert!(low <= truth && truth <= high, "{truth} in {low} to {high}");
    let alone = planned(&["--model", "meta-llama/Llama-3.1-8B-Instruct"]);
    let [alone_low, _, alone_high] = one_h100(&alone);
    assert!((high / low).ln() < 0.5 * (alone_high / alone_low).ln(), "{low} to {high}");
    let notes = calibrated["notes"].to_string();
    assert!(notes.contains("simulated"), "{notes}");
}
