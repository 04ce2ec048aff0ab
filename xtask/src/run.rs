//! `cargo xtask all` and `cargo xtask bench`: measure, then say what was measured.

use ::report::Language;
use records::{EndReason, Target};
use simserver::{SimConfig, SimServer};

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
    let Some(url) = &args.url else {
        return simulated(args);
    };
    run(
        server(url),
        &args.load,
        Defaults::SERVER,
        &args.output,
        args.output.lang.written(),
    )
}

/// The measuring part alone: records and summary, no documents.
pub(crate) fn bench(args: &BenchArgs) -> anyhow::Result<Exit> {
    run(
        server(&args.url),
        &args.load,
        Defaults::SERVER,
        &args.output,
        &[],
    )
}

/// A server by its base URL; `/v1` at its end, which other tools want, is dropped.
fn server(url: &str) -> Target {
    let trimmed = url.trim_end_matches('/');
    Target::Server {
        url: trimmed.strip_suffix("/v1").unwrap_or(trimmed).to_owned(),
    }
}

fn simulated(args: &AllArgs) -> anyhow::Result<Exit> {
    let profile = crate::sim::profile(&args.profile)?;
    let server = SimServer::start(SimConfig::new(profile)).exit(Exit::Usage)?;
    let target = Target::Simulated {
        url: server.url(),
        profile: args.profile.clone(),
    };
    log(&format!(
        "simulated server with profile {} at {}",
        args.profile,
        server.url()
    ));
    run(
        target,
        &args.load,
        Defaults::SIMULATED,
        &args.output,
        args.output.lang.written(),
    )
}

fn run(
    target: Target,
    load: &LoadArgs,
    defaults: Defaults,
    out: &OutputArgs,
    documents: &[Language],
) -> anyhow::Result<Exit> {
    let measured = measure(target, load, defaults, out)?;
    let reported = report::write(&measured.dir, documents, &out.judge)?;
    output::emit(out.json, &reported, |reported| reported.console(out.lang))?;
    Ok(match measured.end {
        EndReason::Interrupted => Exit::Interrupted,
        EndReason::ServerLost { message } => {
            log(&format!(
                "error: the server was lost: {message}\nhint: what had been measured is in {}",
                measured.dir.path().display()
            ));
            Exit::Server
        }
        EndReason::Failed { message } => {
            return Err(anyhow::anyhow!(
                "{message}\nhint: what had been measured is in {}",
                measured.dir.path().display()
            ));
        }
        _ if reported
            .summary
            .levels
            .iter()
            .any(|level| !level.invalid.is_empty()) =>
        {
            Exit::Invalid
        }
        // Objectives that not even the smallest level met.
        _ if reported
            .summary
            .goodput
            .as_ref()
            .is_some_and(|goodput| goodput.capacity.held_at.is_none()) =>
        {
            Exit::NotMet
        }
        _ => Exit::Ok,
    })
}
