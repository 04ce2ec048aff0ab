//! What can be typed about what is watched meanwhile.

use std::path::PathBuf;

use clap::Args;

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
    /// Header sent to the addresses of --gpu-telemetry and --server-metrics, "Name: value"; repeatable. A bearer key for them
    /// is read from PLIMSOLL_TELEMETRY_KEY instead
    #[arg(long, value_name = "HEADER")]
    pub(crate) telemetry_header: Vec<String>,
}

/// What to do with the readings.
#[derive(Debug, Args)]
pub struct GpumonArgs {
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
    #[arg(long, value_name = "HOURS", default_value_t = 0.0, requires = "import", allow_negative_numbers = true)]
    pub(crate) utc_offset_hours: f64,
    /// Print one JSON document on stdout, as soon as it runs, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}
