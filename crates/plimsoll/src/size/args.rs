//! What can be typed after `cargo xtask size`. Engine flags carry vLLM's own names.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use sizing::{KvDtype, Tokens, engine, mix::Lengths, model::StateDtype};

use crate::lang::Lang;

#[derive(Debug, Subcommand)]
pub(crate) enum SizeCommand {
    /// What vLLM will print at start-up: blocks, tokens, maximum concurrency
    Predict(Box<PredictArgs>),
    /// Every figure of a start-up log beside what was to be expected, with the reason for a gap
    Explain(ExplainArgs),
}

/// The plan for a load.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Model by its Hugging Face name
    #[arg(long, short, default_value = "google/gemma-3-12b-it")]
    pub(crate) model: String,
    /// vLLM version whose arithmetic to follow
    #[arg(long, default_value = "0.11.2")]
    pub(crate) vllm: String,
    /// Longest sequence, as vLLM's --max-model-len
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_model_len: u64,
    /// Tokens of one step, as vLLM's --max-num-batched-tokens
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_num_batched_tokens: u64,
    /// Memory for the KV cache in GiB, as vLLM prints it ("Available KV cache memory"), understood as ±0.005: says first what
    /// that server prints [default: the reference's 10.28 for the reference's model]
    #[arg(long, value_name = "GIB", value_parser = positive)]
    pub(crate) available_kv_gib: Option<f64>,
    /// Requests to hold at once
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: u32,
    /// Tokens per request
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) context: u64,
    /// The only GPU to choose, such as "H100"
    #[arg(long)]
    pub(crate) gpu: Option<String>,
    /// Language of the text
    #[arg(long, value_enum, default_value_t = Lang::En)]
    pub(crate) lang: Lang,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which model.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["config", "model"])))]
pub(crate) struct ModelArgs {
    /// The checkpoint's config.json, or the folder that holds it
    #[arg(long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// A model of the catalogue, by its Hugging Face name
    #[arg(long, short)]
    pub(crate) model: Option<String>,
    /// Weights of the whole model in GiB, where neither headers nor a closed form tell
    #[arg(long, value_name = "GIB", value_parser = positive)]
    pub(crate) weights_gib: Option<f64>,
}

/// How much memory there is for the KV cache.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("memory").required(true).multiple(true)
    .args(["available_kv_gib", "kv_cache_memory_bytes", "num_gpu_blocks_override", "gpu"])))]
pub(crate) struct MemoryArgs {
    /// "Available KV cache memory" of a log, in GiB: understood as ±0.005
    #[arg(long, value_name = "GIB", value_parser = positive)]
    pub(crate) available_kv_gib: Option<f64>,
    /// Bytes for the KV cache of one GPU, exactly
    #[arg(long, value_name = "BYTES", visible_alias = "kv-cache-memory", conflicts_with = "available_kv_gib")]
    pub(crate) kv_cache_memory_bytes: Option<u64>,
    /// Blocks of the KV cache, exactly
    #[arg(long, value_name = "BLOCKS", conflicts_with_all = ["available_kv_gib", "kv_cache_memory_bytes"])]
    pub(crate) num_gpu_blocks_override: Option<u64>,
    /// GPU, such as "H100 80GB": sets vLLM's defaults, and without any of the above predicts the memory, as an interval
    #[arg(long)]
    pub(crate) gpu: Option<String>,
}

/// vLLM's own flags.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch that vLLM has")]
#[derive(Clone, Debug, Args)]
pub(crate) struct EngineArgs {
    /// Longest sequence [default: the config's]
    #[arg(long, value_name = "TOKENS", value_parser = length)]
    pub(crate) max_model_len: Option<u64>,
    /// Tokens of one step [default: vLLM's for the GPU, 2048 without one]
    #[arg(long, value_name = "TOKENS", value_parser = length)]
    pub(crate) max_num_batched_tokens: Option<u64>,
    /// Sequences of one step [default: vLLM's for the GPU, 256 without one]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_num_seqs: Option<u64>,
    /// GPUs that share every layer
    #[arg(long, short = 't', visible_alias = "tp", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) tensor_parallel_size: u64,
    /// Stages that share the layers
    #[arg(long, visible_alias = "pp", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) pipeline_parallel_size: u64,
    /// Replicas, each with a pool of its own
    #[arg(long, visible_alias = "dp", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) data_parallel_size: u64,
    /// GPUs that share the tokens of a sequence when decoding
    #[arg(long, visible_alias = "dcp", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) decode_context_parallel_size: u64,
    /// Experts are spread over the GPUs: without effect on the KV cache
    #[arg(long)]
    pub(crate) enable_expert_parallel: bool,
    /// Element of the KV cache, such as `auto`, `fp8`, `int8_per_token_head`
    #[arg(long, value_name = "TYPE", default_value = "auto")]
    pub(crate) kv_cache_dtype: String,
    /// Tokens a block [default: vLLM's for model and platform]
    #[arg(long, value_name = "TOKENS", value_parser = length)]
    pub(crate) block_size: Option<u64>,
    /// Prefix caching; counts for models with states
    #[arg(long, overrides_with = "no_enable_prefix_caching")]
    pub(crate) enable_prefix_caching: bool,
    /// No prefix caching (up to 0.27 the default for models with attention and states)
    #[arg(long, overrides_with = "enable_prefix_caching")]
    pub(crate) no_enable_prefix_caching: bool,
    /// How states are kept
    #[arg(long, value_enum, value_name = "MODE")]
    pub(crate) mamba_cache_mode: Option<MambaMode>,
    /// Element of recurrent states
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = StateType::Auto)]
    pub(crate) mamba_ssm_cache_dtype: StateType,
    /// Share of the GPU's memory that the engine may use [default: 0.9, from 0.20.0 on 0.92]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) gpu_memory_utilization: Option<f64>,
    /// Speculative tokens of a step
    #[arg(long, value_name = "N", visible_alias = "num-speculative-tokens", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=64))]
    pub(crate) speculative_tokens: u64,
    /// What drafts them [default: mtp where the config has such layers, else ngram]
    #[arg(long, value_enum, value_name = "METHOD")]
    pub(crate) speculative_method: Option<Drafter>,
    /// Window layers keep everything, as with most KV connectors
    #[arg(long)]
    pub(crate) disable_hybrid_kv_cache_manager: bool,
    /// As `VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE=1`: chunked layers free what they passed (default since 0.14)
    #[arg(long)]
    pub(crate) allow_chunked_local_hybrid: bool,
    /// One step at a time
    #[arg(long)]
    pub(crate) no_async_scheduling: bool,
    /// No CUDA graphs
    #[arg(long)]
    pub(crate) enforce_eager: bool,
    /// What it runs on; decides on block sizes [default: the GPU's]
    #[arg(long, value_enum)]
    pub(crate) platform: Option<Device>,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// vLLM version whose arithmetic to follow, or two as 0.11.2..0.27.1 for what an upgrade changes
    #[arg(long, value_name = "VERSION", default_value = "0.11.2")]
    pub(crate) vllm: String,
    /// The old engine of that version (`VLLM_USE_V1=0`)
    #[arg(long)]
    pub(crate) v0: bool,
    /// Tokens of your prompts, N or LOW-HIGH: says how many such requests fit
    #[arg(long, value_name = "TOKENS", requires = "osl", value_parser = lengths)]
    pub(crate) isl: Option<Lengths>,
    /// Tokens of your outputs, N or LOW-HIGH
    #[arg(long, value_name = "TOKENS", requires = "isl", value_parser = lengths)]
    pub(crate) osl: Option<Lengths>,
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// vLLM's log, whole or in part; - reads stdin
    #[arg(value_name = "LOG")]
    pub(crate) log: PathBuf,
    /// The checkpoint's config.json [default: the log's model, from the catalogue]
    #[arg(long, value_name = "PATH", conflicts_with = "model")]
    pub(crate) config: Option<PathBuf>,
    /// A model of the catalogue
    #[arg(long, short)]
    pub(crate) model: Option<String>,
    /// vLLM version [default: the log's, or that of its line numbers]
    #[arg(long)]
    pub(crate) vllm: Option<String>,
    /// GPU, to hold the memory's parts against the priors
    #[arg(long)]
    pub(crate) gpu: Option<String>,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MambaMode {
    None,
    Align,
    All,
}

impl MambaMode {
    pub(crate) const fn states(self) -> engine::StateCache {
        match self {
            Self::None => engine::StateCache::None,
            Self::Align => engine::StateCache::Align,
            Self::All => engine::StateCache::All,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateType {
    Auto,
    Float32,
    Float16,
    Bfloat16,
}

impl StateType {
    pub(crate) const fn dtype(self) -> Option<StateDtype> {
        match self {
            Self::Auto => None,
            Self::Float32 => Some(StateDtype::Float32),
            Self::Float16 | Self::Bfloat16 => Some(StateDtype::Bits16),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Drafter {
    /// The checkpoint's own multi-token-prediction layers
    Mtp,
    /// EAGLE-1: one layer of the model's shape
    Eagle,
    /// N-grams, or an assistant that shares the cache: no layer
    Ngram,
}

impl Drafter {
    pub(crate) const fn drafter(self) -> engine::Drafter {
        match self {
            Self::Mtp => engine::Drafter::Mtp,
            Self::Eagle => engine::Drafter::Eagle,
            Self::Ngram => engine::Drafter::Ngram,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Device {
    Cuda,
    Hopper,
    Blackwell,
    Rocm,
    Xpu,
    Ascend,
    Cpu,
}

impl Device {
    pub(crate) const fn platform(self) -> engine::Platform {
        match self {
            Self::Cuda => engine::Platform::Cuda,
            Self::Hopper => engine::Platform::Hopper,
            Self::Blackwell => engine::Platform::Blackwell,
            Self::Rocm => engine::Platform::Rocm,
            Self::Xpu => engine::Platform::Xpu,
            Self::Ascend => engine::Platform::Ascend,
            Self::Cpu => engine::Platform::Cpu,
        }
    }
}

impl EngineArgs {
    pub(crate) fn kv_dtype(&self) -> Result<KvDtype, engine::UnknownKvDtype> {
        self.kv_cache_dtype.parse()
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let number = number.filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "it is not a positive number".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = positive(text).ok().filter(|share| *share <= 1.0);
    share.ok_or_else(|| "it is not a share above 0 and up to 1".to_owned())
}

/// `512`, or any number from `100` to `900` as `100-900`.
fn lengths(text: &str) -> Result<Lengths, String> {
    let tokens = |text: &str| length(text).map(Tokens::new);
    match text.split_once('-') {
        Some((low, high)) => Ok(Lengths::Uniform(tokens(low)?, tokens(high)?)),
        None => tokens(text).map(Lengths::Fixed),
    }
}

/// A number of tokens, as vLLM reads it: `4096`, `32k` (thousands), `32K` (1,024s).
fn length(text: &str) -> Result<u64, String> {
    text.parse::<Tokens>().map(Tokens::get).map_err(|error| error.to_string())
}
