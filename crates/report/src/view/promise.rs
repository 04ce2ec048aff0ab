//! What the run says about objectives, about how throughput scales, and how much its samples are worth.

use analysis::{Estimate, LevelSummary, Metric, Scaling};

use super::{Block, Column, Desk, Item, Part, Table};
use crate::{
    number::{ABSENT, count, estimate, figure, number, percent, percent_estimate},
    prose::{self, list},
};

/// The run against `--goodput`; nothing without objectives.
pub(super) fn goodput(desk: &Desk<'_>) -> Option<Part> {
    let section = desk.summary.goodput.as_ref()?;
    let sentences = prose::goodput::sentences(desk.summary, desk.words, desk.figures);
    let mut blocks = vec![Block::Paragraph { text: sentences.join(" ") }];
    let share = |share: Option<f64>| share.map_or_else(|| ABSENT.into(), percent);
    let objectives: Vec<Metric> = section.limits_ms.iter().map(|(metric, _)| metric).collect();
    let rows = desk.summary.levels.iter().filter_map(|level| {
        let goodput = level.goodput?;
        let mut row = vec![
            count(level.concurrency),
            percent_estimate(goodput.attainment),
            rate(goodput.requests_per_s),
            goodput.strain.map_or_else(|| ABSENT.into(), rate),
            desk.get(if goodput.holds { "word.yes" } else { "word.no" }),
        ];
        row.splice(3..3, objectives.iter().map(|&metric| share(goodput.met.get(metric))));
        Some(row)
    });
    let met =
        |&metric: &Metric| Column::number(desk.words.say("figure.met", &[("metric", &desk.words.metric(metric))]));
    let mut columns = desk.numbers(&["column.concurrency"]);
    columns.push(Column::number(desk.words.metric(Metric::SloAttainment)));
    columns.extend(desk.numbers(&["column.goodput"]));
    columns.extend(objectives.iter().map(met));
    columns.extend(desk.numbers(&["column.strain"]));
    columns.push(Column::text(desk.get("column.holds_objectives")));
    let table = Table::plain(columns, rows.collect()).without_empty_columns();
    let share = percent(section.attainment);
    blocks.push(Block::Table(table.with_notes(vec![desk.words.say("goodput.note", &[("share", &share)])])));
    Some(desk.part("part.goodput", blocks))
}

/// A figure below ten with two decimals, since rates and ratios are small.
fn rate(value: Estimate) -> String {
    let text = |x: f64| number(x, if x.abs() < 10.0 { 2 } else { 1 });
    match (value.low, value.high) {
        (Some(low), Some(high)) => {
            format!("{} ({}–{})", text(value.value), text(low), text(high))
        }
        _ => text(value.value),
    }
}

/// How throughput scales; nothing for too few levels.
pub(super) fn scaling(desk: &Desk<'_>) -> Option<Part> {
    let scaling = desk.summary.scaling?;
    let mut items = vec![
        Item::plain(law(desk, &scaling)),
        Item::plain(match (scaling.peak, scaling.ceiling_tok_s) {
            (Some(peak), Some(ceiling)) => {
                desk.words.say("scaling.peak", &[("c", &number(peak, 0)), ("tok_s", &figure(ceiling))])
            }
            (None, Some(ceiling)) => desk.words.say("scaling.ceiling", &[("tok_s", &figure(ceiling))]),
            _ => desk.get("scaling.no_peak"),
        }),
    ];
    if let Some(knee) = scaling.knee {
        let knee = number(knee, 0);
        items.push(Item::plain(desk.words.say("scaling.knee", &[("c", &knee)])));
    }
    if scaling.levels_before > 0 {
        let mut before: Vec<u32> =
            desk.summary.levels.iter().map(|level| level.concurrency).filter(|c| *c < scaling.from).collect();
        before.sort_unstable();
        items.push(Item::plain(
            desk.words.say("scaling.from", &[("from", &count(scaling.from)), ("levels", &list(&before, desk.words))]),
        ));
    }
    Some(desk.part("part.scaling", vec![Block::Bullets { items }]))
}

fn law(desk: &Desk<'_>, scaling: &Scaling) -> String {
    let small = |value: Estimate| {
        let text = |x: f64| format!("{x:.5}");
        match (value.low, value.high) {
            (Some(low), Some(high)) => {
                format!("{} ({}–{})", text(value.value), text(low), text(high))
            }
            _ => text(value.value),
        }
    };
    desk.words.say(
        "scaling.law",
        &[
            ("lambda", &estimate(scaling.lambda_tok_s)),
            ("sigma", &small(scaling.sigma)),
            ("kappa", &small(scaling.kappa)),
            ("error", &percent(scaling.relative_error)),
        ],
    )
}

/// How much each level's sample is worth; nothing where no level had two waves.
pub(super) fn samples(desk: &Desk<'_>) -> Option<Part> {
    let levels = &desk.summary.levels;
    let known = |level: &LevelSummary| level.e2el_ms.is_some_and(|e2el| e2el.effective.is_some());
    if !levels.iter().any(known) {
        return None;
    }
    let time = |ms: Option<f64>| ms.map_or_else(|| ABSENT.into(), |ms| desk.figures.time(ms));
    let effective = |latency: Option<analysis::Distribution>| {
        let effective = latency.and_then(|latency| latency.effective);
        effective.map_or_else(|| ABSENT.into(), |n| number(n, 0))
    };
    let rows = levels.iter().map(|level| {
        let settled = level.steady.map(|steady| desk.get(if steady.settled { "word.yes" } else { "word.no" }));
        let adjusted = level.failure_adjusted;
        vec![
            count(level.concurrency),
            count(level.requests.completed),
            effective(level.ttft_ms),
            effective(level.e2el_ms),
            level.output_tok_s_estimate.map_or_else(|| ABSENT.into(), estimate),
            settled.unwrap_or_else(|| ABSENT.into()),
            time(adjusted.and_then(|of| of.ttft_ms.p95)),
            time(adjusted.and_then(|of| of.e2el_ms.p95)),
        ]
    });
    let rows = rows.collect();
    let columns = desk.numbers(&[
        "column.concurrency",
        "column.completed",
        "column.effective_ttft",
        "column.effective_e2el",
        "column.total_tok_s",
        "column.settled",
        "column.adjusted_ttft",
        "column.adjusted_e2el",
    ]);
    let table = Table::plain(columns, rows).without_empty_columns();
    let notes = vec![desk.get("note.effective")];
    Some(desk.part("part.samples", vec![Block::Table(table.with_notes(notes))]))
}
