//! A start-up log of vLLM, read: every figure that 0.6 to 0.33 word in one way or another, per rank.
//!
//! Colour codes, rank prefixes and what lies between the lines are passed over; a line that says nothing known is no error,
//! and what a log does not say stays absent. Wordings are those of vLLM's sources and of public logs.
//!
//! ```
//! let log = sizing::StartLog::read("\
//! INFO 11-24 03:10:25 [core.py:93] Initializing a V1 LLM engine (v0.11.2) with config: model='google/gemma-3-12b-it', x
//! INFO 11-24 03:10:40 [gpu_worker.py:359] Available KV cache memory: 10.28 GiB
//! INFO 11-24 03:10:41 [kv_cache_utils.py:1229] GPU KV cache size: 28,064 tokens
//! INFO 11-24 03:10:41 [kv_cache_utils.py:1234] Maximum concurrency for 4,096 tokens per request: 8.62x");
//! assert_eq!(log.version.as_deref(), Some("0.11.2"));
//! assert_eq!(log.pools[0].tokens, Some(28_064));
//! ```

mod dated;
mod explain;
mod scan;
mod wording;

pub use explain::{Term, engine_of, explain, flags_of};
use serde::Serialize;

/// What a start-up log says. Memory is in GiB as printed, with two decimals unless exact bytes are given.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StartLog {
    /// Version, as stated.
    pub version: Option<String>,
    /// Version that the source line numbers of the log point to.
    pub version_by_line: Option<String>,
    /// Model as the engine was given it.
    pub model: Option<String>,
    /// Names under which it is served.
    pub served_names: Vec<String>,
    /// Flags and what the engine made of them, under vLLM's names.
    pub flags: Flags,
    /// Memory of one GPU, where several ranks print it that of the first.
    pub memory: Memory,
    /// Every printed pool: one a rank up to 0.10.2, one for all ranks since, one a replica.
    pub pools: Vec<Pool>,
    /// "Available KV cache memory" of every rank.
    pub available: Vec<Available>,
    /// Layers of padding and the share of the cache that they may waste, in percent.
    pub padding: Vec<(u64, f64)>,
    /// Why it did not start.
    pub failures: Vec<Failure>,
}

/// Flags and what the engine made of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Flags {
    /// Longest sequence.
    pub max_model_len: Option<u64>,
    /// Tokens of a step.
    pub max_num_batched_tokens: Option<u64>,
    /// Sequences of a step.
    pub max_num_seqs: Option<u64>,
    /// GPUs that share every layer.
    pub tensor_parallel_size: Option<u64>,
    /// Stages.
    pub pipeline_parallel_size: Option<u64>,
    /// Replicas.
    pub data_parallel_size: Option<u64>,
    /// GPUs that share a sequence's tokens.
    pub decode_context_parallel_size: Option<u64>,
    /// Element of the cache.
    pub kv_cache_dtype: Option<String>,
    /// Quantisation of the weights.
    pub quantization: Option<String>,
    /// Tokens of an attention block.
    pub block_size: Option<u64>,
    /// How states are kept.
    pub mamba_cache_mode: Option<String>,
    /// Whether prefixes are cached.
    pub enable_prefix_caching: Option<bool>,
    /// Whether CUDA graphs are off.
    pub enforce_eager: Option<bool>,
    /// Share of the memory that may be used.
    pub gpu_memory_utilization: Option<f64>,
    /// Speculative tokens.
    pub num_speculative_tokens: Option<u64>,
    /// Blocks set by flag.
    pub num_gpu_blocks_override: Option<u64>,
    /// Whether window layers keep everything.
    pub hybrid_manager_disabled: bool,
    /// Whether it runs on the CPU.
    pub cpu: bool,
}

/// Parts of a GPU's memory, GiB.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// All that a program sees.
    pub total_gib: Option<f64>,
    /// Free at start.
    pub free_gib: Option<f64>,
    /// What the engine may use.
    pub requested_gib: Option<f64>,
    /// Weights.
    pub weights_gib: Option<f64>,
    /// Peak of activations.
    pub activation_gib: Option<f64>,
    /// Outside the framework.
    pub non_torch_gib: Option<f64>,
    /// Weights and what is outside the framework together (0.27 on).
    pub consumed_gib: Option<f64>,
    /// CUDA graphs, as captured.
    pub graphs_gib: Option<f64>,
    /// CUDA graphs, as estimated.
    pub graphs_estimated_gib: Option<f64>,
    /// KV cache in bytes, exactly.
    pub kv_cache_bytes: Option<u64>,
}

/// A printed pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pool {
    /// Who printed it, such as `Worker_TP0`; empty without a prefix.
    pub rank: String,
    /// Blocks.
    pub blocks: Option<u64>,
    /// Tokens.
    pub tokens: Option<u64>,
    /// Length that the concurrency is for.
    pub length: Option<u64>,
    /// Maximum concurrency.
    pub concurrency: Option<f64>,
}

/// Memory for the KV cache on one rank.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Available {
    /// Who printed it; empty without a prefix.
    pub rank: String,
    /// GiB, negative when the rest did not even fit.
    pub gib: f64,
}

/// Why an engine did not start.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Failure {
    /// Not one request of the longest length fits.
    TooSmall {
        /// That length.
        length: Option<u64>,
        /// GiB that it needs.
        needed_gib: Option<f64>,
        /// GiB that there are.
        available_gib: Option<f64>,
        /// Longest length that would fit, as the engine estimates.
        estimated_length: Option<u64>,
    },
    /// Nothing is left for the KV cache.
    NoMemory,
    /// Other programs use the GPU.
    BusyGpu {
        /// Free GiB.
        free_gib: Option<f64>,
        /// All GiB.
        total_gib: Option<f64>,
    },
    /// Sampling did not fit.
    SamplerOutOfMemory {
        /// Sequences that were tried.
        sequences: Option<u64>,
    },
}

impl StartLog {
    /// Reads a log, whole or in part.
    pub fn read(text: &str) -> Self {
        let mut log = Self::default();
        for line in text.lines() {
            wording::read(&mut log, line);
        }
        log
    }

    /// Whether nothing in it was a start-up line of vLLM.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The pool that all ranks share: the smallest of them.
    pub fn pool(&self) -> Option<&Pool> {
        let by = |pool: &&Pool| pool.tokens.or(pool.blocks).unwrap_or(u64::MAX);
        self.pools.iter().min_by_key(by)
    }

    /// The pool of this rank, the last one if it is not yet complete.
    fn pool_of(&mut self, rank: &str, fresh: impl Fn(&Pool) -> bool) -> &mut Pool {
        let open = self.pools.iter().rposition(|pool| pool.rank == rank && fresh(pool));
        let at = open.unwrap_or_else(|| {
            self.pools.push(Pool { rank: rank.to_owned(), ..Pool::default() });
            self.pools.len() - 1
        });
        &mut self.pools[at]
    }
}
