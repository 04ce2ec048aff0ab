//! Documents: Markdown, HTML, charts and tables, in Korean and English.
//!
//! Pure: a run and its summary in, file names and bytes out. The same input gives the same bytes; there is no clock, no
//! file and no network here. This crate computes no statistic that [`analysis`] could have computed: what it derives
//! itself is layout (which label fits where) and the order statistics that a distribution chart *is*.
//!
//! The way of a figure: [`analysis::Summary`] → `view` (blocks whose figures are already formatted strings, with
//! sentences from `prose` and pictures from `chart`) → a template of `markdown` or `html`, which only places
//! them. Everything that came from outside (model names, URLs, messages of servers) is escaped by the template's filter,
//! never by the code that builds the view.
#![warn(clippy::disallowed_methods, reason = "pure crate: no files, clock, environment or network")]

mod chart;
mod console;
mod html;
mod language;
mod levels_csv;
mod markdown;
mod number;
mod prose;
mod sanitise;
mod view;

pub use console::{comparison, console, over_runs_console, plan_console, sizing_console};
pub use language::Language;

use analysis::{OverRuns, Summary};
use records::RunData;

use crate::{chart::Chart, language::Words, number::Figures};

/// One file of a report, for the caller to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutFile {
    /// Path within the run folder, with `/` between its parts.
    pub path: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// Why no report could be made. None of these depends on the run: they are faults of this crate's own files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The embedded catalogue of a language cannot be read.
    #[error(
        "read the catalogue of language `{language}`\nhint: this is a fault of plimsoll, not of the run; please report it"
    )]
    Catalogue {
        /// Which one.
        language: &'static str,
        /// What the parser says.
        source: toml::de::Error,
    },
    /// A template failed.
    #[error("fill in the template `{template}`\nhint: this is a fault of plimsoll, not of the run; please report it")]
    Template {
        /// Which one.
        template: &'static str,
        /// What the engine says.
        source: tera::Error,
    },
    /// A chart could not be drawn.
    #[error("draw the chart `{chart}`: {message}\nhint: this is a fault of plimsoll, not of the run; please report it")]
    Chart {
        /// Which one.
        chart: &'static str,
        /// What the drawing library says.
        message: String,
    },
}

/// All files of the report in one language: the Markdown document, the HTML page, the charts, and `levels.csv`.
///
/// English has the plain names (`report.md`, `charts/throughput.svg`), Korean adds `.ko` before the extension. The CSV
/// is the same for every language.
///
/// # Errors
/// [`ReportError`], only for faults of this crate.
pub fn render(run: &RunData, summary: &Summary, language: Language) -> Result<Vec<OutFile>, ReportError> {
    let words = Words::load(language)?.with_confidence(summary.confidence_level);
    let figures = Figures::of(language);
    let charts = chart::all(run, summary, &words, figures)?;
    let document = view::document(run, summary, &charts, &words, figures);
    let mut files = vec![
        text_file(language.file("report", "md"), &markdown::render(&document)?),
        text_file(language.file("report", "html"), &html::render(&document)?),
    ];
    files.extend(charts.iter().map(|chart: &Chart| text_file(language.chart_file(chart.name), &chart.standalone())));
    files.push(text_file("levels.csv".into(), &levels_csv::render(summary)));
    Ok(files)
}

/// The documents on several runs of one plan: `runs.md`, `runs.html` and, the same for every language, `runs.csv`.
///
/// # Errors
/// [`ReportError`], only for faults of this crate.
pub fn render_over_runs(over: &OverRuns, language: Language) -> Result<Vec<OutFile>, ReportError> {
    let words = Words::load(language)?.with_confidence(Some(over.confidence_level));
    let document = view::over_runs::document(over, &words);
    Ok(vec![
        text_file(language.file("runs", "md"), &markdown::render(&document)?),
        text_file(language.file("runs", "html"), &html::render(&document)?),
        text_file("runs.csv".into(), &levels_csv::over_runs(over)),
    ])
}

fn text_file(path: String, text: &str) -> OutFile {
    OutFile { path, bytes: sanitise::sanitised(text).into_bytes() }
}
