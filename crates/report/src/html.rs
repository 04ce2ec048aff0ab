//! The HTML page: one file, no network, complete with scripts off, for screen (light and dark) and paper.
//!
//! The template escapes every value; only the charts, which this crate drew and escaped itself, and the style sheet go
//! in as they are. The markup is also well-formed XML, so that a test can prove it balanced.

use tera::{Context, Tera, escape_html};

use crate::{ReportError, chart::sheet::DARK_RULES, view::Document};

const TEMPLATE: &str = "report.html";

/// The whole page.
pub(crate) fn render(document: &Document) -> Result<String, ReportError> {
    let failed = |source| ReportError::Template {
        template: TEMPLATE,
        source,
    };
    let mut tera = Tera::new();
    tera.add_raw_template(TEMPLATE, include_str!("../templates/report.html"))
        .map_err(failed)?;
    let mut context = Context::from_serialize(document).map_err(failed)?;
    context.insert("style", include_str!("../templates/style.css"));
    context.insert("chart_style", DARK_RULES);
    tera.render(TEMPLATE, &context).map_err(failed)
}

/// Text for HTML and XML, in content and in quoted attributes, escaped as the template engine does it.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = Vec::with_capacity(text.len());
    // Writing to memory does not fail; were it to, an empty title is better than an unescaped one.
    match escape_html(text, &mut escaped) {
        Ok(()) => String::from_utf8_lossy(&escaped).into_owned(),
        Err(_) => String::new(),
    }
}
