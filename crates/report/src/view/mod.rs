//! The document before it has a form: sections of blocks whose figures are already formatted strings.
//!
//! Markdown and HTML are two settings of the same view, so they cannot say different things. Texts here are raw: model
//! names, URLs and messages of servers stay as they came, and the templates escape everything.

mod conclusion;
mod evidence;
mod method;
mod operation;
mod results;
mod sizing;

use analysis::{GpuOption, Summary};
use records::RunData;
use serde::Serialize;

use crate::{
    chart::Chart,
    language::Words,
    number::{Figures, count},
    prose,
};

/// A whole report in one language.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    pub(crate) language: &'static str,
    pub(crate) title: String,
    pub(crate) subject: Vec<Fact>,
    /// What must be known before anything else is read.
    pub(crate) banners: Vec<Banner>,
    pub(crate) sections: Vec<Section>,
    pub(crate) footer: String,
    /// Word for the folded data table below a chart.
    pub(crate) data_word: String,
    /// Word for the list of sections.
    pub(crate) contents_word: String,
}

/// A name and a value.
#[derive(Debug, Serialize)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// A warning across the page.
#[derive(Debug, Serialize)]
pub(crate) struct Banner {
    /// `simulated`, `incomplete` or `debug`.
    pub(crate) kind: &'static str,
    pub(crate) head: String,
    pub(crate) text: String,
}

/// A numbered section.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    /// Anchor, the same in every language.
    pub(crate) id: &'static str,
    pub(crate) title: String,
    pub(crate) parts: Vec<Part>,
}

/// A part of a section; without a title it stands directly under the section's heading.
#[derive(Debug, Serialize)]
pub(crate) struct Part {
    pub(crate) title: Option<String>,
    pub(crate) blocks: Vec<Block>,
}

/// A piece of content.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Block {
    /// The sentence to take away.
    Lead {
        text: String,
    },
    Paragraph {
        text: String,
    },
    /// Headline figures.
    Tiles {
        tiles: Vec<Tile>,
    },
    Bullets {
        items: Vec<Item>,
    },
    Table(Table),
    Chart(Figure),
    /// A command line, verbatim.
    Code {
        text: String,
    },
}

/// A headline figure.
#[derive(Debug, Serialize)]
pub(crate) struct Tile {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) note: String,
}

/// A point of a list.
#[derive(Debug, Serialize)]
pub(crate) struct Item {
    pub(crate) label: Option<String>,
    pub(crate) text: String,
    /// Severity for the eye: `problem`, `warning`, `insight` or `plain`.
    pub(crate) tone: &'static str,
}

impl Item {
    fn plain(text: String) -> Self {
        Self {
            label: None,
            text,
            tone: "plain",
        }
    }

    fn labelled(label: String, text: String) -> Self {
        Self {
            label: Some(label),
            text,
            tone: "plain",
        }
    }
}

/// A table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    /// What has to be said to read it, in small print below.
    pub(crate) notes: Vec<String>,
}

/// A column.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Column {
    pub(crate) head: String,
    pub(crate) numeric: bool,
    /// Whether its cells are file names or commands.
    pub(crate) code: bool,
}

impl Column {
    pub(crate) fn number(head: String) -> Self {
        Self {
            head,
            numeric: true,
            code: false,
        }
    }

    pub(crate) fn text(head: String) -> Self {
        Self {
            head,
            numeric: false,
            code: false,
        }
    }

    fn code(head: String) -> Self {
        Self {
            head,
            numeric: false,
            code: true,
        }
    }
}

/// A row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) cells: Vec<String>,
    /// Whether the eye should find it.
    pub(crate) strong: bool,
}

impl Table {
    pub(crate) fn plain(columns: Vec<Column>, rows: Vec<Vec<String>>) -> Self {
        let rows = rows
            .into_iter()
            .map(|cells| Row {
                cells,
                strong: false,
            })
            .collect();
        Self {
            columns,
            rows,
            notes: Vec::new(),
        }
    }

    fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }
}

/// A chart in its place.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) title: String,
    pub(crate) reading: String,
    /// Path of the chart's own file.
    pub(crate) file: String,
    pub(crate) svg: String,
    pub(crate) table: Table,
}

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
        Part {
            title: Some(self.get(title)),
            blocks,
        }
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
        heads
            .iter()
            .map(|head| Column::number(self.get(head)))
            .collect()
    }

    fn texts(&self, heads: &[&str]) -> Vec<Column> {
        heads
            .iter()
            .map(|head| Column::text(self.get(head)))
            .collect()
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
    let desk = Desk {
        run,
        summary,
        words,
        figures,
        charts,
    };
    let section = |id, title, parts| Section {
        id,
        title: desk.get(title),
        parts,
    };
    let engine = engine_name(summary);
    Document {
        language: words.language.tag(),
        title: match &engine {
            Some(engine) => words.say("title.of_engine", &[("engine", engine)]),
            None => words.get("title.plain"),
        },
        subject: method::subject(&desk),
        banners: banners(summary, words),
        sections: vec![
            section("results", "section.results", results::parts(&desk)),
            section("operation", "section.operation", operation::parts(&desk)),
            section("sizing", "section.sizing", sizing::parts(&desk)),
            section("conclusion", "section.conclusion", conclusion::parts(&desk)),
            section("evidence", "section.evidence", evidence::parts(&desk)),
            section("method", "section.method", method::parts(&desk)),
            section("files", "section.files", method::files(&desk)),
        ],
        footer: words.say(
            "title.footer",
            &[("tool", &summary.run.tool), ("run", &summary.run.run_id)],
        ),
        data_word: words.get("word.data"),
        contents_word: words.get("word.contents"),
    }
}

/// `vLLM 0.11.2`, as far as it is known.
pub(crate) fn engine_name(summary: &Summary) -> Option<String> {
    let name = match summary.run.engine.as_deref()? {
        "vllm" => "vLLM",
        other => other,
    };
    Some(name.to_owned())
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
            text: words.say(
                "banner.incomplete",
                &[("reason", &reason), ("levels", &count(run))],
            ),
        });
    }
    banners
}

/// `2× A100 80GB`; one card goes without a number.
pub(crate) fn option_name(option: &GpuOption) -> String {
    if option.count == 1 {
        option.gpu.clone()
    } else {
        format!("{}× {}", option.count, option.gpu)
    }
}
