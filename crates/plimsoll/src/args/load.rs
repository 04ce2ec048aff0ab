//! Flags of the load, and the settings that all flags of a measurement stand for.

use std::path::PathBuf;

use bench::{
    Secrets, Settings,
    settings::{
        Arrivals, ConnectionSettings, Endpoint, IN_FLIGHT_MAX_DEFAULT, LoadSettings, Number, Prompts, RampShape,
        TargetSettings, WorkSettings,
    },
};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use super::{
    connection::ConnectionArgs,
    headers::{headers, names},
    search::SearchArgs,
    series::SeriesArgs,
    session::SessionArgs,
    stages::StageArgs,
    stop::StopArgs,
    telemetry::TelemetryArgs,
    values,
};
use crate::exit::{self, Exit};

/// Flags of a measurement.
#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    /// Model to ask for; without it, the first that /v1/models lists
    #[arg(long, short)]
    model: Option<String>,
    /// Requests kept in flight at each level [default: 1,2,4,8,16,32,48,64]; with --request-rate, one number: the most
    /// in flight, beyond which requests are sent late [default: 10000]
    #[arg(long, visible_alias = "max-concurrency", value_delimiter = ',', value_name = "N,…",
        value_parser = clap::value_parser!(u32).range(1..=100_000))]
    concurrency: Vec<u32>,
    /// Open loop instead: requests per second at each level, sent whatever the server does; inf sends all at once
    #[arg(long, value_delimiter = ',', value_name = "R,…")]
    request_rate: Vec<f64>,
    /// Spread of the gaps between arrivals: 1 is Poisson, less clusters, more evens out, inf is a constant gap
    #[arg(long, value_name = "B", default_value_t = 1.0)]
    burstiness: f64,
    /// One open-loop level whose rate moves from --ramp-up-start-rps to --ramp-up-end-rps within --benchmark-duration
    #[arg(long, value_enum, conflicts_with = "request_rate",
        requires_all = ["ramp_up_start_rps", "ramp_up_end_rps", "benchmark_duration"])]
    ramp_up_strategy: Option<RampUp>,
    /// Requests per second at the beginning of the ramp
    #[arg(long, value_name = "R", requires = "ramp_up_strategy")]
    ramp_up_start_rps: Option<f64>,
    /// Requests per second at the end of the ramp
    #[arg(long, value_name = "R", requires = "ramp_up_strategy")]
    ramp_up_end_rps: Option<f64>,
    /// Replay recorded traffic, times and lengths: Mooncake's JSON Lines or Azure's CSV
    #[arg(long, value_name = "FILE", conflicts_with_all = ["request_rate", "ramp_up_strategy", "workload", "isl", "isl_stddev", "dataset", "osl", "osl_stddev"])]
    trace: Option<PathBuf>,
    /// How much faster than recorded
    #[arg(long, value_name = "X", default_value_t = 1.0, requires = "trace")]
    trace_speed: f64,
    /// Requests measured at each level [default: 4 per slot and at least 10; simulated: 2 per slot and at least 4; with
    /// --request-rate: those of 60 seconds]
    #[arg(long, visible_alias = "num-prompts", value_parser = clap::value_parser!(u64).range(1..))]
    request_count: Option<u64>,
    /// Measure at each level for this long; with --request-count, whichever is first
    #[arg(long, value_name = "S", value_parser = values::positive)]
    benchmark_duration: Option<f64>,
    /// Warm-up requests at each level, with a tenth of the output length [default: one per slot; with --request-rate:
    /// those of 10 seconds but at most a quarter of the measured ones, with the whole output length]
    #[arg(long, visible_alias = "num-warmups")]
    warmup_request_count: Option<u64>,
    /// API that is called
    #[arg(long, value_enum, default_value_t = EndpointType::Chat)]
    endpoint_type: EndpointType,
    /// Whether tokens are sent as they are made; without, there is no TTFT and no TPOT
    #[arg(long, num_args = 0..=1, default_value_t = true, default_missing_value = "true", value_name = "BOOL", action = clap::ArgAction::Set)]
    streaming: bool,
    /// What is sent
    #[arg(long, value_enum, default_value_t = WorkloadKind::Translation)]
    workload: WorkloadKind,
    /// Tokens of every prompt, chat template included: prompts are made of words, as many as the server's own count asks
    /// for [default: those of the workload]
    #[arg(long, visible_alias = "input-len", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    isl: Option<u32>,
    /// Standard deviation of --isl
    #[arg(long, value_name = "N", value_parser = values::spread)]
    isl_stddev: Option<f64>,
    /// Tokens that all prompts of the run begin with: a system prompt, which the server may cache
    #[arg(long, visible_alias = "random-prefix-len", value_name = "N", default_value_t = 0)]
    shared_prefix_tokens: u32,
    /// Prompts of your own: JSON Lines with "prompt" or "messages", ShareGPT JSON, or CSV with a column "prompt"
    #[arg(long, visible_alias = "dataset-path", value_name = "FILE", conflicts_with_all = ["workload", "isl", "isl_stddev", "shared_prefix_tokens"])]
    dataset: Option<PathBuf>,
    /// Output tokens asked of every request [default: 100, or those of the workload]
    #[arg(long, visible_alias = "output-len", value_parser = clap::value_parser!(u32).range(1..))]
    osl: Option<u32>,
    /// Standard deviation of --osl
    #[arg(long, value_name = "N", value_parser = values::spread)]
    osl_stddev: Option<f64>,
    /// Whether to make the server generate exactly --osl tokens [default: as far as the recognised engine can]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    ignore_eos: Option<bool>,
    /// Fields merged into every request body, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = values::object)]
    extra_body: Option<Map<String, Value>>,
    /// Header sent with every request, "Name: value"; repeatable. A bearer key is read from OPENAI_API_KEY instead
    #[arg(long, value_name = "HEADER")]
    header: Vec<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// Deadline of one request
    #[arg(long, default_value_t = 600, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    request_timeout_seconds: u64,
    /// Seed of prompts; the same seed sends the same prompts, which a server may have cached [default: from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// Print what would be sent and when, and send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Finish a run that was cut off: run the levels that are missing, with the run's own settings. Headers have to be
    /// given again, and --url may name another address; other flags of the load are refused
    #[arg(long, value_name = "RUN")]
    pub(crate) resume: Option<PathBuf>,
    #[command(flatten)]
    stages: StageArgs,
    #[command(flatten)]
    session: SessionArgs,
    #[command(flatten)]
    stop: StopArgs,
    #[command(flatten)]
    series: SeriesArgs,
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// Which API is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EndpointType {
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
enum WorkloadKind {
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
enum RampUp {
    /// By equal differences
    Linear,
    /// By equal ratios
    Exponential,
}

/// Concurrency at which a search begins unless told otherwise.
const SEARCH_FIRST_CONCURRENCY: u32 = 8;

impl LoadArgs {
    /// The settings that the flags stand for, for the servers at `urls`.
    pub(crate) fn settings(&self, urls: &[String]) -> anyhow::Result<Settings> {
        Ok(Settings {
            target: TargetSettings {
                url: urls.first().cloned().unwrap_or_default(),
                replicas: urls.iter().skip(1).cloned().collect(),
                model: self.model.clone(),
                simulated_profile: None,
            },
            load: LoadSettings {
                arrivals: self.arrivals()?,
                requests: self.request_count,
                duration_s: self.benchmark_duration,
                warmup_requests: self.warmup_request_count,
                seed: self.seed,
                ..LoadSettings::default()
            },
            work: self.work(),
            connection: ConnectionSettings {
                headers: names(&self.header),
                ca_cert: self.connection.ca_cert.clone(),
                insecure: self.connection.insecure,
                http2: self.connection.http2,
                request_timeout_s: self.request_timeout_seconds,
                ..ConnectionSettings::default()
            },
            telemetry: (&self.telemetry).into(),
            stop: self.stop.settings(),
            search: self.search.settings(),
            series: (&self.series).into(),
            ..Settings::default()
        })
    }

    /// The headers that the flags give.
    pub(crate) fn secrets(&self) -> anyhow::Result<Secrets> {
        let given = headers("--header", &self.header)?;
        let secrets = given.iter().fold(Secrets::default(), |secrets, (name, value)| secrets.with_header(name, value));
        self.telemetry.add_to(secrets)
    }

    fn arrivals(&self) -> anyhow::Result<Arrivals> {
        let burstiness = Number(self.burstiness);
        if let (Some(shape), Some(from_per_second), Some(to_per_second)) =
            (self.ramp_up_strategy, self.ramp_up_start_rps, self.ramp_up_end_rps)
        {
            let shape = match shape {
                RampUp::Linear => RampShape::Linear,
                RampUp::Exponential => RampShape::Exponential,
            };
            let in_flight_max = self.in_flight_max()?;
            return Ok(Arrivals::Ramp { shape, from_per_second, to_per_second, burstiness, in_flight_max });
        }
        if let Some(file) = self.trace.clone() {
            return Ok(Arrivals::Trace { file, speed: self.trace_speed, in_flight_max: self.in_flight_max()? });
        }
        if !self.stages.stages.is_empty() {
            let stages = self.stages.stages.clone();
            return Ok(Arrivals::Stages { stages, burstiness, in_flight_max: self.in_flight_max()? });
        }
        if !self.request_rate.is_empty() {
            let per_second = self.request_rate.iter().copied().map(Number).collect();
            return Ok(Arrivals::Rate { per_second, burstiness, in_flight_max: self.in_flight_max()? });
        }
        Ok(match &self.concurrency[..] {
            [] if self.search.find_capacity => Arrivals::Concurrency { levels: vec![SEARCH_FIRST_CONCURRENCY] },
            [] => Arrivals::default(),
            levels => Arrivals::Concurrency { levels: levels.to_vec() },
        })
    }

    /// Requests in flight at most in an open loop.
    fn in_flight_max(&self) -> anyhow::Result<u32> {
        match self.concurrency[..] {
            [] => Ok(IN_FLIGHT_MAX_DEFAULT),
            [most] => Ok(most),
            _ => Err(exit::error(
                Exit::Usage,
                "cannot use --concurrency: in an open loop it is the most in flight, so one number\nhint: name several rates instead",
            )),
        }
    }

    fn work(&self) -> WorkSettings {
        let prompts = match self.workload {
            WorkloadKind::Translation => Prompts::Translation,
            WorkloadKind::Chat => Prompts::Chat,
            WorkloadKind::Rag => Prompts::Rag,
            WorkloadKind::Code => Prompts::Code,
        };
        WorkSettings {
            endpoint: match self.endpoint_type {
                EndpointType::Chat => Endpoint::Chat,
                EndpointType::Completions => Endpoint::Completions,
                EndpointType::Responses => Endpoint::Responses,
                EndpointType::Embeddings => Endpoint::Embeddings,
            },
            streaming: self.streaming,
            prompts: self.dataset.clone().map_or(prompts, |file| Prompts::Dataset { file }),
            isl: self.isl,
            isl_stddev: self.isl_stddev,
            shared_prefix_tokens: self.shared_prefix_tokens,
            osl: self.osl,
            osl_stddev: self.osl_stddev,
            ignore_eos: self.ignore_eos,
            extra_body: self.extra_body.clone().unwrap_or_default(),
            conversations: self.session.conversations(),
            retries: self.session.retries,
        }
    }
}
