//! Several runs of one plan, against Student's table.

use analysis::{
    CompareError, CompareOptions, FigureOverRuns, LevelOverRuns, OverRuns, Summary, Verdict, compare_series, over_runs,
    summarise,
};

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

#[test]
fn series_are_compared_by_what_differs_between_runs() {
    let options = CompareOptions { confidence: 0.95, threshold: 0.05, anyway: false };
    let before = [run(100, false), run(101, false), run(102, false)];
    let slower = [run(150, false), run(151, false), run(152, false)];
    let noisy = [run(90, false), run(150, false), run(215, false)];
    let verdict = |second: &[Summary]| {
        let compared = compare_series(("a", &before), ("b", second), options).unwrap();
        assert_eq!((&*compared.first, &*compared.second), ("a", "b"));
        let ttft = |row: &&analysis::ComparedFigure| row.concurrency == 2 && row.metric == "ttft_mean_ms";
        compared.rows.iter().find(ttft).unwrap().verdict
    };
    assert_eq!(verdict(&slower), Verdict::Worse);
    // The mean is as much higher, but runs of the same thing differ as much.
    assert_eq!(verdict(&noisy), Verdict::NoEvidence);
    assert_eq!(compare_series(("a", &before), ("b", &[]), options), Err(CompareError::NothingInCommon));
    let mut other = slower.to_vec();
    other[0].run.osl = 7;
    let refused = compare_series(("a", &before), ("b", &other), options);
    assert!(matches!(refused, Err(CompareError::Differ(_))));
}
