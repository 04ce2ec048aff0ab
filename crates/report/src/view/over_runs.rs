//! The document on several runs of one plan: means over runs with their intervals, and how much runs differ.

use analysis::{FigureOverRuns, LevelFigure, LevelOverRuns, OverRuns, Unit};

use super::{Banner, Block, Cell, Column, Document, Fact, Part, Row, Section, Table};
use crate::{
    language::Words,
    number::{ABSENT, count, figure, interval, number, per_second, percent, percent_interval},
};

/// The document.
pub(crate) fn document(over: &OverRuns, words: &Words) -> Document {
    let tables = vec![Block::Lead { text: lead(over, words) }, Block::Table(means(over, words))];
    let scatter = vec![Block::Table(scatter(over, words))];
    let part = |title: &str, blocks| Part { title: Some(words.get(title)), blocks };
    Document {
        language: words.language.tag(),
        title: words.say("runs.title", &[("n", &count(over.run_ids.len() as u64))]),
        subject: subject(over, words),
        banners: banners(over, words),
        sections: vec![Section {
            id: "runs",
            title: words.get("runs.section"),
            parts: vec![part("runs.means", tables), part("runs.scatter", scatter)],
        }],
        footer: words.say("runs.footer", &[("name", &over.name)]),
        data_word: words.get("word.data"),
        contents_word: words.get("word.contents"),
    }
}

/// What must be known first.
pub(crate) fn banners(over: &OverRuns, words: &Words) -> Vec<Banner> {
    let simulated = over.simulated_profile.as_ref().map(|profile| Banner {
        kind: "simulated",
        head: words.get("banner.simulated_head"),
        text: words.say("banner.simulated", &[("profile", profile)]),
    });
    let made = over.run_ids.len() as u64;
    let cut_off = (made < over.planned_runs).then(|| Banner {
        kind: "incomplete",
        head: words.get("banner.incomplete_head"),
        text: words.say("runs.cut_off", &[("n", &*count(made)), ("planned", &*count(over.planned_runs))]),
    });
    simulated.into_iter().chain(cut_off).collect()
}

/// What the intervals are.
pub(crate) fn lead(over: &OverRuns, words: &Words) -> String {
    words.say("runs.lead", &[("n", &count(over.run_ids.len() as u64))])
}

fn subject(over: &OverRuns, words: &Words) -> Vec<Fact> {
    let engine = [&over.engine, &over.engine_version];
    let engine: Vec<&str> = engine.into_iter().flatten().map(String::as_str).collect();
    [
        ("subject.model", over.model.clone()),
        ("subject.engine", engine.join(" ")),
        ("subject.run", over.run_ids.join(", ")),
    ]
    .into_iter()
    .map(|(name, value)| Fact { name: words.get(name), value })
    .collect()
}

/// The heads of what tells levels apart, then those of all figures.
fn columns(words: &Words) -> Vec<Column> {
    let fixed = ["column.concurrency", "column.rate", "column.runs"];
    let heads = fixed.into_iter().map(|head| words.get(head)).chain(LevelFigure::all().map(|what| words.figure(what)));
    heads.map(Column::number).collect()
}

fn table(over: &OverRuns, words: &Words, cell: fn(&FigureOverRuns) -> Cell) -> Table {
    let rows = over.levels.iter().map(|level| {
        let mark = if level.invalid_runs == 0 { "" } else { " †" };
        let rate = level.request_rate.map_or_else(|| ABSENT.into(), per_second);
        let mut cells: Vec<Cell> =
            vec![format!("{}{mark}", count(level.concurrency)).into(), rate.into(), count(level.runs).into()];
        cells.extend(
            LevelFigure::all().map(|what| find(level, what).map_or_else(|| Cell::from(ABSENT.to_owned()), cell)),
        );
        Row { cells, strong: false }
    });
    Table { columns: columns(words), rows: rows.collect(), notes: Vec::new() }.without_empty_columns()
}

/// Returns this figure of the level.
pub(crate) fn find(level: &LevelOverRuns, what: LevelFigure) -> Option<&FigureOverRuns> {
    level.figures.iter().find(|figure| figure.metric.parse() == Ok(what))
}

/// The unit of a figure by its name; `None` for one that only a newer program knows.
pub(crate) fn unit(figure: &str) -> Option<Unit> {
    Some(figure.parse::<LevelFigure>().ok()?.row().unit)
}

fn is_share(figure: &FigureOverRuns) -> bool {
    unit(&figure.metric) == Some(Unit::Share)
}

/// The mean as text.
pub(crate) fn mean(of: &FigureOverRuns) -> String {
    match unit(&of.metric) {
        Some(Unit::Share) => percent(of.mean.value),
        Some(Unit::RequestsPerSecond) => per_second(of.mean.value),
        _ => figure(of.mean.value),
    }
}

fn means(over: &OverRuns, words: &Words) -> Table {
    let table = table(over, words, |of| Cell {
        text: mean(of),
        small: if is_share(of) { percent_interval(of.mean) } else { interval(of.mean) },
    });
    let mut notes = vec![words.get("runs.note")];
    if over.levels.iter().any(|level| level.invalid_runs > 0) {
        notes.push(words.get("runs.invalid"));
    }
    table.with_notes(notes)
}

/// Standard deviation in percent of the mean; for a share in percentage points, as it stands.
pub(crate) fn deviation(of: &FigureOverRuns) -> Option<f64> {
    let share = if is_share(of) { of.stddev? } else { of.stddev? / of.mean.value };
    Some(share * 100.0).filter(|percent| percent.is_finite())
}

fn scatter(over: &OverRuns, words: &Words) -> Table {
    table(over, words, |of| {
        let text = deviation(of).map_or_else(|| ABSENT.into(), |x| number(x, 1));
        Cell::from(text)
    })
    .with_notes(vec![words.get("runs.scatter_note")])
}
