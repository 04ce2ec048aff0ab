//! The figures of a run that a comparison looks at, each with the error that a test needs.

use std::collections::BTreeMap;

use records::{Metric, Outcome, RunData};
use stats::{BatchMeans, Confidence, MeanWithError, Sample};

use crate::{
    LevelFigure, LevelSummary, OfRequest, Statistic, Unit,
    distribution::{Reading, distribution},
    level::window::{self, is_completed, series},
    level::{self, LevelFigures},
};

/// A figure of a level. The error is that of its logarithm, or of the share itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) what: LevelFigure,
    pub(crate) value: f64,
    pub(crate) error: Option<MeanWithError>,
}

impl Figure {
    /// Whether it is compared as a difference of shares, not as a ratio.
    pub(crate) fn is_share(&self) -> bool {
        self.what.row().unit == Unit::Share
    }
}

/// By concurrency, of the levels that ran to their end with valid figures.
pub(crate) fn figures(run: &RunData, confidence: Confidence) -> BTreeMap<u32, Vec<Figure>> {
    let records = window::levels(run);
    let levels = records.iter().map(|level| level::figures(level, &records, run, confidence));
    levels
        .filter(|level| level.summary.complete && level.summary.invalid.is_empty())
        .map(|level| (level.summary.concurrency, of_level(&level)))
        .collect()
}

fn of_level(level: &LevelFigures<'_>) -> Vec<Figure> {
    LevelFigure::all().filter_map(|what| figure(level, what)).collect()
}

/// Returns a figure with the error that fits its kind; one without an error is shown and not tested.
fn figure(level: &LevelFigures<'_>, what: LevelFigure) -> Option<Figure> {
    let reading = level.reading;
    match (what.metric, what.statistic) {
        (Metric::OutputTokS, _) => throughput(what, &level.summary, reading),
        (Metric::SuccessRate, _) => {
            let counted = level.requests.iter().filter(|record| record.outcome != Outcome::Cancelled);
            share(what, &counted.map(|record| is_completed(record)).collect::<Vec<_>>(), reading)
        }
        (Metric::SloAttainment, _) => {
            let slo_ratios = &level.slo_ratios.as_ref()?.series;
            share(what, &slo_ratios.iter().map(|x| *x <= 1.0).collect::<Vec<_>>(), reading)
        }
        // A rate of completions is the throughput of requests of one length: it is tested as output.
        (Metric::RequestsPerS, _) => None,
        _ if matches!(what.row().of_request, OfRequest::Pooled | OfRequest::WholeLevel) => {
            Some(Figure { what, value: what.value(&level.summary)?.value, error: None })
        }
        (metric, Statistic::Mean) => mean(what, &series(&level.requests, metric), reading),
        (metric, _) => percentile(what, &series(&level.requests, metric), reading),
    }
}

fn mean(what: LevelFigure, series: &[f64], reading: Reading) -> Option<Figure> {
    let value = Sample::new(series.to_vec()).ok()?.mean();
    let of_logarithm = |batches: BatchMeans| MeanWithError {
        mean: batches.mean().ln(),
        standard_error: batches.standard_error() / batches.mean(),
        degrees_of_freedom: batches.degrees_of_freedom(),
    };
    Some(Figure { what, value, error: reading.batches(series).map(of_logarithm) })
}

/// The error that the interval of the percentile implies, as if it were a normal one.
fn percentile(what: LevelFigure, series: &[f64], reading: Reading) -> Option<Figure> {
    let distribution = distribution(series, reading)?;
    let estimate = what.statistic.pick(&distribution)?;
    let (low, high) = (estimate.low?, estimate.high?);
    let width = implied_widths(reading.confidence)?;
    Some(Figure {
        what,
        value: estimate.value,
        error: Some(MeanWithError {
            mean: estimate.value.ln(),
            standard_error: (high.ln() - low.ln()) / width,
            degrees_of_freedom: f64::INFINITY,
        }),
    })
}

/// Standard errors between the ends of a normal interval: twice the quantile, from Wilson's interval of nothing known.
fn implied_widths(confidence: Confidence) -> Option<f64> {
    // Of one trial at one half, Wilson's interval is ½ ± z/(2√(1 + z²)).
    let interval = stats::wilson_effective(0.5, 1.0, confidence)?;
    let half = interval.high - interval.low;
    Some(2.0 * half / (1.0 - half * half).sqrt())
}

fn throughput(what: LevelFigure, level: &LevelSummary, reading: Reading) -> Option<Figure> {
    let estimate = level.output_tok_s_estimate?;
    let width = implied_widths(reading.confidence)?;
    let half_ends = estimate.low.zip(estimate.high).filter(|ends| ends.0 > 0.0);
    Some(Figure {
        what,
        value: estimate.value,
        error: half_ends.map(|(low, high)| MeanWithError {
            mean: estimate.value.ln(),
            // Student's ends, so the error is rather too large than too small.
            standard_error: (high - low) / estimate.value / width,
            degrees_of_freedom: f64::INFINITY,
        }),
    })
}

/// A share, with a success and a failure added.
fn share(what: LevelFigure, yes: &[bool], reading: Reading) -> Option<Figure> {
    let n = yes.len() as f64;
    if yes.is_empty() {
        return None;
    }
    let value = yes.iter().filter(|yes| **yes).count() as f64 / n;
    let series: Vec<f64> = yes.iter().map(|yes| f64::from(u8::from(*yes))).collect();
    let effective = reading.batches(&series).map_or(n, |batches| batches.effective());
    let adjusted = (value * effective + 1.0) / (effective + 2.0);
    Some(Figure {
        what,
        value,
        error: Some(MeanWithError {
            mean: adjusted,
            standard_error: (adjusted * (1.0 - adjusted) / (effective + 2.0)).sqrt(),
            degrees_of_freedom: f64::INFINITY,
        }),
    })
}
