//! `plimsoll sim`: the simulated server on its own.

use std::{
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde::Serialize;
use simserver::{LogWording, Profile, SimConfig, SimServer, profile_names, start_log};

use crate::{
    exit::{self, Exit, WithExit as _},
    interrupt::Interrupt,
    output,
};

/// The profile that `plimsoll all` measures when nothing else is named.
pub(crate) const DEFAULT_PROFILE: &str = "rtx3090-gemma3-12b-bnb4";

/// Flags of `sim`.
#[derive(Debug, Args)]
pub struct SimArgs {
    /// Timing profile: a built-in name or a TOML file
    #[arg(long, default_value = DEFAULT_PROFILE)]
    profile: String,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: std::net::IpAddr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Die after this many responses have begun: to rehearse a server that is lost
    #[arg(long, value_name = "N")]
    die_after: Option<u64>,
    /// Let something go wrong; repeatable. NAME[=VALUE][,KEY=VALUE]…[@PROBABILITY], such as stall=5s,after=10@0.1; a request asks
    /// for the same with the header x-sim-fault. Names: refuse, delay-accept, reset-before-head, reset-after-head, status, stall, cut,
    /// error-in-200, malformed, giant, drip, no-usage, duplicate-usage, wrong-counts, crlf, tokens-per-chunk
    #[arg(long, value_name = "FAULT")]
    fault: Vec<simserver::FaultRule>,
    /// Seed of what the faults strike: the same requests, by their numbers, every time
    #[arg(long, value_name = "N", default_value_t = 0)]
    fault_seed: u64,
    /// Names in /metrics: those of vLLM 0.11.2, or those up to 0.9.1
    #[arg(long, value_enum, default_value_t = MetricNames::Current)]
    metric_names: MetricNames,
    /// Print on stderr what this version of vLLM logs when it starts
    #[arg(long, value_enum, value_name = "VERSION")]
    start_log: Option<StartLog>,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    json: bool,
}

/// Generations of vLLM's names of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MetricNames {
    /// `kv_cache_usage_perc`, `inter_token_latency_seconds`
    Current,
    /// `gpu_cache_usage_perc`, `time_per_output_token_seconds`
    Old,
}

/// Versions of vLLM whose start-up log is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StartLog {
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

/// A server that answers.
#[derive(Debug, Serialize)]
struct Running<'a> {
    url: String,
    model: &'a str,
    simulated_profile: &'a str,
}

pub(crate) fn run(args: &SimArgs) -> anyhow::Result<Exit> {
    let listen = SocketAddr::new(args.host, args.port);
    let config = SimConfig {
        listen,
        die_after: args.die_after,
        faults: args.fault.clone(),
        fault_seed: args.fault_seed,
        metric_names: match args.metric_names {
            MetricNames::Current => simserver::MetricNames::Current,
            MetricNames::Old => simserver::MetricNames::Old,
        },
        ..SimConfig::new(profile(&args.profile)?)
    };
    let interrupt = Interrupt::install()?;
    let server = SimServer::start(config).exit(Exit::Usage)?;
    if let Some(version) = args.start_log {
        print_start_log(&server, version)?;
    }
    let profile = server.profile();
    let running = Running { url: server.url(), model: profile.served_model(), simulated_profile: profile.name() };
    output::emit(args.json, &running, |r| {
        format!(
            "simulated {} ({}) answers at {}\n{}\nstop with Ctrl-C",
            r.model,
            r.simulated_profile,
            r.url,
            profile.description()
        )
    })?;
    while !interrupt.requested() {
        thread::sleep(Duration::from_millis(100));
    }
    Ok(Exit::Ok)
}

fn print_start_log(server: &SimServer, version: StartLog) -> anyhow::Result<()> {
    let wording = match version {
        StartLog::V0_6_5 => LogWording::V0_6_5,
        StartLog::V0_11_2 => LogWording::V0_11_2,
        StartLog::V0_30_0 => LogWording::V0_30_0,
    };
    let stamp = jiff::Timestamp::now().strftime("%m-%d %H:%M:%S").to_string();
    let lines = start_log(server.profile(), server.address(), wording, &stamp);
    writeln!(io::stderr().lock(), "{}", lines.join("\n")).context("write to stderr")
}

/// A built-in profile by its name, or one from a file.
pub(crate) fn profile(name: &str) -> anyhow::Result<Profile> {
    if profile_names().any(|known| known == name) {
        return Profile::builtin(name).exit(Exit::Usage);
    }
    let text = fs::read_to_string(name).map_err(|e| {
        let known: Vec<_> = profile_names().collect();
        exit::error(
            Exit::Usage,
            format!("read the profile {name}: {e}\nhint: name a TOML file, or one of {}", known.join(", ")),
        )
    })?;
    Profile::from_toml(&text).exit(Exit::Usage)
}
