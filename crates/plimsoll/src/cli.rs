//! The commands, and what holds for the command line as a whole. Flags carry the names that the field's tools use.

use clap::{ArgMatches, CommandFactory, FromArgMatches, Subcommand, error::ErrorKind, parser::ValueSource};

use crate::{
    args::{AllArgs, BenchArgs},
    compare::CompareArgs,
    gpumon::GpumonArgs,
    list::ListArgs,
    overhead::OverheadArgs,
    plan::PlanArgs,
    report::ReportArgs,
    sim::SimArgs,
    size::SizeArgs,
};

/// End of `--help`; PROGRAM stands for the name of the program.
pub const AFTER_HELP: &str = "\
Start here:
  PROGRAM all                                  the whole pipeline on a simulated RTX 3090, about two minutes
  PROGRAM all --url http://HOST:8000           the same against your server
  PROGRAM report results/RUN --lang ko         the report again, from the run folder alone

Exit codes: 0 done, 1 internal error, 2 usage, 3 server unreachable or lost, 4 objectives met at no level, or
the second run is worse, 5 measurement not valid, 130 interrupted (what had been measured is kept and reported).";

/// The commands of plimsoll.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure, analyse, draw and report: the whole pipeline
    ///
    /// Without --url it starts the simulated server (an RTX 3090 with Gemma 3 12B in 4 bit, its step times taken from a
    /// measured report) and loads that; every file of such a run says "simulated".
    All(AllArgs),
    /// Measure a server: one run folder with every request, and its summary
    Bench(BenchArgs),
    /// Write the report of one or more run folders again; needs neither GPU nor server
    Report(ReportArgs),
    /// Say whether a second run is better or worse than a first one, level by level
    Compare(CompareArgs),
    /// Say what a model needs: the engine's own KV-cache arithmetic, and the GPUs that hold a target load
    Size(SizeArgs),
    /// Say what to buy or rent for a load: every GPU and number of them with its speed, its cost and how sure that is
    ///
    /// Run folders given with --from calibrate the predictions; without them the catalogue speaks alone, with wide intervals.
    Plan(Box<PlanArgs>),
    /// List the models of the catalogue, whose names every command understands
    Models(ListArgs),
    /// List the GPUs of the catalogue with their memory, rates and prices
    Gpus(ListArgs),
    /// Run the simulated server on its own until Ctrl-C
    Sim(SimArgs),
    /// Measure this client's own error against a server of known times, and keep it beside the results
    ///
    /// The reports of later runs in the same folder quote it.
    Overhead(OverheadArgs),
    /// Watch GPUs and an engine live, serve the readings to a client elsewhere, record them
    ///
    /// On the GPU host, `--serve 0.0.0.0:9400` makes it an agent: it answers Prometheus text in DCGM's names under /metrics,
    /// and all its readings to `--gpu-telemetry http://GPU-HOST:9400` of a client on another machine. It has no
    /// authentication: listen where only the client can reach it.
    Gpumon(GpumonArgs),
}

/// Flags that may be given with `--resume`: they name the run and the server, pass secrets, or concern the report alone.
const WITH_RESUME: [&str; 11] = [
    "resume",
    "url",
    "header",
    "telemetry_header",
    "lang",
    "json",
    "goodput",
    "attainment",
    "confidence_level",
    "target",
    "slo",
];

/// Parses the command line of this process; on an error, and for `--help`, it prints and ends the process.
pub fn parse<C: CommandFactory + FromArgMatches>() -> C {
    let mut command = C::command();
    let matches = command.get_matches_mut();
    let parsed = check_resume(&mut command, &matches).and_then(|()| C::from_arg_matches(&matches));
    parsed.unwrap_or_else(|error| error.format(&mut command).exit())
}

/// A run goes on with its own settings: any flag that could change them is refused by its name.
fn check_resume(command: &mut clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let given = |matches: &ArgMatches, id: &str| {
        matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    let Some((name, matches)) = matches.subcommand().filter(|(_, matches)| given(matches, "resume")) else {
        return Ok(());
    };
    let Some(subcommand) = command.find_subcommand_mut(name) else {
        return Ok(());
    };
    let changes = subcommand.get_arguments().filter(|arg| {
        let id = arg.get_id().as_str();
        !WITH_RESUME.contains(&id) && given(matches, id)
    });
    let flags: Vec<String> = changes.filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect();
    if flags.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} cannot be used with --resume: a run goes on with its own settings\nhint: leave that out, or start a new run",
        flags.join(" and ")
    );
    Err(subcommand.error(ErrorKind::ArgumentConflict, message))
}
