//! What limited a level, and how that shows.

use serde::{Deserialize, Serialize};

/// What limited a level, with what proves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// The limit.
    pub verdict: BottleneckVerdict,
    /// What speaks for it, strongest first, and what else was seen.
    pub evidence: Vec<BottleneckEvidence>,
    /// What could not be looked at: `server_metrics`, `kv_usage`, `gpu`, `gpu_profiling`, `throttle_reasons`, `client`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// What limited a level. The first that is proved counts, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BottleneckVerdict {
    /// The client: the figures are not the server's.
    Client,
    /// Memory for the KV cache.
    KvCache,
    /// The server admits no more requests at once; its KV cache, where it was seen, has room.
    Queue,
    /// Nothing: more load gives more output.
    Nothing,
    /// Clocks held back by the power limit.
    Power,
    /// Clocks held back by heat.
    Thermal,
    /// Bandwidth of the GPU's memory.
    MemoryBandwidth,
    /// The multiprocessors.
    Compute,
    /// The engine's step time: compute or memory bandwidth, which cannot be told apart from what was seen.
    EngineStep,
    /// What was seen does not tell.
    Unknown,
}

/// Something that was seen at a level. Shares are 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BottleneckEvidence {
    /// The client's threads were busy.
    ClientBusy {
        /// Their utilisation in percent.
        cpu_percent: f64,
    },
    /// The client's event loop was late.
    ClientLate {
        /// 99th percentile of its lag.
        lag_p99_ms: f64,
    },
    /// The engine threw requests back for want of KV blocks.
    Preemptions {
        /// How many.
        count: f64,
    },
    /// Requests waited at the server.
    Waiting {
        /// Mean number.
        mean: f64,
    },
    /// Requests waited, by the engine's own reason.
    WaitingFor {
        /// The engine's word.
        reason: String,
        /// Mean number.
        mean: f64,
    },
    /// How full the KV cache became.
    KvUsage {
        /// Largest share in use.
        max: f64,
        /// Share from which on one more request of the mean size does not fit.
        full_from: f64,
    },
    /// Requests that the server worked on.
    Running {
        /// Mean number.
        mean: f64,
    },
    /// What the next larger level gave more.
    GrowthToNext {
        /// Its concurrency.
        concurrency: u32,
        /// Growth of output, as a share of proportional growth.
        share: f64,
    },
    /// What this level gave more than the next smaller one; for the largest level.
    GrowthFromPrevious {
        /// Concurrency of the smaller one.
        concurrency: u32,
        /// Growth of output, as a share of proportional growth.
        share: f64,
    },
    /// Clocks were held back by the power limit.
    PowerThrottled {
        /// Share of the time.
        share: f64,
    },
    /// Clocks were held back by heat.
    ThermalThrottled {
        /// Share of the time.
        share: f64,
    },
    /// Clock of the multiprocessors.
    SmClock {
        /// Mean, in percent of the largest.
        percent: f64,
    },
    /// Bandwidth of the GPU's memory in use.
    DramActive {
        /// Mean, in percent.
        percent: f64,
    },
    /// Multiprocessors with work.
    SmActive {
        /// Mean, in percent.
        percent: f64,
    },
    /// Tensor cores at work.
    TensorActive {
        /// Mean, in percent.
        percent: f64,
    },
    /// Time in which any kernel ran; says nothing of how much of the GPU it used.
    GpuUtil {
        /// Mean, in percent.
        percent: f64,
    },
}
