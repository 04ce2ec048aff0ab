//! Findings that are made at a level: one sentence for all levels of a kind.

use analysis::{FindingKind, MetricRow, Unit};

use super::{Pen, falls, metric_name};
use crate::{
    number::{change, count, figure, number, percent_range, range},
    prose::{failure, list},
};

/// The sentence on findings of one kind; `None` for a kind that is not made at levels.
pub(super) fn sentence(kinds: &[&FindingKind], pen: Pen<'_>) -> Option<String> {
    Some(match kinds.first()? {
        FindingKind::ThroughputCliff { .. } => falls(
            &picked(kinds, |kind| match *kind {
                FindingKind::ThroughputCliff { from, to, from_tok_s, to_tok_s } => {
                    Some((from, to, from_tok_s, to_tok_s))
                }
                _ => None,
            }),
            pen,
        ),
        FindingKind::Failures { .. } => failures(kinds, pen),
        FindingKind::OutputLength { .. } => output_length(kinds, pen),
        FindingKind::Disagreement { .. } => disagreement(kinds, pen),
        FindingKind::ClientLimited { .. } => {
            let levels = picked(kinds, |kind| match *kind {
                FindingKind::ClientLimited { concurrency } => Some((concurrency, 0.0)),
                _ => None,
            });
            at_levels("finding.client_limited", &levels, pen, |_| String::new())
        }
        FindingKind::PrefixCacheHits { .. } => {
            let levels = picked(kinds, |kind| match *kind {
                FindingKind::PrefixCacheHits { concurrency, hit_rate } => Some((concurrency, hit_rate)),
                _ => None,
            });
            at_levels("finding.prefix_hits", &levels, pen, |values| percent_range(values.iter().copied()))
        }
        FindingKind::Queueing { .. } => {
            let levels = picked(kinds, |kind| match *kind {
                FindingKind::Queueing { concurrency, waiting_mean } => Some((concurrency, waiting_mean)),
                _ => None,
            });
            at_levels("finding.queueing", &levels, pen, |values| range(values.iter().copied(), figure))
        }
        FindingKind::Preemptions { .. } => {
            let levels = picked(kinds, |kind| match *kind {
                FindingKind::Preemptions { concurrency, count } => Some((concurrency, count)),
                _ => None,
            });
            at_levels("finding.preemptions", &levels, pen, |values| {
                range(values.iter().copied(), |value| number(value, 0))
            })
        }
        FindingKind::EnergyMismatch { .. } => energy_mismatch(kinds, pen),
        _ => return None,
    })
}

fn picked<'a, T>(kinds: &[&'a FindingKind], pick: impl Fn(&'a FindingKind) -> Option<T>) -> Vec<T> {
    kinds.iter().filter_map(|kind| pick(kind)).collect()
}

/// A sentence on levels with one figure each.
fn at_levels(key: &str, levels: &[(u32, f64)], pen: Pen<'_>, range: impl Fn(&[f64]) -> String) -> String {
    let (at, values): (Vec<u32>, Vec<f64>) = levels.iter().copied().unzip();
    pen.words.say(key, &[("c", &list(&at, pen.words)), ("range", &range(&values))])
}

/// Levels whose joules two accounts give differently, with the differences as shares of the larger.
fn energy_mismatch(kinds: &[&FindingKind], pen: Pen<'_>) -> String {
    let levels = picked(kinds, |kind| match *kind {
        FindingKind::EnergyMismatch { concurrency, counter_j, integral_j } => {
            let apart = (counter_j - integral_j).abs() / counter_j.max(integral_j);
            Some((concurrency, apart))
        }
        _ => None,
    });
    at_levels("finding.energy_mismatch", &levels, pen, |values| percent_range(values.iter().copied()))
}

fn failures(kinds: &[&FindingKind], pen: Pen<'_>) -> String {
    let levels = picked(kinds, |kind| match kind {
        FindingKind::Failures { concurrency, failed, measured, failure, example } => {
            Some((*concurrency, *failed, *measured, failure, example))
        }
        _ => None,
    });
    let at: Vec<u32> = levels.iter().map(|level| level.0).collect();
    let shares = levels.iter().map(|level| level.1 as f64 / level.2 as f64);
    let concerned = pen.summary.levels.iter();
    let cause = failure::most_frequent(concerned.filter(|level| at.contains(&level.concurrency)));
    let described = match (cause, levels.first()) {
        (Some(cause), _) => failure::described(cause.kind, cause.example, pen.words),
        (None, Some((.., kind, example))) => failure::described(kind, example.as_deref(), pen.words),
        (None, None) => String::new(),
    };
    pen.words.say(
        "finding.failures",
        &[
            ("c", &*list(&at, pen.words)),
            ("failed", &*count(levels.iter().map(|level| level.1).sum::<u64>())),
            ("measured", &*count(levels.iter().map(|level| level.2).sum::<u64>())),
            ("range", &*percent_range(shares)),
            ("failure", &*described),
        ],
    )
}

fn output_length(kinds: &[&FindingKind], pen: Pen<'_>) -> String {
    let levels = picked(kinds, |kind| match *kind {
        FindingKind::OutputLength { concurrency, asked, mean, short, completed } => {
            Some((concurrency, asked, mean, short, completed))
        }
        _ => None,
    });
    let at: Vec<u32> = levels.iter().map(|level| level.0).collect();
    let short: u64 = levels.iter().map(|level| level.3).sum();
    let completed: u64 = levels.iter().map(|level| level.4).sum();
    let asked = levels.first().map_or(0, |level| level.1);
    let values = [
        ("c", &*list(&at, pen.words)),
        ("asked", &*count(asked)),
        ("range", &*range(levels.iter().map(|level| level.2), figure)),
        ("short", &*count(short)),
        ("completed", &*count(completed)),
    ];
    let key = if short > 0 { "finding.output_short" } else { "finding.output_long" };
    pen.words.say(key, &values)
}

/// Levels at which client and server disagree on one metric, with the figures of the level where they do most.
fn disagreement(kinds: &[&FindingKind], pen: Pen<'_>) -> String {
    let levels = picked(kinds, |kind| match kind {
        FindingKind::Disagreement { concurrency, metric, client, server } => {
            Some((*concurrency, metric.as_str(), *client, *server))
        }
        _ => None,
    });
    let apart = |level: &(u32, &str, f64, f64)| (level.3 / level.2).ln().abs();
    let most = levels.iter().max_by(|a, b| apart(a).total_cmp(&apart(b)));
    let Some(&(worst, metric, client, server)) = most else {
        return String::new();
    };
    let is_time = metric.parse().is_ok_and(|metric| MetricRow::new(metric).unit == Unit::Ms);
    let text = |value: f64| if is_time { pen.figures.time(value) } else { figure(value) };
    let at: Vec<u32> = levels.iter().map(|level| level.0).collect();
    let values = [
        ("c", &*list(&at, pen.words)),
        ("metric", &*metric_name(metric, pen.words)),
        ("worst", &*count(worst)),
        ("client", &*text(client)),
        ("server", &*text(server)),
        ("difference", &*change(client, server)),
    ];
    let key = if levels.len() == 1 { "finding.disagreement" } else { "finding.disagreements" };
    pen.words.say(key, &values)
}
