//! `gpu.jsonl` and `server.jsonl`: samples of the GPUs and of the engine.
//!
//! Every metric is optional: "not supported" is not 0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{Engine, Offset, engine::in_server_jsonl};

/// A line of `gpu.jsonl`.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "nearly all lines are samples: a box for each would save nothing")]
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
    /// Slow-moving state of one device, read every few seconds.
    State(GpuState),
    /// The driver reported an XID error.
    Xid {
        /// Time at which it was received.
        t_ns: Offset,
        /// The device; absent where the driver does not name it.
        uuid: Option<String>,
        /// The code of NVIDIA's XID catalogue.
        code: u64,
    },
    /// How the clock of a remote source lies to the run's clock. Samples of that source have been moved already.
    Clock(SourceClock),
}

/// The clock of a source on another machine, estimated from several exchanges: the median of the client's midpoint minus
/// the source's stamp.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceClock {
    /// When it was estimated, on the run's clock.
    pub t_ns: Offset,
    /// Owner of the clock: a URL without credentials.
    pub source: String,
    /// What was added to the source's stamps (nanoseconds of its own clock) to make them offsets of the run.
    pub add_ns: i64,
    /// Shortest round trip seen: the estimate is sure to half of it.
    pub rtt_min_ns: u64,
    /// Exchanges that the estimate rests on.
    pub exchanges: u32,
}

/// A GPU as its driver describes it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuDevice {
    /// Unique id, such as `GPU-…`.
    pub uuid: String,
    /// Product name.
    pub name: String,
    /// Where the readings come from, such as `nvml`.
    pub source: String,
    /// Driver version.
    pub driver: Option<String>,
    /// Memory as the driver counts it.
    pub memory_total_bytes: Option<u64>,
    /// Enforced power limit.
    pub power_limit_mw: Option<u64>,
    /// Metrics that the device refuses, by the name of their field in [`GpuSample`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsupported: Vec<String>,
    /// Host of the device, where it is not the client's own.
    pub host: Option<String>,
    /// For a part of a GPU (MIG): the `uuid` of the whole. Power and energy belong to the whole.
    pub parent: Option<String>,
    /// What `memory_used_bytes` means: `nvml_v2`, `dcgm` (both without what the driver reserves), `amd_vram`,
    /// `nvidia_smi`.
    pub memory_api: Option<String>,
}

/// Slowly changing state of a device, or state too costly to read with every sample.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuState {
    /// When the reading began.
    pub t_ns: Offset,
    /// How long it took.
    pub read_ns: u64,
    /// Which device.
    pub uuid: String,
    /// Power limit in force.
    pub power_limit_mw: Option<u64>,
    /// Power limit that the device comes with.
    pub power_limit_default_mw: Option<u64>,
    /// Largest clock of the multiprocessors.
    pub sm_clock_max_mhz: Option<u32>,
    /// Generation of the PCIe link at this moment; it drops when the device is idle.
    pub pcie_generation: Option<u32>,
    /// Lanes of the PCIe link at this moment.
    pub pcie_width: Option<u32>,
    /// PCIe transfers that were repeated, since the driver was loaded.
    pub pcie_replays: Option<u64>,
    /// Memory errors that could not be corrected, since the driver was loaded.
    pub ecc_uncorrected: Option<u64>,
    /// Memory rows replaced because of uncorrectable errors, since the device was made.
    pub remapped_rows: Option<u64>,
}

/// A reading of one GPU.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuSample {
    /// When the reading began.
    pub t_ns: Offset,
    /// How long it took.
    pub read_ns: u64,
    /// Which device.
    pub uuid: String,
    /// Share of the driver's sample period in which a kernel ran, in percent; not the load of the cores.
    pub gpu_util_percent: Option<u32>,
    /// Share of that period in which memory was read or written, in percent; not the share that is used.
    pub memory_util_percent: Option<u32>,
    /// Memory allocated by processes, without what the driver reserves (NVML's version 2 of the figure).
    pub memory_used_bytes: Option<u64>,
    /// Memory that the driver keeps for itself.
    pub memory_reserved_bytes: Option<u64>,
    /// Power, averaged by the driver over one second where it says so (field 185).
    pub power_average_mw: Option<u64>,
    /// Power at this instant (field 186).
    pub power_instant_mw: Option<u64>,
    /// Energy since the driver was loaded.
    pub energy_mj: Option<u64>,
    /// Core temperature in degrees Celsius.
    pub temperature_c: Option<i32>,
    /// Clock of the multiprocessors.
    pub sm_clock_mhz: Option<u32>,
    /// Clock of the memory.
    pub memory_clock_mhz: Option<u32>,
    /// Reasons why clocks are throttled, NVML's bits verbatim.
    pub throttle_bits: Option<u64>,
    /// Moment that the driver itself gives for the power values (Unix time of the GPU's host).
    pub power_unix_ns: Option<u64>,
    /// Round trip of the scrape, for a source behind HTTP; `t_ns` is then its middle.
    pub rtt_ns: Option<u64>,
    /// Free device memory.
    pub memory_free_bytes: Option<u64>,
    /// Temperature of the memory in degrees Celsius (field 82).
    pub memory_temperature_c: Option<i32>,
    /// Share of time in which the graphics and compute engine was active, in percent; from dcgm-exporter, where it is the one
    /// figure of activity that an instance (MIG) has.
    pub engine_active_percent: Option<f64>,
    /// Share of time with at least one warp on a multiprocessor, averaged over them, in percent.
    pub sm_active_percent: Option<f64>,
    /// Resident warps / the most there can be, in percent.
    pub sm_occupancy_percent: Option<f64>,
    /// Share of time in which the tensor cores worked, in percent.
    pub tensor_active_percent: Option<f64>,
    /// Share of the memory's bandwidth in use, in percent; about 80 is the reachable maximum (NVIDIA DCGM manual).
    pub dram_active_percent: Option<f64>,
    /// Received over PCIe, bytes per second.
    pub pcie_rx_bytes_per_s: Option<f64>,
    /// Sent over PCIe, bytes per second.
    pub pcie_tx_bytes_per_s: Option<f64>,
    /// Received over PCIe since the counter began.
    pub pcie_rx_bytes: Option<u64>,
    /// Sent over PCIe since the counter began.
    pub pcie_tx_bytes: Option<u64>,
    /// Received over NVLink, all links, bytes per second.
    pub nvlink_rx_bytes_per_s: Option<f64>,
    /// Sent over NVLink, all links, bytes per second.
    pub nvlink_tx_bytes_per_s: Option<f64>,
    /// Received over NVLink, all links, since the counter began.
    pub nvlink_rx_bytes: Option<u64>,
    /// Sent over NVLink, all links, since the counter began.
    pub nvlink_tx_bytes: Option<u64>,
    /// Time throttled by the power limit, since the driver was loaded.
    pub power_violation_ns: Option<u64>,
    /// Time throttled by heat, since the driver was loaded.
    pub thermal_violation_ns: Option<u64>,
}

impl GpuState {
    /// True if any metric is present.
    pub fn has_metrics(&self) -> bool {
        let nothing = Self { t_ns: self.t_ns, read_ns: self.read_ns, uuid: self.uuid.clone(), ..Self::default() };
        *self != nothing
    }
}

/// A line of `server.jsonl`: one scrape of the engine's `/metrics`, summed over its engines.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerSample {
    /// Middle between sending the scrape and receiving its answer.
    pub t_ns: Offset,
    /// Time from sending to receiving.
    pub rtt_ns: u64,
    /// Engine whose metric names were read.
    #[serde(serialize_with = "in_server_jsonl")]
    pub engine: Engine,
    /// Requests being processed.
    pub running: Option<f64>,
    /// Requests waiting to be processed.
    pub waiting: Option<f64>,
    /// Share of the KV cache in use, 0 to 1.
    pub kv_usage: Option<f64>,
    /// Counters since the server started.
    pub counters: ServerCounters,
    /// Values that only some engines export, in the same JSON object.
    #[serde(flatten)]
    pub detail: ServerDetail,
}

/// Values that only some engines export.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerDetail {
    /// Waiting requests by the engine's reason (`capacity`, `deferred`), where exported.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waiting_by_reason: BTreeMap<String, f64>,
    /// Size of the KV cache in tokens, where the engine gives it.
    pub kv_cache_size_tokens: Option<u64>,
    /// The gauges of each engine, where one server runs several; empty for one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<EngineGauges>,
}

/// Gauges of one of several engines behind a server.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineGauges {
    /// The engine's label, verbatim.
    pub engine: String,
    /// Requests being processed.
    pub running: Option<f64>,
    /// Requests waiting to be processed.
    pub waiting: Option<f64>,
    /// Share of the KV cache in use, 0 to 1.
    pub kv_usage: Option<f64>,
}

/// Counters since the server started. Differences between two scrapes are what happened between them.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerCounters {
    /// Prompt tokens processed.
    pub prompt_tokens: Option<f64>,
    /// Tokens generated.
    pub output_tokens: Option<f64>,
    /// Requests that ended well.
    pub requests_succeeded: Option<f64>,
    /// Requests preempted because no KV block was free.
    pub preemptions: Option<f64>,
    /// Prompt tokens looked up in the prefix cache.
    pub prefix_queries: Option<f64>,
    /// Prompt tokens found there.
    pub prefix_hits: Option<f64>,
    /// Time to first token as the server sees it.
    pub ttft: Option<HistogramTotals>,
    /// End-to-end latency as the server sees it.
    pub e2el: Option<HistogramTotals>,
    /// Time in the waiting queue.
    pub queue_time: Option<HistogramTotals>,
    /// Time from scheduling to the first token.
    pub prefill_time: Option<HistogramTotals>,
    /// Time from the first token to the last.
    pub decode_time: Option<HistogramTotals>,
    /// Time between streamed outputs, which with speculative decoding hold several tokens.
    pub inter_token: Option<HistogramTotals>,
    /// Prompt tokens looked up in a cache outside the engine.
    pub external_prefix_queries: Option<f64>,
    /// Prompt tokens found there.
    pub external_prefix_hits: Option<f64>,
    /// Speculative decoding: drafts verified.
    pub drafts: Option<f64>,
    /// Tokens drafted.
    pub draft_tokens: Option<f64>,
    /// Drafted tokens that were accepted.
    pub accepted_tokens: Option<f64>,
    /// Seconds spent on prompts (llama.cpp).
    pub prompt_seconds: Option<f64>,
    /// Seconds spent on generation (llama.cpp).
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
