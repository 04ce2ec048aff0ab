//! What a document is made of: banners, sections, parts and blocks of finished text. Types only.

use serde::Serialize;

use crate::number::ABSENT;

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
    /// Severity for the eye: `problem`, `warning`, `insight`, `note` or `plain`.
    pub(crate) tone: &'static str,
    /// A command that does it, verbatim.
    pub(crate) code: Option<String>,
}

impl Item {
    pub(super) fn plain(text: String) -> Self {
        Self { label: None, text, tone: "plain", code: None }
    }

    pub(super) fn labelled(label: String, text: String) -> Self {
        Self { label: Some(label), text, tone: "plain", code: None }
    }

    pub(super) fn with_code(self, code: Option<String>) -> Self {
        Self { code, ..self }
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
        Self { head, numeric: true, code: false }
    }

    pub(crate) fn text(head: String) -> Self {
        Self { head, numeric: false, code: false }
    }

    pub(super) fn code(head: String) -> Self {
        Self { head, numeric: false, code: true }
    }
}

/// A row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) cells: Vec<Cell>,
    /// Whether the eye should find it.
    pub(crate) strong: bool,
}

impl Row {
    pub(super) fn new(cells: Vec<String>, strong: bool) -> Self {
        let cells = cells.into_iter().map(Cell::from).collect();
        Self { cells, strong }
    }
}

/// A figure, and what belongs to it: small below it in HTML, in brackets behind it in Markdown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) small: Option<String>,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, small: None }
    }
}

impl Table {
    pub(crate) fn plain(columns: Vec<Column>, rows: Vec<Vec<String>>) -> Self {
        let rows = rows.into_iter().map(|cells| Row::new(cells, false)).collect();
        Self { columns, rows, notes: Vec::new() }
    }

    /// Without the columns that hold no figure in any row; the first column stays.
    pub(super) fn without_empty_columns(mut self) -> Self {
        let absent = |column: usize| {
            let mut cells = self.rows.iter().filter_map(|row| row.cells.get(column));
            cells.all(|cell| cell.text == ABSENT)
        };
        let keep: Vec<bool> =
            (0..self.columns.len()).map(|column| column == 0 || self.rows.is_empty() || !absent(column)).collect();
        let kept = |index: &mut usize| {
            let keep = keep.get(*index).copied().unwrap_or(true);
            *index += 1;
            keep
        };
        let mut index = 0;
        self.columns.retain(|_| kept(&mut index));
        for row in &mut self.rows {
            let mut index = 0;
            row.cells.retain(|_| kept(&mut index));
        }
        self
    }

    pub(super) fn with_notes(mut self, notes: Vec<String>) -> Self {
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
