//! What `size` prints: both methods' memory, the table of GPUs, what two flags gain, and where the simple method departs.

use analysis::{GpuOption, SizingSection};

use super::text::{Column, grid, wrapped};
use crate::{
    language::{Language, Words},
    number::{gigabytes, held_tenths},
    prose::{
        deviation,
        sizing::{assumptions, free_gain, holds, option_name, price_sources},
    },
    view::sizing::{exact_cards, exact_text, memory_rows, price, simple_cards, simple_text},
};

/// What sizing says in a terminal of `width` columns: for what load, the terms of both methods with their totals, requests
/// and cards by both on every GPU with its prices, and the departures of the simple method as sentences. Options that
/// hold the target by the engine's arithmetic are marked with `*`.
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
    if let Some(gain) = free_gain(section, words) {
        let text = format!("{}: {gain}", words.get("sizing.free_label"));
        lines.extend(paragraph(&text, "- "));
    }
    let unknown = |option: &GpuOption| option.exact_unknown;
    if section.options.iter().any(unknown) {
        lines.extend(paragraph(&words.get("sizing.unknown_note"), "- "));
    }
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
    let column = |index: usize| rows.clone().into_iter().map(move |row| row[index].clone());
    [
        Column::words(0, words.get("column.item"), column(0)),
        Column::numbers(0, words.get("sizing.simple"), column(1)),
        Column::numbers(0, words.get("sizing.exact"), column(2)),
    ]
}

fn gpus(section: &SizingSection, words: &Words) -> Vec<Column> {
    let options = || section.options.iter();
    let column = |cost, head: &str, cell: &dyn Fn(&GpuOption) -> String| {
        Column::numbers(cost, words.get(head), options().map(cell))
    };
    let any_gain = options().any(|option| option.exact_max_requests_at_256_seqs.is_some());
    let name = |option: &GpuOption| {
        let holds = holds(section, option);
        format!("{}{}", option_name(option), if holds { " *" } else { "" })
    };
    let mut columns = vec![
        Column::words(0, words.get("column.gpu"), options().map(name)),
        column(2, "column.vram", &|option| gigabytes(option.vram_gb * f64::from(option.count))),
        column(0, "console.fits_simple", &|option| simple_text(option, words)),
        column(0, "console.fits_exact", &|option| exact_text(option, words, held_tenths)),
    ];
    if any_gain {
        columns.push(column(3, "console.fits_flags", &|option| {
            let with = option.exact_max_requests_at_256_seqs;
            with.map_or_else(String::new, held_tenths)
        }));
    }
    columns.extend([
        column(4, "console.cards_simple", &|option| simple_cards(option.simple_cards_needed)),
        column(1, "console.cards_exact", &|option| exact_cards(option, words)),
        column(1, "console.purchase", &|option| price(words, option.purchase_usd)),
        column(2, "console.cloud_hour", &|option| price(words, option.cloud_usd_per_hour)),
    ]);
    columns
}
