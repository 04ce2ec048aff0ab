//! Section 1: verdict, findings, what the server says of itself, the levels, and where the limits lie.

use analysis::{Distribution, LevelSummary, Peak, Severity};

use super::{Block, Column, Desk, Item, Part, Table, Tile, level_table};
use crate::{
    number::{ABSENT, count, figure, gib, number, percent},
    prose::{self, Completion, level_at, mean_of, usable_levels},
};

pub(super) fn parts(desk: &Desk<'_>) -> Vec<Part> {
    let mut parts = vec![desk.part("part.verdict", verdict(desk))];
    if let Some(table) = capacity(desk) {
        let blocks = vec![Block::Table(table)];
        parts.push(desk.part("part.capacity", blocks));
    }
    let mut blocks = vec![Block::Table(level_table::levels(desk))];
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
        tiles.push(Tile { name: desk.get(name), value, note });
    };
    if let (Some(stable), Some(tested)) = (limits.largest_stable, limits.largest_tested) {
        let note = desk.words.say("tile.stable_note", &[("tested", &count(tested))]);
        tile("tile.stable", count(stable), note);
    }
    if let (None, Some(completion)) = (limits.largest_stable, Completion::of(desk.summary)) {
        let values = [("completed", &*count(completion.completed)), ("measured", &*count(completion.measured))];
        let note = desk.words.say("tile.success_note", &values);
        tile("tile.success", percent(completion.share()), note);
    }
    let at = |c: u32| desk.words.say("tile.at", &[("c", &count(c))]);
    if let Some(peak) = limits.peak_output {
        tile("tile.total", format!("{} tok/s", figure(peak.tok_s)), at(peak.concurrency));
    }
    if let Some(peak) = limits.peak_per_request {
        tile("tile.single", format!("{} tok/s", figure(peak.tok_s)), at(peak.concurrency));
    }
    let levels = usable_levels(desk.summary);
    if let (Some(first), Some(last)) = (levels.first(), levels.last()) {
        let note = format!("{} → {}", count(first.concurrency), count(last.concurrency));
        let mut grown = |name: &str, pick: fn(&LevelSummary) -> Option<Distribution>| {
            if let (Some(from), Some(to)) = (mean_of(pick(first)), mean_of(pick(last))) {
                let value = format!("{} → {}", desk.figures.time(from), desk.figures.time(to));
                tile(name, value, desk.words.say("tile.growth", &[("levels", &note)]));
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
        ("capacity.max_concurrency", capacity.max_concurrency.map(|x| format!("{}x", number(x, 2)))),
        ("capacity.slots", capacity.slots.map(count)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(vec![desk.get(name), value?]))
    .collect();
    let columns = vec![Column::text(desk.get("column.item")), Column::number(desk.get("column.value"))];
    let mut notes = vec![desk.words.say("capacity.source", &[("source", &capacity.source)])];
    if capacity.max_concurrency.is_some() {
        notes.push(desk.get("capacity.meaning"));
    }
    (!rows.is_empty()).then(|| Table::plain(columns, rows).with_notes(notes))
}

fn limits(desk: &Desk<'_>) -> Table {
    let mut rows = levels_of_note(desk);
    rows.extend(growths(desk));
    let rows = rows.into_iter().map(|(name, value, remark)| vec![desk.get(name), value, remark]).collect();
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
        let tok_s = peak.map_or_else(|| ABSENT.into(), |peak| format!("{} tok/s", figure(peak.tok_s)));
        (name, level(peak.map(|peak| peak.concurrency)), tok_s)
    };
    vec![
        ("limit.stable", level(limits.largest_stable), desk.get(stable_remark)),
        ("limit.tested", level(limits.largest_tested), desk.get("limit.tested_remark")),
        peak("limit.total_peak", limits.peak_output),
        peak("limit.single_peak", limits.peak_per_request),
        ("limit.saturation", level(limits.saturation), desk.get(saturation_remark)),
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
    Some(
        desk.words
            .say("limit.stable_note", &[("n", &count(level.requests.completed)), ("low", &number(low * 100.0, 1))]),
    )
}
