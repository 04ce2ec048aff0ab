//! `cargo xtask all` and `cargo xtask bench`: measure, then say what was measured.

use ::report::Language;
use analysis::LevelSummary;
use records::{EndReason, Target};
use simserver::{SimConfig, SimServer};

use crate::{
    cli::{AllArgs, BenchArgs, LoadArgs, OutputArgs},
    dry_run,
    exit::{self, Exit, WithExit as _},
    find_capacity::find_capacity,
    levels::Defaults,
    measure::measure,
    output,
    progress::log,
    report,
    resume::{self, Begun},
};

pub(crate) fn all(args: &AllArgs) -> anyhow::Result<Exit> {
    let work = Work {
        out: &args.output,
        documents: args.output.lang.written(),
        begun: begun(&args.load)?,
    };
    let profile = match &work.begun {
        Some(begun) => begun.simulated_profile().map(str::to_owned),
        None => args.url.is_empty().then(|| args.profile.clone()),
    };
    match profile {
        Some(profile) => simulated(&profile, &args.load, work),
        None => work.run(&args.url, &args.load),
    }
}

/// The measuring part alone: records and summary, no documents.
pub(crate) fn bench(args: &BenchArgs) -> anyhow::Result<Exit> {
    let begun = begun(&args.load)?;
    if begun
        .as_ref()
        .is_some_and(|begun| begun.simulated_profile().is_some())
    {
        return Err(exit::error(
            Exit::Usage,
            "resume: the run loaded the simulated server\nhint: use cargo xtask all --resume",
        ));
    }
    let work = Work {
        out: &args.output,
        documents: &[],
        begun,
    };
    work.run(&args.url, &args.load)
}

fn begun(load: &LoadArgs) -> anyhow::Result<Option<Begun>> {
    load.resume
        .as_deref()
        .map(|run| resume::open(run, load))
        .transpose()
}

/// A server by its base URL; `/v1` at its end, which other tools want, is dropped.
fn server(url: &str) -> Target {
    let trimmed = url.trim_end_matches('/');
    Target::Server {
        url: trimmed.strip_suffix("/v1").unwrap_or(trimmed).to_owned(),
    }
}

fn simulated(profile: &str, load: &LoadArgs, work: Work<'_>) -> anyhow::Result<Exit> {
    if load.dry_run {
        return dry_run::run(NOWHERE, load, Defaults::SIMULATED, work.out);
    }
    let server =
        SimServer::start(SimConfig::new(crate::sim::profile(profile)?)).exit(Exit::Usage)?;
    let target = Target::Simulated {
        url: server.url(),
        profile: profile.to_owned(),
    };
    log(&format!(
        "simulated server with profile {profile} at {}",
        server.url()
    ));
    work.measure(target, load, Defaults::SIMULATED)
}

/// Stands for the address of a server that is not started.
const NOWHERE: &str = "http://127.0.0.1:8000";

/// What to do with a measurement.
struct Work<'a> {
    out: &'a OutputArgs,
    documents: &'a [Language],
    begun: Option<Begun>,
}

impl Work<'_> {
    /// Measures a server; without a URL, the one that the run began with.
    fn run(self, urls: &[String], load: &LoadArgs) -> anyhow::Result<Exit> {
        let url = match (urls.first(), &self.begun) {
            (Some(url), _) => url.to_owned(),
            (None, Some(begun)) => begun.manifest.target.url().to_owned(),
            (None, None) => return Err(exit::error(Exit::Usage, "name the server with --url")),
        };
        let load = &LoadArgs {
            replicas: urls.iter().skip(1).cloned().collect(),
            ..load.clone()
        };
        if load.dry_run {
            return dry_run::run(&url, load, Defaults::SERVER, self.out);
        }
        self.measure(server(&url), load, Defaults::SERVER)
    }

    fn measure(self, target: Target, load: &LoadArgs, defaults: Defaults) -> anyhow::Result<Exit> {
        let load = self
            .begun
            .as_ref()
            .map_or_else(|| load.clone(), |begun| begun.load.clone());
        let measured = if load.search.find_capacity {
            find_capacity(&target, &load, defaults, self.out, self.begun)?
        } else {
            measure(target, &load, defaults, self.out, self.begun)?
        };
        let run = measured.dir.path().display();
        if let EndReason::Failed { message } = measured.end {
            return Err(anyhow::anyhow!(
                "{message}\nhint: what had been measured is in {run}; when the cause is gone (a full disk?), finish it with --resume {run}, or report it as it is with cargo xtask report {run}"
            ));
        }
        let reported = report::write(&measured.dir, self.documents, &self.out.judge)?;
        output::emit(self.out.json, &reported, |reported| {
            reported.console(self.out.lang)
        })?;
        let unfinished =
            format!("hint: what had been measured is in {run}; finish it with --resume {run}");
        let goodput = reported.summary.goodput.as_ref();
        let is_invalid = |level: &LevelSummary| !level.invalid.is_empty();
        Ok(match measured.end {
            EndReason::Interrupted => {
                log(&format!("interrupted\n{unfinished}"));
                Exit::Interrupted
            }
            EndReason::ServerLost { message } => {
                log(&format!(
                    "error: the server was lost: {message}\n{unfinished}"
                ));
                Exit::Server
            }
            _ if reported.summary.levels.iter().any(is_invalid) => Exit::Invalid,
            // Objectives that not even the smallest level met.
            _ if goodput.is_some_and(|goodput| goodput.capacity.held_at.is_none()) => Exit::NotMet,
            _ => Exit::Ok,
        })
    }
}
