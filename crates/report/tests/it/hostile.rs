//! Names, URLs and messages from outside stay text, whatever they hold.

use analysis::Summary;
use pulldown_cmark::{Event, Options, Parser, Tag};
use records::RunData;
use report::{Language, console, render, sizing_console};

use crate::{
    fixture,
    structure::{parsed, text_of},
};

const HOSTILE: &str = "<script>alert('x')</script> | `a` **b** [c](http://evil.example/) \u{1b}[31m \u{202e} \"q\" 'q' &amp; {{ 7 * 7 }} {model}\n# d";

/// The reference run with the hostile text in every place that comes from outside.
fn poisoned() -> (RunData, Summary) {
    let (run, mut summary) = fixture::partial();
    let poison = || HOSTILE.to_owned();
    let facts = &mut summary.run;
    facts.model = poison();
    facts.url = poison();
    facts.engine = Some(poison());
    facts.engine_version = Some(poison());
    facts.workload = poison();
    facts.run_id = poison();
    facts.gpus = vec![poison()];
    facts.client = poison();
    facts.tool = poison();
    facts.argv = vec![poison()];
    facts.notes = vec![poison()];
    facts.simulated_profile = Some(poison());
    facts.incomplete_reason = Some(poison());
    for level in &mut summary.levels {
        for failure in &mut level.failures {
            failure.kind = poison();
            failure.example = Some(poison());
        }
    }
    let (_, reference) = fixture::rtx3090();
    summary.capacity = reference.capacity;
    summary.sizing = reference.sizing;
    if let Some(capacity) = &mut summary.capacity {
        capacity.source = poison();
    }
    if let Some(sizing) = &mut summary.sizing {
        sizing.model = poison();
        sizing.engine = poison();
        sizing.weight_dtype = poison();
        for option in &mut sizing.options {
            option.price_source = Some(poison());
            option.price_date = Some(poison());
            option.cloud_offer = Some(poison());
        }
        sizing.options[0].gpu = poison();
    }
    let mut run = run;
    run.manifest.plan.endpoint = poison();
    run.manifest.plan.model = poison();
    (run, summary)
}

#[test]
fn pages_and_charts_show_hostile_text_as_text() {
    let (run, summary) = poisoned();
    for (language, page) in [(Language::En, "report.html"), (Language::Ko, "report.ko.html")] {
        let files = render(&run, &summary, language).unwrap();
        let page = parsed(text_of(&files, page));
        assert!(!page.descendants().any(|node| node.has_tag_name("script")));
        assert!(
            page.descendants().any(|node| { node.text().is_some_and(|t| t.contains("<script>alert('x')</script>")) })
        );
        for file in &files {
            let text = std::str::from_utf8(&file.bytes).unwrap();
            assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{}", file.path);
            if file.path.starts_with("charts/") {
                let chart = roxmltree::Document::parse(text).unwrap();
                assert!(!chart.descendants().any(|node| node.tag_name().name() == "script"));
            }
        }
    }
}

#[test]
fn markdown_shows_hostile_text_as_text() {
    let (run, summary) = poisoned();
    for (language, path) in [(Language::En, "report.md"), (Language::Ko, "report.ko.md")] {
        let files = render(&run, &summary, language).unwrap();
        let markdown = text_of(&files, path);
        let mut columns = 0;
        for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
            match event {
                Event::Html(html) | Event::InlineHtml(html) => panic!("markup: {html}"),
                Event::Start(Tag::Link { dest_url, .. }) => panic!("link: {dest_url}"),
                Event::Start(Tag::Image { dest_url, .. }) => {
                    assert!(dest_url.starts_with("charts/"), "{dest_url}");
                }
                Event::Start(Tag::Table(alignments)) => columns = alignments.len(),
                Event::Start(Tag::TableHead | Tag::TableRow) => {
                    assert!(columns > 1);
                }
                _ => {}
            }
        }
        let heads = markdown.lines().filter(|line| line.starts_with("# ")).count();
        assert_eq!(heads, 1, "the title is the only heading of its rank");
    }
}

#[test]
fn the_terminal_gets_no_control_character() {
    let (_, summary) = poisoned();
    for language in Language::ALL {
        let sizing = summary.sizing.as_ref().expect("poisoned above");
        let text = console(&summary, language, 100) + &sizing_console(sizing, language, 100);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        assert!(!text.contains('\u{202e}'));
    }
}
