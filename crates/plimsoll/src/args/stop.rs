//! Flags of the rule that ends a level early.

use analysis::StopRule;
use bench::settings::StopSettings;
use clap::Args;

/// Rule that ends a level early.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct StopArgs {
    /// End a level as soon as the interval of this figure is as narrow as that on either side, in percent of it, such as
    /// "ttft_p95:5%" or "e2el:2%" (the mean): ttft, ttfo, tpot, e2el, e2el_from_intended or per_request_tok_s with mean,
    /// p50, p90, p95 or p99. At the latest it ends after --request-count or --benchmark-duration [default: 40 times the
    /// requests without this flag, or 10 minutes of an open loop]
    #[arg(long, value_name = "RULE")]
    stop_when: Option<StopRule>,
    /// Requests of each level before --stop-when looks for the first time [default: 50, and 8 per slot]
    #[arg(long, value_name = "N", requires = "stop_when", value_parser = clap::value_parser!(u64).range(2..))]
    stop_min_requests: Option<u64>,
}

impl StopArgs {
    /// Settings of the rule; `None` where none is given.
    pub(super) fn settings(&self) -> Option<StopSettings> {
        Some(StopSettings { rule: self.stop_when?, requests_min: self.stop_min_requests })
    }
}
