//! Flags of repeated runs.

use bench::settings::{self, SeriesSettings};
use clap::{Args, ValueEnum};

/// Repetitions of the whole sweep.
#[derive(Clone, Debug, Args)]
pub(crate) struct SeriesArgs {
    /// Run the whole sweep this often, with other prompts each time; a run folder for each, and joint documents with the
    /// mean over runs and its interval
    #[arg(long, visible_alias = "num-profile-runs", value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=100))]
    num_runs: u32,
    /// Order of the levels in each run
    #[arg(long, value_enum, default_value_t = LevelOrder::Interleaved)]
    level_order: LevelOrder,
}

/// Order of the levels in each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LevelOrder {
    /// As given, all levels in each run: 1,2,4,1,2,4
    Interleaved,
    /// Drawn by the seed, another one in each run
    Shuffled,
}

impl From<&SeriesArgs> for SeriesSettings {
    fn from(args: &SeriesArgs) -> Self {
        let level_order = match args.level_order {
            LevelOrder::Interleaved => settings::LevelOrder::Interleaved,
            LevelOrder::Shuffled => settings::LevelOrder::Shuffled,
        };
        Self { runs: args.num_runs, level_order }
    }
}
