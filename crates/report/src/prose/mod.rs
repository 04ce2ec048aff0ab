//! Sentences: what was found, what it means for whoever runs the server, and on which figures that rests.
//!
//! Sentences come from the catalogue; figures come from the summary. Nothing here decides what is a finding (that is
//! `analysis`) or how a sentence is set (that is a template).

pub(crate) mod caption;
pub(crate) mod deviation;
pub(crate) mod failure;
pub(crate) mod finding;
pub(crate) mod goodput;
pub(crate) mod performance;
pub(crate) mod plan;
pub(crate) mod sizing;
pub(crate) mod verdict;

use analysis::{Distribution, LevelSummary, Limits, Peak, SloStatistic, Summary};

use crate::language::Words;

/// Measured requests of all levels by their ends; those that the client gave up itself do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    pub(crate) completed: u64,
    pub(crate) measured: u64,
    pub(crate) failed: u64,
}

impl Completion {
    /// Of a run; `None` when nothing was measured.
    pub(crate) fn of(summary: &Summary) -> Option<Self> {
        let requests = || summary.levels.iter().map(|level| level.requests);
        let measured = requests().map(|r| r.measured - r.cancelled.min(r.measured));
        let of_all = Self {
            completed: requests().map(|r| r.completed).sum(),
            measured: measured.sum(),
            failed: requests().map(|r| r.failed).sum(),
        };
        (of_all.measured > 0).then_some(of_all)
    }

    /// Share that completed, 0 to 1.
    pub(crate) fn share(self) -> f64 {
        self.completed as f64 / self.measured as f64
    }
}

/// The level that was run with this concurrency.
pub(crate) fn level_at(summary: &Summary, concurrency: u32) -> Option<&LevelSummary> {
    summary.levels.iter().find(|level| level.concurrency == concurrency)
}

/// Levels at which something completed, by concurrency.
pub(crate) fn usable_levels(summary: &Summary) -> Vec<&LevelSummary> {
    let mut levels: Vec<_> = summary.levels.iter().filter(|level| level.requests.completed > 0).collect();
    levels.sort_by_key(|level| level.concurrency);
    levels
}

/// The mean of a distribution that may be absent.
pub(crate) fn mean_of(distribution: Option<Distribution>) -> Option<f64> {
    distribution.map(|d| d.mean.value)
}

/// Key of a statistic's name.
pub(crate) fn statistic_key(statistic: SloStatistic) -> &'static str {
    match statistic {
        SloStatistic::P95 => "word.p95",
        _ => "word.mean",
    }
}

/// `2, 4 and 8`.
pub(crate) fn list(values: &[u32], words: &Words) -> String {
    let names: Vec<String> = values.iter().map(ToString::to_string).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{}{}{last}", others.join(", "), words.get("word.and")),
        None => String::new(),
    }
}

/// Levels above a fall in aggregate throughput that still give no more than the level before the fall.
pub(crate) fn in_the_valley(summary: &Summary, from: u32, from_tok_s: f64) -> Vec<u32> {
    usable_levels(summary)
        .into_iter()
        .filter(|level| level.concurrency > from)
        .take_while(|level| level.output_tok_s.is_some_and(|total| total <= from_tok_s * 1.02))
        .map(|level| level.concurrency)
        .collect()
}

/// `vLLM 0.11.2`, as far as it is known.
pub(crate) fn engine_name(summary: &Summary) -> Option<String> {
    summary.run.engine.clone().map(|id| records::Engine::from(id).label().to_owned())
}

/// Whether one request is fastest at that level too: batching gains nothing, so the level is no advice for batch jobs.
pub(crate) fn is_also_fastest(limits: &Limits, peak: Peak) -> bool {
    limits.peak_per_request.map(|single| single.concurrency) == Some(peak.concurrency)
}
