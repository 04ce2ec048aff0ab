//! Flags of the commands that measure, and the settings that they stand for.
#![expect(clippy::doc_markdown, reason = "the terminal shows these comments as they stand")]
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the terminal shows these comments as they stand; only rustdoc knows this lint"
)]

mod connection;
mod headers;
mod load;
mod search;
mod series;
mod session;
mod stages;
mod stop;
mod telemetry;
mod values;

use std::path::PathBuf;

use bench::{Settings, settings::OutputSettings};
use clap::Args;

pub(crate) use self::{load::LoadArgs, telemetry::TelemetryArgs};
use crate::{judge::JudgeArgs, lang::Lang, plan::AskArgs, sim::DEFAULT_PROFILE};

/// Flags of `all`.
#[derive(Debug, Args)]
pub struct AllArgs {
    /// Server to measure, such as http://127.0.0.1:8000 or unix:/run/vllm.sock; without it, the simulated server.
    /// Several, by comma, share the load: slot k sends to the (k mod N)th, and telemetry watches the first
    #[arg(long, visible_alias = "base-url", value_delimiter = ',', value_name = "URL,…")]
    pub(crate) url: Vec<String>,
    /// Timing profile of the simulated server
    #[arg(long, default_value = DEFAULT_PROFILE, conflicts_with = "url")]
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

/// Place, language and form of the results.
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
    pub(crate) ask: AskArgs,
}

impl OutputArgs {
    /// Settings of the run folder's place.
    pub(crate) fn settings(&self) -> OutputSettings {
        OutputSettings { results: self.result_dir.clone(), run_id: self.run_id.clone() }
    }
}

/// Requests that a level of the simulated server measures: it is as slow as the real card and hardly scatters, so two
/// waves show all there is in two minutes.
const SIMULATED_REQUESTS_PER_SLOT: u64 = 2;
/// Least requests of such a level.
const SIMULATED_REQUESTS_MIN: u64 = 4;

/// Settings of `all`, which loads the simulated server where no other is named.
pub(crate) fn settings_of_all(args: &AllArgs) -> anyhow::Result<Settings> {
    let mut settings = args.load.settings(&args.url)?;
    if args.url.is_empty() {
        settings.target.simulated_profile = Some(args.profile.clone());
        settings.load.requests_per_slot = SIMULATED_REQUESTS_PER_SLOT;
        settings.load.requests_min = SIMULATED_REQUESTS_MIN;
    }
    Ok(settings)
}
