//! Flags of the search for the capacity.

use bench::settings::SearchSettings;
use clap::Args;

use super::values;

/// Search for the capacity.
#[derive(Clone, Debug, Args)]
pub(crate) struct SearchArgs {
    /// Look for the largest load that meets --goodput, level by level, instead of running given levels: a concurrency,
    /// beginning at --concurrency [default: 8], or a rate, beginning at --request-rate. Each level measures --request-count
    /// or --benchmark-duration [default: 10 requests per slot, or 60 seconds of a rate], or several times as much where
    /// that narrows the interval
    #[arg(long, requires = "goodput", conflicts_with_all = ["ramp_up_strategy", "stages", "trace", "dry_run", "num_runs", "level_order", "stop_when"])]
    pub(super) find_capacity: bool,
    /// Stop the search when the interval of the capacity is this narrow, in percent of it
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = values::share, requires = "find_capacity")]
    capacity_tolerance: f64,
    /// Stop the search when as many requests, warm-up included, have been sent
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..), requires = "find_capacity")]
    capacity_budget: u64,
}

impl SearchArgs {
    /// Settings of the search; `None` where none is asked for.
    pub(super) fn settings(&self) -> Option<SearchSettings> {
        let search = SearchSettings { tolerance: self.capacity_tolerance, requests_max: self.capacity_budget };
        self.find_capacity.then_some(search)
    }
}
