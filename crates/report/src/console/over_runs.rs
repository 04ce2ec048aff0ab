//! Several runs of one plan in a terminal.

use analysis::OverRuns;

use super::text::{Column, grid, wrapped};
use crate::{
    language::{Language, Words},
    number::{ABSENT, count, interval, per_second},
    view::over_runs::{banners, find, lead, mean},
};

/// What is shown: metric, key of its head, how dear it is (0 is never dropped), and whether its interval stands beside it.
const FIGURES: [(&str, &str, u8, bool); 6] = [
    ("ttft_mean_ms", "console.ttft", 0, true),
    ("ttft_p95_ms", "console.ttft_p95", 3, false),
    ("e2el_mean_ms", "console.e2el", 0, true),
    ("e2el_p95_ms", "console.e2el_p95", 3, false),
    ("output_tok_s", "console.total", 0, true),
    ("requests_per_s", "console.requests_per_s", 2, false),
];

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
    for (metric, head, cost, with_interval) in FIGURES {
        let text = cells(&|level| find(level, metric).map_or_else(|| ABSENT.into(), mean));
        columns.push((cost, words.get(head), text));
        let ends = cells(&|level| {
            let ends = find(level, metric).and_then(|figure| interval(figure.mean));
            ends.unwrap_or_else(|| ABSENT.into())
        });
        if with_interval {
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
