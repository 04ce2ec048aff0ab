//! Objectives and saturation on sweeps made for them.

use analysis::{FindingKind, SloRow, SloStatistic, summarise};
use records::{Outcome, RequestRecord, RunData, Stage};

use crate::build::{Level, MS, closed_loop, failed};

/// Levels given as concurrency and E2EL in milliseconds, ten tokens a request.
fn sweep(levels: &[(u32, u64)], rounds: u64) -> RunData {
    let level = |&(concurrency, e2el_ms): &(u32, u64)| Level {
        concurrency,
        rounds,
        ttft_ns: 10 * MS,
        e2el_ns: e2el_ms * MS,
        tokens: 10,
    };
    closed_loop(&levels.iter().map(level).collect::<Vec<_>>())
}

fn table(run: &RunData) -> Vec<(f64, Option<u32>, bool)> {
    let row = |row: SloRow| (row.e2el_below_ms, row.concurrency, row.bounded);
    summarise(run, None, None).slo.into_iter().map(row).collect()
}

#[test]
fn objectives_are_round_numbers_from_the_data_outside_the_default_range() {
    // Above 300, above the geometric middle √(300 · 2700) = 900, above 2700.
    let run = sweep(&[(1, 300), (2, 500), (4, 900), (8, 2700)], 1);
    let expected = [(400.0, Some(1), true), (1000.0, Some(4), true), (3000.0, Some(8), false)];
    assert_eq!(table(&run), expected);
    // All figures alike: one row.
    assert_eq!(table(&sweep(&[(1, 95), (2, 96)], 1)), [(100.0, Some(2), false)]);
}

#[test]
fn the_reference_objectives_stand_when_the_figures_reach_them() {
    let run = sweep(&[(1, 11_000), (2, 60_000)], 1);
    let expected = [(8000.0, None, true), (10_000.0, None, true), (12_000.0, Some(1), true)];
    assert_eq!(table(&run), expected);
    let below = sweep(&[(1, 1000), (2, 7999)], 1);
    assert_eq!(table(&below).last(), Some(&(8000.0, Some(2), false)));
}

#[test]
fn every_smaller_level_has_to_hold_too() {
    let run = sweep(&[(1, 9000), (2, 7000), (4, 7500)], 1);
    assert_eq!(table(&run)[0], (8000.0, None, true));
    assert_eq!(table(&run)[1], (10_000.0, Some(4), false));
}

/// 100 requests at level 1 that took 9 s; at level 2 two hundred, of which `failures` failed and the others took 8.001 s,
/// 8.002 s, …
fn with_failures(failures: u64) -> RunData {
    let mut run = sweep(&[(1, 9000), (2, 9000)], 100);
    let of_second = |record: &&mut RequestRecord| record.level == 1 && record.stage == Stage::Measured;
    for (i, record) in (0..).zip(run.requests.iter_mut().filter(of_second)) {
        if i < failures {
            fail(record);
        } else {
            let last = record.chunks.since_sent_ns.last_mut().unwrap();
            *last = (8001 + i - failures) * MS;
        }
    }
    run
}

fn fail(record: &mut RequestRecord) {
    let level = record.level;
    let failed = failed(record.sent_ns.0, record.finished_ns.0, Outcome::NoTokens);
    *record = RequestRecord { level, ..failed };
}

#[test]
fn failed_requests_are_infinitely_late() {
    // Type 7 on 200 observations: the 95th percentile lies at 0.05 from the 190th smallest (8.190 s) to the 191st.
    let row = |failures| summarise(&with_failures(failures), None, None).slo[1];
    let held = row(9);
    assert_eq!((held.statistic, held.concurrency), (SloStatistic::P95, Some(2)));
    assert!((held.e2el_ms.unwrap() - 8190.05).abs() < 1e-6);
    assert!(!held.bounded);
    // With ten failures the 191st smallest is a failure.
    let lost = row(10);
    assert_eq!((lost.concurrency, lost.e2el_ms, lost.bounded), (Some(1), Some(9000.0), true));
}

#[test]
fn a_failure_among_few_requests_holds_nothing() {
    let mut run = sweep(&[(1, 9000), (2, 9500)], 1);
    let record = run.requests.iter_mut().rfind(|record| record.level == 1).unwrap();
    fail(record);
    assert_eq!(table(&run)[1], (10_000.0, Some(1), true));
    let summary = summarise(&run, None, None);
    assert_eq!(summary.limits.largest_stable, Some(1));
    assert_eq!(summary.limits.largest_tested, Some(2));
    let failures = FindingKind::Failures {
        concurrency: 2,
        failed: 1,
        measured: 2,
        failure: "no_tokens".to_owned(),
        example: None,
    };
    assert!(summary.findings.iter().any(|finding| finding.what == failures));
}

#[test]
fn saturation_is_the_level_after_which_next_to_nothing_is_gained() {
    // 10, 20, 40, 42, 43 requests a second: from 4 on less than a tenth of proportional growth.
    let saturated = sweep(&[(1, 100), (2, 100), (4, 100), (8, 190), (16, 372)], 2);
    let summary = summarise(&saturated, None, None);
    assert_eq!(summary.limits.saturation, Some(4));
    let growing = |finding: &analysis::Finding| matches!(finding.what, FindingKind::StillGrowing { .. });
    assert!(!summary.findings.iter().any(growing));
    // The order in which levels ran does not matter.
    let backwards = sweep(&[(16, 372), (8, 190), (4, 100), (2, 100), (1, 100)], 2);
    let limits = summarise(&backwards, None, None).limits;
    assert_eq!(limits, summary.limits);
}
