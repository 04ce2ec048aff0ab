//! What can be typed. Flags carry the names that the field's tools use.
#![expect(clippy::doc_markdown, reason = "the terminal shows these comments as they stand")]
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the terminal shows these comments as they stand; only rustdoc knows this lint"
)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{compare::CompareArgs, judge::JudgeArgs};

mod connection;
mod load;
mod session;
mod sim;
mod stages;
mod telemetry;

pub(crate) use connection::ConnectionArgs;
pub(crate) use load::{EndpointType, LoadArgs, RampUp, WorkloadKind};
pub(crate) use session::SessionArgs;
pub(crate) use sim::{MetricNames, SimArgs, StartLog};
pub(crate) use stages::StageArgs;
pub(crate) use telemetry::{GpumonArgs, TelemetryArgs};

/// What `--help` says last; PROGRAM stands for the name of the program.
pub const AFTER_HELP: &str = "\
Start here:
  PROGRAM all                                  the whole pipeline on a simulated RTX 3090, about two minutes
  PROGRAM all --url http://HOST:8000           the same against your server
  PROGRAM report results/RUN --lang ko         the report again, from the run folder alone

Exit codes: 0 done, 1 internal error, 2 usage, 3 server unreachable or lost, 4 objectives met at no level, or
the second run is worse, 5 measurement not valid, 130 interrupted (what had been measured is kept and reported).";

/// A command line that was parsed; only for reading back the settings of old runs.
#[derive(Debug, Parser)]
#[command(name = "plimsoll")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

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
    Plan(Box<crate::buy::BuyArgs>),
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

/// Flags of `all`.
#[derive(Debug, Args)]
pub struct AllArgs {
    /// Server to measure, such as http://127.0.0.1:8000 or unix:/run/vllm.sock; without it, the simulated server.
    /// Several, by comma, share the load: slot k sends to the (k mod N)th, and telemetry watches the first
    #[arg(long, visible_alias = "base-url", value_delimiter = ',', value_name = "URL,…")]
    pub(crate) url: Vec<String>,
    /// Timing profile of the simulated server
    #[arg(long, default_value = crate::sim::DEFAULT_PROFILE, conflicts_with = "url")]
    pub(crate) profile: String,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Flags of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Server to measure, such as http://127.0.0.1:8000 or unix:/run/vllm.sock. Several, by comma, share the load: slot k
    /// sends to the (k mod N)th, and telemetry watches the first
    #[arg(
        long,
        visible_alias = "base-url",
        value_delimiter = ',',
        value_name = "URL,…",
        required_unless_present = "resume"
    )]
    pub(crate) url: Vec<String>,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What to leave behind.
#[derive(Clone, Debug, Args)]
pub(crate) struct OutputArgs {
    /// Folder in which the run folder is made
    #[arg(long, default_value = "results", value_name = "DIR")]
    pub(crate) result_dir: PathBuf,
    /// Name of the run [default: the time and the model]
    #[arg(long, value_name = "NAME")]
    pub(crate) run_id: Option<String>,
    /// Language of report and console
    #[arg(long, value_enum, default_value_t = Lang::En)]
    pub(crate) lang: Lang,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) ask: crate::buy::AskArgs,
}

/// Flags of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run folders
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Language of report and console
    #[arg(long, value_enum, default_value_t = Lang::En)]
    pub(crate) lang: Lang,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) ask: crate::buy::AskArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// English
    En,
    /// Korean
    Ko,
    /// Both; the console speaks English
    Both,
}

/// Flags of `overhead`.
#[derive(Debug, Args)]
pub struct OverheadArgs {
    /// Streams at once, level by level
    #[arg(long, visible_alias = "concurrency", value_delimiter = ',', value_name = "N,…",
        default_values_t = [1, 16, 64, 256, 1000, 4000], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) streams: Vec<u32>,
    /// Be the server of known times, until standard input ends
    #[arg(long, hide = true)]
    pub(crate) serve: bool,
    /// Measure each number of streams so many times without and with a sampler that reads this machine's GPUs ten times a
    /// second, in turn, and print the ratio of the errors
    #[arg(long, value_name = "ROUNDS", num_args = 0..=1, default_missing_value = "5", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) beside_sampler: Option<u32>,
    /// Folder in which overhead-HOST.json is written
    #[arg(long, default_value = "results", value_name = "DIR")]
    pub(crate) result_dir: PathBuf,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

/// Flags of `size`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SizeArgs {
    #[command(subcommand)]
    pub(crate) command: Option<crate::size::SizeCommand>,
    #[command(flatten)]
    pub(crate) plan: crate::size::PlanArgs,
}
