//! From what was typed to a model, an engine and its flags, with every default that was taken for granted written down.

use std::fs;

use anyhow::Context as _;
use serde::Serialize;
use sizing::{
    Blocks, Bytes, Checkpoint, Engine, EngineFlags, GpuSpec, KvCachePlan, KvMemory, PrintedGib, Shape, Tokens,
    catalogue,
    engine::{Deployment, KvGroup, ServeArgs, SpeculativeArgs},
};

use super::args::{EngineArgs, MambaMode, MemoryArgs, ModelArgs};
use super::headers;
use crate::exit::{self, Exit, WithExit as _};

/// A model and what is known of it.
pub(super) struct Model {
    pub(super) name: String,
    pub(super) shape: Shape,
    /// Weights of the whole model, where anything tells.
    pub(super) weights: Option<Bytes>,
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) assumptions: Vec<String>,
}

impl Model {
    pub(super) fn from_args(args: &ModelArgs) -> anyhow::Result<Self> {
        let mut model = match (&args.config, &args.model) {
            (Some(path), _) => Self::from_config(path)?,
            (None, Some(name)) => Self::from_catalogue(name)?,
            (None, None) => return Err(exit::error(Exit::Usage, "give --config or --model")),
        };
        if let Some(gib) = args.weights_gib {
            model.weights = Some(Bytes::from_gib(gib));
        }
        Ok(model)
    }

    fn from_catalogue(name: &str) -> anyhow::Result<Self> {
        let model = catalogue::model(name).exit(Exit::Usage)?;
        Ok(Self {
            name: model.name.clone(),
            shape: model.shape.value.clone(),
            weights: Some(model.weights_16_bit()),
            checkpoint: None,
            assumptions: Vec::new(),
        })
    }

    fn from_config(path: &std::path::Path) -> anyhow::Result<Self> {
        let file = if path.is_dir() { path.join("config.json") } else { path.to_owned() };
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display())).exit(Exit::Usage)?;
        let text = with_quantisation(text, path);
        let checkpoint =
            Checkpoint::from_json(&text).with_context(|| format!("understand {}", file.display())).exit(Exit::Usage)?;
        let (weights, assumed) = weights_of(path, &checkpoint)?;
        let assumptions = checkpoint.assumptions.iter().cloned().chain(assumed);
        Ok(Self {
            name: checkpoint.model_type.clone(),
            shape: checkpoint.shape.clone(),
            weights,
            assumptions: assumptions.collect(),
            checkpoint: Some(checkpoint),
        })
    }
}

/// The config with what NVIDIA's checkpoints put beside it, in `hf_quant_config.json`, as vLLM reads both.
fn with_quantisation(config: String, folder: &std::path::Path) -> String {
    // The file's own folder, unless the file has another name and so may be another model's.
    let folder = if folder.ends_with("config.json") { folder.parent().unwrap_or(folder) } else { folder };
    let beside = || {
        let text = fs::read_to_string(folder.join("hf_quant_config.json")).ok()?;
        let mut quantisation: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).ok()?;
        quantisation.insert("quant_method".to_owned(), "modelopt".into());
        let mut own: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&config).ok()?;
        if own.contains_key("quantization_config") {
            return None;
        }
        own.insert("quantization_config".to_owned(), quantisation.into());
        serde_json::to_string(&own).ok()
    };
    beside().unwrap_or(config)
}

/// Weights by the headers in the checkpoint's folder, else by parameters and format; and what was assumed for it.
fn weights_of(path: &std::path::Path, checkpoint: &Checkpoint) -> anyhow::Result<(Option<Bytes>, Option<String>)> {
    if path.is_dir()
        && let Some(headers) = headers::of_folder(path).exit(Exit::Usage)?
    {
        return Ok((Some(headers.bytes()), None));
    }
    // Weights that are not known matter only where they are needed.
    let Ok(weights) = checkpoint.weights() else {
        return Ok((None, None));
    };
    let by_form = |(name, parameters): (&String, sizing::config::ParameterCount)| {
        format!("weights of {} parameters in {name}, by closed form", parameters.total)
    };
    Ok((Some(weights), checkpoint.quantisation.as_ref().zip(checkpoint.parameters).map(by_form)))
}

/// The engine's flags with all defaults filled in.
pub(super) struct Setup {
    pub(super) engine: Engine,
    pub(super) flags: EngineFlags,
    pub(super) max_num_seqs: u64,
    pub(super) assumptions: Vec<String>,
}

impl Setup {
    pub(super) fn new(engine: Engine, model: &Model, args: &EngineArgs, gpu: Option<&GpuSpec>) -> anyhow::Result<Self> {
        let declared = model.checkpoint.as_ref().map(Checkpoint::declared).unwrap_or_default();
        let resolved = engine.resolve(&serve_args(args)?, &model.shape, declared, gpu).exit(Exit::Usage)?;
        let assumptions = model.assumptions.iter().cloned().chain(resolved.assumptions).collect();
        Ok(Self { engine, flags: resolved.flags, max_num_seqs: resolved.max_num_seqs, assumptions })
    }
}

/// The flags as they were typed; what was not is left to the engine.
fn serve_args(args: &EngineArgs) -> anyhow::Result<ServeArgs> {
    let prefix_caching = args.enable_prefix_caching.then_some(true);
    let allowed = args.allow_chunked_local_hybrid.then_some(true);
    Ok(ServeArgs {
        max_model_len: args.max_model_len.map(Tokens::new),
        max_num_batched_tokens: args.max_num_batched_tokens.map(Tokens::new),
        max_num_seqs: args.max_num_seqs,
        tensor_parallel_size: Some(args.tensor_parallel_size),
        pipeline_parallel_size: Some(args.pipeline_parallel_size),
        decode_context_parallel_size: Some(args.decode_context_parallel_size),
        kv_cache_dtype: (args.kv_cache_dtype != "auto").then(|| args.kv_dtype()).transpose().exit(Exit::Usage)?,
        block_size: args.block_size.map(Tokens::new),
        enable_prefix_caching: prefix_caching.or(args.no_enable_prefix_caching.then_some(false)),
        mamba_cache_mode: args.mamba_cache_mode.map(MambaMode::states),
        mamba_ssm_cache_dtype: args.mamba_ssm_cache_dtype.dtype(),
        disable_hybrid_kv_cache_manager: args.disable_hybrid_kv_cache_manager,
        allow_chunked_local_hybrid: allowed.or_else(allowed_by_environment),
        async_scheduling: args.no_async_scheduling.then_some(false),
        speculative: (args.speculative_tokens > 0).then(|| SpeculativeArgs {
            method: args.speculative_method.map(super::args::Drafter::drafter),
            tokens: args.speculative_tokens,
        }),
        platform: args.platform.map(super::args::Device::platform),
        gpu_memory_utilization: args.gpu_memory_utilization,
        enforce_eager: args.enforce_eager,
        unread: Vec::new(),
    })
}

/// As vLLM reads it; `None` where it is not set.
fn allowed_by_environment() -> Option<bool> {
    std::env::var("VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE").ok().map(|set| set == "1")
}

/// What is known of the memory: the least, the likely, the most.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    pub(super) low: KvMemory,
    pub(super) nominal: KvMemory,
    pub(super) high: KvMemory,
}

impl Memory {
    const fn exactly(memory: KvMemory) -> Self {
        Self { low: memory, nominal: memory, high: memory }
    }

    /// Memory as a log has it, in GiB to two places.
    pub(super) fn printed(gib: f64) -> Self {
        let printed = PrintedGib::new(gib);
        Self {
            low: KvMemory::Available(printed.low()),
            nominal: KvMemory::Available(printed.nominal()),
            high: KvMemory::Available(printed.high()),
        }
    }

    pub(super) fn from_args(
        args: &MemoryArgs,
        model: &Model,
        setup: &Setup,
        engine_args: &EngineArgs,
        gpu: Option<&GpuSpec>,
    ) -> anyhow::Result<Self> {
        if let Some(gib) = args.available_kv_gib {
            return Ok(Self::printed(gib));
        }
        if let Some(bytes) = args.kv_cache_memory_bytes {
            return Ok(Self::exactly(KvMemory::Available(Bytes::new(bytes))));
        }
        if let Some(blocks) = args.num_gpu_blocks_override {
            return Ok(Self::exactly(KvMemory::Blocks(Blocks::new(blocks))));
        }
        let gpu = gpu.ok_or_else(|| exit::error(Exit::Usage, "say how much memory there is"))?;
        Self::predicted(model, setup, engine_args, gpu)
    }

    fn predicted(model: &Model, setup: &Setup, args: &EngineArgs, gpu: &GpuSpec) -> anyhow::Result<Self> {
        let weights = model.weights.ok_or_else(|| {
            exit::error(
                Exit::Usage,
                "the weights of this model are not known\nhint: give --weights-gib, or --config with the folder that \
                 holds its safetensors files",
            )
        })?;
        let budget = setup.engine.budget(&Deployment {
            weights,
            vocabulary: model.shape.vocabulary,
            gpu,
            tensor_parallel: args.tensor_parallel_size,
            pipeline_parallel: args.pipeline_parallel_size,
            max_num_seqs: setup.max_num_seqs,
            utilization: args.gpu_memory_utilization,
            eager: args.enforce_eager,
        });
        let budget = budget.ok_or_else(|| {
            exit::error(
                Exit::Usage,
                format!(
                    "it is not known how much memory of {} a program sees\nhint: give --available-kv-gib",
                    gpu.name
                ),
            )
        })?;
        let (low, high) = budget.available_interval();
        let nominal = budget.available().unwrap_or_default();
        Ok(Self {
            low: KvMemory::Available(low),
            nominal: KvMemory::Available(nominal),
            high: KvMemory::Available(high),
        })
    }
}

/// What the engine makes of a memory: the likely figures, and the ends of their intervals.
#[derive(Debug, Serialize)]
pub(super) struct KvFigures {
    pub(super) gpu_blocks: u64,
    pub(super) gpu_blocks_interval: [u64; 2],
    pub(super) bytes_per_block: u64,
    pub(super) blocks_per_request: u64,
    pub(super) groups: Vec<KvGroup>,
    pub(super) kv_cache_tokens: u64,
    pub(super) kv_cache_tokens_interval: [u64; 2],
    pub(super) max_concurrency: f64,
    pub(super) max_concurrency_interval: [f64; 2],
}

impl KvFigures {
    /// The figures and the likely plan; `plan` is asked once for each end of the memory and once for the middle.
    pub(super) fn new(
        memory: Memory,
        plan: impl Fn(KvMemory) -> anyhow::Result<KvCachePlan>,
    ) -> anyhow::Result<(Self, KvCachePlan)> {
        let [low, nominal, high] = [plan(memory.low)?, plan(memory.nominal)?, plan(memory.high)?];
        let tokens = |plan: &KvCachePlan| plan.kv_cache_tokens().get();
        let figures = Self {
            gpu_blocks: nominal.blocks().get(),
            gpu_blocks_interval: [low.blocks().get(), high.blocks().get()],
            bytes_per_block: nominal.bytes_per_block().get(),
            blocks_per_request: nominal.blocks_per_request().get(),
            groups: nominal.groups().to_vec(),
            kv_cache_tokens: tokens(&nominal),
            kv_cache_tokens_interval: [tokens(&low), tokens(&high)],
            max_concurrency: nominal.max_concurrency(),
            max_concurrency_interval: [low.max_concurrency(), high.max_concurrency()],
        };
        Ok((figures, nominal))
    }
}
