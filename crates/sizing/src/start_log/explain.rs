//! What a log prints beside what the arithmetic gives, term by term, with the reason for a gap.
//!
//! The memory is taken as printed, so tokens and concurrency are exact; the memory's own parts are held against their sum
//! and against the priors. Where the figures do not come out, likely differences of flags are tried one after the other:
//! what makes them come out is named as the likely reason, not as a fact.

use serde::Serialize;

use super::StartLog;
use crate::engine::{Deployment, EngineFlags, KvDtype, KvMemory, Platform, ServingDefaults, Speculation, StateCache};
use crate::model::Shape;
use crate::{Blocks, Bytes, Engine, GpuSpec, KvCachePlan, PrintedGib, Tokens};

/// One figure of a log beside what was to be expected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Term {
    /// Which figure.
    pub what: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Least and most that the arithmetic allows.
    pub predicted: Option<[f64; 2]>,
    /// What the log prints.
    pub printed: Option<f64>,
    /// Whether it is what was to be expected; absent where one of the two is.
    pub agrees: Option<bool>,
    /// How the figure comes about, or why there is a gap.
    pub reason: String,
}

impl Term {
    fn new(
        what: &'static str,
        unit: &'static str,
        predicted: Option<[f64; 2]>,
        printed: Option<f64>,
        reason: impl Into<String>,
    ) -> Self {
        // Half of the last printed digit, in hundredths, belongs to the print.
        let slack = if unit == "tokens" || unit == "blocks" { 0.0 } else { 0.005 + 1e-9 };
        let within = |([low, high], printed): ([f64; 2], f64)| (low - slack..=high + slack).contains(&printed);
        Self { what, unit, predicted, printed, agrees: predicted.zip(printed).map(within), reason: reason.into() }
    }
}

/// The engine that a log is of: as stated, else by its line numbers.
pub fn engine_of(log: &StartLog) -> Option<Engine> {
    let stated = log.version.as_deref().and_then(|version| Engine::vllm(version).ok());
    stated.or_else(|| Engine::vllm(log.version_by_line.as_deref()?).ok())
}

/// The flags that a log shows, with the engine's defaults where it does not.
pub fn flags_of(log: &StartLog, draft_layers: u64) -> EngineFlags {
    let shown = &log.flags;
    let length = shown.max_model_len.or_else(|| log.pool()?.length);
    let speculative = shown.num_speculative_tokens.unwrap_or(0);
    let states = match (shown.mamba_cache_mode.as_deref(), shown.enable_prefix_caching) {
        (Some("align"), _) => StateCache::Align,
        (Some("all"), _) => StateCache::All,
        (Some(_), _) | (None, Some(false)) => StateCache::None,
        (None, None) => StateCache::Default,
        (None, Some(true)) => StateCache::Cached,
    };
    let dtype = shown.kv_cache_dtype.as_deref().and_then(|name| name.parse().ok());
    let platform = if shown.cpu { Platform::Cpu } else { Platform::Cuda };
    let small = ServingDefaults::SMALL.max_num_batched_tokens;
    EngineFlags {
        max_num_batched_tokens: shown.max_num_batched_tokens.map_or(small, Tokens::new),
        block_size: shown.block_size.map(Tokens::new),
        kv_dtype: dtype.unwrap_or(KvDtype::Bits16),
        tensor_parallel: shown.tensor_parallel_size.unwrap_or(1).max(1),
        pipeline_parallel: shown.pipeline_parallel_size.unwrap_or(1).max(1),
        decode_context_parallel: shown.decode_context_parallel_size.unwrap_or(1).max(1),
        hybrid_manager: !shown.hybrid_manager_disabled,
        states,
        speculation: Speculation { tokens: speculative, layers: if speculative > 0 { draft_layers } else { 0 } },
        platform,
        ..EngineFlags::new(length.unwrap_or(4096).max(1))
    }
}

/// Every term that the log allows to check. `weights` are those of the whole model, where known.
pub fn explain(
    log: &StartLog,
    engine: &Engine,
    shape: &Shape,
    flags: &EngineFlags,
    weights: Option<Bytes>,
    gpu: Option<&GpuSpec>,
) -> Vec<Term> {
    let mut terms = memory_terms(log, engine, shape, flags, weights, gpu);
    terms.extend(cache_terms(log, engine, shape, flags));
    terms
}

/// The least and the most that a log says of the memory.
fn memory_ends(log: &StartLog) -> Option<[KvMemory; 2]> {
    if let Some(blocks) = log.flags.num_gpu_blocks_override {
        return Some([KvMemory::Blocks(Blocks::new(blocks)); 2]);
    }
    if let Some(bytes) = log.memory.kv_cache_bytes {
        return Some([KvMemory::Available(Bytes::new(bytes)); 2]);
    }
    let least = log.available.iter().map(|rank| rank.gib).min_by(f64::total_cmp);
    if let Some(gib) = least {
        let printed = PrintedGib::new(gib);
        return Some([printed.low(), printed.high()].map(KvMemory::Available));
    }
    let blocks = log.pool()?.blocks?;
    Some([KvMemory::Blocks(Blocks::new(blocks)); 2])
}

fn cache_terms(log: &StartLog, engine: &Engine, shape: &Shape, flags: &EngineFlags) -> Vec<Term> {
    let Some(pool) = log.pool() else {
        return Vec::new();
    };
    let ends = memory_ends(log).or_else(|| blocks_of_tokens(engine, shape, flags, pool.tokens?));
    let plans = |flags: &EngineFlags| -> Option<[KvCachePlan; 2]> {
        let [low, high] = ends?;
        let low = engine.plan(shape, flags, low).ok()?;
        Some([low, engine.plan(shape, flags, high).ok()?])
    };
    let Some([low, high]) = plans(flags) else {
        let reason = match engine.plan(shape, flags, KvMemory::Blocks(Blocks::new(1))) {
            Err(error) => error.to_string(),
            Ok(_) => "the log does not say how much memory there is".to_owned(),
        };
        let printed = pool.tokens.map(|tokens| tokens as f64);
        return vec![Term::new("KV cache", "tokens", None, printed, reason)];
    };
    let range = |of: &dyn Fn(&KvCachePlan) -> f64| Some([of(&low), of(&high)]);
    let how = format!(
        "{} B a block, {} blocks for a request in {} group(s)",
        low.bytes_per_block().get(),
        low.blocks_per_request().get(),
        low.groups().len()
    );
    let count = |figure: Option<u64>| figure.map(|figure| figure as f64);
    let blocks = range(&|plan| plan.blocks().get() as f64);
    let tokens = range(&|plan| plan.kv_cache_tokens().get() as f64);
    let concurrency = range(&KvCachePlan::max_concurrency);
    let mut terms = vec![
        Term::new("blocks", "blocks", blocks, count(pool.blocks), how.clone()),
        Term::new("KV cache size", "tokens", tokens, count(pool.tokens), how.clone()),
        Term::new("maximum concurrency", "x", concurrency, pool.concurrency, how),
    ];
    terms.retain(|term| term.printed.is_some());
    if terms.iter().any(|term| term.agrees == Some(false)) {
        let likely = likely_reason(log, flags, &plans);
        for term in terms.iter_mut().filter(|term| term.agrees == Some(false)) {
            term.reason.clone_from(&likely);
        }
    }
    terms
}

/// The pools whose tokens are the printed ones, where the log states no memory: a check of the concurrency alone.
fn blocks_of_tokens(engine: &Engine, shape: &Shape, flags: &EngineFlags, printed: u64) -> Option<[KvMemory; 2]> {
    let tokens = |blocks: u64| {
        let plan = engine.plan(shape, flags, KvMemory::Blocks(Blocks::new(blocks)));
        plan.map(|plan| plan.kv_cache_tokens().get()).ok()
    };
    tokens(1)?;
    let first = |least: u64| {
        let (mut low, mut high) = (0, 1_u64 << 40);
        while low < high {
            let middle = low.midpoint(high);
            if tokens(middle) >= Some(least) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    };
    let (low, high) = (first(printed), first(printed.saturating_add(1)));
    (low < high).then(|| [low, high - 1].map(|blocks| KvMemory::Blocks(Blocks::new(blocks))))
}

type Change = fn(&mut EngineFlags);

/// Differences of flags that a log may hide, each with what it would mean.
fn variants(flags: &EngineFlags) -> Vec<(String, EngineFlags)> {
    const SWITCHES: [(&str, Change); 7] = [
        ("with an fp8 KV cache", |flags| {
            flags.kv_dtype = KvDtype::Fp8;
        }),
        ("with a 16-bit KV cache", |flags| {
            flags.kv_dtype = KvDtype::Bits16;
        }),
        ("with prefix caching, states aligned", |flags| {
            flags.states = StateCache::Align;
        }),
        ("without prefix caching", |flags| {
            flags.states = StateCache::None;
        }),
        ("with fp8 and aligned states", |flags| {
            flags.kv_dtype = KvDtype::Fp8;
            flags.states = StateCache::Align;
        }),
        ("without the hybrid manager", |flags| {
            flags.hybrid_manager = false;
        }),
        ("one step at a time", |flags| flags.async_scheduling = false),
    ];
    let with = |what: String, change: &dyn Fn(&mut EngineFlags)| {
        let mut changed = *flags;
        change(&mut changed);
        (what, changed)
    };
    let switches = SWITCHES.iter().map(|(what, change)| with((*what).to_owned(), change));
    let blocks = [16, 32, 64, 128, 256].map(|block| {
        with(format!("with blocks of {block} tokens"), &|flags| {
            flags.block_size = Some(Tokens::new(block));
        })
    });
    let steps = [2048, 2496, 4096, 8192, 16_384].map(|step| {
        with(format!("with {step} tokens a step"), &|flags| {
            flags.max_num_batched_tokens = Tokens::new(step);
        })
    });
    let drafted = [1, 2, 3, 4, 5].map(|tokens| {
        with(format!("with MTP of {tokens} token(s)"), &|flags| {
            flags.speculation = Speculation { tokens, layers: 1 };
        })
    });
    switches.chain(blocks).chain(steps).chain(drafted).collect()
}

fn likely_reason(
    log: &StartLog,
    flags: &EngineFlags,
    plans: &dyn Fn(&EngineFlags) -> Option<[KvCachePlan; 2]>,
) -> String {
    let pool = log.pool().cloned().unwrap_or_default();
    let comes_out = |[low, high]: [KvCachePlan; 2]| {
        let tokens = low.kv_cache_tokens().get()..=high.kv_cache_tokens().get();
        let (least, most) = (low.max_concurrency() - 0.005, high.max_concurrency() + 0.005);
        pool.tokens.is_none_or(|printed| tokens.contains(&printed))
            && pool.concurrency.is_none_or(|printed| (least..=most).contains(&printed))
    };
    for (what, variant) in variants(flags) {
        if variant != *flags && plans(&variant).is_some_and(comes_out) {
            return format!("comes out exactly {what}: a flag that the log does not show, or another default");
        }
    }
    let several = flags.tensor_parallel > 1 || flags.pipeline_parallel > 1;
    match (log.available.len(), several) {
        (0 | 1, true) => "the printed memory may be that of another rank: the smallest pool counts".to_owned(),
        (2.., _) => "ranks print different memory; the smallest was taken".to_owned(),
        _ => {
            "no single flag explains it: another model shape, a patched build, or a drafter of its own shape".to_owned()
        }
    }
}

fn memory_terms(
    log: &StartLog,
    engine: &Engine,
    shape: &Shape,
    flags: &EngineFlags,
    weights: Option<Bytes>,
    gpu: Option<&GpuSpec>,
) -> Vec<Term> {
    let memory = &log.memory;
    let mut terms = Vec::new();
    let utilization = log.flags.gpu_memory_utilization.unwrap_or_else(|| engine.default_utilization());
    if let Some(total) = memory.total_gib {
        let requested = [(total - 0.005) * utilization, (total + 0.005) * utilization];
        let reason = format!("{total} GiB × utilisation {utilization}");
        terms.push(Term::new("memory that may be used", "GiB", Some(requested), memory.requested_gib, reason));
    }
    let ranks = flags.tensor_parallel.saturating_mul(flags.pipeline_parallel);
    if let Some(weights) = weights.and_then(|weights| weights.part_of(ranks)) {
        // Rotary caches, quantisation scales and unshared layers are not in the count.
        let gib = weights.as_gib();
        let reason = format!("all weights over {ranks} GPU(s), and up to 6 % for what is not shared");
        terms.push(Term::new("weights", "GiB", Some([gib * 0.97, gib * 1.06 + 0.05]), memory.weights_gib, reason));
    }
    if let (Some(gpu), Some(weights)) = (gpu, weights) {
        terms.extend(prior_terms(log, engine, shape, flags, weights, gpu));
    }
    let fixed = memory.consumed_gib.or_else(|| {
        let outside = memory.non_torch_gib.unwrap_or(0.0);
        memory.weights_gib.map(|weights| weights + outside)
    });
    let available = log.available.iter().map(|rank| rank.gib).min_by(f64::total_cmp);
    let requested = memory.requested_gib.or(memory.total_gib.map(|total| total * utilization));
    if let (Some(requested), Some(fixed), Some(activation)) = (requested, fixed, memory.activation_gib) {
        // The printed activation of 0.27 and later holds the graphs' estimate already.
        let left = requested - fixed - activation;
        let reason = format!("{requested:.2} − {fixed:.2} fixed − {activation:.2} activation peak");
        terms.push(Term::new("memory for the KV cache", "GiB", Some([left - 0.02, left + 0.02]), available, reason));
    }
    terms.retain(|term| term.printed.is_some());
    terms
}

fn prior_terms(
    log: &StartLog,
    engine: &Engine,
    shape: &Shape,
    flags: &EngineFlags,
    weights: Bytes,
    gpu: &GpuSpec,
) -> Vec<Term> {
    let limits = engine.serving_defaults(gpu);
    let max_num_seqs = log.flags.max_num_seqs.unwrap_or(limits.max_num_seqs);
    let budget = engine.budget(&Deployment {
        weights,
        vocabulary: shape.vocabulary,
        gpu,
        tensor_parallel: flags.tensor_parallel,
        pipeline_parallel: flags.pipeline_parallel,
        max_num_seqs,
        utilization: log.flags.gpu_memory_utilization,
        eager: log.flags.enforce_eager == Some(true),
    });
    let Some(budget) = budget else {
        return Vec::new();
    };
    let around = |middle: Bytes| {
        let (less, more) = (budget.doubt.less.as_gib(), budget.doubt.more.as_gib());
        Some([(middle.as_gib() - less).max(0.0), middle.as_gib() + more])
    };
    let sampler = format!("prior: sampler's warm-up on {max_num_seqs} sequences × {} entries", shape.vocabulary);
    vec![
        Term::new("activation peak", "GiB", around(budget.activation), log.memory.activation_gib, sampler),
        Term::new(
            "outside the framework",
            "GiB",
            around(budget.outside_framework),
            log.memory.non_torch_gib,
            "prior: CUDA context, NCCL and other libraries",
        ),
    ]
}
