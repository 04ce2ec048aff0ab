//! From what was typed to a model, an engine and its flags, with every default that was taken for granted written down.

use std::fs;

use anyhow::Context as _;
use sizing::{
    Blocks, Bytes, Checkpoint, Engine, EngineFlags, GpuSpec, KvMemory, PrintedGib, Shape, Tokens, catalogue,
    engine::{Deployment, Platform, ServingDefaults, Speculation, StateCache},
    weights::WeightFormat,
};

use super::args::{Drafter, EngineArgs, MambaMode, MemoryArgs, ModelArgs};
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
    pub(super) fn of(args: &ModelArgs) -> anyhow::Result<Self> {
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
    let Some(parameters) = checkpoint.parameters else {
        return Ok((None, None));
    };
    let Some(name) = &checkpoint.quantisation else {
        return Ok((Some(WeightFormat::Bits16.model(parameters)), None));
    };
    // A format that is not known makes the weights unknown, which matters only where they are needed.
    let format = name.parse::<WeightFormat>().ok();
    let assumed = format.map(|_| format!("weights of {} parameters in {name}, by closed form", parameters.total));
    Ok((format.map(|format| format.model(parameters)), assumed))
}

/// The engine's flags with all defaults filled in.
pub(super) struct Setup {
    pub(super) engine: Engine,
    pub(super) flags: EngineFlags,
    pub(super) max_num_seqs: u64,
    pub(super) assumptions: Vec<String>,
}

impl Setup {
    pub(super) fn of(engine: Engine, model: &Model, args: &EngineArgs, gpu: Option<&GpuSpec>) -> anyhow::Result<Self> {
        let mut assumptions = model.assumptions.clone();
        let max_model_len = max_model_len(model, args, &mut assumptions)?;
        let defaults = gpu.map_or(ServingDefaults::SMALL, |gpu| engine.serving_defaults(gpu));
        let raised = engine.limits_for(defaults, &model.shape);
        let max_num_seqs = args.max_num_seqs.unwrap_or(raised.max_num_seqs);
        let batched = args.max_num_batched_tokens.map_or(raised.max_num_batched_tokens, Tokens::new);
        if args.max_num_batched_tokens.is_none() {
            let of = gpu.map_or("a GPU of less than 70 GiB", |gpu| gpu.name.as_str());
            assumptions.push(format!("max_num_batched_tokens = {}, the default on {of}", batched.get()));
        }
        let platform = match (args.platform, gpu) {
            (Some(device), _) => device.platform(),
            (None, Some(gpu)) => Platform::of(gpu),
            (None, None) => Platform::Cuda,
        };
        let flags = EngineFlags {
            max_num_batched_tokens: batched,
            block_size: args.block_size.map(Tokens::new),
            kv_dtype: kv_dtype(&engine, model, args, &mut assumptions)?,
            tensor_parallel: args.tensor_parallel_size,
            pipeline_parallel: args.pipeline_parallel_size,
            decode_context_parallel: args.decode_context_parallel_size,
            hybrid_manager: !args.disable_hybrid_kv_cache_manager,
            chunked_hybrid: args.allow_chunked_local_hybrid || allowed_by_environment(),
            states: states(args),
            state_dtype: args.mamba_ssm_cache_dtype.dtype(),
            speculation: speculation(model, args, &mut assumptions),
            async_scheduling: !args.no_async_scheduling,
            platform,
            ..EngineFlags::new(max_model_len)
        };
        let flags = with_latent_block(flags, model, args, gpu, &mut assumptions);
        Ok(Self { engine, flags, max_num_seqs, assumptions })
    }
}

/// Latent attention has the block of its kernel; without a GPU that of Hopper is taken, where such models mostly run.
fn with_latent_block(
    flags: EngineFlags,
    model: &Model,
    args: &EngineArgs,
    gpu: Option<&GpuSpec>,
    assumptions: &mut Vec<String>,
) -> EngineFlags {
    let latent = |group: &sizing::model::LayerGroup| matches!(group.holds, sizing::model::Holds::Latent { .. });
    let open = args.platform.is_none() && gpu.is_none() && args.block_size.is_none();
    if !open || !model.shape.layers.iter().any(latent) {
        return flags;
    }
    assumptions.push("block_size = 64, FlashMLA's; give --platform, --gpu or --block-size".to_owned());
    EngineFlags { platform: Platform::Hopper, ..flags }
}

fn allowed_by_environment() -> bool {
    std::env::var("VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE").is_ok_and(|set| set == "1")
}

fn max_model_len(model: &Model, args: &EngineArgs, assumptions: &mut Vec<String>) -> anyhow::Result<u64> {
    if let Some(length) = args.max_model_len {
        return Ok(length);
    }
    let written = model.checkpoint.as_ref().and_then(|checkpoint| checkpoint.max_position);
    let length = written
        .ok_or_else(|| exit::error(Exit::Usage, "the longest sequence is not known\nhint: give --max-model-len"))?;
    assumptions.push(format!("max_model_len = {}, as the config has it", length.get()));
    Ok(length.get())
}

fn kv_dtype(
    engine: &Engine,
    model: &Model,
    args: &EngineArgs,
    assumptions: &mut Vec<String>,
) -> anyhow::Result<sizing::KvDtype> {
    let given = args.kv_dtype().exit(Exit::Usage)?;
    let declared = model.checkpoint.as_ref().and_then(|checkpoint| checkpoint.kv_dtype);
    match declared {
        Some(declared) if args.kv_cache_dtype == "auto" && engine.takes_kv_dtype_of_checkpoint() => {
            assumptions.push(format!("kv_cache_dtype = {declared}, as the checkpoint declares it"));
            Ok(declared)
        }
        _ => Ok(given),
    }
}

const fn states(args: &EngineArgs) -> StateCache {
    match args.mamba_cache_mode {
        Some(MambaMode::Align) => StateCache::Align,
        Some(MambaMode::All) => StateCache::All,
        None if args.enable_prefix_caching => StateCache::Cached,
        Some(MambaMode::None) | None => StateCache::None,
    }
}

fn speculation(model: &Model, args: &EngineArgs, assumptions: &mut Vec<String>) -> Speculation {
    let tokens = args.speculative_tokens;
    if tokens == 0 {
        return Speculation::default();
    }
    let own = model.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.draft_layers);
    let layers = match args.speculative_method {
        Some(Drafter::Mtp) => own.max(1),
        Some(Drafter::Eagle) => 1,
        Some(Drafter::Ngram) => 0,
        // Gemma 4's assistant shares the cache of its model.
        None if model.shape.largest_item.is_some() && own == 0 => 0,
        None => {
            let layers = own.max(1);
            assumptions.push(format!("the drafter adds {layers} full-attention layer(s), as MTP does"));
            layers
        }
    };
    Speculation { tokens, layers }
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

    pub(super) fn of(
        args: &MemoryArgs,
        model: &Model,
        setup: &Setup,
        engine_args: &EngineArgs,
        gpu: Option<&GpuSpec>,
    ) -> anyhow::Result<Self> {
        if let Some(gib) = args.available_kv_gib {
            let printed = PrintedGib::new(gib);
            return Ok(Self {
                low: KvMemory::Available(printed.low()),
                nominal: KvMemory::Available(printed.nominal()),
                high: KvMemory::Available(printed.high()),
            });
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
