//! Section 2: how to run the server. Every recommendation stands on a measured level and names its figures.

use analysis::{Estimate, FindingKind, LevelSummary, SloRow, SloStatistic};

use super::{Block, Column, Desk, Item, Part, Row, Table};
use crate::{
    number::{ABSENT, count, figure, maybe, mean_only, number, percent_estimate},
    prose::{in_the_valley, is_also_fastest, level_at, list, statistic_key, usable_levels},
};

pub(super) fn parts(desk: &Desk<'_>) -> Vec<Part> {
    if usable_levels(desk.summary).is_empty() {
        let text = desk.get("operation.nothing");
        return vec![Part { title: None, blocks: vec![Block::Paragraph { text }] }];
    }
    let mut parts = Vec::new();
    if let Some(level) = desk.summary.limits.largest_stable.and_then(|c| level_at(desk.summary, c)) {
        parts.push(desk.part("part.maximum", vec![Block::Bullets { items: maximum(desk, level) }]));
    }
    parts.push(desk.part("part.slo", vec![Block::Table(objectives(desk))]));
    parts.extend(super::promise::goodput(desk));
    let items = scenarios(desk);
    parts.push(desk.part("part.scenarios", vec![Block::Bullets { items }]));
    parts
}

fn maximum(desk: &Desk<'_>, level: &LevelSummary) -> Vec<Item> {
    let e2el = level.e2el_ms.map_or_else(|| ABSENT.into(), |d| desk.figures.time_estimate(d.mean));
    [
        ("operation.max_level", count(level.concurrency)),
        ("operation.max_success", level.success_rate.map_or_else(|| ABSENT.into(), percent_estimate)),
        ("operation.max_e2el", e2el),
        ("operation.max_total", format!("{} tok/s", maybe(level.output_tok_s))),
        ("operation.max_single", format!("{} tok/s", mean_only(level.per_request_tok_s))),
    ]
    .into_iter()
    .map(|(name, value)| Item::labelled(desk.get(name), value))
    .collect()
}

fn objectives(desk: &Desk<'_>) -> Table {
    let columns = vec![
        Column::text(desk.get("column.objective")),
        Column::text(desk.get("column.recommended")),
        Column::number(desk.get("column.e2el_there")),
        Column::number(desk.get("column.total_tok_s")),
        Column::text(desk.get("column.remark")),
    ];
    let mut rows: Vec<Row> = desk.summary.slo.iter().map(|row| Row::new(objective(desk, row), false)).collect();
    let limits = &desk.summary.limits;
    let peaks = [
        ("slo.total", limits.peak_output, "slo.total_remark"),
        ("slo.single", limits.peak_per_request, "slo.single_remark"),
    ];
    for (name, peak, remark) in peaks {
        let Some((peak, level)) = peak.and_then(|p| Some((p, level_at(desk.summary, p.concurrency)?))) else {
            continue;
        };
        let e2el = level.e2el_ms.map(|d| d.mean);
        let remark = desk.words.say(remark, &[("tok_s", &figure(peak.tok_s))]);
        let cells = vec![
            desk.get(name),
            desk.words.say("slo.at", &[("c", &count(peak.concurrency))]),
            time(desk, e2el),
            maybe(level.output_tok_s),
            with_caution(desk, level, remark),
        ];
        rows.push(Row::new(cells, name == "slo.total"));
    }
    let mut notes = vec![desk.get("slo.note")];
    if desk.summary.slo.is_empty() {
        notes.insert(0, desk.get("slo.nothing_held"));
    }
    Table { columns, rows, notes }
}

fn time(desk: &Desk<'_>, value: Option<Estimate>) -> String {
    value.map_or_else(|| ABSENT.into(), |e2el| desk.figures.time_estimate(e2el))
}

/// The recommendation, and what speaks against its level: failures, or figures that are not valid.
fn with_caution(desk: &Desk<'_>, level: &LevelSummary, mut text: String) -> String {
    let requests = level.requests;
    if requests.failed > 0 {
        text.push(' ');
        text.push_str(
            &desk
                .words
                .say("caution.failed", &[("failed", &count(requests.failed)), ("measured", &count(requests.measured))]),
        );
    }
    if !level.invalid.is_empty() {
        text.push(' ');
        text.push_str(&desk.get("caution.invalid"));
    }
    text
}

/// The figure an objective was held against, with its interval.
fn held(level: &LevelSummary, statistic: SloStatistic) -> Option<Estimate> {
    let e2el = level.e2el_ms?;
    match statistic {
        SloStatistic::P95 => e2el.p95,
        _ => Some(e2el.mean),
    }
}

fn objective(desk: &Desk<'_>, row: &SloRow) -> Vec<String> {
    let words = desk.words;
    let limit = desk.figures.limit(row.e2el_below_ms);
    let statistic = words.get(statistic_key(row.statistic));
    let name = words.say("slo.below", &[("limit", &limit), ("statistic", &statistic)]);
    let Some(concurrency) = row.concurrency else {
        return vec![name, ABSENT.into(), ABSENT.into(), ABSENT.into(), words.get("slo.none")];
    };
    let estimate = level_at(desk.summary, concurrency)
        .and_then(|level| held(level, row.statistic))
        .or(row.e2el_ms.map(|value| Estimate { value, low: None, high: None }));
    let next = usable_levels(desk.summary).into_iter().find(|level| level.concurrency > concurrency);
    let mut remark = match next {
        Some(next) if row.bounded => words.say(
            "slo.bounded",
            &[
                ("next", &count(next.concurrency)),
                ("e2el", &held(next, row.statistic).map_or_else(|| ABSENT.into(), |e| desk.figures.time(e.value))),
            ],
        ),
        _ => words.get("slo.unbounded"),
    };
    if estimate.and_then(|e| e.high).is_some_and(|high| high > row.e2el_below_ms) {
        remark.push(' ');
        remark.push_str(&words.get("slo.tight"));
    }
    if let Some(between) = between(desk, row) {
        remark.push(' ');
        remark.push_str(&between);
    }
    vec![
        name,
        words.say("slo.up_to", &[("c", &count(concurrency))]),
        time(desk, estimate),
        maybe(row.output_tok_s),
        remark,
    ]
}

/// Where between the tested levels the objective is passed.
fn between(desk: &Desk<'_>, row: &SloRow) -> Option<String> {
    let capacity = row.capacity?;
    let (at, low, high) = (capacity.concurrency?, capacity.low?, capacity.high?);
    let whole = |load: f64| number(load.floor(), 0);
    let ends = [("c", whole(at)), ("low", whole(low)), ("high", whole(high))];
    let ends = ends.each_ref().map(|(name, text)| (*name, &**text));
    Some(desk.words.say("slo.between", &ends))
}

/// The tightest and the widest objective that more than the smallest level held.
pub(super) fn held_objectives(desk: &Desk<'_>) -> (Option<SloRow>, Option<SloRow>) {
    let smallest = usable_levels(desk.summary).first().map_or(0, |level| level.concurrency);
    let mut rows: Vec<SloRow> =
        desk.summary.slo.iter().filter(|row| row.concurrency.is_some_and(|c| c > smallest)).copied().collect();
    rows.sort_by(|a, b| a.e2el_below_ms.total_cmp(&b.e2el_below_ms));
    let tightest = rows.first().copied();
    let widest = rows.last().copied().filter(|row| Some(row.concurrency) != tightest.map(|t| t.concurrency));
    (tightest, widest)
}

fn scenarios(desk: &Desk<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    let limits = &desk.summary.limits;
    let mut add = |name: &str, sentence: &str, concurrency: u32, row: Option<SloRow>| {
        let Some(level) = level_at(desk.summary, concurrency) else {
            return;
        };
        let limit = row.map_or_else(String::new, |row| desk.figures.limit(row.e2el_below_ms));
        let statistic = row.map_or_else(String::new, |row| desk.get(statistic_key(row.statistic)));
        let text = desk.words.say(
            sentence,
            &[
                ("c", &*count(concurrency)),
                ("limit", &*limit),
                ("statistic", &*statistic),
                ("e2el", &*time(desk, level.e2el_ms.map(|d| d.mean))),
                ("ttft", &*time(desk, level.ttft_ms.map(|d| d.mean))),
                ("single", &*mean_only(level.per_request_tok_s)),
                ("total", &*maybe(level.output_tok_s)),
                ("n", &*count(level.requests.completed)),
            ],
        );
        let text = with_caution(desk, level, text);
        items.push(Item::labelled(desk.get(name), text));
    };
    let (tightest, widest) = held_objectives(desk);
    if let Some(peak) = limits.peak_per_request {
        add("scenario.single", "scenario.single_text", peak.concurrency, None);
    }
    for (name, row) in [("scenario.interactive", tightest), ("scenario.busy", widest)] {
        if let Some((row, concurrency)) = row.and_then(|row| Some((row, row.concurrency?))) {
            add(name, "scenario.objective_text", concurrency, Some(row));
        }
    }
    if let Some(peak) = limits.peak_output.filter(|peak| !is_also_fastest(limits, *peak)) {
        add("scenario.batch", "scenario.batch_text", peak.concurrency, None);
    }
    items.extend(valleys(desk));
    items
}

/// Levels to stay away from: slower for everyone, and no more in all.
fn valleys(desk: &Desk<'_>) -> impl Iterator<Item = Item> {
    desk.summary.findings.iter().filter_map(|finding| {
        let FindingKind::ThroughputCliff { from, from_tok_s, .. } = finding.what else {
            return None;
        };
        let levels = in_the_valley(desk.summary, from, from_tok_s);
        let text = desk.words.say(
            "scenario.avoid_text",
            &[("levels", &list(&levels, desk.words)), ("from", &count(from)), ("from_tok_s", &figure(from_tok_s))],
        );
        (!levels.is_empty()).then(|| Item::labelled(desk.get("scenario.avoid"), text))
    })
}
