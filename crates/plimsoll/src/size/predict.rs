//! `cargo xtask size predict`: what vLLM will print at start-up.

use serde::Serialize;
use sizing::{Engine, EngineFlags, KvCachePlan, KvMemory, Shape, Tokens, catalogue, engine::Step, mix::Held};

use super::args::PredictArgs;
use super::setup::{KvFigures, Memory, Model, Setup};
use crate::{
    exit::{Exit, WithExit as _},
    output,
};

/// What the command says. `docs/sizing.md` lists the keys.
#[derive(Debug, Serialize)]
struct Predicted {
    model: String,
    engine: String,
    max_model_len: u64,
    max_num_batched_tokens: u64,
    max_num_seqs: u64,
    kv_cache_dtype: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_kv_bytes_interval: Option<[u64; 2]>,
    #[serde(flatten)]
    figures: KvFigures,
    /// Whether one request of the longest length fits; vLLM refuses to start otherwise.
    starts: bool,
    /// The longest length that would fit, where that one does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    longest_model_len: Option<u64>,
    replicas: u64,
    /// How many requests of the given lengths fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    mix: Option<Held>,
    /// What an upgrade changes, one entry a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    upgrade: Option<Upgrade>,
    /// The figures as vLLM words them.
    prints: String,
    assumptions: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Upgrade {
    to: String,
    changes: Vec<UpgradeStep>,
}

#[derive(Debug, Serialize)]
struct UpgradeStep {
    since: String,
    rule: String,
    /// The figures from then on, or why that version does not start.
    prints: String,
    gpu_blocks: Option<u64>,
    kv_cache_tokens: Option<u64>,
    max_concurrency: Option<f64>,
}

pub(super) fn run(args: &PredictArgs) -> anyhow::Result<Exit> {
    let predicted = predict(args)?;
    output::emit(args.json, &predicted, text)?;
    Ok(Exit::Ok)
}

fn predict(args: &PredictArgs) -> anyhow::Result<Predicted> {
    let (from, to) = match args.vllm.split_once("..") {
        Some((from, to)) => (from, Some(to)),
        None => (args.vllm.as_str(), None),
    };
    let engine = Engine::vllm(from).exit(Exit::Usage)?;
    let engine = if args.v0 { engine.v0() } else { engine };
    let model = Model::from_args(&args.model)?;
    let gpu = (args.memory.gpu.as_deref()).map(catalogue::gpu).transpose().exit(Exit::Usage)?;
    let setup = Setup::new(engine, &model, &args.engine, gpu)?;
    let memory = Memory::from_args(&args.memory, &model, &setup, &args.engine, gpu)?;
    let plan = |memory| engine.plan(&model.shape, &setup.flags, memory).exit(Exit::Usage);
    let (figures, nominal) = KvFigures::new(memory, plan)?;
    let upgrade = to.map(|to| upgrade(&engine, to, &model.shape, &setup.flags, memory.nominal)).transpose()?;
    let longest = if nominal.starts() {
        None
    } else {
        engine.longest(&model.shape, &setup.flags, memory.nominal).exit(Exit::Usage)?
    };
    let lengths = args.isl.as_ref().zip(args.osl.as_ref());
    Ok(Predicted {
        model: model.name.clone(),
        engine: engine.to_string(),
        max_model_len: setup.flags.max_model_len.get(),
        max_num_batched_tokens: setup.flags.max_num_batched_tokens.get(),
        max_num_seqs: setup.max_num_seqs,
        kv_cache_dtype: setup.flags.kv_dtype.to_string(),
        available_kv_bytes_interval: match (memory.low, memory.high) {
            (KvMemory::Available(low), KvMemory::Available(high)) => Some([low.get(), high.get()]),
            _ => None,
        },
        figures,
        starts: nominal.starts(),
        longest_model_len: longest.map(Tokens::get),
        replicas: args.engine.data_parallel_size,
        mix: lengths.and_then(|(isl, osl)| nominal.holds(isl, osl)),
        upgrade,
        prints: nominal.to_string(),
        assumptions: setup.assumptions,
    })
}

fn upgrade(from: &Engine, to: &str, shape: &Shape, flags: &EngineFlags, memory: KvMemory) -> anyhow::Result<Upgrade> {
    let newer = Engine::vllm(to).exit(Exit::Usage)?;
    let steps = from.upgrade(&newer, shape, flags, memory).exit(Exit::Usage)?;
    let step = |step: Step| {
        let plan = step.plan.as_ref().ok();
        UpgradeStep {
            since: step.since.to_string(),
            rule: step.rule.to_owned(),
            prints: match &step.plan {
                Ok(plan) => plan.to_string().replace('\n', ", "),
                Err(error) => error.to_string(),
            },
            gpu_blocks: plan.map(|plan| plan.blocks().get()),
            kv_cache_tokens: plan.map(|plan| plan.kv_cache_tokens().get()),
            max_concurrency: plan.map(KvCachePlan::max_concurrency),
        }
    };
    Ok(Upgrade { to: newer.to_string(), changes: steps.into_iter().map(step).collect() })
}

fn text(predicted: &Predicted) -> String {
    let Predicted { model, engine, .. } = predicted;
    let [fewest, most] = predicted.figures.kv_cache_tokens_interval;
    let [least, greatest] = predicted.figures.max_concurrency_interval;
    let mut lines = vec![
        format!("{model} on {engine} would print:"),
        String::new(),
        predicted.prints.clone(),
        String::new(),
        format!("tokens from {fewest} to {most}, concurrency from {least:.2}x to {greatest:.2}x"),
        format!(
            "{} blocks of {} B in {} group(s); a request of {} tokens takes {}",
            predicted.figures.gpu_blocks,
            predicted.figures.bytes_per_block,
            predicted.figures.groups.len(),
            predicted.max_model_len,
            predicted.figures.blocks_per_request
        ),
    ];
    if !predicted.starts {
        let longest = predicted.longest_model_len.unwrap_or(0);
        lines.push(format!("one such request does not fit: this server refuses to start; {longest} tokens would fit"));
    }
    if predicted.replicas > 1 {
        lines.push(format!("each of {} replicas prints this for its own pool", predicted.replicas));
    }
    lines.extend(predicted.mix.as_ref().map(mix_text));
    lines.extend(predicted.upgrade.iter().flat_map(upgrade_text));
    lines.extend(predicted.assumptions.iter().map(|assumed| format!("assumed: {assumed}")));
    lines.join("\n")
}

fn mix_text(mix: &Held) -> String {
    format!(
        "of your lengths {:.0} requests fit on average, {:.0} are safe 99 times in 100 ({:.1} ± {:.1} blocks each), where \
         {:.2} is printed",
        mix.expected, mix.safe, mix.mean_blocks, mix.blocks_stddev, mix.printed
    )
}

fn upgrade_text(upgrade: &Upgrade) -> Vec<String> {
    let mut lines = vec![format!("up to {}, with the same memory:", upgrade.to)];
    let changes = upgrade.changes.iter();
    lines.extend(changes.map(|step| format!("  {}: {}\n      {}", step.since, step.rule, step.prints)));
    if upgrade.changes.is_empty() {
        lines.push("  nothing of what is printed changes".to_owned());
    }
    lines
}
