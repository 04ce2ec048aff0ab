//! Whose figures these are: run, server, client.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Whose figures these are.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Name of the run.
    pub run_id: String,
    /// Wall-clock start, seconds since 1970-01-01T00:00:00Z.
    pub started_unix_s: u64,
    /// Length of the run, from its epoch to the last thing recorded.
    pub duration_s: f64,
    /// Name of the timing profile when the server was simulated. Every document says so.
    pub simulated_profile: Option<String>,
    /// Base URL of the server.
    pub url: String,
    /// Model name.
    pub model: String,
    /// `vllm`, `llama.cpp`, …
    pub engine: Option<String>,
    /// Version of the engine.
    pub engine_version: Option<String>,
    /// Name of the prompt source.
    pub workload: String,
    /// Output tokens asked of every request.
    pub osl: u32,
    /// Mean prompt tokens as the server counted them.
    pub isl_mean: Option<f64>,
    /// Seed of everything random.
    pub seed: u64,
    /// Names of the GPUs that were sampled.
    pub gpus: Vec<String>,
    /// Client machine, in one line.
    pub client: String,
    /// Plimsoll's version and build profile, in one line.
    pub tool: String,
    /// The command line, secrets redacted.
    pub argv: Vec<String>,
    /// Further settings that are set, by the ids of [`crate::recorded_settings`], such as `http2`; they are conditions of a comparison.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Whether every planned level ran to its end.
    pub complete: bool,
    /// Why not, when not: `interrupted`, `server_lost: …`, `failed: …`, `killed`.
    pub incomplete_reason: Option<String>,
    /// Lines of the run folder that could not be read.
    pub skipped_lines: u64,
    /// Notes taken while measuring, verbatim.
    pub notes: Vec<String>,
}

/// What the server says it can hold.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerCapacity {
    /// Where the figures come from, such as `vllm:cache_config_info` or `/props`.
    pub source: String,
    /// Longest sequence, in tokens.
    pub max_model_len: Option<u64>,
    /// Blocks of the KV cache pool.
    pub gpu_blocks: Option<u64>,
    /// Tokens a block.
    pub block_size: Option<u64>,
    /// Memory of the pool, computed from blocks and model shape.
    pub kv_cache_bytes: Option<u64>,
    /// "GPU KV cache size: N tokens", as that engine version prints it.
    pub kv_cache_tokens: Option<u64>,
    /// "Maximum concurrency for L tokens per request: X.XXx", as that engine version prints it.
    pub max_concurrency: Option<f64>,
    /// Parallel slots, where the server has a fixed number (llama.cpp).
    pub slots: Option<u64>,
}
