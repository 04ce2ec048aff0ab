//! The settings of a measurement: complete, readable, and saved in the run's manifest (`manifest.settings`).
//!
//! A run that was cut off, a series and a search go on from the settings in the manifest and from nothing else. Secrets
//! are references only: names of environment variables and of headers. A field that a reader does not know makes the
//! settings unreadable, because going on without it would measure something else.

use std::{fmt, path::PathBuf, str::FromStr};

use analysis::StopRule;
use records::Judgement;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Settings of a measurement. `Settings::for_server(url)` gives the defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Server and model.
    pub target: TargetSettings,
    /// Levels, and how much each measures.
    pub load: LoadSettings,
    /// Requests: API, prompts and lengths.
    pub work: WorkSettings,
    /// Connections to the server.
    pub connection: ConnectionSettings,
    /// Sources of GPU and engine readings.
    pub telemetry: TelemetrySettings,
    /// Rule that ends a level early; `None` measures each level to its planned end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopSettings>,
    /// Search for the capacity; `None` runs the levels of [`Settings::load`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchSettings>,
    /// Repetitions of the whole sweep.
    pub series: SeriesSettings,
    /// Place of the run folder.
    pub output: OutputSettings,
    /// Objectives and confidence by which the figures are judged. They change nothing of what is sent.
    pub judgement: Judgement,
}

impl Settings {
    /// Default settings for the server at `url`, such as `http://127.0.0.1:8000`.
    pub fn for_server(url: &str) -> Self {
        Self { target: TargetSettings { url: url.to_owned(), ..TargetSettings::default() }, ..Self::default() }
    }
}

/// Server and model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetSettings {
    /// Base URL: `http://…`, `https://…` or `unix:/path`; `/v1` at its end is dropped.
    pub url: String,
    /// Further servers that share the load: slot `k` sends to server `k` modulo their number, `url` being the first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replicas: Vec<String>,
    /// Model name sent with every request; `None` takes the first that the server lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Timing profile, where the server is this project's simulated one. Every document of such a run says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulated_profile: Option<String>,
}

/// Levels, and how much each measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadSettings {
    /// When requests are sent.
    pub arrivals: Arrivals,
    /// Requests measured at each level; `None` follows from the other fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Seconds for which each level measures; with `requests`, whichever is first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// Warm-up requests of each level; `None` is one per slot, or those of ten seconds of an open loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_requests: Option<u64>,
    /// Requests measured per slot of a closed loop, where neither `requests` nor `duration_s` is set.
    pub requests_per_slot: u64,
    /// Least requests of such a level.
    pub requests_min: u64,
    /// Seed of prompts and arrivals; `None` takes the clock's. A run's manifest contains the seed that was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Default for LoadSettings {
    /// Closed loops of 1 to 64 slots with 4 requests per slot: intervals at every level within minutes.
    fn default() -> Self {
        Self {
            arrivals: Arrivals::default(),
            requests: None,
            duration_s: None,
            warmup_requests: None,
            requests_per_slot: 4,
            requests_min: 10,
            seed: None,
        }
    }
}

/// Concurrency of the levels of a default sweep.
const CONCURRENCY_DEFAULT: [u32; 8] = [1, 2, 4, 8, 16, 32, 48, 64];
/// Most requests in flight in an open loop by default. A server that is behind by as many has been overrun.
pub const IN_FLIGHT_MAX_DEFAULT: u32 = 10_000;

/// When requests are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrivals {
    /// Closed loops: at each level so many slots send their next request when the last one ended.
    Concurrency {
        /// Slots, level by level.
        levels: Vec<u32>,
    },
    /// Open loops: requests per second at each level, whatever the server does.
    Rate {
        /// Rates, level by level; infinite for all requests at once.
        per_second: Vec<Number>,
        /// Shape of the gamma-distributed gaps: 1 is a Poisson process, infinite a constant gap.
        burstiness: Number,
        /// Requests in flight at most; beyond it they are sent late.
        in_flight_max: u32,
    },
    /// One open loop whose rate moves within `load.duration_s`.
    Ramp {
        /// How it moves.
        shape: RampShape,
        /// Requests per second at the beginning.
        from_per_second: f64,
        /// Requests per second at the end.
        to_per_second: f64,
        /// As for `Rate`.
        burstiness: Number,
        /// As for `Rate`.
        in_flight_max: u32,
    },
    /// One open loop whose rate moves in steps.
    Stages {
        /// The steps.
        stages: Vec<RateStage>,
        /// As for `Rate`.
        burstiness: Number,
        /// As for `Rate`.
        in_flight_max: u32,
    },
    /// Recorded traffic with its times and lengths.
    Trace {
        /// Mooncake's JSON Lines or Azure's CSV.
        file: PathBuf,
        /// How much faster than recorded.
        speed: f64,
        /// As for `Rate`.
        in_flight_max: u32,
    },
}

impl Default for Arrivals {
    fn default() -> Self {
        Self::Concurrency { levels: CONCURRENCY_DEFAULT.to_vec() }
    }
}

/// A number that may be infinite; JSON contains `"inf"` then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() { serializer.serialize_f64(self.0) } else { serializer.collect_str(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Finite(f64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Finite(number) => Ok(Self(number)),
            Written::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// How a rate moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RampShape {
    /// By equal differences.
    Linear,
    /// By equal ratios.
    Exponential,
}

/// A step of a rate that moves in steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateStage {
    /// Length of the step in seconds.
    pub seconds: f64,
    /// Requests per second.
    pub per_second: f64,
}

/// Requests: API, prompts and lengths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkSettings {
    /// API that is called.
    pub endpoint: Endpoint,
    /// Whether responses are streamed; without, there is no TTFT and no TPOT.
    pub streaming: bool,
    /// Source of the prompts.
    pub prompts: Prompts,
    /// Prompt tokens, chat template included; `None` takes those of `prompts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isl: Option<u32>,
    /// Standard deviation of `isl`, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isl_stddev: Option<f64>,
    /// Tokens that all prompts of the run begin with.
    pub shared_prefix_tokens: u32,
    /// Output tokens asked of every request; `None` takes those of `prompts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub osl: Option<u32>,
    /// Standard deviation of `osl`, in tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub osl_stddev: Option<f64>,
    /// Whether the server is told to generate exactly `osl` tokens; `None` as far as the recognised engine can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_eos: Option<bool>,
    /// Fields merged into every request body.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extra_body: Map<String, Value>,
    /// Conversations of several turns; `None` sends requests that stand for themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversations: Option<ConversationSettings>,
    /// How often a request that failed is sent again.
    pub retries: u32,
}

impl Default for WorkSettings {
    /// Translations through the chat API, streamed.
    fn default() -> Self {
        Self {
            endpoint: Endpoint::Chat,
            streaming: true,
            prompts: Prompts::Translation,
            isl: None,
            isl_stddev: None,
            shared_prefix_tokens: 0,
            osl: None,
            osl_stddev: None,
            ignore_eos: None,
            extra_body: Map::new(),
            conversations: None,
            retries: 0,
        }
    }
}

/// API that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/completions`
    Completions,
    /// `/v1/responses`
    Responses,
    /// `/v1/embeddings`
    Embeddings,
}

/// Source of the prompts, with its lengths as mean ± standard deviation in tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Prompts {
    /// Sentences to translate, about 40 tokens in; 100 out.
    Translation,
    /// Dialogue: 512 ± 256 in, 256 ± 128 out.
    Chat,
    /// Questions about retrieved text: 4096 ± 1024 in, 256 ± 128 out.
    Rag,
    /// Completing source code: 2048 ± 1024 in, 512 ± 256 out.
    Code,
    /// Prompts of a file: JSON Lines, `ShareGPT` JSON, or CSV; 100 tokens out.
    Dataset {
        /// The file.
        file: PathBuf,
    },
}

/// Conversations: each slot is a user, and each turn repeats what was said before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationSettings {
    /// Mean number of turns.
    pub turns: u32,
    /// Standard deviation of `turns`.
    #[serde(default)]
    pub turns_stddev: f64,
    /// Mean time between an answer and the next turn, in milliseconds.
    #[serde(default)]
    pub think_ms: u32,
    /// Standard deviation of `think_ms`.
    #[serde(default)]
    pub think_ms_stddev: f64,
}

/// Connections to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionSettings {
    /// Environment variable that contains the bearer key; no key is sent where it is unset or empty.
    pub api_key_env: String,
    /// Names of the headers sent with every request. Their values are given apart and saved nowhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Authority that vouches for an https server, as PEM file; `None` takes those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_cert: Option<PathBuf>,
    /// Takes any certificate of an https server.
    pub insecure: bool,
    /// Loads the server in HTTP/2 and nothing else; otherwise HTTP/2 where the server chooses it over TLS.
    pub http2: bool,
    /// Deadline of one request, in seconds.
    pub request_timeout_s: u64,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            api_key_env: "OPENAI_API_KEY".to_owned(),
            headers: Vec::new(),
            ca_cert: None,
            insecure: false,
            http2: false,
            request_timeout_s: 600,
        }
    }
}

/// Sources of GPU and engine readings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// `local`, `none`, or addresses of exporters and agents; empty is `local`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<String>,
    /// Beginnings of the ids of the GPUs that are read; empty reads all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpu_uuids: Vec<String>,
    /// Address of the engine's metrics; `None` is the server itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_metrics: Option<String>,
    /// Environment variable that contains the bearer key for these addresses.
    pub api_key_env: String,
    /// Names of the headers sent to these addresses. Their values are given apart and saved nowhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            gpus: Vec::new(),
            gpu_uuids: Vec::new(),
            server_metrics: None,
            api_key_env: "PLIMSOLL_TELEMETRY_KEY".to_owned(),
            headers: Vec::new(),
        }
    }
}

/// Rule that ends a level early.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopSettings {
    /// Figure and the width of its interval, such as `ttft_p95:5%`.
    #[serde(with = "text")]
    pub rule: StopRule,
    /// Requests of each level before the first look; `None` is 50, and 8 per slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_min: Option<u64>,
}

/// Search for the largest load that meets the objectives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchSettings {
    /// Width of the capacity's interval, as a share of the capacity, at which the search ends.
    pub tolerance: f64,
    /// Requests, warm-up included, after which no further level begins.
    pub requests_max: u64,
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self { tolerance: 0.1, requests_max: 20_000 }
    }
}

/// Repetitions of the whole sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesSettings {
    /// Runs, each a run folder with prompts of its own; 1 is a single run.
    pub runs: u32,
    /// Order of the levels in each run.
    pub level_order: LevelOrder,
}

impl Default for SeriesSettings {
    fn default() -> Self {
        Self { runs: 1, level_order: LevelOrder::Interleaved }
    }
}

/// Order of the levels in each run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelOrder {
    /// As given, all levels in each run: 1,2,4,1,2,4.
    #[default]
    Interleaved,
    /// Drawn by the seed, another one in each run.
    Shuffled,
}

/// Place of the run folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputSettings {
    /// Folder in which the run folder is made.
    pub results: PathBuf,
    /// Name of the run; `None` is the time and the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}

impl Default for OutputSettings {
    fn default() -> Self {
        Self { results: PathBuf::from("results"), run_id: None }
    }
}

/// Serde for a type that has a text form.
mod text {
    use super::{Deserialize as _, FromStr, fmt};

    pub(super) fn serialize<T: fmt::Display, S: serde::Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: fmt::Display>,
        D: serde::Deserializer<'de>,
    {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_from_json_as_they_were() {
        let burstiness = Number(f64::INFINITY);
        let settings = Settings {
            load: LoadSettings {
                arrivals: Arrivals::Rate {
                    per_second: vec![Number(2.5), Number(f64::INFINITY)],
                    burstiness,
                    in_flight_max: IN_FLIGHT_MAX_DEFAULT,
                },
                ..LoadSettings::default()
            },
            stop: Some(StopSettings { rule: "ttft_p95:5%".parse().unwrap(), requests_min: Some(60) }),
            search: Some(SearchSettings::default()),
            ..Settings::for_server("http://127.0.0.1:8000")
        };
        let json = serde_json::to_value(&settings).unwrap();
        assert_eq!(json["load"]["arrivals"]["per_second"], serde_json::json!([2.5, "inf"]));
        assert_eq!(json["stop"]["rule"], "ttft_p95:5%");
        assert_eq!(serde_json::from_value::<Settings>(json).unwrap(), settings);
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
    }

    #[test]
    fn a_setting_that_is_not_known_is_refused() {
        assert!(serde_json::from_str::<Settings>(r#"{"work": {"osl": 3, "flavour": 1}}"#).is_err());
    }
}
