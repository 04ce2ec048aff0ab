//! Findings about the samples themselves and about the law of throughput.

use analysis::FindingKind;

use super::{Pen, metric_name};
use crate::{
    number::{count, figure, number, percent},
    prose::list,
};

/// The sentence on findings of one kind; `None` for others.
pub(super) fn sentence(kinds: &[&FindingKind], pen: Pen<'_>) -> Option<String> {
    let words = pen.words;
    Some(match kinds.first()? {
        FindingKind::RegimeChange { before, from, measured_tok_s, law_tok_s } => words.say(
            "finding.regime",
            &[
                ("levels", &list(before, words)),
                ("from", &count(*from)),
                ("last", &list(before.get(before.len().saturating_sub(1)..)?, words)),
                ("measured", &figure(*measured_tok_s)),
                ("law", &figure(*law_tok_s)),
            ],
        ),
        FindingKind::NotSettled { .. } => {
            let levels = kinds.iter().filter_map(|kind| match kind {
                FindingKind::NotSettled { concurrency, .. } => Some(*concurrency),
                _ => None,
            });
            let levels: Vec<u32> = levels.collect();
            words.say("finding.not_settled", &[("levels", &list(&levels, words))])
        }
        FindingKind::LongTail { metric, .. } => {
            let tails = kinds.iter().filter_map(|kind| match kind {
                FindingKind::LongTail { concurrency, p50, p99, .. } => Some((*concurrency, p99 / p50)),
                _ => None,
            });
            let (levels, ratios): (Vec<u32>, Vec<f64>) = tails.unzip();
            let worst = ratios.into_iter().fold(0.0, f64::max);
            words.say(
                "finding.long_tail",
                &[
                    ("metric", &metric_name(metric, words)),
                    ("levels", &list(&levels, words)),
                    ("ratio", &number(worst, 1)),
                ],
            )
        }
        FindingKind::InStep { concurrencies, share } => {
            words.say("finding.in_step", &[("levels", &list(concurrencies, words)), ("share", &percent(*share))])
        }
        _ => return None,
    })
}
