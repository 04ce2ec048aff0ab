//! Findings as sentences, each with the figures that prove it.

use analysis::{Finding, FindingKind, Severity, Summary};

use super::{in_the_valley, list};
use crate::{
    language::Words,
    number::{Figures, change, count, figure, number, percent},
};

/// The name of a severity.
pub(crate) fn severity(finding: &Finding, words: &Words) -> String {
    words.get(match finding.severity {
        Severity::Problem => "word.problem",
        Severity::Warning => "word.warning",
        Severity::Insight => "word.insight",
    })
}

/// The finding in words.
pub(crate) fn sentence(
    finding: &Finding,
    summary: &Summary,
    words: &Words,
    figures: Figures,
) -> String {
    let what = &finding.what;
    throughput(what, summary, words)
        .or_else(|| requests(what, words))
        .or_else(|| server(what, words, figures))
        .unwrap_or_else(|| conditions(what, words))
}

fn throughput(what: &FindingKind, summary: &Summary, words: &Words) -> Option<String> {
    Some(match what {
        FindingKind::ThroughputCliff {
            from,
            to,
            from_tok_s,
            to_tok_s,
        } => {
            let fall = words.say(
                "finding.cliff",
                &[
                    ("from", &count(*from)),
                    ("to", &count(*to)),
                    ("from_tok_s", &figure(*from_tok_s)),
                    ("to_tok_s", &figure(*to_tok_s)),
                    ("change", &change(*from_tok_s, *to_tok_s)),
                ],
            );
            let valley = in_the_valley(summary, *from, *from_tok_s);
            if valley.is_empty() {
                return Some(fall);
            }
            let rest = words.say(
                "finding.valley",
                &[("levels", &list(&valley, words)), ("from", &count(*from))],
            );
            format!("{fall} {rest}")
        }
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
        FindingKind::StillGrowing {
            concurrency,
            growth_percent,
        } => words.say(
            "finding.still_growing",
            &[
                ("c", &count(*concurrency)),
                ("growth", &percent(growth_percent / 100.0)),
            ],
        ),
        FindingKind::BeyondPrintedConcurrency {
            concurrency,
            printed,
            assumed_tokens,
            actual_tokens,
        } => words.say(
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

fn requests(what: &FindingKind, words: &Words) -> Option<String> {
    Some(match what {
        FindingKind::OutputLength {
            concurrency,
            asked,
            mean,
            short,
            completed,
        } => words.say(
            "finding.output_length",
            &[
                ("c", &count(*concurrency)),
                ("asked", &count(*asked)),
                ("mean", &figure(*mean)),
                ("short", &count(*short)),
                ("completed", &count(*completed)),
            ],
        ),
        FindingKind::Failures {
            concurrency,
            failed,
            measured,
            failure,
            example,
        } => {
            let values = [
                ("c", &*count(*concurrency)),
                ("failed", &*count(*failed)),
                ("measured", &*count(*measured)),
                ("failure", failure),
                ("example", example.as_deref().unwrap_or_default()),
            ];
            words.say(
                if example.is_some() {
                    "finding.failures_example"
                } else {
                    "finding.failures"
                },
                &values,
            )
        }
        FindingKind::FewSamples { concurrencies, n } => words.say(
            "finding.few_samples",
            &[("levels", &list(concurrencies, words)), ("n", &count(*n))],
        ),
        FindingKind::ClientLimited { concurrency } => {
            words.say("finding.client_limited", &[("c", &count(*concurrency))])
        }
        _ => return None,
    })
}

fn server(what: &FindingKind, words: &Words, figures: Figures) -> Option<String> {
    Some(match what {
        FindingKind::PrefixCacheHits {
            concurrency,
            hit_rate,
        } => words.say(
            "finding.prefix_hits",
            &[("c", &count(*concurrency)), ("rate", &percent(*hit_rate))],
        ),
        FindingKind::Queueing {
            concurrency,
            waiting_mean,
        } => words.say(
            "finding.queueing",
            &[
                ("c", &count(*concurrency)),
                ("waiting", &figure(*waiting_mean)),
            ],
        ),
        FindingKind::Preemptions {
            concurrency,
            count: preemptions,
        } => words.say(
            "finding.preemptions",
            &[
                ("c", &count(*concurrency)),
                ("count", &number(*preemptions, 0)),
            ],
        ),
        FindingKind::Disagreement {
            concurrency,
            metric,
            client,
            server,
        } => {
            let is_time = matches!(metric.as_str(), "ttft" | "e2el");
            let text = |value: f64| {
                if is_time {
                    figures.time(value)
                } else {
                    figure(value)
                }
            };
            words.say(
                "finding.disagreement",
                &[
                    ("c", &count(*concurrency)),
                    ("metric", &metric_name(metric, words)),
                    ("client", &text(*client)),
                    ("server", &text(*server)),
                    ("difference", &change(*client, *server)),
                ],
            )
        }
        _ => return None,
    })
}

/// The name of a metric that has a client's and a server's account.
pub(crate) fn metric_name(metric: &str, words: &Words) -> String {
    match metric {
        "ttft" => words.get("word.ttft"),
        "e2el" => words.get("word.e2el"),
        "output_tokens" => words.get("word.output_tokens"),
        "prompt_tokens" => words.get("word.prompt_tokens"),
        other => other.to_owned(),
    }
}

fn conditions(what: &FindingKind, words: &Words) -> String {
    match what {
        FindingKind::Incomplete { reason } => words.say(
            "finding.incomplete",
            &[("reason", &end_reason(reason, words))],
        ),
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
    if message.is_empty() {
        known
    } else {
        format!("{known}: {message}")
    }
}
