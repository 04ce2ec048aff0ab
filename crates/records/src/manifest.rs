//! `manifest.json`: who measured what, how, where and when. Written before the first request and again at the end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::{Engine, Offset, PerMetric};

/// Version of every file in the run folder. A reader accepts this version and older ones that a fixture proves readable.
pub const SCHEMA_VERSION: u32 = 1;

/// The head of a run folder. A folder whose manifest has no `end` was killed: what it holds is still valid, but partial.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the schema that the whole folder follows.
    pub schema_version: u32,
    /// Name of the run, equal to the folder's name.
    pub run_id: String,
    /// The program that measured.
    pub tool: Tool,
    /// The command line, with secrets replaced by `***`; for people.
    pub argv: Vec<String>,
    /// Complete settings of the program that measured (`bench::Settings`), without secrets; absent in runs of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<serde_json::Value>,
    /// Result of the search that chose the levels; absent while the search goes on, and where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// What was measured: a server, or our own simulation of one.
    pub target: Target,
    /// What was to be done.
    pub plan: Plan,
    /// The machine that the client ran on.
    pub host: Host,
    /// What the server said about itself.
    pub engine: EngineFacts,
    /// Wall-clock time at the run's epoch.
    pub started: ClockAnchor,
    /// Wall-clock time at the end; absent when the run was killed. Both anchors together show the clock's drift.
    pub ended: Option<ClockAnchor>,
    /// Why the run ended; absent when it was killed.
    pub end: Option<EndReason>,
    /// Wall-clock times at which a run that had been cut off went on; the run's clock includes the pauses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<ClockAnchor>,
    /// Sentences about what did not go as asked (flags the server ignored, telemetry that was not there).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What the figures are to be judged by.
    #[serde(default, skip_serializing_if = "Judgement::is_default")]
    pub judgement: Judgement,
}

/// What the figures are to be judged by. It changes nothing of what is measured; a report may judge by something else.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Latency objectives of a good request.
    pub objectives: Option<Objectives>,
    /// Probability with which an interval shall hold the truth, between 0 and 1; 0.95 unless given.
    pub confidence_level: Option<f64>,
}

impl Judgement {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Latency objectives: a request is good when it completes and meets all that are set. On disk each has a key of its own,
/// such as `ttft_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objectives {
    /// Largest latency of a good request in nanoseconds.
    #[serde(flatten, with = "crate::metric::by_id_ns")]
    pub limits_ns: PerMetric<u64>,
    /// Share of requests that has to be good for a level to hold, between 0 and 1.
    pub attainment: f64,
}

/// Result of a search for the capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// Why it ended.
    pub ended: SearchEnd,
    /// Requests that it sent, warm-up included.
    pub requests: u64,
}

/// Why a search for the capacity ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchEnd {
    /// The interval is as narrow as asked.
    Tight,
    /// The requests are spent.
    Spent,
    /// The largest load to try still held.
    NeverFailed,
    /// The smallest load to try already failed.
    NeverHeld,
}

/// The program that measured.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// `plimsoll`.
    pub name: String,
    /// Version of the workspace.
    pub version: String,
    /// Revision of the source, when it was built from a checkout.
    pub git_revision: Option<String>,
    /// `release` or `debug`; times of a debug client are not to be trusted.
    pub profile: String,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// A server that someone runs.
    Server {
        /// Base URL without credentials.
        url: String,
    },
    /// The simulated server of this workspace: every artefact of the run says so.
    Simulated {
        /// Base URL on the loopback interface.
        url: String,
        /// Name of the timing profile.
        profile: String,
    },
}

impl Target {
    /// Base URL of the server, without credentials.
    pub fn url(&self) -> &str {
        match self {
            Self::Server { url } | Self::Simulated { url, .. } => url,
        }
    }

    /// Name of the timing profile when the target is simulated.
    pub fn simulated_profile(&self) -> Option<&str> {
        match self {
            Self::Server { .. } => None,
            Self::Simulated { profile, .. } => Some(profile),
        }
    }
}

/// What was to be done. Closed loop: at level `c`, `c` slots each send their next request when the last one ended. Open
/// loop: requests are sent when `arrivals` says, whatever the server does.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Concurrency of each level, in the order in which they run; 0 where the level is an open loop.
    pub levels: Vec<u32>,
    /// Requests measured at each level, parallel to `levels`; 0 where time alone decides (`durations_ns`).
    pub requests: Vec<u64>,
    /// Warm-up requests at each level, parallel to `levels`; their records carry [`crate::Stage::Warmup`].
    pub warmup_requests: Vec<u64>,
    /// Schedules of the levels that are open loops, parallel to `levels`; empty when none is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrivals: Vec<Option<Arrivals>>,
    /// Longest time of measuring of each level, parallel to `levels`, 0 for none; empty when none has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub durations_ns: Vec<u64>,
    /// Path of the endpoint, such as `/v1/chat/completions`.
    pub endpoint: String,
    /// Model name sent with every request.
    pub model: String,
    /// Whether responses are streamed.
    pub stream: bool,
    /// Name of the prompt source, such as `translation`.
    pub workload: String,
    /// What the prompt source was told: lengths, spread, shared prefix. Free of form, since every source has its own.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub workload_options: serde_json::Map<String, serde_json::Value>,
    /// Output tokens asked of every measured request; on average where `workload_options` spreads them.
    pub osl: u32,
    /// Whether the server was told to generate exactly `osl` tokens (`ignore_eos`, `min_tokens`).
    pub ignore_eos: bool,
    /// Fields merged into every request body, as the user gave them.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub extra_body: serde_json::Map<String, serde_json::Value>,
    /// Seed of everything random.
    pub seed: u64,
    /// Deadline of one request.
    pub request_timeout_ns: u64,
    /// When a level has been measured well enough to stop before its planned end, such as `ttft_p95:5%`.
    pub stop_when: Option<String>,
    /// How often a request that failed is sent again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The schedule of an open loop.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arrivals {
    /// Requests per second, at the beginning of a ramp; absent when all arrive at once or as recorded.
    pub per_second: Option<f64>,
    /// Shape of the gamma-distributed gaps, 1 for a Poisson process; absent when gaps are equal.
    pub burstiness: Option<f64>,
    /// Where the rate goes.
    pub ramp: Option<Ramp>,
    /// Steps of a rate that moves in steps; empty for one that does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<RateStage>,
    /// Whether requests arrive as they did in a recorded trace (`workload`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recorded: bool,
    /// Requests in flight at most; beyond it they were sent late, which `sent_ns − intended_ns` shows.
    pub most_in_flight: u32,
}

/// A part of a level with a rate of its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateStage {
    /// Requests per second.
    pub per_second: f64,
    /// Its end, since the first measured request was to be sent (`intended_ns`). The last stage goes on.
    pub until_ns: u64,
}

/// A rate that moves while measuring.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ramp {
    /// How it moves.
    pub shape: RampShape,
    /// Requests per second at the end.
    pub to_per_second: f64,
    /// How long the way takes.
    pub over_ns: u64,
}

/// How a rate moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RampShape {
    /// By equal differences.
    Linear,
    /// By equal ratios.
    Exponential,
}

/// The machine that the client ran on. Absent values could not be read.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Operating system and architecture, such as `linux x86_64`.
    pub os: String,
    /// Processor model.
    pub cpu_model: Option<String>,
    /// Logical processors that the client may use.
    pub cpus: Option<u32>,
    /// Main memory.
    pub memory_bytes: Option<u64>,
}

/// What the server said about itself before the load began.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineFacts {
    /// The engine; absent where it was not recognised.
    pub name: Option<Engine>,
    /// Version as the server gives it.
    pub version: Option<String>,
    /// Models listed by `/v1/models`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Longest sequence, in tokens, as `/v1/models` gives it.
    pub max_model_len: Option<u64>,
    /// Parallel slots or sequences, where the server says (llama.cpp `total_slots`).
    pub max_num_seqs: Option<u64>,
    /// Labels of `vllm:cache_config_info` (`num_gpu_blocks`, `block_size`, …), verbatim.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cache_config: BTreeMap<String, String>,
}

/// A reading of both clocks at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockAnchor {
    /// The run's clock.
    pub offset_ns: Offset,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: u64,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndReason {
    /// Every level ran to its planned end.
    Completed,
    /// The user stopped it.
    Interrupted,
    /// The server stopped answering; later levels were not run.
    ServerLost {
        /// What was seen.
        message: String,
    },
    /// The client could not go on (a full disk, say).
    Failed {
        /// What was seen.
        message: String,
    },
}
