//! Several runs of one plan together: the mean over runs with Student's interval, and two such series side by side.
//!
//! Requests within a run share the server's start, its neighbours and the hour; runs do not. So a run is one observation
//! here, whatever its size, and three runs give intervals that are wide for a reason: t(0.975, 2) is 4.3.

use std::collections::BTreeMap;

use stats::{Confidence, MeanWithError, Sample, mean_interval};

use crate::{
    CompareError, CompareOptions, Comparison, Distribution, FigureOverRuns, LevelOverRuns, LevelSummary, OverRuns,
    SUMMARY_VERSION, Summary, compare,
    compare::figures::Figure,
    distribution::{confidence, estimate},
};

/// What the runs of a series say together; `None` without a run. `planned_runs` is how many were asked for.
pub fn over_runs(name: &str, runs: &[Summary], planned_runs: u64) -> Option<OverRuns> {
    let first = runs.first()?;
    let confidence = confidence(first.confidence_level);
    Some(OverRuns {
        summary_version: SUMMARY_VERSION,
        name: name.to_owned(),
        run_ids: runs.iter().map(|run| run.run.run_id.clone()).collect(),
        planned_runs,
        simulated_profile: first.run.simulated_profile.clone(),
        model: first.run.model.clone(),
        engine: first.run.engine.clone(),
        engine_version: first.run.engine_version.clone(),
        confidence_level: confidence.get(),
        levels: grouped(runs).values().map(|levels| over_levels(levels, confidence)).collect(),
    })
}

/// What tells a level from the others of its run: slots of a closed loop, the rate of an open one, and which of several
/// alike it is.
type Key = (u32, u64, u32);

/// The complete levels of all runs, those of the same load together, in rising order.
fn grouped(runs: &[Summary]) -> BTreeMap<Key, Vec<&LevelSummary>> {
    let mut groups: BTreeMap<Key, Vec<&LevelSummary>> = BTreeMap::new();
    for run in runs {
        let mut alike: BTreeMap<(u32, u64), u32> = BTreeMap::new();
        let mut levels: Vec<&LevelSummary> = run.levels.iter().collect();
        levels.sort_by_key(|level| level.level);
        for level in levels {
            let load = load(level);
            let which = alike.entry(load).or_default();
            if level.complete {
                let key = (load.0, load.1, *which);
                groups.entry(key).or_default().push(level);
            }
            *which += 1;
        }
    }
    groups
}

fn load(level: &LevelSummary) -> (u32, u64) {
    match level.request_rate {
        None => (level.concurrency, 0),
        // Bits of positive numbers are in the order of the numbers.
        Some(rate) => (0, rate.planned_per_s.unwrap_or(f64::INFINITY).to_bits()),
    }
}

fn over_levels(levels: &[&LevelSummary], confidence: Confidence) -> LevelOverRuns {
    let invalid = levels.iter().filter(|level| !level.invalid.is_empty());
    LevelOverRuns {
        concurrency: levels.iter().map(|l| l.concurrency).max().unwrap_or(0),
        request_rate: levels.iter().find_map(|level| level.request_rate?.planned_per_s),
        runs: levels.len() as u64,
        invalid_runs: invalid.count() as u64,
        figures: METRICS
            .iter()
            .filter_map(|(metric, read)| {
                let values = levels.iter().filter_map(|level| read(level)).collect();
                over_values(metric, values, confidence)
            })
            .collect(),
    }
}

/// Name of a figure and how to read it.
type Metric = (&'static str, fn(&LevelSummary) -> Option<f64>);

fn mean(distribution: Option<Distribution>) -> Option<f64> {
    Some(distribution?.mean.value)
}

fn p95(distribution: Option<Distribution>) -> Option<f64> {
    Some(distribution?.p95?.value)
}

const METRICS: [Metric; 10] = [
    ("ttft_mean_ms", |l| mean(l.ttft_ms)),
    ("ttft_p95_ms", |l| p95(l.ttft_ms)),
    ("tpot_mean_ms", |l| mean(l.tpot_ms)),
    ("e2el_mean_ms", |l| mean(l.e2el_ms)),
    ("e2el_p95_ms", |l| p95(l.e2el_ms)),
    ("per_request_tok_s", |l| mean(l.per_request_tok_s)),
    ("output_tok_s", |l| l.output_tok_s),
    ("requests_per_s", |l| Some(l.requests_per_s)),
    ("success_rate", |l| Some(l.success_rate?.value)),
    ("slo_attainment", |l| Some(l.goodput?.attainment.value)),
];

fn is_share(metric: &str) -> bool {
    matches!(metric, "success_rate" | "slo_attainment")
}

fn over_values(metric: &str, values: Vec<f64>, confidence: Confidence) -> Option<FigureOverRuns> {
    let sample = Sample::new(values).ok()?;
    Some(FigureOverRuns {
        metric: metric.to_owned(),
        n: sample.n(),
        mean: estimate(sample.mean(), mean_interval(&sample, confidence)),
        stddev: sample.variance().map(f64::sqrt),
        min: sample.min(),
        max: sample.max(),
    })
}

/// Two series side by side, a run being one observation. Runs whose level is not valid are left out.
///
/// # Errors
/// [`CompareError::NothingInCommon`] when no level was measured at least once in both, [`CompareError::Differ`] when
/// the first runs sent different things and `anyway` is not set.
pub fn compare_series(
    first: (&str, &[Summary]),
    second: (&str, &[Summary]),
    options: CompareOptions,
) -> Result<Comparison, CompareError> {
    let figures = [first.1, second.1].map(|runs| {
        let levels = grouped(runs).into_iter();
        levels
            .map(|((_, _, which), levels)| {
                let concurrency = levels.iter().map(|l| l.concurrency).max().unwrap_or(0);
                ((concurrency, which), of_levels(&levels))
            })
            .filter(|((_, which), _)| *which == 0)
            .map(|((concurrency, _), figures)| (concurrency, figures))
            .collect::<BTreeMap<_, _>>()
    });
    let differing = match (first.1.first(), second.1.first()) {
        (Some(a), Some(b)) => differing(a, b),
        _ => Vec::new(),
    };
    let compared = compare::of_figures([first.0, second.0], differing, &figures, options)?;
    Ok(Comparison { runs: Some([first.1.len() as u64, second.1.len() as u64]), ..compared })
}

fn differing(a: &Summary, b: &Summary) -> Vec<crate::Condition> {
    let profile = |s: &Summary| s.run.simulated_profile.clone().unwrap_or_default();
    let engine = |s: &Summary| {
        let parts = [&s.run.engine, &s.run.engine_version];
        parts.map(|part| part.clone().unwrap_or_default()).join(" ")
    };
    [
        ("target", profile(a), profile(b)),
        ("model", a.run.model.clone(), b.run.model.clone()),
        ("workload", a.run.workload.clone(), b.run.workload.clone()),
        ("osl", a.run.osl.to_string(), b.run.osl.to_string()),
        ("engine", engine(a), engine(b)),
        ("gpus", a.run.gpus.join(", "), b.run.gpus.join(", ")),
        ("tool", a.run.tool.clone(), b.run.tool.clone()),
    ]
    .into_iter()
    .filter(|(_, first, second)| first != second)
    .map(|(what, first, second)| crate::Condition { what: what.to_owned(), first, second })
    .collect()
}

fn of_levels(levels: &[&LevelSummary]) -> Vec<Figure> {
    let valid = || levels.iter().filter(|level| level.invalid.is_empty());
    let figures = METRICS.iter().filter_map(|&(metric, read)| {
        let values: Vec<f64> = valid().filter_map(|level| read(level)).collect();
        let value = Sample::new(values.clone()).ok()?.mean();
        let is_share = is_share(metric);
        // Ratios are compared as differences of logarithms, shares as they are.
        let scale = |x: f64| if is_share { x } else { x.ln() };
        let scaled = Sample::new(values.into_iter().map(scale).collect()).ok();
        let error = scaled.and_then(|sample| {
            Some(MeanWithError {
                mean: sample.mean(),
                standard_error: (sample.variance()? / sample.n() as f64).sqrt(),
                degrees_of_freedom: (sample.n() - 1) as f64,
            })
        });
        Some(Figure { metric, value, is_share, error })
    });
    figures.collect()
}
