//! The verdict: the few sentences that a reader in a hurry takes away.

use analysis::{Estimate, FindingKind, Summary};

use super::{level_at, usable_levels};
use crate::{
    language::Words,
    number::{Figures, count, figure, mean_only, percent},
};

/// The verdict, sentence by sentence.
pub(crate) fn sentences(summary: &Summary, words: &Words, figures: Figures) -> Vec<String> {
    if usable_levels(summary).is_empty() {
        return vec![words.get("verdict.nothing")];
    }
    [
        Some(stability(summary, words)),
        peak(summary, words, figures),
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
    let low = level
        .and_then(|level| level.success_rate?.low)
        .map_or_else(|| crate::number::ABSENT.into(), percent);
    let values = [
        ("c", &*count(stable)),
        ("tested", &*count(tested)),
        ("n", &*count(n)),
        ("low", &*low),
    ];
    let key = if stable == tested {
        "verdict.stable_all"
    } else {
        "verdict.stable_some"
    };
    words.say(key, &values)
}

fn peak(summary: &Summary, words: &Words, figures: Figures) -> Option<String> {
    let peak = summary.limits.peak_output?;
    let level = level_at(summary, peak.concurrency)?;
    let e2el = level.e2el_ms.map_or(
        Estimate {
            value: f64::NAN,
            low: None,
            high: None,
        },
        |d| d.mean,
    );
    Some(words.say(
        "verdict.peak",
        &[
            ("c", &count(peak.concurrency)),
            ("total", &figure(peak.tok_s)),
            ("single", &mean_only(level.per_request_tok_s)),
            ("e2el", &figures.time_estimate(e2el)),
        ],
    ))
}

fn growth(summary: &Summary, words: &Words) -> Option<String> {
    let still = summary
        .findings
        .iter()
        .any(|finding| matches!(finding.what, FindingKind::StillGrowing { .. }));
    if still {
        return Some(words.get("verdict.still_growing"));
    }
    let from = summary.limits.saturation?;
    Some(words.say("verdict.saturated", &[("c", &count(from))]))
}
