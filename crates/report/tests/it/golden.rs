//! Golden copies of what is read as text. A change here is a change that readers see.

use report::{Language, console, render, sizing_console};

use crate::fixture;

fn markdown(fixture: &(records::RunData, analysis::Summary), language: Language) -> String {
    let files = render(&fixture.0, &fixture.1, language).expect("fixtures render");
    String::from_utf8(files[0].bytes.clone()).expect("documents are UTF-8")
}

#[test]
fn markdown_of_the_reference_run() {
    let run = fixture::rtx3090();
    insta::assert_snapshot!("rtx3090.en.md", markdown(&run, Language::En));
    insta::assert_snapshot!("rtx3090.ko.md", markdown(&run, Language::Ko));
}

#[test]
fn markdown_without_capacity_sizing_and_gpu() {
    let run = fixture::llama_cpp();
    insta::assert_snapshot!("llama_cpp.en.md", markdown(&run, Language::En));
    insta::assert_snapshot!("llama_cpp.ko.md", markdown(&run, Language::Ko));
}

#[test]
fn markdown_of_a_simulated_run_that_broke_off() {
    let run = fixture::partial();
    insta::assert_snapshot!("partial.en.md", markdown(&run, Language::En));
    insta::assert_snapshot!("partial.ko.md", markdown(&run, Language::Ko));
}

#[test]
fn console_of_every_run() {
    for (name, (_, summary)) in
        [("rtx3090", fixture::rtx3090()), ("llama_cpp", fixture::llama_cpp()), ("partial", fixture::partial())]
    {
        for language in Language::ALL {
            let text = console(&summary, language, 100);
            insta::assert_snapshot!(format!("{name}.{}.console", language.tag()), text);
        }
    }
}

#[test]
fn narrow_console_drops_columns_and_never_overflows() {
    let (_, summary) = fixture::rtx3090();
    insta::assert_snapshot!("rtx3090.en.console60", console(&summary, Language::En, 60));
}

/// The reference report's target on the catalogue's GPUs.
#[test]
fn console_of_sizing() {
    let sizing = fixture::rtx3090().1.sizing.expect("in the fixture");
    for language in Language::ALL {
        let text = sizing_console(&sizing, language, 100);
        insta::assert_snapshot!(format!("sizing.{}.console", language.tag()), text);
    }
}

#[test]
fn levels_csv() {
    let (run, summary) = fixture::partial();
    let files = render(&run, &summary, Language::En).unwrap();
    let csv = files.iter().find(|file| file.path == "levels.csv").unwrap();
    insta::assert_snapshot!("partial.levels.csv", String::from_utf8(csv.bytes.clone()).unwrap());
}
