//! Several runs of one plan together: the mean over runs with Student's interval, and two such series side by side.
//!
//! Requests within a run share the server's start, its neighbours and the hour; runs do not. So a run is one observation
//! here, whatever its size, and three runs give intervals that are wide for a reason: t(0.975, 2) is 4.3.

use std::collections::BTreeMap;

use records::Manifest;
use stats::{Confidence, MeanWithError, Sample, mean_interval};

use crate::{
    CompareError, CompareOptions, Comparison, FigureOverRuns, LevelFigure, LevelOverRuns, LevelSummary, OverRuns,
    SUMMARY_VERSION, Summary, Unit, compare,
    compare::conditions::differing,
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
        figures: LevelFigure::all()
            .filter_map(|figure| {
                let values = levels.iter().filter_map(|level| Some(figure.value(level)?.value)).collect();
                over_values(figure, values, confidence)
            })
            .collect(),
    }
}

fn over_values(figure: LevelFigure, values: Vec<f64>, confidence: Confidence) -> Option<FigureOverRuns> {
    let sample = Sample::new(values).ok()?;
    Some(FigureOverRuns {
        metric: figure.to_string(),
        n: sample.n(),
        mean: estimate(sample.mean(), mean_interval(&sample, confidence)),
        stddev: sample.variance().map(f64::sqrt),
        min: sample.min(),
        max: sample.max(),
    })
}

/// Runs of one plan that are to be compared with another series.
#[derive(Clone, Copy, Debug)]
pub struct RunSeries<'a> {
    /// Name of the series.
    pub name: &'a str,
    /// Manifest of the first run; `None` without a run.
    pub manifest: Option<&'a Manifest>,
    /// Summaries of the runs.
    pub runs: &'a [Summary],
}

/// Two series side by side, a run being one observation. Runs whose level is not valid are left out.
///
/// # Errors
/// [`CompareError::NothingInCommon`] when no level was measured at least once in both, [`CompareError::Differ`] when
/// the first runs sent different things and `anyway` is not set.
pub fn compare_series(
    first: RunSeries<'_>,
    second: RunSeries<'_>,
    options: CompareOptions,
) -> Result<Comparison, CompareError> {
    let figures = [first.runs, second.runs].map(|runs| {
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
    let first_runs = [first, second].map(|series| series.manifest.zip(series.runs.first()));
    let differing = match first_runs {
        [Some(a), Some(b)] => differing(a, b),
        _ => Vec::new(),
    };
    let compared = compare::of_figures([first.name, second.name], differing, &figures, options)?;
    Ok(Comparison { runs: Some([first.runs.len() as u64, second.runs.len() as u64]), ..compared })
}

fn of_levels(levels: &[&LevelSummary]) -> Vec<Figure> {
    let valid = || levels.iter().filter(|level| level.invalid.is_empty());
    let figures = LevelFigure::all().filter_map(|what| {
        let values: Vec<f64> = valid().filter_map(|level| Some(what.value(level)?.value)).collect();
        let value = Sample::new(values.clone()).ok()?.mean();
        let is_share = what.row().unit == Unit::Share;
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
        Some(Figure { what, value, error })
    });
    figures.collect()
}
