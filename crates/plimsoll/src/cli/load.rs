//! What can be typed about the load: how much of what is sent to which API.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ConnectionArgs, SessionArgs, StageArgs, TelemetryArgs};

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
    #[arg(long, visible_alias = "random-prefix-len", value_name = "N", default_value_t = 0)]
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
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
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
        "ramp_up_strategy", "stages", "trace", "request_count", "benchmark_duration", "warmup_request_count", "endpoint_type", "streaming",
        "workload", "isl", "isl_stddev", "shared_prefix_tokens", "dataset", "osl", "osl_stddev", "ignore_eos", "extra_body",
        "request_timeout_seconds", "seed", "num_runs", "level_order", "stop_when", "stop_min_requests", "session_turns",
        "retries", "dry_run", "find_capacity",
        "result_dir", "run_id"])]
    pub(crate) resume: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) stages: StageArgs,
    #[command(flatten)]
    pub(crate) session: SessionArgs,
    #[command(flatten)]
    pub(crate) stop: crate::stop_when::StopArgs,
    #[command(flatten)]
    pub(crate) series: crate::series::SeriesArgs,
    #[command(flatten)]
    pub(crate) search: crate::find_capacity::SearchArgs,
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
    /// /v1/responses; vLLM cannot be told there to go on past the end of the text
    Responses,
    /// /v1/embeddings: no tokens come out, so there is neither TTFT nor TPOT
    Embeddings,
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
