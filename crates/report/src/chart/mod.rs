//! The charts of a report, as SVG text: one file each, and the same picture inside the HTML page.
//!
//! Plotters draws; the layout is ours, because without a font library plotters guesses text at 0.7 em a *byte*, which
//! makes Hangul twice as wide as it is. Coordinates are whole pixels there, so pictures are drawn at twice their size and
//! shown through a view box. Colours are those of Okabe and Ito (2008), and no series is told apart by colour alone.
//!
//! A chart that the data cannot fill is left out; no chart shows a figure that was not measured.

mod axis;
mod capacity;
mod distribution;
mod frame;
mod frontier;
mod gpu;
mod labels;
mod latency;
mod plan_frontier;
mod plan_memory;
mod prediction;
mod series;
pub(crate) mod sheet;
mod steps;
mod throughput;
mod timeline;

use analysis::{LevelSummary, Summary};
use records::RunData;

use self::sheet::DARK_RULES;
use crate::{
    ReportError,
    language::Words,
    number::Figures,
    prose::{engine_name, usable_levels},
    sanitise::{escape, one_line},
    view::block::{Column, Table},
};

/// A finished chart.
#[derive(Debug)]
pub(crate) struct Chart {
    /// File name without folder, language and extension.
    pub(crate) name: &'static str,
    pub(crate) title: String,
    /// What the chart shows, in one sentence with figures from the data.
    pub(crate) reading: String,
    /// The data behind it.
    pub(crate) table: Table,
    svg: String,
}

impl Chart {
    /// For a file of its own: it brings its dark mode along, because the page that shows it cannot style it.
    pub(crate) fn standalone(&self) -> String {
        self.with_head(&format!("<style>{DARK_RULES}</style>\n"))
    }

    /// For the HTML page, whose style sheet carries the same rules.
    pub(crate) fn inline(&self) -> String {
        self.with_head("").replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1)
    }

    fn with_head(&self, style: &str) -> String {
        let head = format!(
            "<svg role=\"img\"{}<title>{}</title>\n<desc>{}</desc>\n{style}",
            "{rest}",
            escape(&one_line(&self.title)),
            escape(&one_line(&self.reading)),
        );
        let (tag, body) = self.svg.split_once(">\n").unwrap_or((&self.svg, ""));
        let attributes = tag.trim_start_matches("<svg");
        head.replacen("{rest}", &format!("{attributes}>\n"), 1) + body
    }
}

/// Every chart that the data can fill, in reading order.
pub(crate) fn all(
    run: &RunData,
    summary: &Summary,
    words: &Words,
    figures: Figures,
) -> Result<Vec<Chart>, ReportError> {
    let scene = Scene { run, summary, words, figures };
    let drawn = [
        throughput::draw(&scene)?,
        latency::draw(&scene)?,
        frontier::draw(&scene)?,
        capacity::draw(&scene)?,
        prediction::draw(&scene)?,
        timeline::draw(&scene)?,
        distribution::draw(&scene)?,
        gpu::draw(&scene)?,
        plan_memory::draw(&scene)?,
        plan_frontier::frontier(&scene)?,
        plan_frontier::slo(&scene)?,
    ];
    Ok(drawn.into_iter().flatten().collect())
}

/// What every chart is drawn from.
struct Scene<'a> {
    run: &'a RunData,
    summary: &'a Summary,
    words: &'a Words,
    figures: Figures,
}

impl<'a> Scene<'a> {
    /// Levels at which something completed, in order of concurrency.
    fn levels(&self) -> Vec<&'a LevelSummary> {
        usable_levels(self.summary)
    }

    /// Whose figures these are; a simulation is named first.
    fn subject(&self) -> String {
        let run = &self.summary.run;
        let mut parts = Vec::new();
        if let Some(profile) = &run.simulated_profile {
            parts.push(self.words.say("chart.simulated", &[("profile", profile)]));
        }
        if !run.complete {
            parts.push(self.words.get("chart.incomplete"));
        }
        parts.push(run.model.clone());
        if let Some(engine) = engine_name(self.summary) {
            let version = run.engine_version.as_deref().unwrap_or_default();
            parts.push(format!("{engine} {version}").trim_end().to_owned());
        }
        parts.extend(run.gpus.iter().take(1).cloned());
        one_line(&parts.join(" · "))
    }

    /// Of these values over concurrency, those of levels whose figures are not valid; they are drawn hollow.
    fn doubtful(&self, values: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let invalid = |concurrency: f64| {
            self.summary
                .levels
                .iter()
                .any(|level| !level.invalid.is_empty() && f64::from(level.concurrency).total_cmp(&concurrency).is_eq())
        };
        values.iter().copied().filter(|value| invalid(value.0)).collect()
    }

    fn table(&self, heads: &[&str], rows: Vec<Vec<String>>) -> Table {
        Table::plain(heads.iter().map(|head| Column::number(self.words.get(head))).collect(), rows)
    }

    /// Axis text below every chart over levels.
    fn concurrency_title(&self) -> String {
        self.words.get("chart.concurrency_axis")
    }
}

type Drawn = Result<(), sheet::DrawError>;

fn named<T>(chart: &'static str, drawn: Result<T, sheet::DrawError>) -> Result<T, ReportError> {
    drawn.map_err(|error| ReportError::Chart { chart, message: error.to_string() })
}
