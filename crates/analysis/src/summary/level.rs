//! What is said of one level of load.

use records::PerMetric;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::{Bottleneck, Distribution, EnergyLevel, Estimate, GpuLevel, ServerLevel, StageLevel, TurnLevel};

/// One level of the sweep.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelSummary {
    /// Index into the plan's levels.
    pub level: u32,
    /// Requests kept in flight.
    pub concurrency: u32,
    /// Open loop: the rate that was asked for, and the one that was reached. Absent for a closed loop.
    pub request_rate: Option<RequestRate>,
    /// Whether the level ran to its planned end.
    pub complete: bool,
    /// Why the figures are not valid; empty when they are.
    pub invalid: Vec<Invalid>,
    /// Requests by their ends.
    pub requests: RequestCounts,
    /// Completed / (measured − cancelled by us), with a Wilson interval.
    pub success_rate: Option<Estimate>,
    /// Length of the measuring window: constant load from the first measured request to the end of the last.
    pub window_s: f64,
    /// Time-weighted mean of the client's requests in flight over the window.
    pub in_flight_mean: f64,
    /// Output tokens that arrived in the window, of all requests, per second: the whole server's output.
    pub output_tok_s: Option<f64>,
    /// The same with a t-interval over waves; absent for fewer than two.
    pub output_tok_s_estimate: Option<Estimate>,
    /// Measured requests completed per second of the window.
    pub requests_per_s: f64,
    /// Time to first token.
    pub ttft_ms: Option<Distribution>,
    /// End-to-end latency, from sending.
    pub e2el_ms: Option<Distribution>,
    /// End-to-end latency, from the moment the plan intended.
    pub e2el_from_intended_ms: Option<Distribution>,
    /// Time per output token after the first, per request.
    pub tpot_ms: Option<Distribution>,
    /// Gaps between chunks, pooled over requests. Without intervals: the gaps of one request are not independent.
    pub icl_ms: Option<Distribution>,
    /// Time to first output that is not reasoning; absent where the server does not mark reasoning.
    pub ttfo_ms: Option<Distribution>,
    /// Gaps between tokens: each token of a chunk has its share of the gap before the chunk. Pooled like `icl_ms`; absent
    /// where the server does not say how many tokens each chunk brought (`continuous_usage_stats`).
    pub itl_ms: Option<Distribution>,
    /// Output tokens per content-bearing chunk, over the completed requests whose tokens the server counted. Where it is
    /// well above 1, gaps between chunks are not times per token.
    pub tokens_per_chunk: Option<f64>,
    /// Output tokens / E2EL of each request: the speed that one user sees. The reference report calls it "Throughput".
    pub per_request_tok_s: Option<Distribution>,
    /// Output tokens a request.
    pub output_tokens: Option<Distribution>,
    /// Prompt tokens a request.
    pub prompt_tokens: Option<Distribution>,
    /// Times of requests that have no field above, with keys such as `NAME_ms`.
    #[serde(flatten, with = "records::metric::by_id_ms")]
    pub more_ms: PerMetric<Distribution>,
    /// Percentiles that count failed requests as infinitely late; absent when none failed.
    pub failure_adjusted: Option<FailureAdjusted>,
    /// Held against the objectives of `--goodput`.
    pub goodput: Option<GoodputLevel>,
    /// Where the start of the level ends; absent for fewer than 50 completed requests.
    pub steady: Option<Steady>,
    /// By turn of their conversations; absent where requests stand for themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub turns: Vec<TurnLevel>,
    /// By stage of the rate; absent where it does not move in steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageLevel>,
    /// Requests that ended with fewer output tokens than asked.
    pub short_outputs: u64,
    /// Failures by kind, most frequent first. Those of measured requests add up to `requests.failed`; kinds of warm-up
    /// and cool-down requests begin with `warmup/` and `cooldown/`.
    pub failures: Vec<FailureCount>,
    /// What the engine said during the level.
    pub server: Option<ServerLevel>,
    /// What the GPUs did in the window.
    pub gpu: Option<GpuLevel>,
    /// What the client itself spent.
    pub client: Option<ClientLevel>,
    /// What the level cost in joules, and how sure that is.
    pub energy: Option<EnergyLevel>,
    /// What limited the level.
    pub bottleneck: Option<Bottleneck>,
}

/// The arrivals of an open loop.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestRate {
    /// Requests per second that the schedule asks for, at the beginning of a ramp; absent when all arrive at once or as
    /// recorded.
    pub planned_per_s: Option<f64>,
    /// Requests per second at the end of a ramp.
    pub planned_until_per_s: Option<f64>,
    /// Measured requests sent per second: one less than their number, by the time from the first to the last. Absent for
    /// fewer than two.
    pub sent_per_s: Option<f64>,
    /// Largest delay between the planned and the true moment of sending a measured request.
    pub send_lag_max_ms: f64,
    /// Requests in flight at most: beyond it they are sent late.
    pub most_in_flight: u32,
}

/// Latencies in which every failed request counts as infinitely late. They cannot be made better by failing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailureAdjusted {
    /// TTFT in milliseconds.
    pub ttft_ms: AdjustedPercentiles,
    /// E2EL in milliseconds.
    pub e2el_ms: AdjustedPercentiles,
}

/// Percentiles, absent where they are infinite or the sample does not support them.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AdjustedPercentiles {
    /// Requests, failed ones included.
    pub n: u64,
    /// Median.
    pub p50: Option<f64>,
    /// 90th percentile.
    pub p90: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

/// A level held against the objectives.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoodputLevel {
    /// Requests that completed and met every objective.
    pub good: u64,
    /// Share of good ones among all that were sent and not given up by us, with Wilson's interval of the effective sample.
    pub attainment: Estimate,
    /// Good requests per second of the window, with a t-interval of the ratio over batches.
    pub requests_per_s: Estimate,
    /// Share that completed and met the objective, for each that is set. A request of a single token meets that of TPOT.
    #[serde(flatten, with = "records::metric::by_id")]
    pub met: PerMetric<f64>,
    /// How near the level is to its limit: the worst of latency / objective of each request, at the share of requests that
    /// has to be good. Up to 1 the level holds. Absent when infinite.
    pub strain: Option<Estimate>,
    /// Independent requests that would say as much of it; absent when fewer than two waves were measured.
    pub effective: Option<f64>,
    /// Whether as large a share was good as asked.
    pub holds: bool,
}

/// Where the start of a level ends, by MSER-5 on the requests in the order in which they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steady {
    /// Completed requests.
    pub n: u64,
    /// Of these, the first that TTFT would better be rid of.
    pub ttft_cut: u64,
    /// The same for E2EL.
    pub e2el_cut: u64,
    /// Whether both were steady by the middle of the level.
    pub settled: bool,
}

/// Why a level's figures are not valid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Invalid {
    /// No measured request completed.
    NothingCompleted,
    /// The client's threads were busy: the client may have been the limit.
    ClientBusy {
        /// Their utilisation in percent.
        cpu_percent: f64,
    },
    /// The client's event loop was late by more than stamps, or the load, can bear.
    ClientLate {
        /// 99th percentile of the lag.
        lag_p99_ms: f64,
    },
    /// The level was stopped before its planned end.
    Stopped,
}

/// Measured requests by their ends, and the others that ran beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Measured requests that were sent.
    pub measured: u64,
    /// Of these, completed.
    pub completed: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Of these, given up by the client.
    pub cancelled: u64,
    /// Warm-up requests.
    pub warmup: u64,
    /// Cool-down requests.
    pub cooldown: u64,
    /// Of the measured ones, attempts after the first (`--retries`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How often requests failed in one way.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureCount {
    /// `connect_failed/connect`, `timed_out/first_byte`, `http_status/503`, `cut`, …
    pub kind: String,
    /// How often.
    pub count: u64,
    /// The first message seen.
    pub example: Option<String>,
}

/// What the client itself spent in the window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientLevel {
    /// Utilisation of the client's own threads in percent.
    pub cpu_percent: f64,
    /// 99th percentile of the event loop's lag.
    pub lag_p99_ms: f64,
    /// Largest lag.
    pub lag_max_ms: f64,
    /// Whether the kernel stamped all that arrived, so that a late client stamps nothing late.
    #[serde(default)]
    pub stamped_by_kernel: bool,
}
