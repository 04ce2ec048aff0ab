//! Findings of one kind at several levels are one sentence, in every document.

use analysis::{Finding, FindingKind, Severity, Summary};
use report::{Language, console};

use crate::fixture;

/// The reference run with other findings, on lines as wide as they get.
fn told(findings: impl IntoIterator<Item = FindingKind>, language: Language) -> Vec<String> {
    let (_, mut summary) = fixture::rtx3090();
    summary.findings = findings.into_iter().map(|what| Finding { severity: Severity::Warning, what }).collect();
    bullets(&summary, language)
}

fn bullets(summary: &Summary, language: Language) -> Vec<String> {
    console(summary, language, 10_000).lines().filter_map(|line| Some(line.strip_prefix("- ")?.to_owned())).collect()
}

fn disagreement(concurrency: u32, metric: &str, client: f64, server: f64) -> FindingKind {
    FindingKind::Disagreement { concurrency, metric: metric.into(), client, server }
}

#[test]
fn levels_and_range_stand_in_one_sentence() {
    let hits = |concurrency, hit_rate| FindingKind::PrefixCacheHits { concurrency, hit_rate };
    let waiting = |concurrency, waiting_mean| FindingKind::Queueing { concurrency, waiting_mean };
    // Kinds that alternate are told apart, and stand where the first of them does.
    let findings = || [hits(1, 0.246), waiting(32, 3.0), hits(2, 0.2), waiting(64, 30.04), hits(8, 0.216)];
    let english = told(findings(), Language::En);
    assert_eq!(english.len(), 2);
    assert!(english[0].contains("At concurrency 1, 2 and 8, 20.0-24.6% of the prompt tokens"));
    assert!(english[1].contains("At concurrency 32 and 64, 3.0-30.0 requests were waiting"));
    let korean = told(findings(), Language::Ko);
    assert_eq!(korean.len(), 2);
    assert!(korean[0].contains("동시 요청 1, 2, 8개에서") && korean[0].contains("20.0-24.6%"));
}

#[test]
fn disagreements_on_one_metric_name_the_level_where_they_are_largest() {
    let told = told(
        [
            disagreement(4, "ttft", 100.0, 120.0),
            disagreement(8, "ttft", 300.0, 150.0),
            disagreement(8, "output_tokens", 1000.0, 900.0),
        ],
        Language::En,
    );
    assert_eq!(told.len(), 2);
    assert!(told[0].contains(
        "At concurrency 4 and 8, client and server disagree on TTFT, most at 8: 300 ms by the client, 150 ms by the \
         server (-50.0%)"
    ));
    assert!(told[1].contains("At concurrency 8, client and server disagree on output tokens: 1,000"));
}

#[test]
fn failures_add_up_and_name_the_cause_of_most_of_them() {
    let (_, summary) = fixture::partial();
    let failures: Vec<String> =
        bullets(&summary, Language::En).into_iter().filter(|line| line.contains("requests failed")).collect();
    // 7 of 40 and 16 of 16; of the 23, 16 had no connection.
    let [failures] = &failures[..] else {
        panic!("{failures:?}");
    };
    assert!(failures.contains(
        "At concurrency 8 and 16, 23 of 56 requests failed (17.5-100.0% a level), mostly: no connection to the server \
         (connect_failed/connect)."
    ));
}

#[test]
fn falls_under_load_are_not_blamed_on_the_kernel_of_a_single_sequence() {
    let fall = |from, to| FindingKind::ThroughputCliff { from, to, from_tok_s: 50.0, to_tok_s: 25.0 };
    let single = told([fall(1, 2)], Language::En);
    assert!(single[0].contains("a single sequence") && !single[0].contains("preemptions"));
    let both = told([fall(1, 2), fall(32, 48)], Language::En);
    assert_eq!(both.len(), 1);
    let said = both[0].to_lowercase();
    assert!(said.contains("from concurrency 1 to 2") && said.contains("from concurrency 32 to 48"), "{said}");
    assert!(both[0].contains("preemptions") && !both[0].contains("a single sequence"));
}

/// Without a stable level the verdict goes on with what did complete, and why the rest did not.
#[test]
fn no_stable_level_is_followed_by_what_completed() {
    let (_, mut summary) = fixture::partial();
    summary.limits.largest_stable = None;
    let text = console(&summary, Language::En, 10_000);
    // 20 + 31 + 0 of 20 + 38 + 16, without the two that the client gave up.
    assert!(text.contains(
        "did every measured request complete. 51 of 74 measured requests completed (0.0-100.0% per level). The most \
         frequent cause, 16 of 23 failures: no connection to the server (connect_failed/connect)."
    ), "{text}");
}

#[test]
fn growth_is_said_of_the_peak_only_where_it_was_seen() {
    let (_, mut summary) = fixture::rtx3090();
    assert!(console(&summary, Language::En, 10_000).contains("It was still growing at that level"));
    summary.limits.peak_output = Some(analysis::Peak { concurrency: 48, tok_s: 700.0 });
    assert!(!console(&summary, Language::En, 10_000).contains("It was still growing at that level"));
    summary.limits.peak_output = None;
    assert!(console(&summary, Language::En, 10_000).contains("No level has figures that are valid"));
}

#[test]
fn energy_that_two_accounts_give_differently_is_said_in_both_languages() {
    let mismatch =
        |concurrency, counter_j, integral_j| FindingKind::EnergyMismatch { concurrency, counter_j, integral_j };
    // 187 J by the counter and 327 J by the integral were seen on an idle GPU (ml-energy/zeus issue 181): 42.8%.
    let findings = || [mismatch(1, 187.0, 327.0), mismatch(8, 1000.0, 900.0)];
    for (language, words) in
        [(Language::En, ["concurrency 1 and 8", "energy counter"]), (Language::Ko, ["동시 요청 1", "에너지 카운터"])]
    {
        let told = told(findings(), language);
        assert_eq!(told.len(), 1, "{told:?}");
        for part in words.into_iter().chain(["10.0", "42.8%"]) {
            assert!(told[0].contains(part), "{part}: {}", told[0]);
        }
    }
}

#[test]
fn waiting_throttling_and_a_full_cache_are_told_in_both_languages() {
    let queued = |concurrency, place: &str, wait_ms, ttft_ms| FindingKind::TtftQueued {
        concurrency,
        place: place.into(),
        wait_ms,
        ttft_ms,
    };
    let throttled = |cause: &str, share| FindingKind::Throttled {
        concurrency: 64,
        cause: cause.into(),
        share,
        clock_percent: Some(80.0),
    };
    let pressure = FindingKind::KvPressure { concurrency: 48, usage: 0.987, running: 40.0 };
    let findings = || {
        [
            queued(32, "server", 700.0, 900.0),
            queued(64, "server", 2400.0, 2500.0),
            queued(64, "client", 300.0, 400.0),
            throttled("power", 0.35),
            throttled("thermal", 0.125),
            pressure.clone(),
        ]
    };
    let english = told(findings(), Language::En);
    let expected = [
        "TTFT is mostly queueing: a request spent 700 ms-2.4 s of 900 ms-2.5 s",
        "At concurrency 64, requests were sent 300 ms late on average, out of 400 ms",
        "the power limit throttled the GPUs 35.0% of the time",
        "thermal throttling slowed the GPUs 12.5% of the time",
        "At concurrency 48, the KV cache was up to 98.7% full",
    ];
    assert_eq!(english.len(), expected.len(), "{english:?}");
    for (text, expected) in english.iter().zip(expected) {
        assert!(text.contains(expected), "{text}");
    }
    let korean = told(findings(), Language::Ko);
    let expected = ["서버 대기열", "예정보다 평균 300 ms 늦게", "전력 제한", "열 때문에", "최대 98.7%까지"];
    assert_eq!(korean.len(), expected.len(), "{korean:?}");
    for (text, expected) in korean.iter().zip(expected) {
        assert!(text.contains(expected), "{text}");
    }
}
