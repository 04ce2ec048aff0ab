//! `cargo xtask all` and `cargo xtask bench`: measure, then say what was measured.

use ::report::Language;
use analysis::{LevelSummary, Summary};
use records::{EndReason, ServerUrl, Target};
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
    series::{self, Series},
};

pub(crate) fn all(args: &AllArgs) -> anyhow::Result<Exit> {
    let documents = args.output.lang.written();
    if let Some(resumed) = resumed_series(&args.load)? {
        return of_series(resumed, &args.url, &args.output, documents);
    }
    let work = Work { out: &args.output, documents, begun: begun(&args.load)? };
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
    if let Some(resumed) = resumed_series(&args.load)? {
        return of_series(resumed, &args.url, &args.output, &[]);
    }
    let begun = begun(&args.load)?;
    if begun.as_ref().is_some_and(|begun| begun.simulated_profile().is_some()) {
        return Err(exit::error(
            Exit::Usage,
            "resume: the run loaded the simulated server\nhint: use cargo xtask all --resume",
        ));
    }
    let work = Work { out: &args.output, documents: &[], begun };
    work.run(&args.url, &args.load)
}

fn begun(load: &LoadArgs) -> anyhow::Result<Option<Begun>> {
    load.resume.as_deref().map(|run| resume::open(run, load)).transpose()
}

fn resumed_series(load: &LoadArgs) -> anyhow::Result<Option<series::Resumed>> {
    let series = load.resume.as_deref().and_then(Series::open);
    series.map(|series| series::open(series, load)).transpose()
}

/// Goes on with a series that was cut off.
fn of_series(
    resumed: series::Resumed,
    urls: &[String],
    out: &OutputArgs,
    documents: &[Language],
) -> anyhow::Result<Exit> {
    let simulated = resumed.target.simulated_profile().map(str::to_owned);
    let (series, end) = if let Some(profile) = simulated {
        let (_server, target) = start(&profile)?;
        series::go_on(resumed, &target, Defaults::SIMULATED, out)?
    } else {
        let then = resumed.target.clone();
        let target = urls.first().map_or(Ok(then), |url| server(url))?;
        series::go_on(resumed, &target, Defaults::SERVER, out)?
    };
    report_series(&series, end, out, documents)
}

/// The documents of a series, and the exit code of its worst run.
fn report_series(
    series: &Series,
    end: Option<EndReason>,
    out: &OutputArgs,
    documents: &[Language],
) -> anyhow::Result<Exit> {
    let reported = series.report(documents, &out.judge)?;
    output::emit(out.json, &reported, |reported| reported.console(out.lang))?;
    let dir = series.dir().display();
    if let Some(EndReason::Failed { message }) = end {
        return Err(anyhow::anyhow!(
            "{message}\nhint: what had been measured is in {dir}; when the cause is gone (a full disk?), finish it with --resume {dir}"
        ));
    }
    let codes = reported.runs.iter().map(|run| code(&run.summary));
    Ok(match end {
        Some(end) => stopped(&end, &dir.to_string()),
        None => codes.reduce(|worst, next| if worst == Exit::Ok { next } else { worst }).unwrap_or(Exit::Ok),
    })
}

/// Says why a measurement stopped early, and how to go on.
fn stopped(end: &EndReason, dir: &str) -> Exit {
    let unfinished = format!("hint: what had been measured is in {dir}; finish it with --resume {dir}");
    if let EndReason::ServerLost { message } = end {
        log(&format!("error: the server was lost: {message}\n{unfinished}"));
        return Exit::Server;
    }
    log(&format!("interrupted\n{unfinished}"));
    Exit::Interrupted
}

/// What the figures of a whole run are worth.
fn code(summary: &Summary) -> Exit {
    let is_invalid = |level: &LevelSummary| !level.invalid.is_empty();
    let goodput = summary.goodput.as_ref();
    if summary.levels.iter().any(is_invalid) {
        Exit::Invalid
    } else if goodput.is_some_and(|goodput| goodput.capacity.held_at.is_none()) {
        // Objectives that not even the smallest level met.
        Exit::NotMet
    } else {
        Exit::Ok
    }
}

/// A server by its base URL; `/v1` at its end is dropped.
fn server(url: &str) -> anyhow::Result<Target> {
    let url: ServerUrl = url.parse().exit(Exit::Usage)?;
    Ok(Target::Server { url: url.to_string() })
}

fn simulated(profile: &str, load: &LoadArgs, work: Work<'_>) -> anyhow::Result<Exit> {
    if load.dry_run {
        return dry_run::run(NOWHERE, load, Defaults::SIMULATED, work.out);
    }
    let (_server, target) = start(profile)?;
    work.measure(target, load, Defaults::SIMULATED)
}

/// The simulated server, as long as it is held, and its address.
fn start(profile: &str) -> anyhow::Result<(SimServer, Target)> {
    let server = SimServer::start(SimConfig::new(crate::sim::profile(profile)?)).exit(Exit::Usage)?;
    let url = server.url();
    log(&format!("simulated server with profile {profile} at {url}"));
    let profile = profile.to_owned();
    Ok((server, Target::Simulated { url, profile }))
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
        let load = &LoadArgs { replicas: urls.iter().skip(1).cloned().collect(), ..load.clone() };
        if load.dry_run {
            return dry_run::run(&url, load, Defaults::SERVER, self.out);
        }
        self.measure(server(&url)?, load, Defaults::SERVER)
    }

    fn measure(self, target: Target, load: &LoadArgs, defaults: Defaults) -> anyhow::Result<Exit> {
        let load = self.begun.as_ref().map_or_else(|| load.clone(), |begun| begun.load.clone());
        if load.series.num_runs > 1 && self.begun.is_none() {
            let (series, end) = series::run(&target, &load, defaults, self.out)?;
            return report_series(&series, end, self.out, self.documents);
        }
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
        self.out.ask.keep(&measured.dir);
        let reported = report::write(&measured.dir, self.documents, &self.out.judge)?;
        output::emit(self.out.json, &reported, |reported| reported.console(self.out.lang))?;
        Ok(match measured.end {
            EndReason::Completed => code(&reported.summary),
            end => stopped(&end, &run.to_string()),
        })
    }
}
