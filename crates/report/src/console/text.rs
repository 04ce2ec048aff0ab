//! Text of a terminal: columns, wrapped lines, and signs that survive any pipe and log.

use unicode_width::UnicodeWidthStr;

use crate::{language::Language, sanitise::one_line};

const GAP: &str = "  ";

/// A column of a table.
pub(super) struct Column {
    /// How dear it is: 0 is never dropped, larger ones first.
    cost: u8,
    numeric: bool,
    /// Its head, then a cell for each row.
    cells: Vec<String>,
}

impl Column {
    /// Figures, flush right.
    pub(super) fn numbers(cost: u8, head: String, cells: impl Iterator<Item = String>) -> Self {
        Self { cost, numeric: true, cells: std::iter::once(head).chain(cells).collect() }
    }

    /// Words, flush left.
    pub(super) fn words(cost: u8, head: String, cells: impl Iterator<Item = String>) -> Self {
        Self { numeric: false, ..Self::numbers(cost, head, cells) }
    }
}

/// The rows of a table no wider than `width`, as long as columns can be dropped for it: least important ones first.
pub(super) fn grid(columns: &[Column], language: Language, width: usize) -> Vec<String> {
    let mut dear = columns.iter().map(|column| column.cost).max().unwrap_or(0);
    loop {
        let kept: Vec<(bool, Vec<String>)> = columns
            .iter()
            .filter(|column| column.cost <= dear)
            .map(|column| {
                let cells = column.cells.iter().map(|cell| plain(cell, language));
                (column.numeric, cells.collect())
            })
            .collect();
        let widths: Vec<usize> =
            kept.iter().map(|(_, cells)| cells.iter().map(|cell| cell.width()).max().unwrap_or(0)).collect();
        let total = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
        if total > width && dear > 0 {
            dear -= 1;
            continue;
        }
        let rows = kept.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
        return (0..rows).map(|row| line(&kept, &widths, row)).collect();
    }
}

fn line(columns: &[(bool, Vec<String>)], widths: &[usize], row: usize) -> String {
    let cells: Vec<String> = columns
        .iter()
        .zip(widths)
        .map(|((numeric, cells), &width)| {
            let cell = cells.get(row).map_or("", String::as_str);
            let room = " ".repeat(width.saturating_sub(cell.width()));
            if *numeric { room + cell } else { cell.to_owned() + &room }
        })
        .collect();
    cells.join(GAP).trim_end().to_owned()
}

/// Lines no wider than `width`, the first behind `bullet`, the others indented as far.
pub(super) fn wrapped(text: &str, bullet: &str, language: Language, width: usize) -> Vec<String> {
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
            '≤' => plain.push_str("<="),
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
