//! Several runs of one plan in a terminal.

use analysis::{LevelFigure, Metric, OverRuns, Statistic};

use super::text::{Column, grid, wrapped};
use crate::{
    language::{Language, Words},
    number::{ABSENT, count, interval, per_second},
    view::over_runs::{banners, find, lead, mean},
};

/// How dear a figure is (0 is never dropped); the interval stands beside those that are never dropped.
fn cost(figure: LevelFigure) -> u8 {
    match (figure.metric, figure.statistic) {
        (Metric::Ttft | Metric::E2el | Metric::OutputTokS, Statistic::Mean) => 0,
        (Metric::RequestsPerS, _) => 2,
        (_, Statistic::Mean) => 4,
        _ => 3,
    }
}

/// The table of means over runs in a terminal of `width` columns.
pub fn over_runs_console(over: &OverRuns, language: Language, width: usize) -> String {
    // As for a single run: the tests see to it that the catalogue can be read.
    let Ok(words) = Words::load(language) else {
        return String::new();
    };
    let words = words.with_confidence(Some(over.confidence_level));
    let width = width.max(40);
    let mut lines = Vec::new();
    for banner in banners(over, &words) {
        let text = format!("{} {}", banner.head, banner.text);
        lines.extend(wrapped(&text, "!! ", language, width));
    }
    lines.extend(wrapped(&lead(over, &words), "", language, width));
    lines.push(String::new());
    lines.extend(grid(&columns(over, &words), language, width));
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn columns(over: &OverRuns, words: &Words) -> Vec<Column> {
    let cells =
        |of: &dyn Fn(&analysis::LevelOverRuns) -> String| -> Vec<String> { over.levels.iter().map(of).collect() };
    let mut columns: Vec<(u8, String, Vec<String>)> = vec![
        (
            0,
            words.get("console.concurrency"),
            cells(&|level| {
                let mark = if level.invalid_runs == 0 { "" } else { "!" };
                format!("{}{mark}", count(level.concurrency))
            }),
        ),
        (0, words.get("console.rate"), cells(&|level| level.request_rate.map_or_else(|| ABSENT.into(), per_second))),
        (1, words.get("console.runs"), cells(&|level| count(level.runs))),
    ];
    for what in LevelFigure::all() {
        let text = cells(&|level| find(level, what).map_or_else(|| ABSENT.into(), mean));
        columns.push((cost(what), words.figure(what), text));
        let ends = cells(&|level| {
            let ends = find(level, what).and_then(|figure| interval(figure.mean));
            ends.unwrap_or_else(|| ABSENT.into())
        });
        if cost(what) == 0 {
            columns.push((1, words.get("compare.interval"), ends));
        }
    }
    let told = |cells: &[String]| cells.iter().any(|cell| cell != ABSENT);
    columns
        .into_iter()
        .filter(|(_, _, cells)| told(cells))
        .map(|(cost, head, cells)| Column::numbers(cost, head, cells.into_iter()))
        .collect()
}
