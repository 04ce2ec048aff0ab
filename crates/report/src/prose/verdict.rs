//! The verdict: the few sentences that a reader in a hurry takes away.

use analysis::{Estimate, FindingKind, LevelSummary, Summary};

use super::{Completion, failure, level_at, usable_levels};
use crate::{
    language::Words,
    number::{Figures, count, figure, mean_only, per_second, percent, percent_range},
};

/// The verdict, sentence by sentence.
pub(crate) fn sentences(summary: &Summary, words: &Words, figures: Figures) -> Vec<String> {
    if usable_levels(summary).is_empty() {
        return vec![words.get("verdict.nothing")];
    }
    [
        Some(stability(summary, words)),
        failures(summary, words),
        Some(peak(summary, words, figures)),
        growth(summary, words),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn stability(summary: &Summary, words: &Words) -> String {
    let tested = summary.limits.largest_tested.unwrap_or_default();
    let Some(stable) = summary.limits.largest_stable else {
        return words.say("verdict.stable_none", &[("tested", &count(tested))]);
    };
    let level = level_at(summary, stable);
    let n = level.map_or(0, |level| level.requests.completed);
    let low = level.and_then(|level| level.success_rate?.low).map_or_else(|| crate::number::ABSENT.into(), percent);
    let values = [("c", &*count(stable)), ("tested", &*count(tested)), ("n", &*count(n)), ("low", &*low)];
    let key = if stable == tested { "verdict.stable_all" } else { "verdict.stable_some" };
    words.say(key, &values)
}

/// What did complete, and what mostly kept the rest from it.
fn failures(summary: &Summary, words: &Words) -> Option<String> {
    let all = Completion::of(summary).filter(|all| all.completed < all.measured)?;
    let rates = summary.levels.iter();
    let rates = rates.filter_map(|level| Some(level.success_rate?.value));
    let completed = words.say(
        "verdict.completed",
        &[("completed", &count(all.completed)), ("measured", &count(all.measured)), ("range", &percent_range(rates))],
    );
    let Some(cause) = failure::most_frequent(summary.levels.iter()) else {
        return Some(completed);
    };
    let described = failure::described(cause.kind, cause.example, words);
    let key = if cause.count == all.failed { "verdict.only_cause" } else { "verdict.cause" };
    let values = [("count", &*count(cause.count)), ("failed", &*count(all.failed)), ("failure", &*described)];
    Some(format!("{completed} {}", words.say(key, &values)))
}

fn peak(summary: &Summary, words: &Words, figures: Figures) -> String {
    let peak = summary.limits.peak_output;
    let Some((peak, level)) = peak.and_then(|p| Some((p, level_at(summary, p.concurrency)?))) else {
        return most_requests(summary, words, figures).unwrap_or_else(|| words.get("verdict.no_valid_level"));
    };
    let e2el = mean_e2el(level);
    // A level that is not valid may show more: said, so that the table does not seem to contradict.
    let more = |level: &&LevelSummary| level.output_tok_s > Some(peak.tok_s);
    let key = if usable_levels(summary).iter().any(more) { "verdict.peak_of_valid" } else { "verdict.peak" };
    words.say(
        key,
        &[
            ("c", &count(peak.concurrency)),
            ("total", &figure(peak.tok_s)),
            ("single", &mean_only(level.per_request_tok_s)),
            ("e2el", &figures.time_estimate(e2el)),
        ],
    )
}

/// Where no output is asked for (embeddings): the valid level with most requests per second.
fn most_requests(summary: &Summary, words: &Words, figures: Figures) -> Option<String> {
    let without_output = |level: &&LevelSummary| level.invalid.is_empty() && level.output_tok_s.is_none();
    let levels = summary.levels.iter().filter(without_output);
    let most = levels.max_by(|a, b| a.requests_per_s.total_cmp(&b.requests_per_s))?;
    let values = [
        ("c", &*count(most.concurrency)),
        ("rate", &*per_second(most.requests_per_s)),
        ("e2el", &*figures.time_estimate(mean_e2el(most))),
    ];
    Some(words.say("verdict.peak_requests", &values))
}

fn mean_e2el(level: &LevelSummary) -> Estimate {
    let unknown = Estimate { value: f64::NAN, low: None, high: None };
    level.e2el_ms.map_or(unknown, |e2el| e2el.mean)
}

fn growth(summary: &Summary, words: &Words) -> Option<String> {
    let peak_at = summary.limits.peak_output?.concurrency;
    let still = summary
        .findings
        .iter()
        .any(|finding| matches!(finding.what, FindingKind::StillGrowing { concurrency, .. } if concurrency == peak_at));
    if still {
        return Some(words.get("verdict.still_growing"));
    }
    let from = summary.limits.saturation?;
    Some(words.say("verdict.saturated", &[("c", &count(from))]))
}
