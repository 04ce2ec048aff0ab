//! The same in a terminal: banners, the table of levels, the verdict, and what to beware of.
//!
//! English is pure ASCII, so that it survives any pipe and log; Korean keeps its letters, which take two columns each,
//! and draws everything else in ASCII. Columns that do not fit the width go, least important first.

use analysis::{Distribution, LevelSummary, Severity, Summary};
use unicode_width::UnicodeWidthStr;

use crate::{
    language::{Language, Words},
    legible::one_line,
    number::{ABSENT, Figures, count, maybe, mean_only, mib, number},
    prose,
    view::{banners, engine_name},
};

/// A column: its head's key, how dear it is (0 is never dropped), and its cell.
type Column = (&'static str, u8, fn(&LevelSummary) -> String);

const COLUMNS: [Column; 11] = [
    ("console.concurrency", 0, |l| {
        format!(
            "{}{}",
            count(l.concurrency),
            if l.invalid.is_empty() { "" } else { "!" }
        )
    }),
    ("console.n", 2, |l| count(l.requests.measured)),
    ("console.success", 1, |l| {
        l.success_rate
            .map_or_else(|| ABSENT.into(), |rate| number(rate.value * 100.0, 1))
    }),
    ("console.ttft", 0, |l| mean_only(l.ttft_ms)),
    ("console.ttft_p95", 3, |l| p95(l.ttft_ms)),
    ("console.e2el", 0, |l| mean_only(l.e2el_ms)),
    ("console.e2el_p95", 3, |l| p95(l.e2el_ms)),
    ("console.single", 1, |l| mean_only(l.per_request_tok_s)),
    ("console.total", 0, |l| maybe(l.output_tok_s)),
    ("console.requests_per_s", 4, |l| number(l.requests_per_s, 2)),
    ("console.memory", 5, |l| {
        l.gpu
            .and_then(|gpu| gpu.memory_used_bytes_max)
            .map_or_else(|| ABSENT.into(), mib)
    }),
];
const DEAREST: u8 = 5;
const GAP: &str = "  ";

fn p95(distribution: Option<Distribution>) -> String {
    maybe(distribution.and_then(|d| Some(d.p95?.value)))
}

/// What a run says in a terminal of `width` columns: banners, table, verdict, and the findings that call for care.
///
/// The text ends with a line feed and holds no colour and no control character.
pub fn console(summary: &Summary, language: Language, width: usize) -> String {
    // A catalogue that cannot be read is caught by the tests; the table needs no sentence to be useful.
    let Ok(words) = Words::load(language) else {
        return String::new();
    };
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
    let careful = summary
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Insight);
    for finding in careful {
        let severity = prose::finding::severity(finding, &words);
        let sentence = prose::finding::sentence(finding, summary, &words, figures);
        lines.extend(wrapped(
            &format!("{severity}: {sentence}"),
            "- ",
            language,
            width,
        ));
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn head(summary: &Summary, words: &Words, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for banner in banners(summary, words) {
        lines.extend(wrapped(
            &format!("{} {}", banner.head, banner.text),
            "!! ",
            words.language,
            width,
        ));
    }
    let engine = engine_name(summary).unwrap_or_default();
    let version = summary.run.engine_version.as_deref().unwrap_or_default();
    let subject = [
        summary.run.model.clone(),
        format!("{engine} {version}"),
        summary.run.gpus.join(", "),
    ]
    .into_iter()
    .map(|part| part.trim().to_owned())
    .filter(|part| !part.is_empty())
    .collect::<Vec<_>>()
    .join(" | ");
    lines.extend(wrapped(&subject, "", words.language, width));
    lines
}

fn table(summary: &Summary, words: &Words, width: usize) -> Vec<String> {
    let mut dear = DEAREST;
    loop {
        let columns: Vec<Vec<String>> = COLUMNS
            .iter()
            .filter(|(_, cost, _)| *cost <= dear)
            .map(|(head, _, cell)| {
                let cells = summary
                    .levels
                    .iter()
                    .map(|level| plain(&cell(level), words.language));
                std::iter::once(plain(&words.get(head), words.language))
                    .chain(cells)
                    .collect()
            })
            .collect();
        let widths: Vec<usize> = columns
            .iter()
            .map(|column| column.iter().map(|cell| cell.width()).max().unwrap_or(0))
            .collect();
        let total = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
        if total > width && dear > 0 {
            dear -= 1;
            continue;
        }
        return (0..=summary.levels.len())
            .map(|row| {
                let cells: Vec<String> = columns
                    .iter()
                    .zip(&widths)
                    .map(|(column, &width)| right_aligned(&column[row], width))
                    .collect();
                cells.join(GAP)
            })
            .collect();
    }
}

fn right_aligned(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(text.width())) + text
}

/// Lines no wider than `width`, the first behind `bullet`, the others indented as far.
fn wrapped(text: &str, bullet: &str, language: Language, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = bullet.to_owned();
    let mut empty = true;
    for word in plain(text, language).split(' ') {
        if !empty && line.width() + 1 + word.width() > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(bullet.len())));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}

/// One line without control characters, typographic signs as ASCII; in English nothing but ASCII is left.
fn plain(text: &str, language: Language) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '—' | '–' | '−' => plain.push('-'),
            '→' => plain.push_str("->"),
            '×' => plain.push('x'),
            '·' => plain.push('|'),
            '“' | '”' => plain.push('"'),
            '‘' | '’' => plain.push('\''),
            '…' => plain.push_str("..."),
            c if c.is_ascii() || language == Language::Ko => plain.push(c),
            _ => plain.push('?'),
        }
    }
    plain
}
