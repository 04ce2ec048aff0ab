//! The same in a terminal: banners, the table of levels, the verdict and the findings.
//!
//! English is pure ASCII, so that it survives any pipe and log; Korean keeps its letters, which take two columns each,
//! and draws everything else in ASCII. Columns that hold no figure are left out; those that
//! do not fit the width go, least important first.

mod comparison;
mod over_runs;
mod plan;
mod sizing;
mod text;

use analysis::{Distribution, LevelSummary, Summary};

use self::text::{Column as GridColumn, grid, wrapped};
pub use self::{comparison::comparison, over_runs::over_runs_console, plan::plan_console, sizing::sizing_console};
use crate::{
    language::{Language, Words},
    number::{ABSENT, Figures, count, maybe, mean_only, mib, number, rate_planned, rate_sent},
    prose::{self, engine_name},
    view::banners,
};

/// A column: its head's key, how dear it is (0 is never dropped), and its cell.
type Column = (&'static str, u8, fn(&LevelSummary) -> String);

const COLUMNS: [Column; 14] = [
    ("console.concurrency", 0, |l| format!("{}{}", count(l.concurrency), if l.invalid.is_empty() { "" } else { "!" })),
    ("console.rate", 0, |l| rate_planned(l.request_rate)),
    ("console.rate_sent", 1, |l| rate_sent(l.request_rate)),
    ("console.n", 2, |l| count(l.requests.measured)),
    ("console.success", 1, |l| l.success_rate.map_or_else(|| ABSENT.into(), |rate| number(rate.value * 100.0, 1))),
    ("console.ttft", 0, |l| mean_only(l.ttft_ms)),
    ("console.ttft_p95", 3, |l| p95(l.ttft_ms)),
    ("console.e2el", 0, |l| mean_only(l.e2el_ms)),
    ("console.e2el_p95", 3, |l| p95(l.e2el_ms)),
    ("console.single", 1, |l| mean_only(l.per_request_tok_s)),
    ("console.total", 0, |l| maybe(l.output_tok_s)),
    ("console.requests_per_s", 4, |l| number(l.requests_per_s, 2)),
    ("console.prefix_hits", 4, |l| {
        let hits = l.server.and_then(|server| server.prefix_hit_rate);
        hits.filter(|&hits| hits >= PREFIX_HITS).map_or_else(|| ABSENT.into(), |hits| number(hits * 100.0, 1))
    }),
    ("console.memory", 5, |l| l.gpu.and_then(|gpu| gpu.memory_used_bytes_max).map_or_else(|| ABSENT.into(), mib)),
];

/// Share of prompt tokens from the prefix cache from which on it is worth a column.
const PREFIX_HITS: f64 = 0.01;

fn p95(distribution: Option<Distribution>) -> String {
    maybe(distribution.and_then(|d| Some(d.p95?.value)))
}

/// What a run says in a terminal of `width` columns: banners, table, verdict and findings.
///
/// The text ends with a line feed and holds no colour and no control character.
pub fn console(summary: &Summary, language: Language, width: usize) -> String {
    // A catalogue that cannot be read is caught by the tests; the table needs no sentence to be useful.
    let Ok(words) = Words::load(language) else {
        return String::new();
    };
    let words = words.with_confidence(summary.confidence_level);
    let width = width.max(40);
    let figures = Figures::of(language);
    let mut lines = head(summary, &words, width);
    if !summary.levels.is_empty() {
        lines.push(String::new());
        lines.extend(table(summary, &words, width));
    }
    lines.push(String::new());
    let verdict = prose::verdict::sentences(summary, &words, figures).join(" ");
    lines.extend(wrapped(&verdict, "", language, width));
    for sentence in prose::goodput::sentences(summary, &words, figures) {
        lines.extend(wrapped(&sentence, "", language, width));
    }
    let predicted = summary.performance.as_ref();
    if let Some(section) = predicted.filter(|section| section.refused.is_none()) {
        let sentence = prose::performance::sentences(section, &words).join(" ");
        lines.extend(wrapped(&sentence, "", language, width));
    }
    for told in prose::finding::all(summary, &words, figures) {
        let sentence = format!("{}: {}", told.label, told.text);
        lines.extend(wrapped(&sentence, "- ", language, width));
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn head(summary: &Summary, words: &Words, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for banner in banners(summary, words) {
        lines.extend(wrapped(&format!("{} {}", banner.head, banner.text), "!! ", words.language, width));
    }
    let engine = engine_name(summary).unwrap_or_default();
    let version = summary.run.engine_version.as_deref().unwrap_or_default();
    let subject = [summary.run.model.clone(), format!("{engine} {version}"), summary.run.gpus.join(", ")]
        .into_iter()
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" | ");
    lines.extend(wrapped(&subject, "", words.language, width));
    lines
}

fn table(summary: &Summary, words: &Words, width: usize) -> Vec<String> {
    let told = |(_, _, cell): &&Column| summary.levels.iter().any(|level| cell(level) != ABSENT);
    let columns = COLUMNS.iter().filter(told).map(|(head, cost, cell)| {
        let cells = summary.levels.iter().map(cell);
        GridColumn::numbers(*cost, words.get(head), cells)
    });
    grid(&columns.collect::<Vec<_>>(), words.language, width)
}
