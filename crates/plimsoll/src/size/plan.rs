//! `cargo xtask size`: what the engine would print, and which GPUs would hold the target load.

use analysis::{SizingSection, SizingTarget};
use serde::Serialize;
use sizing::{
    Blocks, Bytes, Engine, EngineFlags, KvCachePlan, KvMemory, ModelSpec, PrintedGib, Tokens, catalogue,
    engine::KvGroup,
    inverse::{Effect, Flags, Wanted},
};

use super::PlanArgs;
use crate::{
    exit::{self, Exit, WithExit as _},
    output::{self, CONSOLE_WIDTH},
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
    /// The flags that hold the load on the GPU that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    flags: Option<Flags>,
}

pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<Exit> {
    let sized = size(args)?;
    output::emit(args.json, &sized, |sized| text(sized, args))?;
    Ok(Exit::Ok)
}

fn size(args: &PlanArgs) -> anyhow::Result<Sized> {
    if !args.available_kv_gib.is_finite() || args.available_kv_gib <= 0.0 {
        return Err(exit::error(Exit::Usage, "understand --available-kv-gib: it is a positive number of GiB"));
    }
    let model = catalogue::model(&args.model).exit(Exit::Usage)?;
    let engine = Engine::vllm(&args.vllm).exit(Exit::Usage)?;
    let flags = EngineFlags {
        max_num_batched_tokens: args.max_num_batched_tokens.into(),
        ..EngineFlags::new(args.max_model_len)
    };
    let printed = PrintedGib::new(args.available_kv_gib);
    let plan = |bytes| engine.kv_cache(model, &flags, KvMemory::Available(bytes)).exit(Exit::Usage);
    let (low, nominal, high) = (plan(printed.low())?, plan(printed.nominal())?, plan(printed.high())?);
    let target = SizingTarget { concurrency: args.concurrency, context_tokens: args.context };
    let sizing = analysis::sizing_section(&args.model, Some(&args.vllm), target).ok_or_else(|| {
        exit::error(Exit::Usage, "size this model for that target\nhint: --context is at least 1 token")
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
        flags: flags_for(args, &engine, model)?,
    })
}

/// Flags for the load on the GPU that was named, if one was.
fn flags_for(args: &PlanArgs, engine: &Engine, model: &ModelSpec) -> anyhow::Result<Option<Flags>> {
    let Some(name) = &args.gpu else {
        return Ok(None);
    };
    let gpu = catalogue::gpu(name).exit(Exit::Usage)?;
    let wanted = Wanted {
        engine: *engine,
        shape: &model.shape.value,
        weights: model.weights_16_bit(),
        gpu,
        concurrency: u64::from(args.concurrency),
        context: args.context.into(),
    };
    let flags = wanted.flags().ok_or_else(|| {
        let problem = format!("it is not known how much memory of {} a program sees", gpu.name);
        exit::error(Exit::Usage, problem)
    })?;
    Ok(Some(flags))
}

fn text(sized: &Sized, args: &PlanArgs) -> String {
    let answer = sized.flags.as_ref().map_or_else(
        || printed_text(sized),
        |flags| {
            let Sized { model, engine, .. } = sized;
            format!("{model} on {engine}\n{}", flags_text(flags, args))
        },
    );
    let table = ::report::sizing_console(&sized.sizing, args.lang.spoken(), CONSOLE_WIDTH);
    format!("{answer}\n\n{table}")
}

fn printed_text(sized: &Sized) -> String {
    format!(
        "{} on {} with {:.2} GiB for the KV cache will print\n\n  {}\n\n({} of {}; a request of {} holds up to {})",
        sized.model,
        sized.engine,
        sized.available_kv_gib,
        sized.printed.replace('\n', "\n  "),
        Blocks::new(sized.gpu_blocks),
        Bytes::new(sized.bytes_per_block),
        Tokens::new(sized.max_model_len),
        Blocks::new(sized.blocks_per_request),
    )
}

fn flags_text(flags: &Flags, args: &PlanArgs) -> String {
    let gpu = args.gpu.as_deref().unwrap_or_default();
    let mut lines = Vec::new();
    for choice in &flags.by_default {
        lines.push(format!(
            "by default {} × {gpu} prints {:.2}x",
            choice.tensor_parallel_size, choice.max_concurrency[1]
        ));
    }
    match &flags.choice {
        Some(choice) => {
            let [least, likely, most] = choice.max_concurrency;
            let sure = if choice.safely { "" } else { "; the memory is a prediction, so look at the log" };
            lines.push(format!("for {} requests of {} tokens:\n  {}", args.concurrency, args.context, choice.flags()));
            lines.push(format!("  would print {likely:.2}x ({least:.2}x to {most:.2}x{sure})"));
        }
        None => lines.push(format!("8 × {gpu} do not hold {} requests of {} tokens", args.concurrency, args.context)),
    }
    let effect = |effect: &Effect| match effect.concurrency {
        Some([before, after]) => format!("{} ({before:.2}x to {after:.2}x): {}", effect.flag, effect.reason),
        None => format!("{}: {}", effect.flag, effect.reason),
    };
    lines.extend(flags.free_wins.iter().map(|win| format!("free: {}", effect(win))));
    lines.extend(flags.no_ops.iter().map(|no_op| format!("no help: {}", effect(no_op))));
    lines.join("\n")
}
