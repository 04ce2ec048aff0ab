//! `cargo xtask all` and `cargo xtask bench`: measure, then say what was measured.

use records::{EndReason, Target};
use simserver::{Profile, SimConfig, SimServer};

use crate::{
    cli::{AllArgs, BenchArgs, LoadArgs, OutputArgs},
    exit::{Exit, WithExit as _},
    measure::measure,
    output,
    plan::Defaults,
    progress::log,
    report,
};

pub(crate) fn all(args: &AllArgs) -> anyhow::Result<Exit> {
    let Some(url) = &args.url else { return simulated(args) };
    run(Target::Server { url: url.clone() }, &args.load, Defaults::SERVER, &args.output)
}

pub(crate) fn bench(args: &BenchArgs) -> anyhow::Result<Exit> {
    run(Target::Server { url: args.url.clone() }, &args.load, Defaults::SERVER, &args.output)
}

fn simulated(args: &AllArgs) -> anyhow::Result<Exit> {
    let profile = crate::sim::profile(&args.profile)?;
    let server = SimServer::start(SimConfig::new(profile)).exit(Exit::Usage)?;
    let target = Target::Simulated { url: server.url(), profile: args.profile.clone() };
    log(&format!("simulated server with profile {} at {}", args.profile, server.url()));
    run(target, &args.load, Defaults::SIMULATED, &args.output)
}

fn run(target: Target, load: &LoadArgs, defaults: Defaults, out: &OutputArgs) -> anyhow::Result<Exit> {
    let measured = measure(target, load, defaults, out)?;
    let reported = report::write(&measured.dir, out.lang)?;
    output::emit(out.json, &reported, |reported| reported.console(out.lang))?;
    Ok(match measured.end {
        EndReason::Interrupted => Exit::Interrupted,
        EndReason::ServerLost { message } => {
            log(&format!("error: the server was lost: {message}\nhint: what had been measured is in {}", measured.dir.path().display()));
            Exit::Server
        }
        EndReason::Failed { message } => {
            return Err(anyhow::anyhow!("{message}\nhint: what had been measured is in {}", measured.dir.path().display()));
        }
        _ if reported.summary.levels.iter().any(|level| !level.invalid.is_empty()) => Exit::Invalid,
        _ => Exit::Ok,
    })
}
