//! The summary of a run, `all_concurrent_results.json`: every derived figure that a report shows, with its uncertainty.
//!
//! Types only; the other modules fill them. Names carry units: `_ms`, `_s`, `_bytes`, `_percent`, `tok_s` (tokens per
//! second). Absent means not measured or not supportable by the sample, never 0. Definitions: `docs/methodology.md`.

use serde::{Deserialize, Serialize};

/// Version of this document; it moves apart from the records' version.
pub const SUMMARY_VERSION: u32 = 1;

/// Everything that is said about a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SUMMARY_VERSION`].
    pub summary_version: u32,
    /// Whose figures these are.
    pub run: RunFacts,
    /// What the server says it can hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<ServerCapacity>,
    /// One entry per level that was begun, in the order in which they ran.
    pub levels: Vec<LevelSummary>,
    /// Where the server bends and ends.
    pub limits: Limits,
    /// Largest level that held each latency objective.
    pub slo: Vec<SloRow>,
    /// Held against `--goodput`; absent when no objective was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodput: Option<GoodputSection>,
    /// How throughput scales; absent for fewer than five levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// Probability with which intervals hold the truth, when not 0.95.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence_level: Option<f64>,
    /// What stands out, most severe first; among equally severe ones, what says most about the server first.
    pub findings: Vec<Finding>,
    /// Which GPUs would hold a target load of this model; absent when the model is not in the catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizing: Option<SizingSection>,
}

/// Whose figures these are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Name of the run.
    pub run_id: String,
    /// Wall-clock start, seconds since 1970-01-01T00:00:00Z.
    pub started_unix_s: u64,
    /// Length of the run, from its epoch to the last thing recorded.
    pub duration_s: f64,
    /// Name of the timing profile when the server was simulated. Every document says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated_profile: Option<String>,
    /// Base URL of the server.
    pub url: String,
    /// Model name.
    pub model: String,
    /// `vllm`, `llama.cpp`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Version of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    /// Name of the prompt source.
    pub workload: String,
    /// Output tokens asked of every request.
    pub osl: u32,
    /// Mean prompt tokens as the server counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// Whether every planned level ran to its end.
    pub complete: bool,
    /// Why not, when not: `interrupted`, `server_lost: …`, `failed: …`, `killed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete_reason: Option<String>,
    /// Lines of the run folder that could not be read.
    pub skipped_lines: u64,
    /// Notes taken while measuring, verbatim.
    pub notes: Vec<String>,
}

/// What the server says it can hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerCapacity {
    /// Where the figures come from, such as `vllm:cache_config_info` or `/props`.
    pub source: String,
    /// Longest sequence, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_model_len: Option<u64>,
    /// Blocks of the KV cache pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_blocks: Option<u64>,
    /// Tokens a block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_size: Option<u64>,
    /// Memory of the pool, computed from blocks and model shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_cache_bytes: Option<u64>,
    /// "GPU KV cache size: N tokens", as that engine version prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_cache_tokens: Option<u64>,
    /// "Maximum concurrency for L tokens per request: X.XXx", as that engine version prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<f64>,
    /// Parallel slots, where the server has a fixed number (llama.cpp).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u64>,
}

/// A figure with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Lower end of the interval, 95 % unless the summary's `confidence_level` says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

/// What a sample of latencies supports saying. Percentiles that `n` cannot support are absent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Sample size.
    pub n: u64,
    /// Independent observations that would say as much of the mean: requests that share the server's steps are not
    /// independent. Absent when fewer than two waves were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<f64>,
    /// Mean with a t-interval of batch means (absent for fewer than two waves).
    pub mean: Estimate,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<Estimate>,
    /// 90th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<Estimate>,
    /// 95th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<Estimate>,
    /// 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<Estimate>,
}

/// One level of the sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelSummary {
    /// Index into the plan's levels.
    pub level: u32,
    /// Requests kept in flight.
    pub concurrency: u32,
    /// Whether the level ran to its planned end.
    pub complete: bool,
    /// Why the figures are not valid; empty when they are.
    pub invalid: Vec<Invalid>,
    /// Requests by their ends.
    pub requests: RequestCounts,
    /// Completed / (measured − cancelled by us), with a Wilson interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<Estimate>,
    /// Length of the measuring window: constant load from the first measured request to the end of the last.
    pub window_s: f64,
    /// Time-weighted mean of the client's requests in flight over the window.
    pub in_flight_mean: f64,
    /// Output tokens that arrived in the window, of all requests, per second: the whole server's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tok_s: Option<f64>,
    /// The same with a t-interval over waves; absent for fewer than two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tok_s_estimate: Option<Estimate>,
    /// Measured requests completed per second of the window.
    pub requests_per_s: f64,
    /// Time to first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<Distribution>,
    /// End-to-end latency, from sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2el_ms: Option<Distribution>,
    /// End-to-end latency, from the moment the plan intended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2el_from_intended_ms: Option<Distribution>,
    /// Time per output token after the first, per request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpot_ms: Option<Distribution>,
    /// Gaps between chunks, pooled over requests. Without intervals: the gaps of one request are not independent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icl_ms: Option<Distribution>,
    /// Output tokens per content-bearing chunk, over the completed requests whose tokens the server counted. Where it is
    /// well above 1, gaps between chunks are not times per token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_chunk: Option<f64>,
    /// Output tokens / E2EL of each request: the speed that one user sees. The reference report calls it "Throughput".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_request_tok_s: Option<Distribution>,
    /// Output tokens a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<Distribution>,
    /// Prompt tokens a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<Distribution>,
    /// Percentiles that count failed requests as infinitely late; absent when none failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_adjusted: Option<FailureAdjusted>,
    /// Held against the objectives of `--goodput`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodput: Option<GoodputLevel>,
    /// Where the start of the level ends; absent for fewer than 50 completed requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steady: Option<Steady>,
    /// Requests that ended with fewer output tokens than asked.
    pub short_outputs: u64,
    /// Failures by kind, most frequent first. Those of measured requests add up to `requests.failed`; kinds of warm-up
    /// and cool-down requests begin with `warmup/` and `cooldown/`.
    pub failures: Vec<FailureCount>,
    /// What the engine said during the level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerLevel>,
    /// What the GPUs did in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuLevel>,
    /// What the client itself spent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientLevel>,
    /// What the level cost in joules, and how sure that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<EnergyLevel>,
    /// What limited the level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottleneck: Option<Bottleneck>,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AdjustedPercentiles {
    /// Requests, failed ones included.
    pub n: u64,
    /// Median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<f64>,
    /// 90th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<f64>,
    /// 95th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95: Option<f64>,
    /// 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<f64>,
}

/// A level held against the objectives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoodputLevel {
    /// Requests that completed and met every objective.
    pub good: u64,
    /// Share of good ones among all that were sent and not given up by us, with Wilson's interval of the effective sample.
    pub attainment: Estimate,
    /// Good requests per second of the window, with a t-interval of the ratio over batches.
    pub requests_per_s: Estimate,
    /// Share that completed and met the objective of TTFT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft: Option<f64>,
    /// The same for TPOT. A request of a single token has none and meets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpot: Option<f64>,
    /// The same for E2EL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2el: Option<f64>,
    /// How near the level is to its limit: the worst of latency / objective of each request, at the share of requests that
    /// has to be good. Up to 1 the level holds. Absent when infinite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strain: Option<Estimate>,
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

/// Largest load that meets objectives, between and beyond the tested levels as far as those say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SloCapacity {
    /// Concurrency, on a straight line between levels; absent when it is not within the tested ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<f64>,
    /// Lower end of the interval; 0 when it may be below the smallest level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end; absent when it may be beyond the largest level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Largest tested level that held, with all smaller ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_at: Option<u32>,
    /// Smallest tested level that did not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<u32>,
}

/// The run held against `--goodput`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoodputSection {
    /// Largest TTFT of a good request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<f64>,
    /// Largest TPOT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpot_ms: Option<f64>,
    /// Largest E2EL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2el_ms: Option<f64>,
    /// Share of requests that has to be good, 0 to 1.
    pub attainment: f64,
    /// Largest concurrency at which it is.
    pub capacity: SloCapacity,
    /// The objective that is missed most often at the smallest level that does not hold: `ttft`, `tpot`, `e2el` or
    /// `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_first: Option<String>,
    /// Level of the largest goodput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_at: Option<u32>,
}

/// Aggregate output throughput `X(N) = λN / (1 + σ(N − 1) + κN(N − 1))`: the Universal Scalability Law.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// λ: tokens per second of a single request where nothing is shared.
    pub lambda_tok_s: Estimate,
    /// σ: contention.
    pub sigma: Estimate,
    /// κ: the cost of pairs.
    pub kappa: Estimate,
    /// Smallest level that follows the law. Smaller ones are in another regime.
    pub from: u32,
    /// How many levels are in that other regime.
    pub levels_before: u32,
    /// Root of the mean squared relative residual.
    pub relative_error: f64,
    /// The knee: concurrency of the largest throughput over response time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knee: Option<f64>,
    /// Concurrency of the largest throughput; absent when the law never falls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<f64>,
    /// Throughput there; where the law never falls, what it tends to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling_tok_s: Option<f64>,
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
    /// The client's event loop was late by a share of TTFT that is not negligible.
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
}

/// How often requests failed in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureCount {
    /// `connect_failed/connect`, `timed_out/first_byte`, `http_status/503`, `cut`, …
    pub kind: String,
    /// How often.
    pub count: u64,
    /// The first message seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

/// Engine metrics of one level, and the client's figures for the same requests beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerLevel {
    /// Mean of the requests being processed, over the scrapes in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_mean: Option<f64>,
    /// Mean of the requests waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_mean: Option<f64>,
    /// Largest share of the KV cache in use, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_usage_max: Option<f64>,
    /// Preemptions during the level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemptions: Option<f64>,
    /// Share of prompt tokens found in the prefix cache, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_hit_rate: Option<f64>,
    /// Mean TTFT by the server's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft: Option<SideBySide>,
    /// Mean E2EL by the server's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2el: Option<SideBySide>,
    /// Output tokens by the server's account, over all requests of the level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<SideBySide>,
    /// Prompt tokens by the server's account, over all requests of the level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<SideBySide>,
}

/// The same quantity by the client's and by the server's account. Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SideBySide {
    /// The client's.
    pub client: f64,
    /// The server's.
    pub server: f64,
    /// Which of the server's accounts.
    pub source: ServerSource,
}

/// Which of the server's accounts a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ServerSource {
    /// Counters and histograms of `/metrics`, difference between the idle moments around the level.
    Metrics,
    /// `timings` in each request's final chunk (llama.cpp): prompt and generation time, without time in the queue.
    Timings,
}

/// What the GPUs did in the window, summed or averaged over GPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuLevel {
    /// GPUs sampled.
    pub gpus: u32,
    /// Samples in the window.
    pub samples: u64,
    /// Largest memory in use, all GPUs together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes_max: Option<u64>,
    /// Mean utilisation in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_util_percent_mean: Option<f64>,
    /// Mean power, all GPUs together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w_mean: Option<f64>,
    /// Highest temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_c_max: Option<i32>,
    /// Energy of the window by the driver's counter, all GPUs together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<f64>,
    /// That energy per output token of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub j_per_output_token: Option<f64>,
}

/// What the window cost in joules. Sums over GPUs are absent when one of them does not give the figure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EnergyLevel {
    /// Energy of the window, all GPUs together, each by its best method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<f64>,
    /// Integral of instant power over the window, all GPUs together: the cross-check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integral_j: Option<f64>,
    /// Power without load, all GPUs together, from the baseline before the first level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_w: Option<f64>,
    /// Energy of the window less what the GPUs would have taken idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above_idle_j: Option<f64>,
    /// Energy per output token that arrived in the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub j_per_output_token: Option<f64>,
    /// Energy per token, output and prompt together: far smaller where prompts are long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub j_per_total_token: Option<f64>,
    /// Energy above idle per output token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above_idle_j_per_output_token: Option<f64>,
    /// Energy above idle per token, output and prompt together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above_idle_j_per_total_token: Option<f64>,
    /// Output tokens of the window, and the prompt tokens of the requests whose first token arrived in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<f64>,
    /// Power in each phase of the level and in the baseline, where it can be told.
    pub phases: Vec<PhasePower>,
    /// Each GPU's share.
    pub gpus: Vec<GpuEnergy>,
    /// Why the figures are not to be relied on; empty when they are.
    pub issues: Vec<WindowIssue>,
}

/// One GPU's energy in the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuEnergy {
    /// Which GPU.
    pub uuid: String,
    /// Samples in the window.
    pub samples: u64,
    /// How `energy_j` was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<EnergyMethod>,
    /// Energy of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<f64>,
    /// Integral of instant power over the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integral_j: Option<f64>,
    /// Power without load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_w: Option<f64>,
    /// What is wrong with this GPU's window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<WindowIssue>,
}

/// How an energy was found, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EnergyMethod {
    /// Growth of the driver's counter.
    Counter,
    /// Integral of instant power.
    InstantPower,
    /// Integral of the driver's one-second average, which lags behind by up to that second.
    AveragePower,
}

/// Power of all GPUs in one phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhasePower {
    /// Which phase.
    pub phase: records::PhaseKind,
    /// Its length.
    pub seconds: f64,
    /// Mean power of all GPUs together.
    pub power_w: f64,
}

/// Why a window of telemetry is not to be relied on. The codes are `InferenceX`'s where it has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WindowIssue {
    /// There is no reading before its start or after its end.
    BenchmarkWindowNotBracketed,
    /// Fewer than two readings lie in it.
    TooFewSamples {
        /// How many.
        samples: u64,
    },
    /// Readings are missing within it.
    SamplingGapExceeded {
        /// Longest distance between two readings.
        gap_s: f64,
        /// What is accepted: three times the usual distance, and 3 s at most.
        allowed_s: f64,
    },
    /// GPUs are missing.
    ExpectedGpuCountMismatch {
        /// GPUs that the run knows.
        expected: u64,
        /// GPUs that were read in the window.
        seen: u64,
    },
    /// The energy counter was set back: the driver was loaded anew.
    CounterReset,
    /// Counter and integral of instant power differ by more than 5 %.
    EnergyMismatch {
        /// By the counter.
        counter_j: f64,
        /// By the integral.
        integral_j: f64,
    },
}

/// What limited a level, with what proves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bottleneck {
    /// The limit.
    pub verdict: BottleneckVerdict,
    /// What speaks for it, strongest first, and what else was seen.
    pub evidence: Vec<BottleneckEvidence>,
    /// What could not be looked at: `server_metrics`, `gpu`, `gpu_profiling`, `throttle_reasons`, `client`.
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
    /// The server admits no more requests at once, though memory is left.
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

/// What the client itself spent in the window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientLevel {
    /// Utilisation of the client's own threads in percent.
    pub cpu_percent: f64,
    /// 99th percentile of the event loop's lag.
    pub lag_p99_ms: f64,
    /// Largest lag.
    pub lag_max_ms: f64,
}

/// Where the server bends and ends. Levels are given as concurrency.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Largest level that was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_tested: Option<u32>,
    /// Largest level at which every measured request completed, with all smaller levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_stable: Option<u32>,
    /// Level of the largest aggregate output throughput, among the levels whose figures are valid: a recommendation may
    /// stand on it. Absent when no level is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_output: Option<Peak>,
    /// Level of the fastest single request (most output tokens per second per request), among the same levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_per_request: Option<Peak>,
    /// Smallest level after which aggregate throughput grows by less than a tenth of what proportional growth would
    /// give, up to the last level; absent when it still grew. Valid levels only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturation: Option<u32>,
    /// TTFT at the largest level / TTFT at the smallest (means).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_growth: Option<f64>,
    /// The same for E2EL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2el_growth: Option<f64>,
    /// The same for aggregate output throughput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_growth: Option<f64>,
}

/// A level and its throughput.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// The level.
    pub concurrency: u32,
    /// Tokens per second there.
    pub tok_s: f64,
}

/// Largest tested level that held one latency objective, and every smaller tested level held it too.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SloRow {
    /// Objective: E2EL below this.
    pub e2el_below_ms: f64,
    /// Which figure had to hold: the 95th percentile where every level supports it, else the mean.
    pub statistic: SloStatistic,
    /// The level; absent when none held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// The figure at that level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2el_ms: Option<f64>,
    /// Aggregate output throughput at that level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tok_s: Option<f64>,
    /// Whether a larger level was tested and failed; if not, the true limit may lie higher.
    pub bounded: bool,
    /// The same between the tested levels, with an interval; absent where the sample supports no 95th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<SloCapacity>,
}

/// Which figure an objective is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SloStatistic {
    /// 95th percentile.
    P95,
    /// Mean: the sample is too small for a percentile.
    Mean,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The figures are not what they seem.
    Problem,
    /// Worth knowing before acting on the figures.
    Warning,
    /// What the figures say.
    Insight,
    /// What could not be told, for want of telemetry or of requests.
    Note,
}

/// Something that stands out, with its evidence. `report` turns it into prose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub what: FindingKind,
}

/// Kinds of findings, each with the figures that prove it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// Aggregate throughput fell from one level to the next higher one.
    ThroughputCliff {
        /// Lower level.
        from: u32,
        /// Higher level.
        to: u32,
        /// Aggregate output throughput at the lower level.
        from_tok_s: f64,
        /// And at the higher.
        to_tok_s: f64,
    },
    /// The level at which the whole server gives most is not the one at which one request is fastest: a report that
    /// calls per-request speed "throughput" recommends the wrong one.
    AggregateVersusPerRequest {
        /// Level of the largest aggregate.
        aggregate_at: u32,
        /// Its aggregate.
        aggregate_tok_s: f64,
        /// Level of the fastest single request.
        per_request_at: u32,
        /// Aggregate there.
        aggregate_there_tok_s: f64,
    },
    /// Throughput still grew at the largest level: the true maximum may lie higher.
    StillGrowing {
        /// The largest level.
        concurrency: u32,
        /// Aggregate growth from the level before, in percent.
        growth_percent: f64,
    },
    /// More requests ran together than the engine's "maximum concurrency" says, because they are shorter.
    BeyondPrintedConcurrency {
        /// Largest stable level.
        concurrency: u32,
        /// The engine's figure.
        printed: f64,
        /// Tokens per request that the engine's figure assumes.
        assumed_tokens: u64,
        /// Mean tokens per request of this run (prompt and output).
        actual_tokens: f64,
    },
    /// Requests ended with other output lengths than asked.
    OutputLength {
        /// Level.
        concurrency: u32,
        /// Tokens asked.
        asked: u32,
        /// Mean tokens received.
        mean: f64,
        /// Requests with fewer than asked.
        short: u64,
        /// Completed requests.
        completed: u64,
    },
    /// Requests failed.
    Failures {
        /// Level.
        concurrency: u32,
        /// How many.
        failed: u64,
        /// Of how many measured.
        measured: u64,
        /// The most frequent kind, as in [`FailureCount`].
        failure: String,
        /// First message of that kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        example: Option<String>,
    },
    /// The client, not the server, may have been the limit at a level.
    ClientLimited {
        /// Level.
        concurrency: u32,
    },
    /// Part of the prompts came from the prefix cache although they were made disjoint: a chat template, or an earlier
    /// run with the same seed.
    PrefixCacheHits {
        /// Level.
        concurrency: u32,
        /// Share of prompt tokens, 0 to 1.
        hit_rate: f64,
    },
    /// Requests waited in the server's queue.
    Queueing {
        /// Level.
        concurrency: u32,
        /// Mean number waiting.
        waiting_mean: f64,
    },
    /// The engine threw requests back for want of KV blocks.
    Preemptions {
        /// Level.
        concurrency: u32,
        /// How many.
        count: f64,
    },
    /// Client and server disagree on a count or a time by more than the tolerance.
    Disagreement {
        /// Level.
        concurrency: u32,
        /// `ttft`, `e2el`, `output_tokens` or `prompt_tokens`.
        metric: String,
        /// The client's figure.
        client: f64,
        /// The server's.
        server: f64,
    },
    /// The sample is too small for percentiles at some levels.
    FewSamples {
        /// Levels concerned.
        concurrencies: Vec<u32>,
        /// Smallest sample.
        n: u64,
    },
    /// Throughput does not follow one law: the levels below `from` are in a regime of their own.
    RegimeChange {
        /// Levels of the other regime.
        before: Vec<u32>,
        /// Smallest level of the regime that the law describes.
        from: u32,
        /// Throughput at the largest level before it.
        measured_tok_s: f64,
        /// What the law of the larger levels would give there.
        law_tok_s: f64,
    },
    /// A level had not settled when it ended.
    NotSettled {
        /// Level.
        concurrency: u32,
        /// Completed requests.
        n: u64,
    },
    /// A few requests are far slower than the rest.
    LongTail {
        /// Level.
        concurrency: u32,
        /// `ttft` or `e2el`.
        metric: String,
        /// Median in milliseconds.
        p50: f64,
        /// 99th percentile in milliseconds.
        p99: f64,
    },
    /// Requests were so much alike that a level says little more than its waves.
    InStep {
        /// Levels concerned.
        concurrencies: Vec<u32>,
        /// Smallest ratio of effective to measured requests.
        share: f64,
    },
    /// The run did not reach its planned end.
    Incomplete {
        /// As in [`RunFacts::incomplete_reason`].
        reason: String,
    },
    /// The program was built without optimisation.
    DebugBuild,
    /// No GPU could be sampled.
    NoGpuTelemetry,
    /// The server's `/metrics` could not be read.
    NoServerMetrics,
}

/// Which GPUs would hold a target load of this model, by two methods side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SizingSection {
    /// Model as named in the catalogue.
    pub model: String,
    /// Engine and version whose arithmetic the exact columns follow.
    pub engine: String,
    /// Requests to hold at once.
    pub target_concurrency: u32,
    /// Tokens per request.
    pub context_tokens: u64,
    /// Weight type, such as `bf16`.
    pub weight_dtype: String,
    /// Terms of the simple method.
    pub simple: SimpleMethod,
    /// Exact KV bytes of one request of `context_tokens` on one GPU.
    pub exact_kv_bytes_per_request: u64,
    /// Bytes of the weights.
    pub weight_bytes: u64,
    /// One row per GPU type and count.
    pub options: Vec<GpuOption>,
    /// Sentences on where the simple method departs from the exact one, as keys with figures.
    pub deviations: Vec<Deviation>,
}

/// The reference report's simple method: parameters, a flat KV cost per request, a flat overhead; decimal gigabytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SimpleMethod {
    /// Weights.
    pub weights_gb: f64,
    /// KV cache of one request.
    pub kv_per_request_gb: f64,
    /// Overhead.
    pub overhead_gb: f64,
    /// All together for the target.
    pub total_gb: f64,
}

/// One GPU type in some number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuOption {
    /// GPU name.
    pub gpu: String,
    /// How many, as one tensor-parallel group.
    pub count: u32,
    /// Memory of one, as marketed.
    pub vram_gb: f64,
    /// Requests that fit by the simple method; 0 when the weights do not fit.
    pub simple_max_requests: u32,
    /// Requests of the context length that fit by the engine's arithmetic; absent when the weights do not fit, or when
    /// `exact_unknown` says that this cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_max_requests: Option<f64>,
    /// The same with `--max-num-seqs 256 --max-num-batched-tokens 2048`, where the engine's defaults for this GPU are
    /// larger and cost more than a twentieth of the requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_max_requests_at_256_seqs: Option<f64>,
    /// Whether it is not known how much of this GPU's memory a program sees, so that the exact figures are unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact_unknown: bool,
    /// Memory bandwidth of one card, in decimal gigabytes per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bandwidth_gb_s: Option<f64>,
    /// Cards that the target needs by the simple method; absent when no tensor-parallel count up to 8 holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simple_cards_needed: Option<u32>,
    /// Cards that the target needs by the engine's arithmetic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_cards_needed: Option<u32>,
    /// Purchase price of all cards of this row, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_usd: Option<f64>,
    /// Day of the purchase price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_date: Option<String>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_source: Option<String>,
    /// Cloud price per hour of all cards of this row, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_usd_per_hour: Option<f64>,
    /// Day of the cloud price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_price_date: Option<String>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_price_source: Option<String>,
    /// What is rented, such as `AWS p4d.24xlarge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_offer: Option<String>,
}

/// Where the reference report's method departs from the engine's arithmetic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Deviation {
    /// The report's own KV formula does not give the number it states.
    FormulaProduct {
        /// What it states.
        stated_gb: f64,
        /// What the product is.
        product_gib: f64,
    },
    /// Its KV width is not the model's.
    KvWidth {
        /// Width used.
        used: u64,
        /// KV heads × head dimension.
        actual: u64,
    },
    /// It counts sliding-window layers as if they kept the whole context.
    SlidingWindow {
        /// Layers with a window.
        windowed_layers: u64,
        /// All layers.
        layers: u64,
        /// Window in tokens.
        window: u64,
    },
    /// The number of requests in a row of its table does not follow from its own method.
    TableRow {
        /// GPU of the row.
        gpu: String,
        /// What it states.
        stated: f64,
        /// What the method gives.
        method: f64,
    },
    /// The number of cards in a row is not what the sum of memory gives.
    CardsNeeded {
        /// GPU of the row.
        gpu: String,
        /// What it states; absent for "N/A".
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stated: Option<u32>,
        /// By the sum of memory alone.
        by_memory: u64,
        /// As a tensor-parallel group of 1, 2, 4 or 8; absent when 8 do not hold the target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tensor_parallel: Option<u32>,
    },
}
