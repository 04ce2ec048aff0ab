//! Objectives, failures and capacity on records whose truth is known by construction.

use analysis::{FindingKind, Summary, summarise};
use records::{Judgement, Metric, Objectives, Outcome, RequestRecord, RunData};

use crate::build::{Level, MS, closed_loop, failed, one_level, request};

fn objectives(ttft_ms: u64, e2el_ms: u64) -> Judgement {
    Judgement {
        objectives: Some(Objectives {
            limits_ns: [(Metric::Ttft, ttft_ms * MS), (Metric::E2el, e2el_ms * MS)].into_iter().collect(),
            attainment: 0.9,
        }),
        confidence_level: None,
    }
}

fn judged(mut run: RunData, judgement: Judgement) -> Summary {
    run.manifest.judgement = judgement;
    summarise(&run, None, None)
}

/// A hundred requests one after the other, a second each; TTFT of the i-th is i ms; every tenth failed.
fn hundred() -> RunData {
    let one = |i: u64| -> RequestRecord {
        let sent = i * 1000 * MS;
        if i.is_multiple_of(10) {
            failed(sent, sent + 1000 * MS, Outcome::NoTokens)
        } else {
            request(sent, i * MS, 900 * MS, 10)
        }
    };
    one_level((1..=100).map(one).collect(), (1000 * MS, 101_000 * MS))
}

#[test]
fn good_requests_complete_and_meet_every_objective() {
    let summary = judged(hundred(), objectives(60, 1000));
    let goodput = summary.levels[0].goodput.unwrap();
    // 1 to 60 ms, without 10, 20, … 60.
    assert_eq!(goodput.good, 54);
    assert!((goodput.attainment.value - 0.54).abs() < 1e-12);
    assert!((goodput.requests_per_s.value - 0.54).abs() < 1e-12);
    assert_eq!([Metric::Ttft, Metric::E2el, Metric::Tpot].map(|m| goodput.met.get(m)), [Some(0.54), Some(0.9), None]);
    assert!(!goodput.holds);
    let section = summary.goodput.unwrap();
    assert_eq!((section.capacity.held_at, section.capacity.failed_at), (None, Some(1)));
    assert_eq!(section.missed_first.as_deref(), Some("ttft"));
}

#[test]
fn an_objective_that_only_failures_miss_says_so() {
    let summary = judged(hundred(), objectives(5000, 5000));
    let goodput = summary.levels[0].goodput.unwrap();
    assert_eq!(goodput.good, 90);
    // Nine of ten is what was asked.
    assert!(goodput.holds);
    let mut stricter = objectives(5000, 5000);
    stricter.objectives.as_mut().unwrap().attainment = 0.95;
    let section = judged(hundred(), stricter).goodput.unwrap();
    assert_eq!(section.missed_first.as_deref(), Some("failed"));
}

#[test]
fn failed_requests_are_infinitely_late() {
    let level = judged(hundred(), Judgement::default()).levels.remove(0);
    assert_eq!(level.goodput, None);
    let adjusted = level.failure_adjusted.unwrap().ttft_ms;
    assert_eq!(adjusted.n, 100);
    // numpy.quantile of 1..=100 with the multiples of 10 at infinity: the 50th and 51st of 90 finite ones are 55 and 56.
    assert_eq!(adjusted.p50, Some(55.5));
    // Rank 99 × 0.9 lies between the last finite one and infinity; higher ones lie beyond.
    assert_eq!((adjusted.p90, adjusted.p95), (None, None));
}

#[test]
fn without_failures_nothing_is_adjusted() {
    let run = one_level((1..=9).map(|i| request(i * MS, MS, 2 * MS, 2)).collect(), (MS, 20 * MS));
    assert_eq!(judged(run, Judgement::default()).levels[0].failure_adjusted, None);
}

/// Levels at which every request takes as long as it is told.
fn sweep(levels: &[(u32, u64)]) -> RunData {
    let level = |&(concurrency, e2el_ms): &(u32, u64)| Level {
        concurrency,
        rounds: 80,
        ttft_ns: 10 * MS,
        e2el_ns: e2el_ms * MS,
        tokens: 10,
    };
    closed_loop(&levels.iter().map(level).collect::<Vec<_>>())
}

#[test]
fn capacity_lies_on_the_line_between_the_levels() {
    let run = sweep(&[(1, 300), (2, 400), (4, 800), (8, 1600)]);
    let section = judged(run, objectives(100, 1000)).goodput.unwrap();
    let capacity = section.capacity;
    assert_eq!((capacity.held_at, capacity.failed_at), (Some(4), Some(8)));
    // E2EL is 1000 ms a quarter of the way from 800 to 1600, and requests that do not differ leave no doubt.
    assert!((capacity.concurrency.unwrap() - 5.0).abs() < 1e-6);
    assert!((capacity.low.unwrap() - 5.0).abs() < 1e-6);
    assert!((capacity.high.unwrap() - 5.0).abs() < 1e-6);
    assert_eq!(section.missed_first.as_deref(), Some("e2el"));
}

#[test]
fn a_limit_outside_the_levels_is_no_figure() {
    let run = || sweep(&[(1, 300), (2, 400), (4, 800)]);
    let beyond = judged(run(), objectives(100, 5000)).goodput.unwrap().capacity;
    assert_eq!((beyond.concurrency, beyond.low, beyond.high), (None, Some(4.0), None));
    assert_eq!((beyond.held_at, beyond.failed_at), (Some(4), None));
    let below = judged(run(), objectives(1, 5000)).goodput.unwrap().capacity;
    assert_eq!((below.concurrency, below.held_at, below.failed_at), (None, None, Some(1)));
    assert_eq!((below.low, below.high), (Some(0.0), Some(0.0)));
}

#[test]
fn the_rows_of_the_latency_table_say_where_between_the_levels() {
    let summary = judged(sweep(&[(1, 7000), (2, 9000), (4, 11_000)]), Judgement::default());
    let at = |row: usize| summary.slo[row].capacity.unwrap().concurrency;
    // Below 8 s: half of the way from 7 to 9 s; below 10 s: half of the way from 9 to 11 s.
    assert!((at(0).unwrap() - 1.5).abs() < 1e-6 && (at(1).unwrap() - 3.0).abs() < 1e-6);
    assert_eq!(at(2), None);
}

#[test]
fn a_level_that_drifts_to_its_end_has_not_settled() {
    let drifting = |i: u64| request(i * 1000 * MS, (10 + i) * MS, 900 * MS, 10);
    let run = one_level((1..=200).map(drifting).collect(), (1000 * MS, 201_000 * MS));
    let summary = judged(run, Judgement::default());
    assert!(!summary.levels[0].steady.unwrap().settled);
    let told = |finding: &analysis::Finding| matches!(finding.what, FindingKind::NotSettled { concurrency: 1, n: 200 });
    assert!(summary.findings.iter().any(told));
}

#[test]
fn requests_of_a_wave_that_are_alike_count_as_one() {
    // Thirty waves of eight; a wave's requests share its TTFT, and waves differ.
    let waves = (0..30_u64).flat_map(|wave| {
        let ttft = (10 + wave * 7 % 11) * MS;
        (0..8).map(move |_| request(wave * 1000 * MS, ttft, 900 * MS, 10))
    });
    let mut run = one_level(waves.collect(), (0, 30_000 * MS));
    run.manifest.plan.levels = vec![8];
    let ttft = judged(run, Judgement::default()).levels[0].ttft_ms.unwrap();
    assert_eq!(ttft.n, 240);
    let effective = ttft.effective.unwrap();
    assert!((28.0..32.0).contains(&effective), "{effective}");
    // 240 requests have a 95th percentile; 30 observations do not enclose it.
    let p95 = ttft.p95.unwrap();
    assert_eq!((p95.low, p95.high), (None, None));
}

#[test]
fn another_confidence_gives_other_intervals() {
    let width = |confidence_level| {
        let judgement = Judgement { objectives: None, confidence_level };
        let summary = judged(hundred(), judgement);
        let mean = summary.levels[0].ttft_ms.unwrap().mean;
        (mean.high.unwrap() - mean.low.unwrap(), summary.confidence_level)
    };
    let (usual, of_usual) = width(None);
    let (narrow, of_narrow) = width(Some(0.8));
    assert!(narrow < usual);
    assert_eq!((of_usual, of_narrow), (None, Some(0.8)));
}
