//! `cargo xtask sim`: the simulated server on its own.

use std::{
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    thread,
    time::Duration,
};

use anyhow::Context as _;
use serde::Serialize;
use simserver::{LogWording, Profile, SimConfig, SimServer, profile_names, start_log};

use crate::{
    cli::{MetricNames, SimArgs, StartLog},
    exit::{self, Exit, WithExit as _},
    interrupt::Interrupt,
    output,
};

/// The profile that `cargo xtask all` measures when nothing else is named.
pub(crate) const DEFAULT_PROFILE: &str = "rtx3090-gemma3-12b-bnb4";

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
