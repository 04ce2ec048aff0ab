//! Section 3: which GPUs would hold a target load, by the reference report's simple method and by the engine's own
//! arithmetic side by side, with what each option costs. An unknown price is said to be unknown.

use analysis::{GpuOption, SizingSection};

use super::{Block, Cell, Column, Desk, Item, Part, Row, Table, cost, option};
use crate::{
    language::Words,
    number::{ABSENT, count, dollars, gib, gigabytes, held, held_tenths},
    prose::{
        self,
        sizing::{SMALL_LIMITS, assumptions, free_gain, holds, option_name, price_sources},
    },
};

pub(super) fn parts(desk: &Desk<'_>) -> Vec<Part> {
    let Some(sizing) = &desk.summary.sizing else {
        let text = desk.get("sizing.none");
        return vec![Part { title: None, blocks: vec![Block::Paragraph { text }] }];
    };
    let mut comparison = vec![Block::Table(comparison(desk, sizing))];
    if let Some(text) = free_gain(sizing, desk.words) {
        comparison.push(Block::Bullets {
            items: vec![Item { label: Some(desk.get("sizing.free_label")), text, tone: "insight", code: None }],
        });
    }
    comparison.extend(desk.chart("capacity"));
    let mut parts = vec![
        desk.part(
            "part.memory",
            vec![Block::Paragraph { text: assumptions(sizing, desk.words) }, Block::Table(memory(desk, sizing))],
        ),
        desk.part("part.gpus", comparison),
    ];
    if !sizing.deviations.is_empty() {
        let sentences = prose::deviation::sentences(&sizing.deviations, desk.words);
        let items = sentences.into_iter().map(Item::plain).collect();
        let text = desk.get("sizing.deviations");
        parts.push(desk.part("part.deviations", vec![Block::Paragraph { text }, Block::Bullets { items }]));
    }
    parts.push(desk.part("part.options", vec![Block::Bullets { items: option::options(desk, sizing) }]));
    parts.push(desk.part("part.costs", cost::costs(desk, sizing)));
    parts
}

/// Terms of both methods: name, simple, exact. The last row is the total.
pub(crate) fn memory_rows(sizing: &SizingSection, words: &Words) -> [[String; 3]; 5] {
    let simple = &sizing.simple;
    let target = u64::from(sizing.target_concurrency);
    let kv = sizing.exact_kv_bytes_per_request;
    let sum = kv.saturating_mul(target).saturating_add(sizing.weight_bytes);
    let rows = [
        ("sizing.weights", gigabytes(simple.weights_gb), gib(sizing.weight_bytes)),
        ("sizing.kv_per_request", gigabytes(simple.kv_per_request_gb), gib(kv)),
        ("sizing.kv_all", gigabytes(simple.kv_per_request_gb * target as f64), gib(kv.saturating_mul(target))),
        ("sizing.overhead", gigabytes(simple.overhead_gb), words.get("sizing.per_gpu")),
        ("sizing.total", gigabytes(simple.total_gb), words.say("sizing.plus_overhead", &[("sum", &gib(sum))])),
    ];
    rows.map(|(name, simple, exact)| [words.get(name), simple, exact])
}

fn memory(desk: &Desk<'_>, sizing: &SizingSection) -> Table {
    let rows = memory_rows(sizing, desk.words);
    let last = rows.len() - 1;
    let columns = vec![
        Column::text(desk.get("column.item")),
        Column::number(desk.get("sizing.simple")),
        Column::number(desk.get("sizing.exact")),
    ];
    Table {
        columns,
        rows: rows.into_iter().enumerate().map(|(index, row)| Row::new(row.into(), index == last)).collect(),
        notes: vec![desk.get("sizing.memory_note")],
    }
}

/// Requests that fit by the simple method.
pub(crate) fn simple_text(option: &GpuOption, words: &Words) -> String {
    match option.simple_max_requests {
        0 => words.get("sizing.does_not_fit"),
        fit => count(fit),
    }
}

/// Requests that fit by the engine's arithmetic, as `figure` writes them.
pub(crate) fn exact_text(option: &GpuOption, words: &Words, figure: impl Fn(f64) -> String) -> String {
    match option.exact_max_requests {
        Some(fit) => figure(fit),
        None if option.exact_unknown => words.get("word.unknown"),
        None => words.get("sizing.does_not_fit"),
    }
}

/// Cards that the target needs by the engine's arithmetic.
pub(crate) fn exact_cards(option: &GpuOption, words: &Words) -> String {
    match option.exact_cards_needed {
        None if option.exact_unknown => words.get("word.unknown"),
        cards => simple_cards(cards),
    }
}

/// Cards that the target needs; a dash where no number of them up to 8 holds it.
pub(crate) fn simple_cards(cards: Option<u32>) -> String {
    cards.map_or_else(|| ABSENT.into(), count)
}

fn comparison(desk: &Desk<'_>, sizing: &SizingSection) -> Table {
    let mut columns = vec![Column::text(desk.get("column.gpu")), Column::number(desk.get("column.vram"))];
    columns.extend(desk.numbers(&["column.fits_simple", "column.fits_exact"]));
    let values = [("target", &*count(sizing.target_concurrency))];
    columns.push(Column::text(desk.words.say("column.holds", &values)));
    columns.extend(desk.numbers(&[
        "column.cards_simple",
        "column.cards_exact",
        "column.purchase",
        "column.cloud_hour",
    ]));
    let rows = sizing.options.iter();
    let mut notes = vec![desk.get("sizing.table_note")];
    let gains = |option: &GpuOption| option.exact_max_requests_at_256_seqs.is_some();
    if sizing.options.iter().any(gains) {
        notes.push(desk.words.say("sizing.gain_note", &[("flags", SMALL_LIMITS)]));
    }
    if sizing.options.iter().any(|option| option.exact_unknown) {
        notes.push(desk.get("sizing.unknown_note"));
    }
    notes.extend(price_sources(sizing, desk.words));
    Table { columns, rows: rows.map(|option| comparison_row(desk, sizing, option)).collect(), notes }
}

fn comparison_row(desk: &Desk<'_>, sizing: &SizingSection, option: &GpuOption) -> Row {
    let simple_holds = option.simple_max_requests >= sizing.target_concurrency;
    let (verdict, differs) = match (holds(sizing, option), option.exact_unknown) {
        (_, true) => ("word.unknown", true),
        (true, false) => ("sizing.yes", !simple_holds),
        (false, false) => ("sizing.no", simple_holds),
    };
    let by_simple = if simple_holds { "sizing.simple_yes" } else { "sizing.simple_no" };
    let verdict = Cell { text: desk.get(verdict), small: differs.then(|| desk.get(by_simple)) };
    let gain = option.exact_max_requests_at_256_seqs;
    let exact = Cell {
        text: exact_text(option, desk.words, held_tenths),
        small: gain.map(|with| format!("‡ {}", held_tenths(with))),
    };
    Row {
        strong: holds(sizing, option),
        cells: vec![
            option_name(option).into(),
            gigabytes(option.vram_gb * f64::from(option.count)).into(),
            simple_text(option, desk.words).into(),
            exact,
            verdict,
            simple_cards(option.simple_cards_needed).into(),
            exact_cards(option, desk.words).into(),
            price(desk.words, option.purchase_usd).into(),
            price(desk.words, option.cloud_usd_per_hour).into(),
        ],
    }
}

/// The price, or the word for an unknown one.
pub(crate) fn price(words: &Words, usd: Option<f64>) -> String {
    usd.map_or_else(|| words.get("word.unknown"), dollars)
}

/// Requests in whole ones, as bars and sentences give them.
pub(crate) fn exact_whole(option: &GpuOption, words: &Words) -> String {
    exact_text(option, words, held)
}
