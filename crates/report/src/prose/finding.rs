//! Findings as sentences, each with the figures that prove it. Findings of one kind at several levels are one sentence
//! that names the levels and the range of the figures.

mod of_levels;
mod resources;
mod sample;

use std::mem::discriminant;

use analysis::{FindingKind, Severity, Summary};

use super::{in_the_valley, list};
use crate::{
    language::Words,
    number::{Figures, change, count, figure, number, percent},
};

/// A finding in words, over all levels that it was made at.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) severity: Severity,
    /// Name of the severity.
    pub(crate) label: String,
    pub(crate) text: String,
}

/// What a sentence is written from.
#[derive(Clone, Copy)]
struct Pen<'a> {
    summary: &'a Summary,
    words: &'a Words,
    figures: Figures,
}

/// All findings in words, in their order; those of one kind stand where the first of them does.
pub(crate) fn all(summary: &Summary, words: &Words, figures: Figures) -> Vec<Told> {
    let pen = Pen { summary, words, figures };
    let mut groups: Vec<(Severity, Vec<&FindingKind>)> = Vec::new();
    for finding in &summary.findings {
        let belongs = |(severity, kinds): &&mut (Severity, Vec<&FindingKind>)| {
            *severity == finding.severity && kinds.iter().all(|kind| alike(kind, &finding.what))
        };
        match groups.iter_mut().find(belongs) {
            Some((_, kinds)) => kinds.push(&finding.what),
            None => groups.push((finding.severity, vec![&finding.what])),
        }
    }
    groups
        .into_iter()
        .map(|(severity, kinds)| Told {
            severity,
            label: words.get(match severity {
                Severity::Problem => "word.problem",
                Severity::Warning => "word.warning",
                Severity::Insight => "word.insight",
                Severity::Note => "word.note",
            }),
            text: sentence(&kinds, pen),
        })
        .collect()
}

/// Whether two findings are one sentence.
fn alike(a: &FindingKind, b: &FindingKind) -> bool {
    let metric = |kind: &FindingKind| match kind {
        FindingKind::Disagreement { metric: which, .. }
        | FindingKind::LongTail { metric: which, .. }
        | FindingKind::TtftQueued { place: which, .. }
        | FindingKind::Throttled { cause: which, .. } => Some(which.clone()),
        _ => None,
    };
    discriminant(a) == discriminant(b) && metric(a) == metric(b)
}

fn sentence(kinds: &[&FindingKind], pen: Pen<'_>) -> String {
    let told = of_levels::sentence(kinds, pen)
        .or_else(|| sample::sentence(kinds, pen))
        .or_else(|| resources::sentence(kinds, pen));
    if let Some(text) = told {
        return text;
    }
    let texts = kinds.iter().map(|what| throughput(what, pen).unwrap_or_else(|| conditions(what, pen.words)));
    texts.collect::<Vec<_>>().join(" ")
}

fn throughput(what: &FindingKind, pen: Pen<'_>) -> Option<String> {
    let words = pen.words;
    Some(match what {
        FindingKind::AggregateVersusPerRequest {
            aggregate_at,
            aggregate_tok_s,
            per_request_at,
            aggregate_there_tok_s,
        } => words.say(
            "finding.two_throughputs",
            &[
                ("total_at", &count(*aggregate_at)),
                ("total", &figure(*aggregate_tok_s)),
                ("single_at", &count(*per_request_at)),
                ("total_there", &figure(*aggregate_there_tok_s)),
                ("ratio", &number(aggregate_tok_s / aggregate_there_tok_s, 1)),
            ],
        ),
        FindingKind::StillGrowing { concurrency, growth_percent } => words
            .say("finding.still_growing", &[("c", &count(*concurrency)), ("growth", &percent(growth_percent / 100.0))]),
        FindingKind::BeyondPrintedConcurrency { concurrency, printed, assumed_tokens, actual_tokens } => words.say(
            "finding.beyond_printed",
            &[
                ("c", &count(*concurrency)),
                ("printed", &number(*printed, 2)),
                ("assumed", &count(*assumed_tokens)),
                ("actual", &number(*actual_tokens, 0)),
            ],
        ),
        _ => return None,
    })
}

/// Falls of throughput: every step with its figures, then the usual cause, then what follows for operation.
fn falls(steps: &[(u32, u32, f64, f64)], pen: Pen<'_>) -> String {
    let words = pen.words;
    let mut sentences: Vec<String> = steps
        .iter()
        .map(|&(from, to, from_tok_s, to_tok_s)| {
            words.say(
                "finding.cliff",
                &[
                    ("from", &count(from)),
                    ("to", &count(to)),
                    ("from_tok_s", &figure(from_tok_s)),
                    ("to_tok_s", &figure(to_tok_s)),
                    ("change", &change(from_tok_s, to_tok_s)),
                ],
            )
        })
        .collect();
    sentences.push(words.get(if steps.iter().all(|step| step.0 == 1) {
        "finding.cliff_single"
    } else {
        "finding.cliff_loaded"
    }));
    for &(from, _, from_tok_s, _) in steps {
        let valley = in_the_valley(pen.summary, from, from_tok_s);
        if !valley.is_empty() {
            let values = [("levels", &*list(&valley, words)), ("from", &*count(from))];
            sentences.push(words.say("finding.valley", &values));
        }
    }
    sentences.join(" ")
}

/// The name of a metric that has a client's and a server's account.
pub(crate) fn metric_name(metric: &str, words: &Words) -> String {
    metric.parse().map_or_else(|_| metric.to_owned(), |metric| words.metric(metric))
}

fn conditions(what: &FindingKind, words: &Words) -> String {
    match what {
        FindingKind::Incomplete { reason } => {
            words.say("finding.incomplete", &[("reason", &end_reason(reason, words))])
        }
        FindingKind::FewSamples { concurrencies, n } => {
            words.say("finding.few_samples", &[("levels", &list(concurrencies, words)), ("n", &count(*n))])
        }
        FindingKind::DebugBuild => words.get("finding.debug_build"),
        FindingKind::NoGpuTelemetry => words.get("finding.no_gpu"),
        FindingKind::NoServerMetrics => words.get("finding.no_server_metrics"),
        // A kind newer than this crate: better named by its own field names than left out.
        other => format!("{other:?}"),
    }
}

/// Why the run ended early, in words; the part after the colon is the program's own message, verbatim.
pub(crate) fn end_reason(reason: &str, words: &Words) -> String {
    let (kind, message) = reason.split_once(": ").unwrap_or((reason, ""));
    let known = match kind {
        "interrupted" => words.get("ended.interrupted"),
        "killed" => words.get("ended.killed"),
        "server_lost" => words.get("ended.server_lost"),
        "failed" => words.get("ended.failed"),
        _ => return reason.to_owned(),
    };
    if message.is_empty() { known } else { format!("{known}: {message}") }
}
