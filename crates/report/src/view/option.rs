//! Section 3, second half: what to buy or rent. Options that hold the target, what the present server would need, and
//! the options by cost.

use analysis::{GpuOption, SizingSection};

use super::{
    Block, Column, Desk, Item, Table, option_name,
    sizing::{holds, price},
};
use crate::{
    number::{ABSENT, count, gigabytes, number},
    prose::{mean_of, usable_levels},
};

/// Hours of a month, 365 × 24 / 12.
const HOURS_PER_MONTH: f64 = 730.0;

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

/// The four ways to serve the target.
pub(super) fn options(desk: &Desk<'_>, sizing: &SizingSection) -> Vec<Item> {
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

/// Options that hold the target, by cost.
pub(super) fn costs(desk: &Desk<'_>, sizing: &SizingSection) -> Vec<Block> {
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
