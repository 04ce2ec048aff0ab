//! What can be typed. Flags carry the names that the field's tools use.
#![expect(
    clippy::doc_markdown,
    reason = "the terminal shows these comments as they stand"
)]
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the terminal shows these comments as they stand; only rustdoc knows this lint"
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
    /// Install and run a real engine that needs no GPU, until Ctrl-C
    #[command(subcommand)]
    Engine(EngineCommand),
}

#[derive(Debug, Args)]
pub(crate) struct AllArgs {
    /// Server to measure, such as http://127.0.0.1:8000 or unix:/run/vllm.sock; without it, the simulated server.
    /// Several, by comma, share the load: slot k sends to the (k mod N)th, and telemetry watches the first
    #[arg(
        long,
        visible_alias = "base-url",
        value_delimiter = ',',
        value_name = "URL,…"
    )]
    pub(crate) url: Vec<String>,
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

/// What to send.
#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    /// Model to ask for; without it, the first that /v1/models lists
    #[arg(long, short)]
    pub(crate) model: Option<String>,
    /// Requests kept in flight at each level [default: 1,2,4,8,16,32,48,64]; with --request-rate, one number: the most
    /// in flight, beyond which requests are sent late [default: 10000]
    #[arg(long, visible_alias = "max-concurrency", value_delimiter = ',', value_name = "N,…",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) concurrency: Vec<u32>,
    /// Open loop instead: requests per second at each level, sent whatever the server does; inf sends all at once
    #[arg(long, value_delimiter = ',', value_name = "R,…")]
    pub(crate) request_rate: Vec<f64>,
    /// Spread of the gaps between arrivals: 1 is Poisson, less clusters, more evens out, inf is a constant gap
    #[arg(long, value_name = "B", default_value_t = 1.0)]
    pub(crate) burstiness: f64,
    /// One open-loop level whose rate moves from --ramp-up-start-rps to --ramp-up-end-rps within --benchmark-duration
    #[arg(long, value_enum, conflicts_with = "request_rate",
        requires_all = ["ramp_up_start_rps", "ramp_up_end_rps", "benchmark_duration"])]
    pub(crate) ramp_up_strategy: Option<RampUp>,
    /// Requests per second at the beginning of the ramp
    #[arg(long, value_name = "R", requires = "ramp_up_strategy")]
    pub(crate) ramp_up_start_rps: Option<f64>,
    /// Requests per second at the end of the ramp
    #[arg(long, value_name = "R", requires = "ramp_up_strategy")]
    pub(crate) ramp_up_end_rps: Option<f64>,
    /// Replay recorded traffic, times and lengths: Mooncake's JSON Lines or Azure's CSV
    #[arg(long, value_name = "FILE", conflicts_with_all = ["request_rate", "ramp_up_strategy", "workload", "isl", "isl_stddev", "dataset", "osl", "osl_stddev"])]
    pub(crate) trace: Option<PathBuf>,
    /// How much faster than recorded
    #[arg(long, value_name = "X", default_value_t = 1.0, requires = "trace")]
    pub(crate) trace_speed: f64,
    /// Requests measured at each level [default: 4 per slot and at least 10; simulated: 2 per slot and at least 4; with
    /// --request-rate: those of 60 seconds]
    #[arg(long, visible_alias = "num-prompts", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) request_count: Option<u64>,
    /// Measure at each level for this long; with --request-count, whichever is first
    #[arg(long, value_name = "S")]
    pub(crate) benchmark_duration: Option<f64>,
    /// Warm-up requests at each level, with a tenth of the output length [default: one per slot; with --request-rate:
    /// those of 10 seconds but at most a quarter of the measured ones, with the whole output length]
    #[arg(long, visible_alias = "num-warmups")]
    pub(crate) warmup_request_count: Option<u64>,
    /// API that is called
    #[arg(long, value_enum, default_value_t = EndpointType::Chat)]
    pub(crate) endpoint_type: EndpointType,
    /// Whether tokens are sent as they are made; without, there is no TTFT and no TPOT
    #[arg(long, num_args = 0..=1, default_value_t = true, default_missing_value = "true", value_name = "BOOL", action = clap::ArgAction::Set)]
    pub(crate) streaming: bool,
    /// What is sent
    #[arg(long, value_enum, default_value_t = WorkloadKind::Translation)]
    pub(crate) workload: WorkloadKind,
    /// Tokens of every prompt, chat template included: prompts are made of words, as many as the server's own count asks
    /// for [default: those of the workload]
    #[arg(long, visible_alias = "input-len", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) isl: Option<u32>,
    /// Standard deviation of --isl
    #[arg(long, value_name = "N")]
    pub(crate) isl_stddev: Option<f64>,
    /// Tokens that all prompts of the run begin with: a system prompt, which the server may cache
    #[arg(
        long,
        visible_alias = "random-prefix-len",
        value_name = "N",
        default_value_t = 0
    )]
    pub(crate) shared_prefix_tokens: u32,
    /// Prompts of your own: JSON Lines with "prompt" or "messages", ShareGPT JSON, or CSV with a column "prompt"
    #[arg(long, visible_alias = "dataset-path", value_name = "FILE", conflicts_with_all = ["workload", "isl", "isl_stddev", "shared_prefix_tokens"])]
    pub(crate) dataset: Option<PathBuf>,
    /// Output tokens asked of every request [default: 100, or those of the workload]
    #[arg(long, visible_alias = "output-len", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) osl: Option<u32>,
    /// Standard deviation of --osl
    #[arg(long, value_name = "N")]
    pub(crate) osl_stddev: Option<f64>,
    /// Whether to make the server generate exactly --osl tokens [default: as far as the recognised engine can]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) ignore_eos: Option<bool>,
    /// Fields merged into every request body, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) extra_body: Option<String>,
    /// Header sent with every request, "Name: value"; repeatable. A bearer key is read from OPENAI_API_KEY instead
    #[arg(long, value_name = "HEADER")]
    pub(crate) header: Vec<String>,
    /// Servers after the first; from --url
    #[arg(skip)]
    pub(crate) replicas: Vec<String>,
    /// Authority that vouches for an https server, as PEM file [default: those of the system]
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Take any certificate of an https server
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Deadline of one request
    #[arg(long, default_value_t = 600, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) request_timeout_seconds: u64,
    /// Seed of prompts; the same seed sends the same prompts, which a server may have cached [default: from the clock]
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Print what would be sent and when, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Finish a run that was cut off: run the levels that are missing, with the run's own settings. Headers have to be
    /// given again; nothing else can be
    #[arg(long, value_name = "RUN", conflicts_with_all = ["model", "concurrency", "request_rate", "burstiness",
        "ramp_up_strategy", "trace", "request_count", "benchmark_duration", "warmup_request_count", "endpoint_type", "streaming",
        "workload", "isl", "isl_stddev", "shared_prefix_tokens", "dataset", "osl", "osl_stddev", "ignore_eos", "extra_body",
        "request_timeout_seconds", "seed", "dry_run", "result_dir", "run_id"])]
    pub(crate) resume: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// Which API is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EndpointType {
    /// /v1/chat/completions
    Chat,
    /// /v1/completions
    Completions,
}

/// What is sent. Lengths are mean ± standard deviation in tokens, and planning figures of ours: measure your own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WorkloadKind {
    /// Sentences to translate, about 40 tokens in; 100 out
    Translation,
    /// Dialogue: 512 ± 256 in, 256 ± 128 out
    Chat,
    /// Questions about retrieved text: 4096 ± 1024 in, 256 ± 128 out
    Rag,
    /// Completing source code: 2048 ± 1024 in, 512 ± 256 out
    Code,
}

/// How a rate moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RampUp {
    /// By equal differences
    Linear,
    /// By equal ratios
    Exponential,
}

/// What to watch meanwhile.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TelemetryArgs {
    /// Where GPUs are read: "local", "none", or addresses of dcgm-exporter, AMD's device-metrics-exporter or
    /// `gpumon --serve`, such as gpu-host:9400 [default: local]
    #[arg(long, value_name = "URL", num_args = 1.., value_delimiter = ',')]
    pub(crate) gpu_telemetry: Vec<String>,
    /// Only GPUs whose id begins so, such as GPU-604ac76c; repeatable
    #[arg(long, value_name = "UUID", value_delimiter = ',')]
    pub(crate) gpu_uuid: Vec<String>,
    /// Where the engine's /metrics are, if not at the server itself
    #[arg(long, value_name = "URL")]
    pub(crate) server_metrics: Option<String>,
}

/// What to do with the readings.
#[derive(Debug, Args)]
pub(crate) struct GpumonArgs {
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
    /// Time between readings
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    pub(crate) interval_ms: u64,
    /// End after this long [default: at Ctrl-C]
    #[arg(long, value_name = "S")]
    pub(crate) duration_seconds: Option<u64>,
    /// Answer on this address, such as 0.0.0.0:9400; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) serve: Option<std::net::SocketAddr>,
    /// Append every reading to this file, as JSON Lines
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Play a file that was recorded, or the gpu.jsonl of a run, instead of reading GPUs
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gpu_telemetry", "gpu_uuid"])]
    pub(crate) replay: Option<PathBuf>,
    /// Add a log that nvidia-smi or amd-smi wrote as CSV during the run to that run's GPU readings, and end
    #[arg(long, value_name = "CSV", requires = "into")]
    pub(crate) import: Option<PathBuf>,
    /// The run folder for --import
    #[arg(long, value_name = "RUN", requires = "import")]
    pub(crate) into: Option<PathBuf>,
    /// How far the clock in the log is ahead of UTC, such as 9 for Korea
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 0.0,
        requires = "import",
        allow_negative_numbers = true
    )]
    pub(crate) utc_offset_hours: f64,
    /// Print one JSON document on stdout, as soon as it runs, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
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
    /// Let something go wrong; repeatable. NAME[=VALUE][,KEY=VALUE]…[@PROBABILITY], such as stall=5s,after=10@0.1; a request asks
    /// for the same with the header x-sim-fault. Names: refuse, delay-accept, reset-before-head, reset-after-head, status, stall, cut,
    /// error-in-200, malformed, giant, drip, no-usage, duplicate-usage, wrong-counts, crlf, tokens-per-chunk
    #[arg(long, value_name = "FAULT")]
    pub(crate) fault: Vec<simserver::FaultRule>,
    /// Seed of what the faults strike: the same requests, by their numbers, every time
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) fault_seed: u64,
    /// Names in /metrics: those of vLLM 0.11.2, or those up to 0.9.1
    #[arg(long, value_enum, default_value_t = MetricNames::Current)]
    pub(crate) metric_names: MetricNames,
    /// Print on stderr what this version of vLLM logs when it starts
    #[arg(long, value_enum, value_name = "VERSION")]
    pub(crate) start_log: Option<StartLog>,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

/// Generations of vLLM's names of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MetricNames {
    /// `kv_cache_usage_perc`, `inter_token_latency_seconds`
    Current,
    /// `gpu_cache_usage_perc`, `time_per_output_token_seconds`
    Old,
}

/// Versions of vLLM whose start-up log is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StartLog {
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

#[derive(Debug, Args)]
pub(crate) struct OverheadArgs {
    /// Streams at once, level by level
    #[arg(long, visible_alias = "concurrency", value_delimiter = ',', value_name = "N,…",
        default_values_t = [1, 16, 64, 256, 1000, 4000], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) streams: Vec<u32>,
    /// Folder in which overhead-HOST.json is written
    #[arg(long, default_value = "results", value_name = "DIR")]
    pub(crate) result_dir: PathBuf,
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
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SizeArgs {
    #[command(subcommand)]
    pub(crate) command: Option<crate::size::SizeCommand>,
    #[command(flatten)]
    pub(crate) plan: crate::size::PlanArgs,
}
