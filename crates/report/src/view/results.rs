//! Section 1: verdict, findings, what the server says of itself, the table of levels, and where the limits lie.

use analysis::{Distribution, Estimate, Invalid, LevelSummary, Peak, Severity};

use super::{Block, Cell, Column, Desk, Item, Part, Row, Table, Tile};
use crate::{
    number::{
        ABSENT, count, figure, gib, interval, maybe, mean_only, mib, number, percent,
        percent_interval,
    },
    prose::{self, Completion, level_at, mean_of, usable_levels},
};

pub(super) fn parts(desk: &Desk<'_>) -> Vec<Part> {
    let mut parts = vec![desk.part("part.verdict", verdict(desk))];
    if let Some(table) = capacity(desk) {
        let blocks = vec![Block::Table(table)];
        parts.push(desk.part("part.capacity", blocks));
    }
    let mut blocks = vec![Block::Table(levels(desk))];
    blocks.extend(desk.chart("throughput"));
    blocks.extend(desk.chart("latency"));
    blocks.extend(desk.chart("frontier"));
    parts.push(desk.part("part.levels", blocks));
    parts.push(desk.part("part.limits", vec![Block::Table(limits(desk))]));
    parts
}

fn verdict(desk: &Desk<'_>) -> Vec<Block> {
    let text = prose::verdict::sentences(desk.summary, desk.words, desk.figures).join(" ");
    let mut blocks = vec![Block::Lead { text }];
    let tiles = tiles(desk);
    if !tiles.is_empty() {
        blocks.push(Block::Tiles { tiles });
    }
    let items: Vec<Item> = prose::finding::all(desk.summary, desk.words, desk.figures)
        .into_iter()
        .map(|told| Item {
            label: Some(told.label),
            text: told.text,
            tone: match told.severity {
                Severity::Problem => "problem",
                Severity::Warning => "warning",
                Severity::Insight => "insight",
                Severity::Note => "note",
            },
            code: None,
        })
        .collect();
    if !items.is_empty() {
        blocks.push(Block::Bullets { items });
    }
    blocks
}

fn tiles(desk: &Desk<'_>) -> Vec<Tile> {
    let limits = &desk.summary.limits;
    let mut tiles = Vec::new();
    let mut tile = |name: &str, value: String, note: String| {
        tiles.push(Tile {
            name: desk.get(name),
            value,
            note,
        });
    };
    if let (Some(stable), Some(tested)) = (limits.largest_stable, limits.largest_tested) {
        let note = desk
            .words
            .say("tile.stable_note", &[("tested", &count(tested))]);
        tile("tile.stable", count(stable), note);
    }
    if let (None, Some(completion)) = (limits.largest_stable, Completion::of(desk.summary)) {
        let values = [
            ("completed", &*count(completion.completed)),
            ("measured", &*count(completion.measured)),
        ];
        let note = desk.words.say("tile.success_note", &values);
        tile("tile.success", percent(completion.share()), note);
    }
    let at = |c: u32| desk.words.say("tile.at", &[("c", &count(c))]);
    if let Some(peak) = limits.peak_output {
        tile(
            "tile.total",
            format!("{} tok/s", figure(peak.tok_s)),
            at(peak.concurrency),
        );
    }
    if let Some(peak) = limits.peak_per_request {
        tile(
            "tile.single",
            format!("{} tok/s", figure(peak.tok_s)),
            at(peak.concurrency),
        );
    }
    let levels = usable_levels(desk.summary);
    if let (Some(first), Some(last)) = (levels.first(), levels.last()) {
        let note = format!("{} → {}", count(first.concurrency), count(last.concurrency));
        let mut grown = |name: &str, pick: fn(&LevelSummary) -> Option<Distribution>| {
            if let (Some(from), Some(to)) = (mean_of(pick(first)), mean_of(pick(last))) {
                let value = format!("{} → {}", desk.figures.time(from), desk.figures.time(to));
                tile(
                    name,
                    value,
                    desk.words.say("tile.growth", &[("levels", &note)]),
                );
            }
        };
        grown("tile.ttft", |level| level.ttft_ms);
        grown("tile.e2el", |level| level.e2el_ms);
    }
    tiles
}

fn capacity(desk: &Desk<'_>) -> Option<Table> {
    let capacity = desk.summary.capacity.as_ref()?;
    let tokens = |value: Option<u64>| Some(format!("{} tokens", count(value?)));
    let rows: Vec<Vec<String>> = [
        ("capacity.kv_memory", capacity.kv_cache_bytes.map(gib)),
        ("capacity.kv_tokens", tokens(capacity.kv_cache_tokens)),
        ("capacity.blocks", capacity.gpu_blocks.map(count)),
        ("capacity.block_size", tokens(capacity.block_size)),
        ("capacity.max_model_len", tokens(capacity.max_model_len)),
        (
            "capacity.max_concurrency",
            capacity
                .max_concurrency
                .map(|x| format!("{}x", number(x, 2))),
        ),
        ("capacity.slots", capacity.slots.map(count)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(vec![desk.get(name), value?]))
    .collect();
    let columns = vec![
        Column::text(desk.get("column.item")),
        Column::number(desk.get("column.value")),
    ];
    let mut notes = vec![
        desk.words
            .say("capacity.source", &[("source", &capacity.source)]),
    ];
    if capacity.max_concurrency.is_some() {
        notes.push(desk.get("capacity.meaning"));
    }
    (!rows.is_empty()).then(|| Table::plain(columns, rows).with_notes(notes))
}

fn levels(desk: &Desk<'_>) -> Table {
    let columns = desk.numbers(&[
        "column.concurrency",
        "column.n",
        "column.success",
        "column.ttft_mean",
        "column.e2el_mean",
        "column.single_tok_s",
        "column.total_tok_s",
        "column.requests_per_s",
        "column.ttft_p95",
        "column.e2el_p95",
        "column.memory",
    ]);
    let peak = desk.summary.limits.peak_output.map(|peak| peak.concurrency);
    let rows = desk
        .summary
        .levels
        .iter()
        .map(|level| Row {
            cells: level_row(level),
            strong: peak == Some(level.concurrency),
        })
        .collect();
    Table {
        columns,
        rows,
        notes: level_notes(desk),
    }
    .without_empty_columns()
}

fn level_row(level: &LevelSummary) -> Vec<Cell> {
    let with_interval = |estimate: Option<Estimate>| Cell {
        text: maybe(estimate.map(|estimate| estimate.value)),
        small: estimate.and_then(interval),
    };
    let mean = |d: Option<Distribution>| with_interval(d.map(|d| d.mean));
    let p95 = |d: Option<Distribution>| with_interval(d.and_then(|d| d.p95));
    let mark = if level.invalid.is_empty() { "" } else { " †" };
    let memory = level.gpu.and_then(|gpu| gpu.memory_used_bytes_max);
    let decimals = if level.requests_per_s < 10.0 { 2 } else { 1 };
    vec![
        format!("{}{mark}", count(level.concurrency)).into(),
        count(level.requests.measured).into(),
        Cell {
            text: level
                .success_rate
                .map_or_else(|| ABSENT.into(), |rate| percent(rate.value)),
            small: level.success_rate.and_then(percent_interval),
        },
        mean(level.ttft_ms),
        mean(level.e2el_ms),
        mean_only(level.per_request_tok_s).into(),
        maybe(level.output_tok_s).into(),
        number(level.requests_per_s, decimals).into(),
        p95(level.ttft_ms),
        p95(level.e2el_ms),
        memory.map_or_else(|| ABSENT.into(), mib).into(),
    ]
}

fn level_notes(desk: &Desk<'_>) -> Vec<String> {
    let levels = &desk.summary.levels;
    let mut notes = vec![desk.get("note.two_throughputs"), desk.get("note.intervals")];
    let lacks_p95 = |d: Option<Distribution>| d.is_none_or(|d| d.p95.is_none());
    let without_p95 = |level: &LevelSummary| lacks_p95(level.ttft_ms) && lacks_p95(level.e2el_ms);
    let without_memory = |level: &LevelSummary| {
        let memory = level.gpu.and_then(|gpu| gpu.memory_used_bytes_max);
        memory.is_none()
    };
    if levels.iter().all(without_p95) {
        notes.push(desk.get("note.p95_left_out"));
    } else if levels.iter().any(without_p95) {
        notes.push(desk.get("note.no_percentile"));
    }
    if levels.iter().all(without_memory) {
        notes.push(desk.get("note.memory_left_out"));
    }
    for level in levels {
        let reasons: Vec<String> = level
            .invalid
            .iter()
            .map(|reason| invalid(desk, reason))
            .collect();
        if !reasons.is_empty() {
            notes.push(desk.words.say(
                "note.invalid",
                &[
                    ("c", &count(level.concurrency)),
                    ("reasons", &reasons.join("; ")),
                ],
            ));
        }
    }
    notes
}

fn invalid(desk: &Desk<'_>, reason: &Invalid) -> String {
    match reason {
        Invalid::NothingCompleted => desk.get("invalid.nothing_completed"),
        Invalid::ClientBusy { cpu_percent } => desk
            .words
            .say("invalid.client_busy", &[("cpu", &figure(*cpu_percent))]),
        Invalid::ClientLate { lag_p99_ms } => desk
            .words
            .say("invalid.client_late", &[("lag", &number(*lag_p99_ms, 2))]),
        Invalid::Stopped => desk.get("invalid.stopped"),
        // A kind newer than this crate: better named by its own field names than left out.
        other => format!("{other:?}"),
    }
}

fn limits(desk: &Desk<'_>) -> Table {
    let mut rows = levels_of_note(desk);
    rows.extend(growths(desk));
    let rows = rows
        .into_iter()
        .map(|(name, value, remark)| vec![desk.get(name), value, remark])
        .collect();
    let columns = vec![
        Column::text(desk.get("column.item")),
        Column::number(desk.get("column.value")),
        Column::text(desk.get("column.remark")),
    ];
    Table::plain(columns, rows).with_notes(stable_note(desk).into_iter().collect())
}

/// Name's key, value, remark.
type Limit = (&'static str, String, String);

fn levels_of_note(desk: &Desk<'_>) -> Vec<Limit> {
    let limits = &desk.summary.limits;
    let stable_remark = match (limits.largest_stable, limits.largest_tested) {
        (Some(stable), Some(tested)) if stable == tested => "limit.stable_all",
        (Some(_), _) => "limit.stable_some",
        (None, _) => "limit.stable_none",
    };
    let saturation_remark = match limits.saturation {
        Some(_) => "limit.saturated",
        None => "limit.not_saturated",
    };
    let level = |c: Option<u32>| c.map_or_else(|| ABSENT.into(), count);
    let peak = |name, peak: Option<Peak>| {
        let tok_s = peak.map_or_else(
            || ABSENT.into(),
            |peak| format!("{} tok/s", figure(peak.tok_s)),
        );
        (name, level(peak.map(|peak| peak.concurrency)), tok_s)
    };
    vec![
        (
            "limit.stable",
            level(limits.largest_stable),
            desk.get(stable_remark),
        ),
        (
            "limit.tested",
            level(limits.largest_tested),
            desk.get("limit.tested_remark"),
        ),
        peak("limit.total_peak", limits.peak_output),
        peak("limit.single_peak", limits.peak_per_request),
        (
            "limit.saturation",
            level(limits.saturation),
            desk.get(saturation_remark),
        ),
    ]
}

fn growths(desk: &Desk<'_>) -> impl Iterator<Item = Limit> {
    let limits = &desk.summary.limits;
    let levels = usable_levels(desk.summary);
    let range = levels.first().zip(levels.last()).map_or_else(
        || ABSENT.into(),
        |(first, last)| format!("{} → {}", count(first.concurrency), count(last.concurrency)),
    );
    [
        ("limit.total_growth", limits.output_growth),
        ("limit.ttft_growth", limits.ttft_growth),
        ("limit.e2el_growth", limits.e2el_growth),
    ]
    .into_iter()
    .map(move |(name, growth)| {
        let growth = growth.map_or_else(|| ABSENT.into(), |g| format!("{}×", number(g, 2)));
        (name, growth, range.clone())
    })
}

fn stable_note(desk: &Desk<'_>) -> Option<String> {
    let level = level_at(desk.summary, desk.summary.limits.largest_stable?)?;
    let low = level.success_rate?.low?;
    Some(desk.words.say(
        "limit.stable_note",
        &[
            ("n", &count(level.requests.completed)),
            ("low", &number(low * 100.0, 1)),
        ],
    ))
}
