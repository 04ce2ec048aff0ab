//! Prints `docs/vllm-releases.md`: what every release of vLLM changes of the printed figures, and by how much.
//!
//! `cargo run -p sizing --example releases > docs/vllm-releases.md`. A test holds the page against the table of rules.

#![expect(clippy::print_stdout, reason = "the page is what it prints")]

use std::collections::BTreeMap;

use sizing::engine::{Declared, ServeArgs};
use sizing::{Bytes, Engine, GpuSpec, KvCachePlan, KvMemory, ModelSpec, Tokens, catalogue};

/// Models on whose figures the changes are shown, the first whose figures change.
const SAMPLES: [&str; 8] = [
    "google/gemma-3-12b-it",
    "Qwen/Qwen3-8B",
    "meta-llama/Llama-4-Scout-17B-16E-Instruct",
    "Qwen/Qwen3-Next-80B-A3B-Instruct",
    "deepseek-ai/DeepSeek-R1",
    "openai/whisper-large-v3",
    "XiaomiMiMo/MiMo-V2-Flash",
    "google/gemma-4-31B-it",
];

fn main() {
    print!("{}", page().unwrap_or_else(|error| format!("{error}\n")));
}

type Outcome = Result<KvCachePlan, String>;

/// The page.
fn page() -> Result<String, Box<dyn std::error::Error>> {
    let mut examples: BTreeMap<&str, String> = BTreeMap::new();
    for name in SAMPLES {
        for (rule, example) in changes_of(catalogue::model(name)?, catalogue::gpu("H100 80GB")?)? {
            examples.entry(rule).or_insert(example);
        }
    }
    let mut lines = vec![
        "# What each release of vLLM changes of its printed figures".to_owned(),
        String::new(),
        "Printed by `cargo run -p sizing --example releases`, from the table by which `cargo xtask size predict` answers. The".to_owned(),
        "figures are of the first model among a few that the change concerns, with 40 GiB for the KV cache of an H100, 32,768 tokens".to_owned(),
        "a request (Whisper: 448) and no flag; blocks, printed tokens and printed concurrency, before and from then on. Changes of the".to_owned(),
        "memory itself (utilisation, CUDA graphs, activation peak) show no figures: the memory is held constant.".to_owned(),
        String::new(),
        "| release | what changes | for example |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    for (since, rule) in Engine::changes() {
        let example = examples.get(rule).map_or("", String::as_str);
        lines.push(format!("| {since} | {rule} | {example} |"));
    }
    lines.push(String::new());
    lines.push("How a new release is read: `fixtures/sizing/oracle/release.sh FOLDER NEW OLD` runs the planning code of both wheels".to_owned());
    lines.push(
        "over the same models and prints every figure that differs, with the defaults that were resolved otherwise."
            .to_owned(),
    );
    Ok(lines.join("\n") + "\n")
}

/// Every rule that changes the model's figures, with an example.
fn changes_of(model: &ModelSpec, gpu: &GpuSpec) -> Result<Vec<(&'static str, String)>, Box<dyn std::error::Error>> {
    let (oldest, newest) = (Engine::vllm("0.8.5")?, Engine::newest());
    let shape = &model.shape.value;
    let length = if model.name.contains("whisper") { 448 } else { 32_768 };
    let args = ServeArgs { max_model_len: Some(Tokens::new(length)), ..ServeArgs::default() };
    let flags = newest.resolve(&args, shape, Declared::default(), Some(gpu))?.flags;
    let memory = KvMemory::Available(Bytes::from_gib(40.0));
    let mut before: Outcome = oldest.plan(shape, &flags, memory).map_err(|error| error.to_string());
    let mut changes = Vec::new();
    for step in oldest.upgrade(&newest, shape, &flags, memory)? {
        let after = step.plan.map_err(|error| error.to_string());
        let name = model.name.rsplit('/').next().unwrap_or_default();
        changes.push((step.rule, format!("{name}: {} → {}", figures(&before), figures(&after))));
        before = after;
    }
    Ok(changes)
}

fn figures(plan: &Outcome) -> String {
    match plan {
        Ok(plan) => {
            format!("{} blocks, {}, {:.2}x", plan.blocks().get(), plan.kv_cache_tokens(), plan.max_concurrency())
        }
        Err(_) => "does not start".to_owned(),
    }
}
