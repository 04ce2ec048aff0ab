//! Runs that were killed, interrupted or saw nothing but failures: a summary of what there is.

use analysis::{FindingKind, Invalid, Limits, Summary, summarise};
use records::{EndReason, GpuLine, Offset, Outcome, PhaseKind, RunData, Stage};
use serde_json::Value;

use crate::build::{Level, MS, closed_loop, failed, manifest, one_level};

fn two_levels() -> RunData {
    let level = Level { concurrency: 1, rounds: 3, ttft_ns: 100 * MS, e2el_ns: 1000 * MS, tokens: 10 };
    closed_loop(&[level, Level { concurrency: 2, ..level }])
}

fn empty() -> RunData {
    RunData {
        manifest: manifest(&[(1, 10), (2, 20)], 10),
        requests: Vec::new(),
        phases: Vec::new(),
        gpu: Vec::new(),
        server: Vec::new(),
        skipped: Vec::new(),
    }
}

fn reason(summary: &Summary) -> Option<&str> {
    summary.run.incomplete_reason.as_deref()
}

/// A level that was cut off has a window from the records themselves, and says that it is not valid.
#[test]
fn a_killed_run_keeps_what_was_recorded() {
    let mut run = two_levels();
    run.manifest.end = None;
    run.manifest.ended = None;
    run.phases.retain(|phase| phase.level == Some(0));
    // Of the second level the warm-up and two measured requests of three were written.
    let second = run.requests.iter().position(|record| record.level == 1).unwrap();
    run.requests.truncate(second + 6);
    let summary = summarise(&run, None, None);
    assert_eq!((summary.run.complete, reason(&summary)), (false, Some("killed")));
    let [whole, cut] = &summary.levels[..] else {
        panic!("{} levels", summary.levels.len());
    };
    assert!(whole.complete && whole.invalid.is_empty());
    assert_eq!((cut.complete, &cut.invalid[..]), (false, &[Invalid::Stopped][..]));
    assert_eq!((cut.requests.measured, cut.requests.warmup), (4, 2));
    assert!((cut.window_s - 2.0).abs() < 1e-9);
    assert!((cut.output_tok_s.unwrap() - 20.0).abs() < 1e-9);
    // What was cut off is no limit of the server.
    assert_eq!(summary.limits.largest_stable, Some(1));
    assert_eq!(summary.limits.peak_output.unwrap().concurrency, 1);
    assert_eq!(summary.limits.largest_tested, Some(2));
    let killed = FindingKind::Incomplete { reason: "killed".to_owned() };
    assert!(summary.findings.iter().any(|finding| finding.what == killed));
}

#[test]
fn a_finished_run_is_complete() {
    let summary = summarise(&two_levels(), None, None);
    assert_eq!((summary.run.complete, reason(&summary)), (true, None));
    // One second of rest before each level, four requests of one second.
    assert!((summary.run.duration_s - 10.0).abs() < 1e-9);
    assert_eq!(summary.run.client, "linux x86_64, a processor, 2 CPUs, 8.0 GiB");
    assert_eq!(summary.run.tool, "plimsoll 0.1.0 (release)");
    assert_eq!(summary.run.started_unix_s, 1_764_143_690);
    assert_eq!(summary.run.isl_mean, Some(60.0));
}

#[test]
fn the_end_is_told_as_the_manifest_tells_it() {
    let lost = |message: &str| EndReason::ServerLost { message: message.to_owned() };
    let full = EndReason::Failed { message: "disk full".to_owned() };
    for (end, told) in [
        (EndReason::Interrupted, "interrupted"),
        (lost("connection refused"), "server_lost: connection refused"),
        (full, "failed: disk full"),
        (EndReason::Completed, "records_missing: 0 of 2 levels are whole"),
    ] {
        let mut run = empty();
        run.manifest.end = Some(end);
        let summary = summarise(&run, None, None);
        assert_eq!((summary.run.complete, reason(&summary)), (false, Some(told)));
    }
}

#[test]
fn without_any_record_there_are_no_levels_and_no_limits() {
    let summary = summarise(&empty(), None, None);
    assert_eq!(summary.levels, []);
    assert_eq!(summary.limits, Limits::default());
    assert_eq!(summary.slo, []);
    let kinds: Vec<&FindingKind> = summary.findings.iter().map(|finding| &finding.what).collect();
    assert!(kinds.contains(&&FindingKind::NoGpuTelemetry));
    assert!(kinds.contains(&&FindingKind::NoServerMetrics));
}

#[test]
fn a_level_of_failures_has_counts_and_no_latencies() {
    let requests = (0..3).map(|i| failed(i * MS, 100 * MS, Outcome::NoTokens)).collect();
    let summary = summarise(&one_level(requests, (0, 100 * MS)), None, None);
    let level = &summary.levels[0];
    assert_eq!((level.requests.failed, level.requests.completed), (3, 0));
    assert_eq!(level.invalid, [Invalid::NothingCompleted]);
    assert_eq!((level.e2el_ms, level.ttft_ms, level.tpot_ms), (None, None, None));
    // scipy: binomtest(0, 3).proportion_ci(0.95, "wilson").
    let rate = level.success_rate.unwrap();
    assert_eq!((rate.value, rate.low), (0.0, Some(0.0)));
    assert!((rate.high.unwrap() - 0.561_497_031_755_045_4).abs() < 1e-12);
    assert_eq!((summary.limits.largest_stable, summary.limits.peak_output), (None, None));
    assert_eq!(summary.slo, []);
}

#[test]
fn a_window_without_length_gives_no_rate() {
    let at = 5 * MS;
    let run = one_level(vec![failed(at, at, Outcome::NoTokens)], (at, at));
    let level = summarise(&run, None, None).levels.remove(0);
    assert_eq!((level.output_tok_s, level.gpu), (None, None));
    assert_eq!((level.window_s, level.requests_per_s, level.in_flight_mean), (0.0, 0.0, 0.0));
}

#[test]
fn a_level_that_only_warmed_up_is_there() {
    let mut run = two_levels();
    run.manifest.end = Some(EndReason::Interrupted);
    run.phases.retain(|phase| phase.level == Some(0) || phase.kind == PhaseKind::Warmup);
    run.requests.retain(|record| record.level == 0 || record.stage == Stage::Warmup);
    run.gpu.push(GpuLine::Gap { t_ns: Offset(20_000 * MS), reason: "the driver went away".to_owned() });
    let summary = summarise(&run, None, None);
    let level = &summary.levels[1];
    assert_eq!((level.requests.measured, level.requests.warmup), (0, 2));
    assert_eq!(level.invalid, [Invalid::NothingCompleted, Invalid::Stopped]);
    assert_eq!((level.success_rate, level.output_tok_s), (None, None));
    assert!((summary.run.duration_s - 20.0).abs() < 1e-9);
}

#[test]
fn the_document_is_read_back_as_it_was_written() {
    let summary = summarise(&two_levels(), None, None);
    let json = serde_json::to_string(&summary).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["summary_version"], 1);
    assert!(!json.contains("null"), "{json}");
}
