//! What must hold of every document of every run: well-formed, self-contained, banners, names of files, same bytes.

use analysis::Summary;
use records::RunData;
use report::{Language, OutFile, console, render, sizing_console};
use roxmltree::{Document, Node};
use unicode_width::UnicodeWidthStr;

use crate::fixture;

pub(crate) fn text_of<'a>(files: &'a [OutFile], path: &str) -> &'a str {
    let file = files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}"));
    std::str::from_utf8(&file.bytes).expect("documents are UTF-8")
}

/// The page is written as well-formed XML, so an XML parser proves it balanced.
pub(crate) fn parsed(html: &str) -> Document<'_> {
    let body = html.strip_prefix("<!DOCTYPE html>").expect("pages begin with their type");
    Document::parse(body).expect("pages are well-formed")
}

fn all_runs() -> [(RunData, Summary); 3] {
    [fixture::rtx3090(), fixture::llama_cpp(), fixture::partial()]
}

fn page_name(language: Language) -> &'static str {
    match language {
        Language::En => "report.html",
        Language::Ko => "report.ko.html",
    }
}

fn by_class<'a>(page: &'a Document<'a>, class: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    page.descendants()
        .filter(move |node| node.attribute("class").is_some_and(|classes| classes.split(' ').any(|one| one == class)))
}

#[test]
fn files_have_the_names_that_readers_look_for() {
    let (run, summary) = fixture::rtx3090();
    let names = |language| -> Vec<String> {
        let files = render(&run, &summary, language).unwrap();
        files.into_iter().map(|file| file.path).collect()
    };
    assert_eq!(
        names(Language::En),
        [
            "report.md",
            "report.html",
            "charts/throughput.svg",
            "charts/latency.svg",
            "charts/frontier.svg",
            "charts/capacity.svg",
            "charts/timeline.svg",
            "charts/distribution.svg",
            "charts/gpu.svg",
            "levels.csv"
        ]
    );
    assert!(names(Language::Ko).contains(&"charts/throughput.ko.svg".to_owned()));
    let (run, summary) = fixture::partial();
    let files = render(&run, &summary, Language::En).unwrap();
    assert!(!files.iter().any(|file| file.path.contains("gpu") || file.path.contains("capacity")));
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    for (run, summary) in all_runs() {
        for language in Language::ALL {
            let once = render(&run, &summary, language).unwrap();
            let again = render(&run.clone(), &summary.clone(), language).unwrap();
            assert!(once == again);
        }
    }
}

#[test]
fn pages_need_no_network_and_no_script() {
    for (run, summary) in all_runs() {
        for language in Language::ALL {
            let files = render(&run, &summary, language).unwrap();
            let page = parsed(text_of(&files, page_name(language)));
            for node in page.descendants().filter(Node::is_element) {
                assert!(!matches!(node.tag_name().name(), "script" | "link" | "img" | "iframe" | "object"));
                for attribute in node.attributes() {
                    assert_ne!(attribute.name(), "src");
                    if attribute.name() == "href" {
                        assert!(attribute.value().starts_with('#'), "{}", attribute.value());
                    }
                    assert!(!attribute.name().starts_with("on"), "{}", attribute.name());
                }
                if node.tag_name().name() == "style" {
                    let css = node.text().unwrap();
                    assert!(!css.contains("url(") && !css.contains("@import"));
                }
            }
        }
    }
}

#[test]
fn pages_have_the_skeleton_that_screen_readers_and_print_need() {
    for (run, summary) in all_runs() {
        for language in Language::ALL {
            let files = render(&run, &summary, language).unwrap();
            let page = parsed(text_of(&files, page_name(language)));
            assert_eq!(page.root_element().attribute("lang"), Some(language.tag()));
            let named = |name: &'static str| page.descendants().filter(move |n| n.has_tag_name(name));
            assert_eq!(named("h1").count(), 1);
            for link in named("a") {
                let id = link.attribute("href").unwrap().trim_start_matches('#');
                assert!(page.descendants().any(|node| node.attribute("id") == Some(id)), "{id}");
            }
            for table in named("table") {
                let heads = table.descendants().filter(|n| n.attribute("scope") == Some("col")).count();
                assert!(heads > 1 && table.descendants().any(|n| n.has_tag_name("thead")));
                for row in table.descendants().filter(|n| n.has_tag_name("tbody")).flat_map(|b| b.children()) {
                    if row.is_element() {
                        assert_eq!(row.children().filter(Node::is_element).count(), heads);
                    }
                }
            }
            for figure in named("figure") {
                let inside = |name: &str| figure.descendants().filter(|n| n.has_tag_name(name)).count();
                let picture = figure.descendants().find(|n| n.has_tag_name("svg")).unwrap();
                assert_eq!(picture.attribute("role"), Some("img"));
                assert_eq!((inside("title"), inside("desc"), inside("details"), inside("table")), (1, 1, 1, 1));
            }
        }
    }
}

#[test]
fn simulated_and_incomplete_runs_say_so_everywhere() {
    let (run, summary) = fixture::partial();
    for (language, simulated, incomplete) in
        [(Language::En, "SIMULATED", "INCOMPLETE"), (Language::Ko, "시뮬레이션", "중단된 실행")]
    {
        let files = render(&run, &summary, language).unwrap();
        for file in files.iter().filter(|file| file.path != "levels.csv") {
            let text = std::str::from_utf8(&file.bytes).unwrap();
            assert!(text.contains(simulated), "{} does not say {simulated}", file.path);
            assert!(text.contains(incomplete), "{} does not say {incomplete}", file.path);
        }
        let page = parsed(text_of(&files, page_name(language)));
        let first = page.descendants().find(|n| n.has_tag_name("body")).unwrap().first_element_child();
        assert_eq!(first.unwrap().attribute("class"), Some("banner simulated"));
        assert_eq!(by_class(&page, "banner").count(), 2);
        let terminal = console(&summary, language, 80);
        assert!(terminal.contains(simulated) && terminal.contains(incomplete));
    }
    let (run, summary) = fixture::rtx3090();
    for language in Language::ALL {
        let files = render(&run, &summary, language).unwrap();
        let page = parsed(text_of(&files, page_name(language)));
        assert_eq!(by_class(&page, "banner").count(), 0);
    }
}

#[test]
fn no_word_is_missing_and_no_place_is_left_open() {
    for (run, summary) in all_runs() {
        for language in Language::ALL {
            for file in render(&run, &summary, language).unwrap() {
                let text = std::str::from_utf8(&file.bytes).unwrap();
                assert!(!text.contains('⟦'), "{}", file.path);
                assert!(!text.contains("NaN"), "{}", file.path);
            }
            assert!(!console(&summary, language, 100).contains('⟦'));
            if let Some(sizing) = &summary.sizing {
                assert!(!sizing_console(sizing, language, 100).contains('⟦'));
            }
        }
    }
}

#[test]
fn charts_stand_alone() {
    for (run, summary) in all_runs() {
        for language in Language::ALL {
            for file in render(&run, &summary, language).unwrap() {
                if !file.path.starts_with("charts/") {
                    continue;
                }
                let picture = Document::parse(std::str::from_utf8(&file.bytes).unwrap()).unwrap();
                let root = picture.root_element();
                assert_eq!(root.tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
                assert_eq!(root.attribute("width"), Some("760"), "{}", file.path);
                let children: Vec<_> = root.children().filter(Node::is_element).map(|n| n.tag_name().name()).collect();
                assert_eq!(children[..3], ["title", "desc", "style"]);
                // The background comes first and covers everything: no viewer's dark page shines through.
                assert_eq!(children[3], "rect");
                for text in picture.descendants().filter(|n| n.has_tag_name("text")) {
                    let x: f64 = text.attribute("x").unwrap().parse().unwrap();
                    assert!((0.0..=1520.0).contains(&x), "{}: {:?}", file.path, text.text());
                }
            }
        }
    }
}

#[test]
fn console_is_ascii_in_english_and_keeps_its_width_in_both() {
    for (_, summary) in all_runs() {
        for width in [60, 80, 120] {
            for language in Language::ALL {
                let sizing = summary.sizing.as_ref();
                let sizing = sizing.map(|sizing| sizing_console(sizing, language, width));
                let text = console(&summary, language, width) + &sizing.unwrap_or_default();
                assert!(language == Language::Ko || text.is_ascii(), "{text}");
                for line in text.lines() {
                    assert!(line.width() <= width, "{width} < {}: {line}", line.width());
                }
            }
        }
    }
}

#[test]
fn a_run_without_any_level_still_gives_a_report() {
    let (mut run, mut summary) = fixture::partial();
    summary.levels.clear();
    summary.limits = analysis::Limits::default();
    summary.slo.clear();
    run.requests.clear();
    run.phases.clear();
    for language in Language::ALL {
        let files = render(&run, &summary, language).unwrap();
        assert_eq!(files.len(), 3, "two documents and the table, no chart");
        parsed(text_of(&files, page_name(language)));
        assert!(console(&summary, language, 80).ends_with('\n'));
    }
}
