//! Flags of the readings taken beside the load.

use bench::{Secrets, settings::TelemetrySettings};
use clap::Args;

use super::headers::{headers, names};

/// Sources of GPU and engine readings.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TelemetryArgs {
    /// Where GPUs are read: "local", "none", or addresses of dcgm-exporter, AMD's device-metrics-exporter or
    /// `gpumon --serve`, such as gpu-host:9400 [default: local]
    #[arg(long, value_name = "URL", num_args = 1.., value_delimiter = ',')]
    gpu_telemetry: Vec<String>,
    /// Only GPUs whose id begins so, such as GPU-604ac76c; repeatable
    #[arg(long, value_name = "UUID", value_delimiter = ',')]
    gpu_uuid: Vec<String>,
    /// Where the engine's /metrics are, if not at the server itself
    #[arg(long, value_name = "URL")]
    server_metrics: Option<String>,
    /// Header sent to the addresses of --gpu-telemetry and --server-metrics, "Name: value"; repeatable. A bearer key for them
    /// is read from PLIMSOLL_TELEMETRY_KEY instead
    #[arg(long, value_name = "HEADER")]
    telemetry_header: Vec<String>,
}

impl From<&TelemetryArgs> for TelemetrySettings {
    fn from(args: &TelemetryArgs) -> Self {
        Self {
            gpus: args.gpu_telemetry.clone(),
            gpu_uuids: args.gpu_uuid.clone(),
            server_metrics: args.server_metrics.clone(),
            headers: names(&args.telemetry_header),
            ..Self::default()
        }
    }
}

impl TelemetryArgs {
    /// Adds the headers of these flags to `secrets`.
    pub(crate) fn add_to(&self, secrets: Secrets) -> anyhow::Result<Secrets> {
        let given = headers("--telemetry-header", &self.telemetry_header)?;
        Ok(given.iter().fold(secrets, |secrets, (name, value)| secrets.with_telemetry_header(name, value)))
    }
}
