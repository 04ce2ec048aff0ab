//! What `compare` prints: the verdict, what the runs differ in, and the figures side by side.

use analysis::{ComparedFigure, Comparison, Unit, Verdict};

use super::text::{Column, grid, wrapped};
use crate::{
    ReportError,
    language::{Language, Words},
    number::{ABSENT, count, figure, number, percent},
    view::over_runs::unit,
};

/// Columns of the terminal that the sentences fill.
const WIDTH: usize = 100;

/// Two runs side by side in a terminal.
///
/// # Errors
/// [`ReportError::Catalogue`], a fault of this crate's own files.
pub fn comparison(comparison: &Comparison, language: Language) -> Result<String, ReportError> {
    let words = Words::load(language)?.with_confidence(Some(comparison.confidence));
    let verdict = words.say(
        match comparison.verdict {
            Verdict::Better => "compare.better",
            Verdict::Worse => "compare.worse",
            Verdict::Negligible => "compare.negligible",
            _ => "compare.no_evidence",
        },
        &[
            ("first", &*comparison.first),
            ("second", &*comparison.second),
            ("threshold", &*percent(comparison.threshold)),
        ],
    );
    let mut lines = wrapped(&verdict, "", language, WIDTH);
    for condition in &comparison.differing {
        let differs = words.say(
            "compare.differs",
            &[("what", &*condition.what), ("first", &*condition.first), ("second", &*condition.second)],
        );
        lines.extend(wrapped(&differs, "- ", language, WIDTH));
    }
    lines.push(String::new());
    lines.extend(grid(&columns(comparison, &words), language, WIDTH));
    lines.push(String::new());
    let note = match comparison.runs {
        None => "compare.note",
        Some(_) => "compare.note_series",
    };
    lines.extend(wrapped(&words.get(note), "", language, WIDTH));
    let mut text = lines.join("\n");
    text.push('\n');
    Ok(text)
}

fn columns(comparison: &Comparison, words: &Words) -> Vec<Column> {
    let column = |key: &str, cell: &dyn Fn(&ComparedFigure) -> String| {
        Column::numbers(0, words.get(key), comparison.rows.iter().map(cell))
    };
    let value = |row: &ComparedFigure, x: f64| {
        if is_share(row) { percent(x) } else { figure(x) }
    };
    let signed = |x: f64| {
        let sign = if x > 0.0 { "+" } else { "" };
        format!("{sign}{}%", number(100.0 * x, 1))
    };
    let interval = |row: &ComparedFigure| match (row.low, row.high) {
        (Some(low), Some(high)) => format!("{}, {}", signed(low), signed(high)),
        _ => ABSENT.into(),
    };
    let maybe = |x: Option<f64>, text: &dyn Fn(f64) -> String| x.map_or_else(|| ABSENT.into(), text);
    vec![
        column("console.concurrency", &|row| count(row.concurrency)),
        column("compare.metric", &|row| {
            row.metric.parse().map_or_else(|_| row.metric.clone(), |what| words.figure(what))
        }),
        column("compare.first", &|row| value(row, row.first)),
        column("compare.second", &|row| value(row, row.second)),
        column("compare.change", &|row| signed(row.change)),
        column("compare.interval", &interval),
        column("compare.p", &|row| maybe(row.p_value, &|p| format!("{p:.3}"))),
        column("compare.detectable", &|row| maybe(row.detectable, &percent)),
        column("compare.verdict", &|row| {
            words.get(match row.verdict {
                Verdict::Better => "compare.is_better",
                Verdict::Worse => "compare.is_worse",
                Verdict::Negligible => "compare.is_negligible",
                _ => "compare.is_nothing",
            })
        }),
    ]
}

fn is_share(row: &ComparedFigure) -> bool {
    unit(&row.metric) == Some(Unit::Share)
}
