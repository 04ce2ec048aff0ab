//! What can be typed. Flags carry the names that the field's tools use.
#![expect(
    clippy::doc_markdown,
    reason = "the terminal shows these comments as they stand"
)]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{compare::CompareArgs, judge::JudgeArgs};

/// How much load does this server really hold, and what would it take to hold the load we want?
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    max_term_width = 100
)]
#[command(after_help = "\
Start here:
  cargo xtask all                                  the whole pipeline on a simulated RTX 3090, about two minutes
  cargo xtask all --url http://HOST:8000           the same against your server
  cargo xtask report results/RUN --lang ko         the report again, from the run folder alone

Exit codes: 0 done, 1 internal error, 2 usage, 3 server unreachable or lost, 4 objectives met at no level, or
the second run is worse, 5 measurement not valid, 130 interrupted (what had been measured is kept and reported).")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
    /// Run the simulated server on its own until Ctrl-C
    Sim(SimArgs),
    /// Install and run a real engine that needs no GPU, until Ctrl-C
    #[command(subcommand)]
    Engine(EngineCommand),
}

#[derive(Debug, Args)]
pub(crate) struct AllArgs {
    /// Server to measure, such as http://127.0.0.1:8000; without it, the simulated server
    #[arg(long, visible_alias = "base-url")]
    pub(crate) url: Option<String>,
    /// Timing profile of the simulated server
    #[arg(long, default_value = crate::sim::DEFAULT_PROFILE, conflicts_with = "url")]
    pub(crate) profile: String,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Server to measure, such as http://127.0.0.1:8000
    #[arg(long, visible_alias = "base-url")]
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// What to send.
#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    /// Model to ask for; without it, the first that /v1/models lists
    #[arg(long, short)]
    pub(crate) model: Option<String>,
    /// Requests kept in flight at each level
    #[arg(long, visible_alias = "max-concurrency", value_delimiter = ',', value_name = "N,…",
        default_values_t = [1, 2, 4, 8, 16, 32, 48, 64], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) concurrency: Vec<u32>,
    /// Requests measured at each level [default: 4 per slot and at least 10; simulated: 2 per slot and at least 4]
    #[arg(long, visible_alias = "num-prompts", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) request_count: Option<u64>,
    /// Warm-up requests at each level, with a tenth of the output length [default: one per slot]
    #[arg(long, visible_alias = "num-warmups")]
    pub(crate) warmup_request_count: Option<u64>,
    /// Output tokens asked of every request
    #[arg(long, visible_alias = "output-len", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) osl: u32,
    /// Whether to make the server generate exactly --osl tokens [default: as far as the recognised engine can]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) ignore_eos: Option<bool>,
    /// Fields merged into every request body, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) extra_body: Option<String>,
    /// Header sent with every request, "Name: value"; repeatable. A bearer key is read from OPENAI_API_KEY instead
    #[arg(long, value_name = "HEADER")]
    pub(crate) header: Vec<String>,
    /// Deadline of one request
    #[arg(long, default_value_t = 600, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) request_timeout_seconds: u64,
    /// Seed of prompts; the same seed sends the same prompts, which a server may have cached [default: from the clock]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
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
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
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

#[derive(Debug, Args)]
pub(crate) struct SimArgs {
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
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EngineCommand {
    /// llama.cpp's server with SmolLM2-135M-Instruct: 160 MB into target/engines, some seconds, needs python3 with pip
    LlamaCpp(EngineArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// Port to listen on, on the loopback interface; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Parallel slots
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) slots: u32,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SizeArgs {
    /// Model by its Hugging Face name
    #[arg(long, short, default_value = "google/gemma-3-12b-it")]
    pub(crate) model: String,
    /// vLLM version whose arithmetic to follow
    #[arg(long, default_value = "0.11.2")]
    pub(crate) vllm: String,
    /// Longest sequence, as vLLM's --max-model-len
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_model_len: u64,
    /// Tokens of one step, as vLLM's --max-num-batched-tokens
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_num_batched_tokens: u64,
    /// Memory for the KV cache in GiB, as vLLM prints it ("Available KV cache memory"): understood as ±0.005
    #[arg(long, default_value_t = 10.28)]
    pub(crate) available_kv_gib: f64,
    /// Requests to hold at once
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: u32,
    /// Tokens per request
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) context: u64,
    /// Language of the text
    #[arg(long, value_enum, default_value_t = Lang::En)]
    pub(crate) lang: Lang,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}
