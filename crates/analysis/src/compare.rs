//! Two runs side by side: is the second better or worse, level by level?
//!
//! Latencies and throughput are compared as ratios (differences of logarithms, their errors by the delta method), by Welch's
//! test on batch means; percentiles with the error that their intervals imply; success rates and SLO attainment by the
//! difference of shares with one success and one failure added to each (Agresti and Caffo, The American Statistician 54,
//! 2000). All tests of a comparison share one error rate (Holm). A difference has to be both sure and as large as the
//! threshold to count; where nothing was found, `detectable` says what could have been.
//!
//! The test knows the scatter within each run. What differs between two starts of the same server it cannot know: compare
//! two runs of the same thing first.

pub(crate) mod conditions;
pub(crate) mod figures;
pub(crate) mod series;

use std::collections::BTreeMap;

use records::RunData;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use stats::{Confidence, Difference, MeanWithError, difference, holm};

use crate::{
    Better, LevelFigure,
    compare::{
        conditions::{Condition, differing},
        figures::{Figure, figures},
    },
    summarise,
};

/// Probability with which an effect as large as `detectable` is found.
const POWER: f64 = 0.8;

/// How to compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompareOptions {
    /// Probability with which intervals hold the truth; one less it is the error rate of all tests together.
    pub confidence: f64,
    /// Smallest change that matters, as a share: 0.05 is five percent.
    pub threshold: f64,
    /// Compare although the runs differ in what they sent.
    pub anyway: bool,
}

/// Why two runs cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// They sent different things.
    #[error("the runs differ in {}\nhint: measure both alike, or compare --anyway", list(.0))]
    Differ(Vec<Condition>),
    /// No level ran to its end with valid figures in both.
    #[error("no level ran to its end with valid figures in both runs\nhint: measure the same --concurrency twice")]
    NothingInCommon,
}

fn list(conditions: &[Condition]) -> String {
    let one = |c: &Condition| format!("{} ({} and {})", c.what, c.first, c.second);
    conditions.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Two runs side by side.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Name of the first run.
    pub first: String,
    /// Name of the second.
    pub second: String,
    /// Runs in the first and in the second, where series of runs are compared; absent for two single runs.
    pub runs: Option<[u64; 2]>,
    /// Probability with which intervals hold the truth.
    pub confidence: f64,
    /// Smallest change that matters.
    pub threshold: f64,
    /// What the runs differ in.
    pub differing: Vec<Condition>,
    /// Figures by level.
    pub rows: Vec<ComparedFigure>,
    /// Worse if any figure is, else better if any is.
    pub verdict: Verdict,
}

/// One figure at one level.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedFigure {
    /// Level.
    pub concurrency: u32,
    /// Name of a [`LevelFigure`], such as `ttft_mean_ms` or `output_tok_s`.
    pub metric: String,
    /// In the first run.
    pub first: f64,
    /// In the second.
    pub second: f64,
    /// Second / first − 1; for the two shares second − first.
    pub change: f64,
    /// Interval of the change.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
    /// Probability of so large a change where there is none, corrected for the number of tests.
    pub p_value: Option<f64>,
    /// The smallest change that this comparison would have found four times out of five, before correction.
    pub detectable: Option<f64>,
    /// What that means.
    pub verdict: Verdict,
}

/// What a comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// The second is better, surely and by as much as matters.
    Better,
    /// The second is worse.
    Worse,
    /// They surely differ, by less than matters.
    Negligible,
    /// Nothing was found.
    NoEvidence,
}

/// Compares two runs.
///
/// # Errors
/// [`CompareError::Differ`] when they sent different things and `anyway` is not set; [`CompareError::NothingInCommon`].
pub fn compare(first: &RunData, second: &RunData, options: CompareOptions) -> Result<Comparison, CompareError> {
    let summaries = [first, second].map(|run| summarise(run, None, None));
    let differing = differing((&first.manifest, &summaries[0]), (&second.manifest, &summaries[1]));
    let confidence = Confidence::new(options.confidence).unwrap_or(Confidence::P95);
    let figures = [first, second].map(|run| figures(run, confidence));
    let names = [&*first.manifest.run_id, &*second.manifest.run_id];
    of_figures(names, differing, &figures, options)
}

/// The comparison of figures by level, whatever they were made of.
pub(crate) fn of_figures(
    names: [&str; 2],
    differing: Vec<Condition>,
    [of_first, of_second]: &[BTreeMap<u32, Vec<Figure>>; 2],
    options: CompareOptions,
) -> Result<Comparison, CompareError> {
    let in_the_way: Vec<Condition> = differing.iter().filter(|condition| condition.is_in_the_way()).cloned().collect();
    if !in_the_way.is_empty() && !options.anyway {
        return Err(CompareError::Differ(in_the_way));
    }
    let confidence = Confidence::new(options.confidence).unwrap_or(Confidence::P95);
    let mut rows = rows(of_first, of_second, confidence);
    if rows.is_empty() {
        return Err(CompareError::NothingInCommon);
    }
    judge(&mut rows, confidence, options.threshold);
    let any = |verdict| rows.iter().any(|row| row.verdict == verdict);
    let verdicts = [Verdict::Worse, Verdict::Better, Verdict::Negligible];
    let verdict = verdicts.into_iter().find(|verdict| any(*verdict));
    Ok(Comparison {
        first: names[0].to_owned(),
        second: names[1].to_owned(),
        runs: None,
        confidence: confidence.get(),
        threshold: options.threshold,
        differing,
        verdict: verdict.unwrap_or(Verdict::NoEvidence),
        rows,
    })
}

fn rows(
    first: &BTreeMap<u32, Vec<Figure>>,
    second: &BTreeMap<u32, Vec<Figure>>,
    confidence: Confidence,
) -> Vec<ComparedFigure> {
    let mut rows = Vec::new();
    for (concurrency, of_first) in first {
        let Some(of_second) = second.get(concurrency) else {
            continue;
        };
        for a in of_first {
            let b = of_second.iter().find(|figure| figure.what == a.what);
            rows.extend(b.map(|b| row(*concurrency, a, b, confidence)));
        }
    }
    rows
}

fn row(concurrency: u32, a: &Figure, b: &Figure, confidence: Confidence) -> ComparedFigure {
    let found: Option<Difference> =
        a.error.zip(b.error).and_then(|(a, b): (MeanWithError, MeanWithError)| difference(a, b, confidence, POWER));
    let scale = |difference: f64| {
        if a.is_share() { difference } else { difference.exp_m1() }
    };
    ComparedFigure {
        concurrency,
        metric: a.what.to_string(),
        first: a.value,
        second: b.value,
        change: if a.is_share() { b.value - a.value } else { b.value / a.value - 1.0 },
        low: found.map(|found| scale(found.interval.low)),
        high: found.map(|found| scale(found.interval.high)),
        p_value: found.map(|found| found.p_value),
        detectable: found.map(|found| scale(found.detectable)),
        verdict: Verdict::NoEvidence,
    }
}

fn judge(rows: &mut [ComparedFigure], confidence: Confidence, threshold: f64) {
    let raw: Vec<f64> = rows.iter().filter_map(|row| row.p_value).collect();
    let corrected = holm(&raw);
    let tested = rows.iter_mut().filter(|row| row.p_value.is_some());
    for (row, p_value) in tested.zip(corrected) {
        row.p_value = Some(p_value);
        let higher_is_better =
            row.metric.parse::<LevelFigure>().is_ok_and(|figure| figure.row().better == Better::Higher);
        row.verdict = if p_value >= 1.0 - confidence.get() {
            Verdict::NoEvidence
        } else if row.change.abs() < threshold {
            Verdict::Negligible
        } else if (row.change > 0.0) == higher_is_better {
            Verdict::Better
        } else {
            Verdict::Worse
        };
    }
}
