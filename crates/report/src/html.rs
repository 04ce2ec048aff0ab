//! The HTML page: one file, no network, complete with scripts off, for screen (light and dark) and paper.
//!
//! The template escapes every value; only sentences, which the `prose` filter escapes, the charts, which this crate drew
//! and escaped itself, and the style sheet go in as they are. The markup is also well-formed XML, so that a test can prove it balanced.

use tera::{Context, Kwargs, State, Tera};

use crate::{ReportError, chart::sheet::DARK_RULES, sanitise::escape, view::block::Document};

const TEMPLATE: &str = "report.html";

/// The whole page.
pub(crate) fn render(document: &Document) -> Result<String, ReportError> {
    let failed = |source| ReportError::Template { template: TEMPLATE, source };
    let mut tera = Tera::new();
    tera.register_filter("prose", |text: &str, _: Kwargs, _: &State| prose(text));
    tera.add_raw_template(TEMPLATE, include_str!("../templates/report.html")).map_err(failed)?;
    let mut context = Context::from_serialize(document).map_err(failed)?;
    context.insert("style", include_str!("../templates/style.css"));
    context.insert("chart_style", DARK_RULES);
    tera.render(TEMPLATE, &context).map_err(failed)
}

/// Text, escaped, with every flag (`--max-num-seqs`) set as code: it must not break at its hyphens.
fn prose(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let start = word.find("--").filter(|&start| {
            // A flag begins a word, at most behind a bracket or a quotation mark.
            !word[..start].contains(|c: char| c.is_alphanumeric() || c == '-')
        });
        let Some((before, flag)) = start.map(|start| word.split_at(start)) else {
            return escape(word);
        };
        let is_flag = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let length = flag.find(|c| !is_flag(c)).unwrap_or(flag.len());
        let (flag, after) = flag.split_at(length);
        if flag.len() < 3 {
            return escape(word);
        }
        format!("{}<code>{flag}</code>{}", escape(before), escape(after))
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_code_and_everything_else_is_escaped() {
        assert_eq!(
            prose("a level (--request-count). With --x_1 2, a--b, -- and --<b> “--한글”"),
            "a level (<code>--request-count</code>). With <code>--x_1</code> 2, a--b, -- and --&lt;b&gt; “--한글”"
        );
        assert_eq!(
            prose("--concurrency로 <script> & \"q\""),
            format!("<code>--concurrency</code>로 {}", escape("<script> & \"q\""))
        );
    }
}
