//! Section 3: which GPUs would hold a target load, by the reference report's simple method and by the engine's own
//! arithmetic side by side, with what each option costs. An unknown price is said to be unknown.

use analysis::{GpuOption, SizingSection};

use super::{Block, Column, Desk, Item, Part, Row, Table, option, option_name};
use crate::{
    number::{ABSENT, count, dollars, gib, gigabytes, number},
    prose,
};

pub(super) fn parts(desk: &Desk<'_>) -> Vec<Part> {
    let Some(sizing) = &desk.summary.sizing else {
        let text = desk.get("sizing.none");
        return vec![Part {
            title: None,
            blocks: vec![Block::Paragraph { text }],
        }];
    };
    let mut comparison = vec![Block::Table(comparison(desk, sizing))];
    comparison.extend(desk.chart("capacity"));
    let mut parts = vec![
        desk.part(
            "part.memory",
            vec![
                Block::Paragraph {
                    text: assumptions(desk, sizing),
                },
                Block::Table(memory(desk, sizing)),
            ],
        ),
        desk.part("part.gpus", comparison),
    ];
    if !sizing.deviations.is_empty() {
        let items = sizing
            .deviations
            .iter()
            .map(|deviation| Item::plain(prose::deviation::sentence(deviation, desk.words)))
            .collect();
        let text = desk.get("sizing.deviations");
        parts.push(desk.part(
            "part.deviations",
            vec![Block::Paragraph { text }, Block::Bullets { items }],
        ));
    }
    parts.push(desk.part(
        "part.options",
        vec![Block::Bullets {
            items: option::options(desk, sizing),
        }],
    ));
    parts.push(desk.part("part.costs", option::costs(desk, sizing)));
    parts
}

fn assumptions(desk: &Desk<'_>, sizing: &SizingSection) -> String {
    desk.words.say(
        "sizing.assumptions",
        &[
            ("model", &sizing.model),
            ("dtype", &sizing.weight_dtype),
            ("target", &count(sizing.target_concurrency)),
            ("tokens", &count(sizing.context_tokens)),
            ("engine", &sizing.engine),
        ],
    )
}

fn memory(desk: &Desk<'_>, sizing: &SizingSection) -> Table {
    let simple = &sizing.simple;
    let target = u64::from(sizing.target_concurrency);
    let kv = sizing.exact_kv_bytes_per_request;
    let rows = [
        (
            "sizing.weights",
            gigabytes(simple.weights_gb),
            gib(sizing.weight_bytes),
        ),
        (
            "sizing.kv_per_request",
            gigabytes(simple.kv_per_request_gb),
            gib(kv),
        ),
        (
            "sizing.kv_all",
            gigabytes(simple.kv_per_request_gb * target as f64),
            gib(kv.saturating_mul(target)),
        ),
        (
            "sizing.overhead",
            gigabytes(simple.overhead_gb),
            desk.get("sizing.per_gpu"),
        ),
        (
            "sizing.total",
            gigabytes(simple.total_gb),
            desk.words.say(
                "sizing.plus_overhead",
                &[(
                    "sum",
                    &gib(kv
                        .saturating_mul(target)
                        .saturating_add(sizing.weight_bytes)),
                )],
            ),
        ),
    ];
    let rows = rows
        .into_iter()
        .map(|(name, simple, exact)| Row {
            strong: name == "sizing.total",
            cells: vec![desk.get(name), simple, exact],
        })
        .collect();
    let columns = vec![
        Column::text(desk.get("column.item")),
        Column::number(desk.get("sizing.simple")),
        Column::number(desk.get("sizing.exact")),
    ];
    Table {
        columns,
        rows,
        notes: vec![desk.get("sizing.memory_note")],
    }
}

/// Whether the option holds the target by the engine's arithmetic.
pub(super) fn holds(sizing: &SizingSection, option: &GpuOption) -> bool {
    option
        .exact_max_requests
        .is_some_and(|fit| fit >= f64::from(sizing.target_concurrency))
}

fn comparison(desk: &Desk<'_>, sizing: &SizingSection) -> Table {
    let mut columns = vec![
        Column::text(desk.get("column.gpu")),
        Column::number(desk.get("column.vram")),
    ];
    columns.extend(desk.numbers(&["column.fits_simple", "column.fits_exact"]));
    let values = [("target", &*count(sizing.target_concurrency))];
    columns.push(Column::text(desk.words.say("column.holds", &values)));
    columns.extend(desk.numbers(&[
        "column.cards_simple",
        "column.cards_exact",
        "column.purchase",
        "column.cloud_hour",
    ]));
    let fit = |text: Option<String>| text.unwrap_or_else(|| desk.get("sizing.does_not_fit"));
    let cards = |cards: Option<u32>| cards.map_or_else(|| ABSENT.into(), count);
    let rows = sizing
        .options
        .iter()
        .map(|option| {
            let simple_holds = option.simple_max_requests >= sizing.target_concurrency;
            let simple =
                (option.simple_max_requests > 0).then(|| count(option.simple_max_requests));
            let exact = option
                .exact_max_requests
                .map(|requests| number(requests, usize::from(requests < 10.0)));
            Row {
                strong: holds(sizing, option),
                cells: vec![
                    option_name(option),
                    gigabytes(option.vram_gb * f64::from(option.count)),
                    fit(simple),
                    fit(exact),
                    desk.get(match (simple_holds, holds(sizing, option)) {
                        (true, true) => "sizing.holds_both",
                        (false, true) => "sizing.holds_exact",
                        (true, false) => "sizing.holds_simple",
                        (false, false) => "word.no",
                    }),
                    cards(option.simple_cards_needed),
                    cards(option.exact_cards_needed),
                    price(desk, option.purchase_usd),
                    price(desk, option.cloud_usd_per_hour),
                ],
            }
        })
        .collect();
    Table {
        columns,
        rows,
        notes: vec![desk.get("sizing.table_note")],
    }
}

/// The price, or the word for an unknown one.
pub(super) fn price(desk: &Desk<'_>, usd: Option<f64>) -> String {
    usd.map_or_else(|| desk.get("word.unknown"), dollars)
}
