//! Several runs of one plan, against Student's table.

use analysis::{
    CompareError, CompareOptions, Comparison, FigureOverRuns, LevelOverRuns, OverRuns, RunSeries, ServerLevel, Summary,
    Verdict, compare_series, over_runs, summarise,
};
use records::Manifest;

use crate::build::{Level, MS, closed_loop};

/// A run of two levels with the given TTFT at concurrency 2, in an order of its own.
fn run(ttft_ms: u64, descending: bool) -> Summary {
    let level = |concurrency, ttft_ms: u64| Level {
        concurrency,
        rounds: 12,
        ttft_ns: ttft_ms * MS,
        e2el_ns: 1000 * MS,
        tokens: 10,
    };
    let mut levels = [level(2, ttft_ms), level(4, 200)];
    if descending {
        levels.reverse();
    }
    summarise(&closed_loop(&levels), None, None)
}

fn figure<'a>(level: &'a LevelOverRuns, metric: &str) -> &'a FigureOverRuns {
    let found = level.figures.iter().find(|figure| figure.metric == metric);
    found.expect("the level has it")
}

fn joint(runs: &[Summary]) -> OverRuns {
    over_runs("series", runs, 3).expect("there are runs")
}

#[test]
fn the_interval_is_students_over_runs() {
    // Shuffled orders do not matter: a level is known by its load.
    let joint = joint(&[run(100, false), run(110, true), run(120, false)]);
    assert_eq!(joint.levels.len(), 2);
    let level = &joint.levels[0];
    assert_eq!((level.concurrency, level.runs), (2, 3));
    let ttft = figure(level, "ttft_mean_ms");
    assert_eq!((ttft.n, ttft.min, ttft.max), (3, 100.0, 120.0));
    // t(0.975, 2) = 4.302653 (any table), s = 10.
    let half = 4.302_653 * 10.0 / 3_f64.sqrt();
    assert!((ttft.mean.value - 110.0).abs() < 1e-9);
    assert!((ttft.stddev.unwrap() - 10.0).abs() < 1e-9);
    assert!((ttft.mean.low.unwrap() - (110.0 - half)).abs() < 1e-4);
    assert!((ttft.mean.high.unwrap() - (110.0 + half)).abs() < 1e-4);
    let other = figure(&joint.levels[1], "ttft_mean_ms");
    assert_eq!((other.min, other.max), (200.0, 200.0));
}

#[test]
fn a_single_run_has_no_interval_and_a_cut_off_level_does_not_count() {
    let alone = joint(&[run(100, false)]);
    let ttft = figure(&alone.levels[0], "ttft_mean_ms");
    assert_eq!((ttft.n, ttft.mean.low, ttft.stddev), (1, None, None));
    let mut cut = run(900, false);
    cut.levels[0].complete = false;
    let joint = joint(&[run(100, false), cut]);
    assert_eq!(joint.levels[0].runs, 1);
    assert_eq!(joint.levels[1].runs, 2);
    assert_eq!(joint.planned_runs, 3);
    assert_eq!(over_runs("none", &[], 3), None);
}

/// Manifest of such a run.
fn manifest() -> Manifest {
    closed_loop(&[Level { concurrency: 1, rounds: 1, ttft_ns: MS, e2el_ns: MS, tokens: 2 }]).manifest
}

fn compared(before: &[Summary], after: (&Manifest, &[Summary])) -> Result<Comparison, CompareError> {
    let options = CompareOptions { confidence: 0.95, threshold: 0.05, anyway: false };
    let first = RunSeries { name: "a", manifest: Some(&manifest()), runs: before };
    compare_series(first, RunSeries { name: "b", manifest: Some(after.0), runs: after.1 }, options)
}

#[test]
fn series_are_compared_by_what_differs_between_runs() {
    let before = [run(100, false), run(101, false), run(102, false)];
    let slower = [run(150, false), run(151, false), run(152, false)];
    let noisy = [run(90, false), run(150, false), run(215, false)];
    let verdict = |second: &[Summary]| {
        let compared = compared(&before, (&manifest(), second)).unwrap();
        assert_eq!((&*compared.first, &*compared.second), ("a", "b"));
        let ttft = |row: &&analysis::ComparedFigure| row.concurrency == 2 && row.metric == "ttft_mean_ms";
        compared.rows.iter().find(ttft).unwrap().verdict
    };
    assert_eq!(verdict(&slower), Verdict::Worse);
    // The mean is as much higher, but runs of the same thing differ as much.
    assert_eq!(verdict(&noisy), Verdict::NoEvidence);
    assert_eq!(compared(&before, (&manifest(), &[])), Err(CompareError::NothingInCommon));
}

#[test]
fn series_that_sent_different_things_are_refused() {
    type Change = fn(&mut Manifest, &mut Summary);
    let changes: [(&str, Change); 11] = [
        ("model", |m, _| m.plan.model = "other".into()),
        ("workload", |m, _| m.plan.workload = "other".into()),
        ("osl", |m, _| m.plan.osl += 1),
        ("endpoint", |m, _| m.plan.endpoint = "/v1/responses".into()),
        ("stream", |m, _| m.plan.stream = !m.plan.stream),
        ("conversations", |m, _| {
            m.plan.workload_options.insert("session_turns".into(), 3.into());
        }),
        ("retries", |m, _| m.plan.retries += 1),
        ("ignore_eos", |m, _| m.plan.ignore_eos = !m.plan.ignore_eos),
        ("extra_body", |m, _| {
            m.plan.extra_body.insert("temperature".into(), 1.into());
        }),
        ("isl", |_, s| s.run.isl_mean = s.run.isl_mean.map(|isl| isl * 1.02)),
        ("prefix_cache", |_, s| {
            s.levels[0].server = Some(ServerLevel { prefix_hit_rate: Some(0.9), ..ServerLevel::default() });
        }),
    ];
    let mut before = [run(100, false), run(101, false)];
    before[0].levels[0].server = Some(ServerLevel { prefix_hit_rate: Some(0.0), ..ServerLevel::default() });
    assert!(compared(&before, (&manifest(), &before)).is_ok());
    for (what, change) in changes {
        let (mut manifest, mut runs) = (manifest(), before.clone());
        change(&mut manifest, &mut runs[0]);
        let Err(CompareError::Differ(conditions)) = compared(&before, (&manifest, &runs)) else {
            panic!("{what} went unnoticed");
        };
        assert_eq!(conditions.iter().map(|c| &*c.what).collect::<Vec<_>>(), [what]);
    }
}
