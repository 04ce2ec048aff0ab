//! `cargo xtask size`: what the engine would print, and which GPUs would hold the target load.

use analysis::{SizingSection, SizingTarget};
use serde::Serialize;
use sizing::{
    Bytes, Engine, EngineFlags, KvCachePlan, KvMemory, PrintedGib, Tokens, catalogue,
    engine::KvGroup,
};

use crate::{
    cli::SizeArgs,
    exit::{self, Exit, WithExit as _},
    output,
    report::CONSOLE_WIDTH,
};

/// What the command says. `docs/schema.md` lists the keys.
#[derive(Debug, Serialize)]
struct Sized {
    model: String,
    engine: String,
    available_kv_gib: f64,
    max_model_len: u64,
    printed: String,
    gpu_blocks: u64,
    bytes_per_block: u64,
    blocks_per_request: u64,
    groups: Vec<KvGroup>,
    kv_cache_tokens: u64,
    kv_cache_tokens_interval: [u64; 2],
    max_concurrency: f64,
    max_concurrency_interval: [f64; 2],
    sizing: SizingSection,
}

pub(crate) fn run(args: &SizeArgs) -> anyhow::Result<Exit> {
    let sized = size(args)?;
    output::emit(args.json, &sized, |sized| text(sized, args))?;
    Ok(Exit::Ok)
}

fn size(args: &SizeArgs) -> anyhow::Result<Sized> {
    if !args.available_kv_gib.is_finite() || args.available_kv_gib <= 0.0 {
        return Err(exit::error(
            Exit::Usage,
            "understand --available-kv-gib: it is a positive number of GiB",
        ));
    }
    let model = catalogue::model(&args.model).exit(Exit::Usage)?;
    let engine = Engine::vllm(&args.vllm).exit(Exit::Usage)?;
    let flags = EngineFlags {
        max_num_batched_tokens: args.max_num_batched_tokens.into(),
        ..EngineFlags::new(args.max_model_len)
    };
    let printed = PrintedGib::new(args.available_kv_gib);
    let plan = |bytes| {
        engine
            .kv_cache(model, &flags, KvMemory::Available(bytes))
            .exit(Exit::Usage)
    };
    let (low, nominal, high) = (
        plan(printed.low())?,
        plan(printed.nominal())?,
        plan(printed.high())?,
    );
    let target = SizingTarget {
        concurrency: args.concurrency,
        context_tokens: args.context,
    };
    let sizing =
        analysis::sizing_section(&args.model, Some(&args.vllm), target).ok_or_else(|| {
            exit::error(
                Exit::Usage,
                "size this model for that target\nhint: --context is at least 1 token",
            )
        })?;
    let tokens = |plan: &KvCachePlan| plan.kv_cache_tokens().get();
    Ok(Sized {
        model: model.name.clone(),
        engine: engine.to_string(),
        available_kv_gib: args.available_kv_gib,
        max_model_len: args.max_model_len,
        printed: nominal.to_string(),
        gpu_blocks: nominal.blocks().get(),
        bytes_per_block: nominal.bytes_per_block().get(),
        blocks_per_request: nominal.blocks_per_request().get(),
        groups: nominal.groups().to_vec(),
        kv_cache_tokens: tokens(&nominal),
        kv_cache_tokens_interval: [tokens(&low), tokens(&high)],
        max_concurrency: nominal.max_concurrency(),
        max_concurrency_interval: [low.max_concurrency(), high.max_concurrency()],
        sizing,
    })
}

fn text(sized: &Sized, args: &SizeArgs) -> String {
    let table = ::report::sizing_console(&sized.sizing, args.lang.spoken(), CONSOLE_WIDTH);
    format!(
        "{} on {} with {:.2} GiB for the KV cache will print\n\n  {}\n\n({} blocks of {}; a request of {} holds up to {})\n\n{table}",
        sized.model,
        sized.engine,
        sized.available_kv_gib,
        sized.printed.replace('\n', "\n  "),
        sized.gpu_blocks,
        Bytes::new(sized.bytes_per_block),
        Tokens::new(sized.max_model_len),
        sized.blocks_per_request,
    )
}
