//! Section 3: which GPUs would hold a load: memory with its formulas, what each GPU prints and really holds beside the simple
//! method, and the planner's answer. An unknown price is said to be unknown.

use analysis::{GpuOption, SizingSection};

use super::{Block, Cell, Column, Desk, Item, Part, Row, Table, plan};
use crate::{
    language::Words,
    number::{ABSENT, count, dollars, gib, gigabytes, held_tenths},
    prose::{
        self,
        sizing::{assumptions, holds, option_name, price_sources},
    },
};

pub(super) fn parts(desk: &Desk<'_>) -> Vec<Part> {
    let Some(sizing) = &desk.summary.sizing else {
        let text = desk.get("sizing.none");
        return vec![Part { title: None, blocks: vec![Block::Paragraph { text }] }];
    };
    let mut comparison = vec![Block::Table(comparison(desk, sizing))];
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
    if let Some(fleet) = &sizing.fleet {
        parts.extend(plan::parts(desk, fleet));
    }
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
        (
            "sizing.kv_all",
            format!(
                "{} × {target} = {}",
                gigabytes(simple.kv_per_request_gb),
                gigabytes(simple.kv_per_request_gb * target as f64)
            ),
            gib(kv.saturating_mul(target)),
        ),
        ("sizing.overhead", gigabytes(simple.overhead_gb), words.get("sizing.per_gpu")),
        (
            "sizing.total",
            format!(
                "{} + {} + {} = {}",
                gigabytes(simple.weights_gb),
                gigabytes(simple.kv_per_request_gb * target as f64),
                gigabytes(simple.overhead_gb),
                gigabytes(simple.total_gb)
            ),
            words.say("sizing.plus_overhead", &[("sum", &gib(sum))]),
        ),
    ];
    rows.map(|(name, simple, exact)| [words.get(name), simple, exact])
}

fn memory(desk: &Desk<'_>, sizing: &SizingSection) -> Table {
    let rows = memory_rows(sizing, desk.words);
    let last = rows.len() - 1;
    let columns = vec![
        Column::text(desk.get("column.item")),
        Column::number(desk.get("sizing.simple")),
        Column::number(desk.get("sizing.engine")),
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

/// Requests as `figure` writes them; words where none fits.
pub(crate) fn fit_text(requests: Option<f64>, words: &Words, figure: impl Fn(f64) -> String) -> String {
    requests.map_or_else(|| words.get("sizing.does_not_fit"), figure)
}

/// Cards that the target needs; a dash where no number of them up to 8 holds it.
pub(crate) fn cards_text(cards: Option<u32>) -> String {
    cards.map_or_else(|| ABSENT.into(), count)
}

fn comparison(desk: &Desk<'_>, sizing: &SizingSection) -> Table {
    let mut columns = vec![Column::text(desk.get("column.gpu")), Column::number(desk.get("column.vram"))];
    columns.extend(desk.numbers(&["column.fits_simple", "column.fits_printed", "column.fits_held"]));
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
    notes.extend(price_sources(sizing, desk.words));
    Table { columns, rows: rows.map(|option| comparison_row(desk, sizing, option)).collect(), notes }
}

fn comparison_row(desk: &Desk<'_>, sizing: &SizingSection, option: &GpuOption) -> Row {
    let simple_holds = option.simple_max_requests >= sizing.target_concurrency;
    let holds_target = holds(sizing, option);
    let verdict = if holds_target { "sizing.yes" } else { "sizing.no" };
    let by_simple = if simple_holds { "sizing.simple_yes" } else { "sizing.simple_no" };
    let verdict = Cell { text: desk.get(verdict), small: (holds_target != simple_holds).then(|| desk.get(by_simple)) };
    Row {
        strong: holds_target,
        cells: vec![
            option_name(option).into(),
            gigabytes(option.vram_gb * f64::from(option.count)).into(),
            simple_text(option, desk.words).into(),
            fit_text(option.exact_max_requests, desk.words, held_tenths).into(),
            fit_text(option.held_max_requests, desk.words, held_tenths).into(),
            verdict,
            cards_text(option.simple_cards_needed).into(),
            cards_text(option.exact_cards_needed).into(),
            price(desk.words, option.purchase_usd).into(),
            price(desk.words, option.cloud_usd_per_hour).into(),
        ],
    }
}

/// The price, or the word for an unknown one.
pub(crate) fn price(words: &Words, usd: Option<f64>) -> String {
    usd.map_or_else(|| words.get("word.unknown"), dollars)
}
