//! Conversations, rates that move in steps, and work without output, in both languages.

use analysis::{Distribution, Estimate, StageLevel, Summary, TurnLevel};
use records::RunData;
use report::{Language, console, render};

use crate::{fixture, structure::text_of};

const BOTH: [(Language, &str); 2] = [(Language::En, "report.md"), (Language::Ko, "report.ko.md")];

fn documents(run: &RunData, summary: &Summary) -> [String; 2] {
    BOTH.map(|(language, name)| {
        let files = render(run, summary, language).expect("a report");
        text_of(&files, name).to_owned()
    })
}

fn around(mean: f64) -> Distribution {
    let estimate = Estimate { value: mean, low: None, high: None };
    Distribution {
        n: 9,
        effective: None,
        mean: estimate,
        min: mean,
        max: mean,
        p50: None,
        p90: None,
        p95: None,
        p99: None,
    }
}

#[test]
fn turns_are_told_up_to_twelve() {
    let (mut run, mut summary) = fixture::llama_cpp();
    let options = &mut run.manifest.plan.workload_options;
    options.insert("session_turns".to_owned(), 14.into());
    options.insert("think_time_ms".to_owned(), 2500.into());
    options.insert("think_time_stddev_ms".to_owned(), 250.into());
    let turn = |turn: u32| TurnLevel {
        turn,
        completed: 9,
        ttft_ms: Some(around(71.5 + f64::from(turn))),
        e2el_ms: Some(around(500.0)),
        prompt_tokens_mean: Some(400.0),
        cached_prompt_tokens_mean: Some(300.0),
    };
    summary.levels[0].turns = (0..14).map(turn).collect();
    for (document, words) in documents(&run, &summary).iter().zip([
        ["Turns of a conversation", "first 12 are", "each slot is a user"],
        ["대화당 턴 수", "처음 12턴", "사용자 한 명"],
    ]) {
        for expected in words {
            assert!(document.contains(expected), "{expected}: {document}");
        }
        assert!(document.contains("| 12 | 9 | 400 | 75.0% | 82.5 |"), "{document}");
        assert!(!document.contains("| 13 | 9 | 400 |"));
        assert!(document.contains("2,500 ± 250"), "{document}");
    }
}

#[test]
fn stages_are_told_one_by_one() {
    let (run, mut summary) = fixture::llama_cpp();
    let stage = |planned_per_s, requests| StageLevel {
        planned_per_s,
        seconds: 60.0,
        requests,
        completed: 30,
        output_tok_s: 123.0,
        ttft_ms: Some(around(71.5)),
        e2el_ms: Some(around(500.0)),
        e2el_from_intended_ms: Some(around(510.0)),
    };
    summary.levels[0].stages = vec![stage(0.5, 30), stage(1.0, 60), stage(0.5, 0)];
    for document in documents(&run, &summary) {
        let second = "| 2 | 1.00 | 60.0 | 60 | 50.0% | 71.5 | 500.0 | 510.0 | 123.0 |";
        assert!(document.contains(second), "{document}");
        assert!(document.contains("| 3 | 0.50 | 60.0 | 0 | — |"), "{document}");
    }
}

#[test]
fn without_output_levels_are_compared_by_their_requests() {
    let (run, mut summary) = fixture::llama_cpp();
    summary.limits.peak_output = None;
    for (level, rate) in summary.levels.iter_mut().zip([3.0, 7.25, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0]) {
        level.output_tok_s = None;
        level.requests_per_s = rate;
        level.invalid.clear();
    }
    let most = summary.levels[1].concurrency;
    for (document, words) in documents(&run, &summary).iter().zip([
        format!("request throughput peaks at concurrency {most}: 7.25 requests/s"),
        format!("동시 요청 {most}개로, 초당 7.25건이며"),
    ]) {
        assert!(document.contains(&words), "{words}: {document}");
    }
    assert!(console(&summary, Language::En, 1000).contains("No output tokens were requested."));
}
