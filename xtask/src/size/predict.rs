//! `cargo xtask size predict`: what vLLM will print at start-up.

use serde::Serialize;
use sizing::{Engine, KvCachePlan, KvMemory, catalogue, engine::KvGroup};

use super::args::PredictArgs;
use super::setup::{Memory, Model, Setup};
use crate::{
    exit::{Exit, WithExit as _},
    output,
};

/// What the command says. `docs/schema.md` lists the keys.
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
    gpu_blocks: u64,
    gpu_blocks_interval: [u64; 2],
    bytes_per_block: u64,
    blocks_per_request: u64,
    groups: Vec<KvGroup>,
    kv_cache_tokens: u64,
    kv_cache_tokens_interval: [u64; 2],
    max_concurrency: f64,
    max_concurrency_interval: [f64; 2],
    /// Whether one request of the longest length fits; vLLM refuses to start otherwise.
    starts: bool,
    replicas: u64,
    /// The figures as vLLM words them.
    prints: String,
    assumptions: Vec<String>,
}

pub(super) fn run(args: &PredictArgs) -> anyhow::Result<Exit> {
    let predicted = predict(args)?;
    output::emit(args.json, &predicted, text)?;
    Ok(Exit::Ok)
}

fn predict(args: &PredictArgs) -> anyhow::Result<Predicted> {
    let engine = Engine::vllm(&args.vllm).exit(Exit::Usage)?;
    let model = Model::of(&args.model)?;
    let gpu = (args.memory.gpu.as_deref())
        .map(catalogue::gpu)
        .transpose()
        .exit(Exit::Usage)?;
    let setup = Setup::of(engine, &model, &args.engine, gpu)?;
    let memory = Memory::of(&args.memory, &model, &setup, &args.engine, gpu)?;
    let plan = |memory| {
        engine
            .plan(&model.shape, &setup.flags, memory)
            .exit(Exit::Usage)
    };
    let [low, nominal, high] = [plan(memory.low)?, plan(memory.nominal)?, plan(memory.high)?];
    let tokens = |plan: &KvCachePlan| plan.kv_cache_tokens().get();
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
        gpu_blocks: nominal.blocks().get(),
        gpu_blocks_interval: [low.blocks().get(), high.blocks().get()],
        bytes_per_block: nominal.bytes_per_block().get(),
        blocks_per_request: nominal.blocks_per_request().get(),
        groups: nominal.groups().to_vec(),
        kv_cache_tokens: tokens(&nominal),
        kv_cache_tokens_interval: [tokens(&low), tokens(&high)],
        max_concurrency: nominal.max_concurrency(),
        max_concurrency_interval: [low.max_concurrency(), high.max_concurrency()],
        starts: nominal.starts(),
        replicas: args.engine.data_parallel_size,
        prints: nominal.to_string(),
        assumptions: setup.assumptions,
    })
}

fn text(predicted: &Predicted) -> String {
    let Predicted { model, engine, .. } = predicted;
    let [fewest, most] = predicted.kv_cache_tokens_interval;
    let [least, greatest] = predicted.max_concurrency_interval;
    let mut lines = vec![
        format!("{model} on {engine} would print:"),
        String::new(),
        predicted.prints.clone(),
        String::new(),
        format!("tokens from {fewest} to {most}, concurrency from {least:.2}x to {greatest:.2}x"),
        format!(
            "{} blocks of {} B in {} group(s); a request of {} tokens takes {}",
            predicted.gpu_blocks,
            predicted.bytes_per_block,
            predicted.groups.len(),
            predicted.max_model_len,
            predicted.blocks_per_request
        ),
    ];
    if !predicted.starts {
        lines.push("one such request does not fit: this server refuses to start".to_owned());
    }
    if predicted.replicas > 1 {
        lines.push(format!(
            "each of {} replicas prints this for its own pool",
            predicted.replicas
        ));
    }
    lines.extend(
        predicted
            .assumptions
            .iter()
            .map(|assumed| format!("assumed: {assumed}")),
    );
    lines.join("\n")
}
