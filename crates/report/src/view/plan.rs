//! The planner's answer: choices, their memory, the frontier, cost against
//! objectives, recommendations with commands, ranking, what would change the answer.

use analysis::planning::{Choice, FleetPlan};

use super::{Block, Cell, Column, Desk, Item, Part, Row, Table};
use crate::{
    number::{ABSENT, count, dollars, held_tenths, number, percent},
    prose::plan::{
        answer, asked, basis, change, left_out, limits, million, recommendation, recommended, shown, total, tpot, ttft,
    },
};

/// The planner's parts of the section.
pub(super) fn parts(desk: &Desk<'_>, plan: &FleetPlan) -> Vec<Part> {
    let mut parts = vec![
        desk.part(
            "part.plan_asked",
            vec![
                Block::Lead { text: asked(plan, desk.words, desk.figures) },
                Block::Paragraph { text: basis(plan, desk.words) },
            ],
        ),
        desk.part("part.plan_choices", choices(desk, plan)),
        desk.part("part.plan_recommended", recommendations(desk, plan)),
        desk.part("part.plan_efficiency", efficiency(desk, plan)),
        desk.part("part.plan_sensitivity", sensitivity(desk, plan)),
    ];
    parts.extend(fleet(desk, plan));
    let left_out = left_out(plan, desk.words, desk.figures);
    if !left_out.is_empty() {
        let items = left_out.into_iter().map(Item::plain).collect();
        parts.push(desk.part("part.plan_left_out", vec![Block::Bullets { items }]));
    }
    parts
}

fn choices(desk: &Desk<'_>, plan: &FleetPlan) -> Vec<Block> {
    if !plan.choices.iter().any(|choice| choice.as_asked) {
        return vec![Block::Paragraph { text: desk.get("plan.nothing") }];
    }
    let mut columns = vec![Column::text(desk.get("column.choice"))];
    columns.extend(desk.numbers(&[
        "column.each",
        "column.room",
        "column.plan_ttft",
        "column.plan_tpot",
        "column.plan_total",
        "column.purchase",
        "column.cloud_hour",
        "column.million",
        "column.joules_at_most",
    ]));
    let strong = |index: usize| recommended(plan).iter().any(|(_, found)| *found == Some(index));
    let rows = shown(plan).into_iter().filter_map(|index| {
        let row = row(desk, plan.choices.get(index)?);
        Some(Row { strong: strong(index), cells: row })
    });
    let table =
        Table { columns, rows: rows.collect(), notes: vec![desk.get("plan.table_note"), limits(plan, desk.words)] };
    let mut blocks = vec![Block::Table(table.without_empty_columns())];
    for chart in ["plan_memory", "plan_frontier", "plan_slo"] {
        blocks.extend(desk.chart(chart));
    }
    blocks
}

/// A figure whose interval stands small below it.
fn with_interval(text: &str) -> Cell {
    match text.split_once(" (") {
        Some((figure, interval)) => {
            Cell { text: figure.to_owned(), small: Some(interval.trim_end_matches(')').to_owned()) }
        }
        None => text.to_owned().into(),
    }
}

fn row(desk: &Desk<'_>, choice: &Choice) -> Vec<Cell> {
    let absent = || ABSENT.to_owned();
    let usd = |usd: Option<f64>| usd.map_or_else(|| desk.get("word.unknown"), dollars);
    let speed = choice.speed.as_ref();
    let cost = &choice.cost;
    let mark = if choice.on_frontier { " *" } else { "" };
    vec![
        format!("{}{mark}", choice.name()).into(),
        held_tenths(choice.concurrency).into(),
        format!("{}×", number(choice.head_room, 2)).into(),
        with_interval(&speed.map_or_else(absent, |speed| ttft(speed, desk.figures))),
        with_interval(&speed.map_or_else(absent, |speed| tpot(speed, desk.figures))),
        with_interval(&speed.map_or_else(absent, total)),
        usd(cost.purchase.as_ref().map(|price| price.usd)).into(),
        usd(cost.cloud_per_hour.as_ref().map(|price| price.usd)).into(),
        with_interval(&million(choice, desk.words)),
        cost.joules_per_token_at_most.map_or_else(absent, |joules| format!("≤ {}", number(joules, 1))).into(),
    ]
}

fn recommendations(desk: &Desk<'_>, plan: &FleetPlan) -> Vec<Block> {
    let item = |(key, index): (&str, Option<usize>)| {
        let found = index.and_then(|index| plan.choices.get(index));
        let text = recommendation(plan, key, index, desk.words, desk.figures);
        Item::labelled(desk.get(key), text).with_code(found.map(|found| found.command.clone()))
    };
    vec![Block::Bullets { items: recommended(plan).into_iter().map(item).collect() }]
}

/// Of each card the best use of money, best first.
fn efficiency(desk: &Desk<'_>, plan: &FleetPlan) -> Vec<Block> {
    let mut cards: Vec<&str> = Vec::new();
    let mut rows = Vec::new();
    for choice in plan.by_efficiency.iter().filter_map(|index| plan.choices.get(*index)) {
        if cards.contains(&&*choice.gpu) {
            continue;
        }
        cards.push(&choice.gpu);
        let even = choice.cost.break_even_utilisation;
        rows.push(vec![
            count(cards.len() as u64),
            choice.name(),
            million(choice, desk.words),
            choice.cost.usd_per_hour().map_or_else(|| ABSENT.into(), dollars),
            even.map_or_else(|| ABSENT.into(), percent),
        ]);
    }
    if rows.is_empty() {
        return vec![Block::Paragraph { text: desk.get("plan.none") }];
    }
    let mut columns = vec![Column::number(desk.get("column.rank")), Column::text(desk.get("column.choice"))];
    columns.extend(desk.numbers(&["column.million", "column.hourly", "column.even"]));
    let table = Table::plain(columns, rows).with_notes(vec![desk.get("plan.efficiency_note")]);
    vec![Block::Table(table)]
}

fn sensitivity(desk: &Desk<'_>, plan: &FleetPlan) -> Vec<Block> {
    let usd = |usd: Option<f64>| usd.map_or_else(|| ABSENT.into(), dollars);
    let rows = plan.sensitivity.iter().map(|changed| {
        let cells = vec![
            change(changed, desk.words),
            answer(changed, desk.words),
            usd(changed.purchase_usd),
            desk.get(if changed.changes { "word.yes" } else { "word.no" }),
        ];
        Row::new(cells, changed.changes)
    });
    let mut columns = desk.texts(&["column.change", "column.then"]);
    columns.push(Column::number(desk.get("column.purchase")));
    columns.push(Column::text(desk.get("column.another")));
    vec![Block::Table(Table { columns, rows: rows.collect(), notes: vec![desk.get("plan.sensitivity_note")] })]
}

fn fleet(desk: &Desk<'_>, plan: &FleetPlan) -> Option<Part> {
    let day = plan.fleet.as_ref()?;
    let rows = day.hours.iter().enumerate().map(|(hour, of_hour)| {
        vec![
            count(hour as u64),
            number(of_hour.rate_per_s, 2),
            count(of_hour.replicas),
            percent(of_hour.waits),
            percent(of_hour.waits_too_long),
        ]
    });
    let columns =
        desk.numbers(&["column.hour", "column.arrivals", "column.replicas", "column.waits", "column.waits_long"]);
    let note = desk.words.say("plan.fleet_note", &[("mean", &number(day.mean_replicas, 1))]);
    let table = Table::plain(columns, rows.collect()).with_notes(vec![note]);
    Some(desk.part("part.plan_fleet", vec![Block::Table(table)]))
}
