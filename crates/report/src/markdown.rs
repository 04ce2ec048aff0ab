//! The Markdown document, for reading in a terminal, a repository or a chat as well as rendered.
//!
//! Every value passes the `md` filter (`CommonMark` and GitHub's extensions) or, for commands and file names, `code` and
//! `fence`: a model name can be neither markup nor a link nor the end of a table cell.

use tera::{Context, Kwargs, State, Tera};

use crate::{ReportError, sanitise::one_line, view::block::Document};

const TEMPLATE: &str = "report.md";

/// The whole document.
pub(crate) fn render(document: &Document) -> Result<String, ReportError> {
    let failed = |source| ReportError::Template { template: TEMPLATE, source };
    let mut tera = Tera::new();
    tera.register_filter("md", |text: &str, _: Kwargs, _: &State| md(text));
    tera.register_filter("code", |text: &str, _: Kwargs, _: &State| code(text));
    tera.register_filter("fence", |text: &str, _: Kwargs, _: &State| fence(text));
    tera.add_raw_template(TEMPLATE, include_str!("../templates/report.md")).map_err(failed)?;
    let context = Context::from_serialize(document).map_err(failed)?;
    Ok(tidy(&tera.render(TEMPLATE, &context).map_err(failed)?))
}

/// At most one empty line in a row, no blanks at line ends.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut empty = 1;
    for line in text.lines().map(str::trim_end) {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            tidied.push_str(line);
            tidied.push('\n');
        }
    }
    tidied.truncate(tidied.trim_end().len());
    tidied.push('\n');
    tidied
}

/// Plain text in Markdown: on one line, and nothing in it is markup.
fn md(text: &str) -> String {
    let text = one_line(text);
    let mut escaped = String::with_capacity(text.len() + 8);
    let numbered = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    for (at, c) in text.char_indices() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '@' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // What would begin a heading, a list or a rule.
            '#' | '-' | '+' | '=' if at == 0 => {
                escaped.push('\\');
                escaped.push(c);
            }
            '.' | ')' if at == numbered && at > 0 && !text[at + 1..].starts_with(|c: char| c != ' ') => {
                escaped.push('\\');
                escaped.push(c);
            }
            // What GitHub would make a link of.
            ':' if text[at..].starts_with("://") => escaped.push_str("\\:"),
            '.' if text[..at].to_ascii_lowercase().ends_with("www") => escaped.push_str("\\."),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A run of backticks longer than any in the text, and at least `least`.
fn ticks(text: &str, least: usize) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat((longest + 1).max(least))
}

/// A command or file name within a table cell.
fn code(text: &str) -> String {
    let text = one_line(text);
    let ticks = ticks(&text, 1);
    let room = if text.contains('`') { " " } else { "" };
    format!("{ticks}{room}{}{room}{ticks}", text.replace('|', "\\|"))
}

/// A command on lines of its own.
fn fence(text: &str) -> String {
    let ticks = ticks(text, 3);
    format!("{ticks}text\n{}\n{ticks}", one_line(text))
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::*;

    const HOSTILE: [&str; 14] = [
        "<script>alert(1)</script>",
        "a | b | c",
        "`rm -rf` **bold** _it_ ~~gone~~",
        "[click](javascript:alert(1)) ![x](y)",
        "# heading",
        "- list",
        "1. list",
        "12) list",
        "line\n\n# heading\n| a | b |\n|--|--|",
        "&lt;b&gt; &amp; &#35;",
        "\\` \\<b>",
        "+ plus",
        "=====",
        "<!-- comment",
    ];

    fn events(markdown: &str) -> Vec<Event<'_>> {
        // Typographic quotes and dashes are a taste of the reader, not markup.
        let options = Options::all().difference(Options::ENABLE_SMART_PUNCTUATION);
        Parser::new_ext(markdown, options).collect()
    }

    #[test]
    fn hostile_text_comes_back_as_the_same_text_and_as_nothing_else() {
        for hostile in HOSTILE {
            let markdown = md(hostile);
            let mut seen = String::new();
            for event in events(&markdown) {
                match event {
                    Event::Text(text) => seen.push_str(&text),
                    Event::Start(Tag::Paragraph) | Event::End(_) => {}
                    other => panic!("{hostile:?} became {other:?} by way of {markdown:?}"),
                }
            }
            assert_eq!(seen, one_line(hostile), "by way of {markdown:?}");
        }
    }

    #[test]
    fn a_cell_stays_one_cell() {
        for hostile in HOSTILE {
            for cell in [md(hostile), code(hostile)] {
                let table = format!("| a | b |\n|---|---|\n| {cell} | x |\n");
                let cells =
                    events(&table).into_iter().filter(|event| matches!(event, Event::Start(Tag::TableCell))).count();
                assert_eq!(cells, 4, "{table}");
            }
        }
    }

    #[test]
    fn code_shows_what_it_was_given() {
        for hostile in ["plain.json", "a`b", "``", "x ``` y"] {
            let fenced = fence(hostile);
            let text: String = events(&fenced)
                .into_iter()
                .filter_map(|event| match event {
                    Event::Text(text) => Some(text.to_string()),
                    _ => None,
                })
                .collect();
            assert_eq!(text.trim_end(), hostile);
            let inline = code(hostile);
            assert_eq!(events(&inline)[1], Event::Code(hostile.into()));
        }
    }
}
