//! `cargo xtask sim`: the simulated server on its own.

use std::{fs, net::SocketAddr, thread, time::Duration};

use serde::Serialize;
use simserver::{Profile, SimConfig, SimServer, profile_names};

use crate::{
    cli::SimArgs,
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
        ..SimConfig::new(profile(&args.profile)?)
    };
    let interrupt = Interrupt::install()?;
    let server = SimServer::start(config).exit(Exit::Usage)?;
    let profile = server.profile();
    let running = Running {
        url: server.url(),
        model: profile.served_model(),
        simulated_profile: profile.name(),
    };
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

/// A built-in profile by its name, or one from a file.
pub(crate) fn profile(name: &str) -> anyhow::Result<Profile> {
    if profile_names().any(|known| known == name) {
        return Profile::builtin(name).exit(Exit::Usage);
    }
    let text = fs::read_to_string(name).map_err(|e| {
        let known: Vec<_> = profile_names().collect();
        exit::error(
            Exit::Usage,
            format!(
                "read the profile {name}: {e}\nhint: name a TOML file, or one of {}",
                known.join(", ")
            ),
        )
    })?;
    Profile::from_toml(&text).exit(Exit::Usage)
}
