//! The document before it has a form: sections of blocks whose figures are already formatted strings.
//!
//! Markdown and HTML are two settings of the same view, so they cannot say different things. Texts here are raw: model
//! names, URLs and messages of servers stay as they came, and the templates escape everything.

pub(crate) mod block;
mod bottleneck;
mod conclusion;
mod evidence;
mod level_table;
mod method;
mod operation;
pub(crate) mod over_runs;
mod performance;
mod plan;
mod promise;
mod results;
pub(crate) mod sizing;
mod stages;
mod turns;

use analysis::Summary;
use records::RunData;

pub(crate) use self::block::{
    Banner, Block, Cell, Column, Document, Fact, Figure, Item, Part, Row, Section, Table, Tile,
};
use crate::{
    chart::Chart,
    language::Words,
    number::{Figures, count},
    prose::{self, engine_name},
};

/// What the parts of a document are written from.
struct Desk<'a> {
    run: &'a RunData,
    summary: &'a Summary,
    words: &'a Words,
    figures: Figures,
    charts: &'a [Chart],
}

impl Desk<'_> {
    fn get(&self, key: &str) -> String {
        self.words.get(key)
    }

    fn part(&self, title: &str, blocks: Vec<Block>) -> Part {
        Part { title: Some(self.get(title)), blocks }
    }

    fn chart(&self, name: &str) -> Option<Block> {
        let chart = self.charts.iter().find(|chart| chart.name == name)?;
        Some(Block::Chart(Figure {
            title: chart.title.clone(),
            reading: chart.reading.clone(),
            file: self.words.language.chart_file(chart.name),
            svg: chart.inline(),
            table: chart.table.clone(),
        }))
    }

    fn numbers(&self, heads: &[&str]) -> Vec<Column> {
        heads.iter().map(|head| Column::number(self.get(head))).collect()
    }

    fn texts(&self, heads: &[&str]) -> Vec<Column> {
        heads.iter().map(|head| Column::text(self.get(head))).collect()
    }
}

/// The whole report.
pub(crate) fn document(
    run: &RunData,
    summary: &Summary,
    charts: &[Chart],
    words: &Words,
    figures: Figures,
) -> Document {
    let desk = Desk { run, summary, words, figures, charts };
    let mut operation = operation::parts(&desk);
    operation.extend(bottleneck::parts(&desk));
    let section = |id, title, parts| Section { id, title: desk.get(title), parts };
    let engine = engine_name(summary);
    let sections = [
        section("results", "section.results", results::parts(&desk)),
        section("operation", "section.operation", operation),
        section("sizing", sizing_title(summary), sizing::parts(&desk)),
        section("prediction", "section.prediction", performance::parts(&desk)),
        section("conclusion", "section.conclusion", conclusion::parts(&desk)),
        section("evidence", "section.evidence", evidence::parts(&desk)),
        section("method", "section.method", method::parts(&desk)),
        section("files", "section.files", method::files(&desk)),
    ];
    Document {
        language: words.language.tag(),
        title: match &engine {
            Some(engine) => words.say("title.of_engine", &[("engine", engine)]),
            None => words.get("title.plain"),
        },
        subject: method::subject(&desk),
        banners: banners(summary, words),
        sections: sections.into_iter().filter(|section| !section.parts.is_empty()).collect(),
        footer: words.say("title.footer", &[("tool", &summary.run.tool), ("run", &summary.run.run_id)]),
        data_word: words.get("word.data"),
        contents_word: words.get("word.contents"),
    }
}

/// Title of the section on GPUs: a load that was asked for, or the measured one.
fn sizing_title(summary: &Summary) -> &'static str {
    if summary.plan.is_some() { "section.plan" } else { "section.sizing" }
}

/// What every document says first.
pub(crate) fn banners(summary: &Summary, words: &Words) -> Vec<Banner> {
    let mut banners = Vec::new();
    if let Some(profile) = &summary.run.simulated_profile {
        banners.push(Banner {
            kind: "simulated",
            head: words.get("banner.simulated_head"),
            text: words.say("banner.simulated", &[("profile", profile)]),
        });
    }
    if !summary.run.complete {
        let reason = summary.run.incomplete_reason.as_deref().unwrap_or("killed");
        let reason = prose::finding::end_reason(reason, words);
        let run = summary.levels.len() as u64;
        banners.push(Banner {
            kind: "incomplete",
            head: words.get("banner.incomplete_head"),
            text: words.say("banner.incomplete", &[("reason", &reason), ("levels", &count(run))]),
        });
    }
    banners
}
