//! A server's flags as its user gives them, and what vLLM makes of those that are left out.

use super::flags::{EngineFlags, KvDtype, Platform, Speculation, StateCache};
use super::limits::ServingDefaults;
use super::rules::Rules;
use crate::model::{Holds, LayerGroup, Shape, StateDtype};
use crate::{GpuSpec, Tokens};

/// vLLM's flags as far as they decide on memory, under its own names; `None` is the version's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServeArgs {
    /// `--max-model-len`; `None` is the checkpoint's own.
    pub max_model_len: Option<Tokens>,
    /// `--max-num-batched-tokens`; `None` depends on the GPU.
    pub max_num_batched_tokens: Option<Tokens>,
    /// `--max-num-seqs`; `None` depends on the GPU.
    pub max_num_seqs: Option<u64>,
    /// `--tensor-parallel-size`; `None` is 1.
    pub tensor_parallel_size: Option<u64>,
    /// `--pipeline-parallel-size`; `None` is 1.
    pub pipeline_parallel_size: Option<u64>,
    /// `--decode-context-parallel-size`; `None` is 1.
    pub decode_context_parallel_size: Option<u64>,
    /// `--kv-cache-dtype`; `None` is `auto`.
    pub kv_cache_dtype: Option<KvDtype>,
    /// `--block-size`; `None` is the backend's.
    pub block_size: Option<Tokens>,
    /// `--enable-prefix-caching` or `--no-enable-prefix-caching`.
    pub enable_prefix_caching: Option<bool>,
    /// `--mamba-cache-mode`.
    pub mamba_cache_mode: Option<StateCache>,
    /// `--mamba-ssm-cache-dtype`.
    pub mamba_ssm_cache_dtype: Option<StateDtype>,
    /// `--disable-hybrid-kv-cache-manager`.
    pub disable_hybrid_kv_cache_manager: bool,
    /// `VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE`.
    pub allow_chunked_local_hybrid: Option<bool>,
    /// `--async-scheduling` or `--no-async-scheduling`.
    pub async_scheduling: Option<bool>,
    /// `--speculative-config`.
    pub speculative: Option<SpeculativeArgs>,
    /// What it runs on, where no GPU says so.
    pub platform: Option<Platform>,
    /// `--gpu-memory-utilization`; `None` is the version's default.
    pub gpu_memory_utilization: Option<f64>,
    /// `--enforce-eager`: no CUDA graphs.
    pub enforce_eager: bool,
    /// Flags of a command line that are not read here.
    pub unread: Vec<String>,
}

/// `--speculative-config`, as far as it takes memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeculativeArgs {
    /// Who drafts; `None` is the checkpoint's own layers where it has any.
    pub method: Option<Drafter>,
    /// `num_speculative_tokens`.
    pub tokens: u64,
}

/// Who drafts speculative tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drafter {
    /// The checkpoint's own multi-token-prediction layers.
    Mtp,
    /// EAGLE-1: one layer of the model's shape.
    Eagle,
    /// N-grams, or an assistant that shares the cache: no layer.
    Ngram,
}

/// What a checkpoint declares beside its shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Longest sequence that it was made for.
    pub max_position: Option<Tokens>,
    /// Element of its KV cache.
    pub kv_dtype: Option<KvDtype>,
    /// Layers of its multi-token-prediction module.
    pub draft_layers: u64,
}

/// Flags with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The flags that decide on the KV cache.
    pub flags: EngineFlags,
    /// Sequences of one step.
    pub max_num_seqs: u64,
    /// Every default that was taken, and whose it is.
    pub assumptions: Vec<String>,
}

/// The longest sequence is neither given nor declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the longest sequence is not known\nhint: give --max-model-len")]
pub struct UnknownLength;

pub(super) fn resolve(
    rules: &Rules,
    args: &ServeArgs,
    shape: &Shape,
    declared: Declared,
    gpu: Option<&GpuSpec>,
) -> Result<Resolved, UnknownLength> {
    let mut assumptions = Vec::new();
    let max_model_len = match (args.max_model_len, declared.max_position) {
        (Some(length), _) => length,
        (None, Some(length)) => {
            assumptions.push(format!("max_model_len = {}, as the config has it", length.get()));
            length
        }
        (None, None) => return Err(UnknownLength),
    };
    let limits = gpu.map_or(ServingDefaults::SMALL, |gpu| ServingDefaults::on(rules, gpu)).raised_for(rules, shape);
    let batched = args.max_num_batched_tokens.unwrap_or(limits.max_num_batched_tokens);
    if args.max_num_batched_tokens.is_none() {
        let on = gpu.map_or("a GPU of less than 70 GiB", |gpu| gpu.name.as_str());
        assumptions.push(format!("max_num_batched_tokens = {}, the default on {on}", batched.get()));
    }
    let flags = EngineFlags {
        max_num_batched_tokens: batched,
        block_size: args.block_size,
        kv_dtype: kv_dtype(rules, args, declared, &mut assumptions),
        tensor_parallel: args.tensor_parallel_size.unwrap_or(1),
        pipeline_parallel: args.pipeline_parallel_size.unwrap_or(1),
        decode_context_parallel: args.decode_context_parallel_size.unwrap_or(1),
        hybrid_manager: !args.disable_hybrid_kv_cache_manager,
        chunked_hybrid: args.allow_chunked_local_hybrid,
        states: states(args),
        state_dtype: args.mamba_ssm_cache_dtype,
        speculation: speculation(args, shape, declared, &mut assumptions),
        async_scheduling: args.async_scheduling.unwrap_or_else(|| schedules_ahead(rules, args)),
        platform: platform(args, shape, gpu, &mut assumptions),
        ..EngineFlags::new(max_model_len)
    };
    Ok(Resolved { flags, max_num_seqs: args.max_num_seqs.unwrap_or(limits.max_num_seqs), assumptions })
}

fn kv_dtype(rules: &Rules, args: &ServeArgs, declared: Declared, assumptions: &mut Vec<String>) -> KvDtype {
    match (args.kv_cache_dtype, declared.kv_dtype) {
        (None, Some(declared)) if rules.checkpoint_kv_dtype => {
            assumptions.push(format!("kv_cache_dtype = {declared}, as the checkpoint declares it"));
            declared
        }
        (given, _) => given.unwrap_or(KvDtype::Bits16),
    }
}

fn states(args: &ServeArgs) -> StateCache {
    match (args.mamba_cache_mode, args.enable_prefix_caching) {
        (_, Some(false)) => StateCache::None,
        (Some(mode), _) => mode,
        (None, Some(true)) => StateCache::Cached,
        (None, None) => StateCache::Default,
    }
}

/// Whether a step is scheduled while the last one runs, unless a flag says.
fn schedules_ahead(rules: &Rules, args: &ServeArgs) -> bool {
    let ngram = args.speculative.is_some_and(|given| given.tokens > 0 && given.method == Some(Drafter::Ngram));
    !ngram || rules.ngram_async
}

fn speculation(args: &ServeArgs, shape: &Shape, declared: Declared, assumptions: &mut Vec<String>) -> Speculation {
    let Some(SpeculativeArgs { method, tokens }) = args.speculative.filter(|given| given.tokens > 0) else {
        return Speculation::default();
    };
    let own = declared.draft_layers;
    let layers = match method {
        Some(Drafter::Mtp) => own.max(1),
        Some(Drafter::Eagle) => 1,
        Some(Drafter::Ngram) => 0,
        // Gemma 4's assistant shares the cache of its model.
        None if shape.largest_item.is_some() && own == 0 => 0,
        None => {
            let layers = own.max(1);
            assumptions.push(format!("the drafter adds {layers} full-attention layer(s), as MTP does"));
            layers
        }
    };
    Speculation { tokens, layers }
}

/// Latent attention has the block of its kernel; without a GPU that of Hopper is taken, where such models mostly run.
fn platform(args: &ServeArgs, shape: &Shape, gpu: Option<&GpuSpec>, assumptions: &mut Vec<String>) -> Platform {
    if let Some(platform) = args.platform.or_else(|| gpu.map(Platform::of)) {
        return platform;
    }
    let latent = |group: &LayerGroup| matches!(group.holds, Holds::Latent { .. });
    if args.block_size.is_some() || !shape.layers.iter().any(latent) {
        return Platform::Cuda;
    }
    assumptions.push("latent attention's block is that on Hopper; give --platform, --gpu or --block-size".to_owned());
    Platform::Hopper
}
