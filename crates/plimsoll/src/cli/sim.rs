//! What can be typed about the simulated server.

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct SimArgs {
    /// Timing profile: a built-in name or a TOML file
    #[arg(long, default_value = crate::sim::DEFAULT_PROFILE)]
    pub(crate) profile: String,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: std::net::IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    pub(crate) port: u16,
    /// Die after this many responses have begun: to rehearse a server that is lost
    #[arg(long, value_name = "N")]
    pub(crate) die_after: Option<u64>,
    /// Let something go wrong; repeatable. NAME[=VALUE][,KEY=VALUE]…[@PROBABILITY], such as stall=5s,after=10@0.1; a request asks
    /// for the same with the header x-sim-fault. Names: refuse, delay-accept, reset-before-head, reset-after-head, status, stall, cut,
    /// error-in-200, malformed, giant, drip, no-usage, duplicate-usage, wrong-counts, crlf, tokens-per-chunk
    #[arg(long, value_name = "FAULT")]
    pub(crate) fault: Vec<simserver::FaultRule>,
    /// Seed of what the faults strike: the same requests, by their numbers, every time
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) fault_seed: u64,
    /// Names in /metrics: those of vLLM 0.11.2, or those up to 0.9.1
    #[arg(long, value_enum, default_value_t = MetricNames::Current)]
    pub(crate) metric_names: MetricNames,
    /// Print on stderr what this version of vLLM logs when it starts
    #[arg(long, value_enum, value_name = "VERSION")]
    pub(crate) start_log: Option<StartLog>,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

/// Generations of vLLM's names of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MetricNames {
    /// `kv_cache_usage_perc`, `inter_token_latency_seconds`
    Current,
    /// `gpu_cache_usage_perc`, `time_per_output_token_seconds`
    Old,
}

/// Versions of vLLM whose start-up log is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StartLog {
    /// The KV cache in blocks
    #[value(name = "0.6.5")]
    V0_6_5,
    /// The whole log
    #[value(name = "0.11.2")]
    V0_11_2,
    /// The KV cache in one line
    #[value(name = "0.30.0")]
    V0_30_0,
}
