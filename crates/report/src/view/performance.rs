//! The section on prediction: every level against what the others say of it, and what all say of loads between and beyond.

use analysis::{Forecast, Held, HeldOutLevel, PerformanceSection, Predicted};

use super::{Block, Cell, Column, Desk, Item, Part, Row, Table};
use crate::{
    number::{ABSENT, change, count, figure, number},
    prose::performance::{basis, left_out, predicted, reason, sentences},
};

pub(super) fn parts(desk: &Desk<'_>) -> Vec<Part> {
    let Some(section) = &desk.summary.performance else {
        return Vec::new();
    };
    let mut blocks = vec![
        Block::Lead { text: sentences(section, desk.words).join(" ") },
        Block::Paragraph { text: basis(section, desk.words) },
    ];
    if section.levels.iter().any(is_predicted) {
        blocks.push(Block::Table(self_test(desk, section)));
        blocks.extend(desk.chart("prediction"));
    }
    let left_out = section.left_out.iter();
    let items: Vec<Item> = left_out.map(|level| Item::plain(left_out_text(desk, level))).collect();
    if !items.is_empty() {
        blocks.push(Block::Bullets { items });
    }
    let mut parts = vec![desk.part("part.self_test", blocks)];
    if !section.forecasts.is_empty() {
        let table = Block::Table(forecasts(desk, section));
        parts.push(desk.part("part.forecasts", vec![table]));
    }
    parts
}

fn left_out_text(desk: &Desk<'_>, level: &analysis::LeftOutLevel) -> String {
    left_out(level, desk.words)
}

fn is_predicted(level: &HeldOutLevel) -> bool {
    let figures = [level.ttft_ms, level.tpot_ms, level.output_tok_s];
    figures.into_iter().flatten().any(|held| held.predicted.is_some())
}

fn self_test(desk: &Desk<'_>, section: &PerformanceSection) -> Table {
    let columns = desk.numbers(&[
        "column.concurrency",
        "column.ttft_mean",
        "column.predicted",
        "column.error",
        "column.tpot",
        "column.predicted",
        "column.error",
        "column.total_tok_s",
        "column.predicted",
        "column.error",
    ]);
    let rows = section.levels.iter().map(|level| Row {
        cells: std::iter::once(count(level.concurrency).into())
            .chain([level.ttft_ms, level.tpot_ms, level.output_tok_s].into_iter().flat_map(cells))
            .collect(),
        strong: false,
    });
    let mut notes = vec![desk.get("performance.note")];
    for level in &section.levels {
        if let Some(refused) = &level.refused {
            let level = desk.words.say("performance.level", &[("c", &count(level.concurrency))]);
            let why = reason(refused, desk.words);
            let values = [("level", &*level), ("why", &why)];
            notes.push(desk.words.say("performance.not_predicted", &values));
        }
    }
    Table { columns, rows: rows.collect(), notes }.without_empty_columns()
}

/// Measured, predicted, error. An error whose interval did not hold is marked.
fn cells(held: Option<Held>) -> [Cell; 3] {
    let absent = || Cell::from(ABSENT.to_owned());
    let Some(held) = held else {
        return [absent(), absent(), absent()];
    };
    let measured = Cell::from(text(held.measured));
    let Some(told) = held.predicted else {
        return [measured, absent(), absent()];
    };
    let mark = if held.holds() == Some(false) { " ✗" } else { "" };
    let error = format!("{}{mark}", change(held.measured, told.likely));
    [measured, with_interval(Some(told)), error.into()]
}

fn with_interval(told: Option<Predicted>) -> Cell {
    told.map_or_else(
        || ABSENT.to_owned().into(),
        |told| {
            let (text, ends) = predicted(told);
            Cell { text, small: Some(ends) }
        },
    )
}

fn text(value: f64) -> String {
    if value < 9.995 { number(value, 2) } else { figure(value) }
}

fn forecasts(desk: &Desk<'_>, section: &PerformanceSection) -> Table {
    let mut columns = desk.numbers(&["column.concurrency", "column.ttft_mean", "column.tpot", "column.total_tok_s"]);
    columns.push(Column::text(desk.get("column.remark")));
    let rows =
        section.forecasts.iter().map(|forecast| Row { cells: forecast_cells(desk, section, forecast), strong: false });
    let first = section.forecasts.first();
    let lengths = first.map(|first| {
        let values = [("isl", &*number(first.isl, 0)), ("osl", &number(first.osl, 0))];
        desk.words.say("performance.forecast_note", &values)
    });
    Table { columns, rows: rows.collect(), notes: lengths.into_iter().collect() }
}

fn forecast_cells(desk: &Desk<'_>, section: &PerformanceSection, forecast: &Forecast) -> Vec<Cell> {
    let tested = || section.levels.iter().map(|level| f64::from(level.concurrency));
    let largest = tested().fold(0.0, f64::max);
    let remark = match &forecast.refused {
        Some(refused) => reason(refused, desk.words),
        None if forecast.concurrency > largest => desk.get("performance.beyond"),
        None => desk.get("performance.between"),
    };
    vec![
        number(forecast.concurrency, 0).into(),
        with_interval(forecast.ttft_ms),
        with_interval(forecast.tpot_ms),
        with_interval(forecast.output_tok_s),
        remark.into(),
    ]
}
