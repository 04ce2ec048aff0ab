//! Section 3: which GPUs would hold a target load, by the reference report's simple method and by the engine's own
//! arithmetic side by side, with what each option costs. An unknown price is said to be unknown.

use analysis::{GpuOption, SizingSection};

use super::{Block, Column, Desk, Item, Part, Row, Table, option_name};
use crate::{
    number::{ABSENT, count, dollars, gib, gigabytes, number},
    prose::{self, mean_of, usable_levels},
};

/// Hours of a month, 365 × 24 / 12.
const HOURS_PER_MONTH: f64 = 730.0;

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
            items: options(desk, sizing),
        }],
    ));
    parts.push(desk.part("part.costs", costs(desk, sizing)));
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

fn holds(sizing: &SizingSection, option: &GpuOption) -> bool {
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

fn price(desk: &Desk<'_>, usd: Option<f64>) -> String {
    usd.map_or_else(|| desk.get("word.unknown"), dollars)
}

/// Options that hold the target by the exact method, cheapest by `price` first.
fn cheapest(sizing: &SizingSection, price: fn(&GpuOption) -> Option<f64>) -> Option<&GpuOption> {
    sizing
        .options
        .iter()
        .filter(|option| holds(sizing, option) && price(option).is_some())
        .min_by(|a, b| {
            price(a)
                .unwrap_or(f64::MAX)
                .total_cmp(&price(b).unwrap_or(f64::MAX))
        })
}

/// The least purchase price among options that hold the target.
pub(super) fn cheapest_purchase(sizing: &SizingSection) -> Option<&GpuOption> {
    cheapest(sizing, |option| option.purchase_usd)
}

/// The least price per hour among options that hold the target.
pub(super) fn cheapest_cloud(sizing: &SizingSection) -> Option<&GpuOption> {
    cheapest(sizing, |option| option.cloud_usd_per_hour)
}

/// The option with the most room. The summary predicts no speed yet, so room is all that "best" can honestly mean.
pub(super) fn roomiest(sizing: &SizingSection) -> Option<&GpuOption> {
    let fit = |option: &GpuOption| option.exact_max_requests.unwrap_or(0.0);
    sizing
        .options
        .iter()
        .filter(|option| holds(sizing, option))
        .max_by(|a, b| fit(a).total_cmp(&fit(b)))
}

fn options(desk: &Desk<'_>, sizing: &SizingSection) -> Vec<Item> {
    let sentence = |key: &str, option: Option<&GpuOption>| {
        let Some(option) = option else {
            return desk.get("option.none");
        };
        let exact = option.exact_max_requests.unwrap_or(0.0);
        let flag = if option.count > 1 {
            desk.words
                .say("option.tensor_parallel", &[("count", &count(option.count))])
        } else {
            desk.get("option.one_card")
        };
        let hour = option.cloud_usd_per_hour;
        desk.words.say(
            key,
            &[
                ("name", &*option_name(option)),
                ("fit", &*number(exact, 0)),
                ("target", &*count(sizing.target_concurrency)),
                (
                    "vram",
                    &*gigabytes(option.vram_gb * f64::from(option.count)),
                ),
                ("purchase", &*price(desk, option.purchase_usd)),
                ("hour", &*price(desk, hour)),
                (
                    "month",
                    &*price(desk, hour.map(|usd| usd * HOURS_PER_MONTH)),
                ),
                ("flag", &*flag),
            ],
        )
    };
    vec![
        Item::labelled(
            desk.get("option.least_cost"),
            sentence("option.least_cost_text", cheapest_purchase(sizing)),
        ),
        Item::labelled(
            desk.get("option.most_room"),
            sentence("option.most_room_text", roomiest(sizing)),
        ),
        Item::labelled(
            desk.get("option.cloud"),
            sentence("option.cloud_text", cheapest_cloud(sizing)),
        ),
        Item::labelled(desk.get("option.keep"), keep(desk, sizing)),
    ]
}

/// What the measured server, as it is, holds of the target, and how many like it would hold all.
fn keep(desk: &Desk<'_>, sizing: &SizingSection) -> String {
    let mut sentences = Vec::new();
    let target = f64::from(sizing.target_concurrency);
    if let Some(each) = present_capacity(desk, sizing) {
        let replicas = (target / each).ceil();
        let unit = present_gpu(desk, sizing).and_then(|option| option.purchase_usd);
        let cards = desk.summary.run.gpus.len().max(1) as f64;
        sentences.push(desk.words.say(
            "option.keep_text",
            &[
                ("each", &number(each, 1)),
                ("tokens", &count(sizing.context_tokens)),
                ("replicas", &number(replicas, 0)),
                ("target", &number(target, 0)),
                (
                    "purchase",
                    &price(desk, unit.map(|usd| usd * cards * replicas)),
                ),
            ],
        ));
    } else {
        sentences.push(desk.get("option.keep_unknown"));
    }
    let measured = usable_levels(desk.summary)
        .into_iter()
        .filter(|level| Some(level.concurrency) <= desk.summary.limits.largest_stable)
        .find(|level| level.concurrency >= sizing.target_concurrency);
    if let Some(level) = measured {
        let tokens = mean_of(level.prompt_tokens).unwrap_or(0.0)
            + mean_of(level.output_tokens).unwrap_or(0.0);
        let e2el = mean_of(level.e2el_ms).map_or_else(|| ABSENT.into(), |ms| desk.figures.time(ms));
        sentences.push(desk.words.say(
            "option.keep_measured",
            &[
                ("c", &count(level.concurrency)),
                ("tokens", &number(tokens, 0)),
                ("e2el", &e2el),
            ],
        ));
    }
    sentences.join(" ")
}

/// Requests of the sizing's length that the measured server's pool holds, by its own account.
fn present_capacity(desk: &Desk<'_>, sizing: &SizingSection) -> Option<f64> {
    let capacity = desk.summary.capacity.as_ref()?;
    let printed = capacity
        .max_concurrency
        .filter(|_| capacity.max_model_len == Some(sizing.context_tokens));
    let computed = capacity
        .kv_cache_bytes
        .map(|bytes| bytes as f64 / sizing.exact_kv_bytes_per_request as f64);
    printed.or(computed).filter(|each| *each >= 1.0)
}

/// One card of the kind that the measured server runs on, if the catalogue has it.
fn present_gpu<'a>(desk: &Desk<'_>, sizing: &'a SizingSection) -> Option<&'a GpuOption> {
    let name = desk.summary.run.gpus.first()?;
    sizing
        .options
        .iter()
        .find(|option| option.count == 1 && name.contains(&option.gpu))
}

fn costs(desk: &Desk<'_>, sizing: &SizingSection) -> Vec<Block> {
    let mut holding: Vec<&GpuOption> = sizing
        .options
        .iter()
        .filter(|option| holds(sizing, option))
        .collect();
    if holding.is_empty() {
        return vec![Block::Paragraph {
            text: desk.get("option.none"),
        }];
    }
    holding.sort_by(|a, b| {
        let key = |option: &GpuOption| option.purchase_usd.unwrap_or(f64::MAX);
        let cloud = |option: &GpuOption| option.cloud_usd_per_hour.unwrap_or(f64::MAX);
        key(a)
            .total_cmp(&key(b))
            .then(cloud(a).total_cmp(&cloud(b)))
    });
    let rows = holding
        .iter()
        .enumerate()
        .map(|(index, option)| {
            let monthly = option.cloud_usd_per_hour.map(|usd| usd * HOURS_PER_MONTH);
            let fit = option.exact_max_requests.unwrap_or(0.0);
            let rank = option
                .purchase_usd
                .map_or_else(|| ABSENT.into(), |_| count(index as u64 + 1));
            vec![
                rank,
                option_name(option),
                price(desk, option.purchase_usd),
                price(desk, option.purchase_usd.map(|usd| usd / fit)),
                price(desk, option.cloud_usd_per_hour),
                price(desk, monthly),
                option.purchase_usd.zip(monthly).map_or_else(
                    || desk.get("word.unknown"),
                    |(buy, rent)| number(buy / rent, 1),
                ),
            ]
        })
        .collect();
    let mut columns = vec![
        Column::number(desk.get("column.rank")),
        Column::text(desk.get("column.gpu")),
    ];
    columns.extend(desk.numbers(&[
        "column.purchase",
        "column.purchase_per_request",
        "column.cloud_hour",
        "column.cloud_month",
        "column.break_even",
    ]));
    vec![Block::Table(
        Table::plain(columns, rows).with_notes(vec![desk.get("sizing.cost_note")]),
    )]
}
