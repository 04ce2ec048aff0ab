//! What `size` prints: both methods' memory, the table of GPUs, and where the simple method departs.

use analysis::{GpuOption, SizingSection};

use super::text::{Column, grid, wrapped};
use crate::{
    language::{Language, Words},
    number::{gigabytes, held_tenths},
    prose::{
        deviation,
        sizing::{assumptions, holds, option_name, price_sources},
    },
    view::sizing::{cards_text, fit_text, memory_rows, price, simple_text},
};

/// What sizing says in a terminal of `width` columns: for what load, the terms of both methods with their totals, requests
/// and cards on every GPU with its prices, and the departures of the simple method as sentences. Options that
/// really hold the target are marked with `*`.
///
/// The text ends with a line feed and holds no colour and no control character; English is pure ASCII.
pub fn sizing_console(section: &SizingSection, language: Language, width: usize) -> String {
    // A catalogue that cannot be read is caught by the tests.
    let Ok(words) = Words::load(language) else {
        return String::new();
    };
    let words = &words;
    let width = width.max(40);
    let paragraph = |text: &str, bullet: &str| wrapped(text, bullet, language, width);
    let mut lines = paragraph(&assumptions(section, words), "");
    lines.push(String::new());
    lines.extend(grid(&terms(section, words), language, width));
    lines.push(String::new());
    lines.extend(grid(&gpus(section, words), language, width));
    lines.extend(paragraph(&words.get("console.size_note"), ""));
    lines.push(String::new());
    for source in price_sources(section, words) {
        lines.extend(paragraph(&source, "- "));
    }
    if !section.deviations.is_empty() {
        lines.push(String::new());
        lines.extend(paragraph(&words.get("sizing.deviations"), ""));
        for sentence in deviation::sentences(&section.deviations, words) {
            lines.extend(paragraph(&sentence, "- "));
        }
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn terms(section: &SizingSection, words: &Words) -> [Column; 3] {
    let rows = memory_rows(section, words);
    // A terminal has no room for the formulas, only for what they give.
    let result = |cell: &str| cell.rsplit(" = ").next().unwrap_or(cell).to_owned();
    let column = |index: usize| rows.clone().into_iter().map(move |row| result(&row[index]));
    [
        Column::words(0, words.get("column.item"), column(0)),
        Column::numbers(0, words.get("sizing.simple"), column(1)),
        Column::numbers(0, words.get("sizing.engine"), column(2)),
    ]
}

fn gpus(section: &SizingSection, words: &Words) -> Vec<Column> {
    let options = || section.options.iter();
    let column = |cost, head: &str, cell: &dyn Fn(&GpuOption) -> String| {
        Column::numbers(cost, words.get(head), options().map(cell))
    };
    let name = |option: &GpuOption| {
        let holds = holds(section, option);
        format!("{}{}", option_name(option), if holds { " *" } else { "" })
    };
    vec![
        Column::words(0, words.get("column.gpu"), options().map(name)),
        column(2, "column.vram", &|option| gigabytes(option.vram_gb * f64::from(option.count))),
        column(0, "console.fits_simple", &|option| simple_text(option, words)),
        column(0, "console.fits_printed", &|option| fit_text(option.exact_max_requests, words, held_tenths)),
        column(0, "console.fits_held", &|option| fit_text(option.held_max_requests, words, held_tenths)),
        column(4, "console.cards_simple", &|option| cards_text(option.simple_cards_needed)),
        column(1, "console.cards_exact", &|option| cards_text(option.exact_cards_needed)),
        column(1, "console.purchase", &|option| price(words, option.purchase_usd)),
        column(2, "console.cloud_hour", &|option| price(words, option.cloud_usd_per_hour)),
    ]
}
