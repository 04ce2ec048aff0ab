//! Section 3, last part: the options that hold the target, by what they cost to buy and to rent.

use analysis::{GpuOption, SizingSection};

use super::{Block, Column, Desk, Table, option::HOURS_PER_MONTH, sizing::price};
use crate::{
    number::{ABSENT, count, number},
    prose::sizing::{holds, option_name},
};

/// Options that hold the target, by cost.
pub(super) fn costs(desk: &Desk<'_>, sizing: &SizingSection) -> Vec<Block> {
    let mut holding: Vec<&GpuOption> = sizing.options.iter().filter(|option| holds(sizing, option)).collect();
    if holding.is_empty() {
        return vec![Block::Paragraph { text: desk.get("option.none") }];
    }
    holding.sort_by(|a, b| {
        let key = |option: &GpuOption| option.purchase_usd.unwrap_or(f64::MAX);
        let cloud = |option: &GpuOption| option.cloud_usd_per_hour.unwrap_or(f64::MAX);
        key(a).total_cmp(&key(b)).then(cloud(a).total_cmp(&cloud(b)))
    });
    let rows = holding
        .iter()
        .enumerate()
        .map(|(index, option)| {
            let monthly = option.cloud_usd_per_hour.map(|usd| usd * HOURS_PER_MONTH);
            let fit = option.exact_max_requests.unwrap_or(0.0);
            let rank = option.purchase_usd.map_or_else(|| ABSENT.into(), |_| count(index as u64 + 1));
            vec![
                option_name(option),
                rank,
                price(desk.words, option.purchase_usd),
                price(desk.words, option.purchase_usd.map(|usd| usd / fit)),
                price(desk.words, option.cloud_usd_per_hour),
                price(desk.words, monthly),
                option
                    .purchase_usd
                    .zip(monthly)
                    .map_or_else(|| desk.get("word.unknown"), |(buy, rent)| number(buy / rent, 1)),
            ]
        })
        .collect();
    let mut columns = vec![Column::text(desk.get("column.gpu"))];
    columns.extend(desk.numbers(&[
        "column.rank",
        "column.purchase",
        "column.purchase_per_request",
        "column.cloud_hour",
        "column.cloud_month",
        "column.break_even",
    ]));
    vec![Block::Table(Table::plain(columns, rows).with_notes(vec![desk.get("sizing.cost_note")]))]
}
