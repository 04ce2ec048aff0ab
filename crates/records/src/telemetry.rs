//! `gpu.jsonl` and `server.jsonl`: what the machine and the engine were doing meanwhile.
//!
//! Every metric is optional: "not supported" is not 0.

use serde::{Deserialize, Serialize};

use crate::Offset;

/// A line of `gpu.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum GpuLine {
    /// A device, once, before its samples.
    Device(GpuDevice),
    /// A reading of one device.
    Sample(GpuSample),
    /// Nothing could be read from here until the next sample.
    Gap {
        /// When it was noticed.
        t_ns: Offset,
        /// Why.
        reason: String,
    },
}

/// A GPU as its driver describes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuDevice {
    /// Unique id, such as `GPU-…`.
    pub uuid: String,
    /// Product name.
    pub name: String,
    /// Where the readings come from, such as `nvml`.
    pub source: String,
    /// Driver version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Memory as the driver counts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_total_bytes: Option<u64>,
    /// Enforced power limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_limit_mw: Option<u64>,
    /// Metrics that the device refuses, by the name of their field in [`GpuSample`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<String>,
}

/// A reading of one GPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuSample {
    /// When the reading began.
    pub t_ns: Offset,
    /// How long it took.
    pub read_ns: u64,
    /// Which device.
    pub uuid: String,
    /// Share of the driver's sample period in which a kernel ran, in percent; not the load of the cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_util_percent: Option<u32>,
    /// Share of that period in which memory was read or written, in percent; not the share that is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_util_percent: Option<u32>,
    /// Memory allocated by processes, without what the driver reserves (NVML's version 2 of the figure).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// Memory that the driver keeps for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_reserved_bytes: Option<u64>,
    /// Power, averaged by the driver over one second where it says so (field 185).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_average_mw: Option<u64>,
    /// Power at this instant (field 186).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_instant_mw: Option<u64>,
    /// Energy since the driver was loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_mj: Option<u64>,
    /// Core temperature in degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<i32>,
    /// Clock of the multiprocessors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sm_clock_mhz: Option<u32>,
    /// Clock of the memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_clock_mhz: Option<u32>,
    /// Reasons for which clocks are held back, NVML's bits verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle_bits: Option<u64>,
}

/// The serving engine whose metrics were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EngineKind {
    /// vLLM, or something that speaks its metric names.
    Vllm,
    /// llama.cpp's server.
    LlamaCpp,
}

/// A line of `server.jsonl`: one scrape of the engine's `/metrics`, summed over its engines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerSample {
    /// Middle between sending the scrape and receiving its answer.
    pub t_ns: Offset,
    /// Time from sending to receiving.
    pub rtt_ns: u64,
    /// Whose names were read.
    pub engine: EngineKind,
    /// Requests being processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<f64>,
    /// Requests waiting to be processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<f64>,
    /// Share of the KV cache in use, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_usage: Option<f64>,
    /// Counters since the server started.
    pub counters: ServerCounters,
}

/// Counters since the server started. Differences between two scrapes are what happened between them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerCounters {
    /// Prompt tokens processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<f64>,
    /// Tokens generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<f64>,
    /// Requests that ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_succeeded: Option<f64>,
    /// Requests thrown back to the queue for want of KV blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemptions: Option<f64>,
    /// Prompt tokens looked up in the prefix cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_queries: Option<f64>,
    /// Prompt tokens found there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_hits: Option<f64>,
    /// Time to first token as the server sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft: Option<HistogramTotals>,
    /// End-to-end latency as the server sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2el: Option<HistogramTotals>,
    /// Time in the waiting queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_time: Option<HistogramTotals>,
    /// Seconds spent on prompts (llama.cpp).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_seconds: Option<f64>,
    /// Seconds spent on generation (llama.cpp).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_seconds: Option<f64>,
}

/// Sum and count of a Prometheus histogram. Its buckets are too coarse for quantiles; the mean is exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistogramTotals {
    /// Sum of all observations, in seconds.
    pub sum_seconds: f64,
    /// Number of observations.
    pub count: f64,
}
