//! An open loop is shown with the rate that was asked for and the one that was reached, in every document.

use analysis::RequestRate;
use report::{Language, console, render};

use crate::{fixture, structure::text_of};

#[test]
fn rates_are_in_report_console_and_csv() {
    let (mut run, mut summary) = fixture::llama_cpp();
    let levels = summary.levels.len();
    run.manifest.plan.levels = vec![0; levels];
    run.manifest.plan.arrivals = vec![
        Some(records::Arrivals {
            per_second: Some(2.5),
            burstiness: Some(1.0),
            ramp: None,
            stages: Vec::new(),
            recorded: false,
            most_in_flight: 64,
        });
        levels
    ];
    for level in &mut summary.levels {
        level.request_rate = Some(RequestRate {
            planned_per_s: Some(2.5),
            planned_until_per_s: Some(137.0),
            sent_per_s: Some(2.43),
            send_lag_max_ms: 1.25,
            most_in_flight: 64,
        });
    }
    for (language, asked, open) in [
        (Language::En, "Requested rate, 1/s", "open loop: requests"),
        (Language::Ko, "요청률 계획, 1/s", "개루프: 서버의"),
    ] {
        let files = render(&run, &summary, language).unwrap();
        let name = if language == Language::En { "report.md" } else { "report.ko.md" };
        let document = text_of(&files, name);
        for expected in [asked, open, "2.50 → 137", "2.43"] {
            assert!(document.contains(expected), "{name}: {expected}");
        }
        assert!(!document.contains("폐루프") && !document.contains("closed loop:"));
        let csv = text_of(&files, "levels.csv");
        assert!(
            csv.lines()
                .next()
                .unwrap()
                .contains("request_rate_planned,request_rate_planned_until,request_rate_sent,send_lag_max_ms")
        );
        assert!(csv.lines().nth(1).unwrap().contains("2.5,137,2.43,1.25"));
        let text = console(&summary, language, 200);
        assert!(text.contains("2.50 -> 137") && text.contains("2.43"), "{text}");
    }
}
