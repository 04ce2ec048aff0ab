//! The section on prediction: its table, chart and sentences, from the self-test of a recorded run.

use analysis::{LeftOut, LeftOutLevel, PerformanceSection, Refused, Summary};
use records::RunData;
use report::{Language, console, render};

use crate::{fixture, structure::text_of};

/// vLLM 0.12.0 on a CPU (`fixtures/calibration/`), under the head of another fixture.
fn recorded() -> (RunData, Summary) {
    let json = include_str!("../../../../fixtures/calibration/vllm-tiny-isl512.json");
    let value: serde_json::Value = serde_json::from_str(json).expect("the fixture is JSON");
    let (run, mut summary) = fixture::llama_cpp();
    let section = serde_json::from_value(value["performance"].clone());
    let section = section.expect("fixture follows the contract");
    summary.performance = Some(section);
    (run, summary)
}

fn section_of(markdown: &str, head: &str) -> String {
    let (_, rest) = markdown.split_once(head).expect("the section is there");
    let (section, _) = rest.split_once("\n## ").expect("another one follows");
    format!("{head}{section}\n")
}

#[test]
fn a_recorded_run_is_predicted_level_by_level() {
    let (run, summary) = recorded();
    for (language, head) in
        [(Language::En, "## 4. What the levels predict"), (Language::Ko, "## 4. 측정 단계로 본 예측")]
    {
        let files = render(&run, &summary, language).unwrap();
        let name = match language {
            Language::En => "report.md",
            Language::Ko => "report.ko.md",
        };
        let section = section_of(text_of(&files, name), head);
        insta::assert_snapshot!(format!("prediction.{}.md", language.tag()), section);
    }
}

#[test]
fn the_console_says_how_far_the_predictions_were_off() {
    let (_, summary) = recorded();
    let told = summary.performance.as_ref().and_then(|p| p.tpot).unwrap();
    let median = format!("TPOT {:.1}%", told.median * 100.0);
    assert!(console(&summary, Language::En, 100).contains(&median));
    assert!(console(&summary, Language::Ko, 100).contains(&median));
}

#[test]
fn the_chart_has_a_point_and_a_whisker_for_every_prediction() {
    let (run, summary) = recorded();
    let files = render(&run, &summary, Language::En).unwrap();
    let svg = roxmltree::Document::parse(text_of(&files, "charts/prediction.svg")).unwrap();
    let circles = svg.descendants().filter(|n| n.has_tag_name("circle")).count();
    let section = summary.performance.unwrap();
    let figures = |level: &analysis::HeldOutLevel| {
        [level.ttft_ms, level.tpot_ms, level.output_tok_s].into_iter().flatten().collect::<Vec<_>>()
    };
    let points: Vec<_> = section.levels.iter().flat_map(figures).collect();
    let held = points.iter().filter(|held| held.holds() == Some(true)).count();
    let missed = points.iter().filter(|held| held.holds() == Some(false)).count();
    // A disc where the interval held, two circles (a ring) where it did not; one of each in the legend.
    assert_eq!(circles, held + 2 * missed + 3);
    assert!(held > 10, "{held} {missed}");
}

#[test]
fn every_reason_has_its_sentence_in_both_languages() {
    let (run, mut summary) = recorded();
    let section: &mut PerformanceSection = summary.performance.as_mut().unwrap();
    let reasons = [
        Refused::TooFewLevels { usable: 2, needed: 3 },
        Refused::OtherLaw { from: 2 },
        Refused::Untested { from: 1.0, to: 85.3 },
        Refused::Model { reason: "the KV cache would run full".into() },
    ];
    for (level, reason) in section.levels.iter_mut().zip(reasons) {
        level.refused = Some(reason);
    }
    let why = [
        LeftOut::Invalid,
        LeftOut::OpenLoop,
        LeftOut::LengthsUnknown,
        LeftOut::TooShort,
        LeftOut::Failures { share: 0.25 },
        LeftOut::Preempted { preemptions: 7.0 },
    ];
    section.left_out =
        (0..).zip(why).map(|(level, why)| LeftOutLevel { level, concurrency: level * 10, why }).collect();
    let english = render(&run, &summary, Language::En).unwrap();
    let english = text_of(&english, "report.md");
    for sentence in [
        "it takes 3 for each",
        "begins at concurrency 2",
        "concurrency 1 to 85",
        "the KV cache would run full",
        "Not used, level 1 \\(by schedule\\)",
        "25.0% of the requests failed",
        "7 preemptions",
    ] {
        let sentence = sentence.replace("\\(", "(").replace("\\)", ")");
        assert!(english.contains(&sentence), "{sentence}\n{english}");
    }
    let korean = render(&run, &summary, Language::Ko).unwrap();
    let korean = text_of(&korean, "report.ko.md");
    assert!(!korean.contains('⟦') && !english.contains('⟦'));
    assert!(korean.contains("선점 7회") && korean.contains("25.0%가 실패"));
}
