//! The figures of a run that a comparison looks at, each with the error that a test needs.

use std::collections::BTreeMap;

use records::{Outcome, RequestRecord, RunData};
use stats::{BatchMeans, Confidence, MeanWithError, Quantile, Sample, quantile};

use crate::{
    LevelSummary,
    distribution::Reading,
    level::goodput::Strains,
    level::window::{self, is_completed},
    level::{self, LevelFigures},
    units::ms,
};

/// A figure of a level. The error is that of its logarithm, or of the share itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) metric: &'static str,
    pub(crate) value: f64,
    pub(crate) is_share: bool,
    pub(crate) error: Option<MeanWithError>,
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
    let completed = || level.requests.iter().filter(|record| is_completed(record));
    let series = |latency: &dyn Fn(&RequestRecord) -> Option<f64>| -> Vec<f64> {
        completed().filter_map(|record| latency(record)).collect()
    };
    let ttft = series(&|record| record.ttft().map(ms));
    let tpot = series(&|record| record.tpot().map(ms));
    let e2el = series(&|record| record.e2el().map(ms));
    let counted = level.requests.iter().filter(|record| record.outcome != Outcome::Cancelled);
    let completions: Vec<bool> = counted.map(|record| is_completed(record)).collect();
    let good = |strains: &Strains| strains.series.iter().map(|x| *x <= 1.0).collect::<Vec<_>>();
    let reading = level.reading;
    let figures = [
        mean("ttft_mean_ms", &ttft, reading),
        percentile("ttft_p95_ms", &ttft, reading),
        mean("tpot_mean_ms", &tpot, reading),
        mean("e2el_mean_ms", &e2el, reading),
        percentile("e2el_p95_ms", &e2el, reading),
        throughput(&level.summary, reading),
        share("success_rate", &completions, reading),
        level.strains.as_ref().and_then(|strains| share("slo_attainment", &good(strains), reading)),
    ];
    figures.into_iter().flatten().collect()
}

fn mean(metric: &'static str, series: &[f64], reading: Reading) -> Option<Figure> {
    let value = Sample::new(series.to_vec()).ok()?.mean();
    let of_logarithm = |batches: BatchMeans| MeanWithError {
        mean: batches.mean().ln(),
        standard_error: batches.standard_error() / batches.mean(),
        degrees_of_freedom: batches.degrees_of_freedom(),
    };
    Some(Figure { metric, value, is_share: false, error: reading.batches(series).map(of_logarithm) })
}

/// The error that the interval of the percentile implies, as if it were a normal one.
fn percentile(metric: &'static str, series: &[f64], reading: Reading) -> Option<Figure> {
    let distribution = crate::distribution::distribution(series, reading)?;
    let p95 = distribution.p95?;
    let (low, high) = (p95.low?, p95.high?);
    let width = implied_widths(reading.confidence)?;
    let sample = Sample::new(series.to_vec()).ok()?;
    Some(Figure {
        metric,
        value: quantile(&sample, Quantile::P95),
        is_share: false,
        error: Some(MeanWithError {
            mean: p95.value.ln(),
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

fn throughput(level: &LevelSummary, reading: Reading) -> Option<Figure> {
    let estimate = level.output_tok_s_estimate?;
    let width = implied_widths(reading.confidence)?;
    let half_ends = estimate.low.zip(estimate.high).filter(|ends| ends.0 > 0.0);
    Some(Figure {
        metric: "output_tok_s",
        value: estimate.value,
        is_share: false,
        error: half_ends.map(|(low, high)| MeanWithError {
            mean: estimate.value.ln(),
            // Student's ends, so the error is rather too large than too small.
            standard_error: (high - low) / estimate.value / width,
            degrees_of_freedom: f64::INFINITY,
        }),
    })
}

/// A share, with a success and a failure added.
fn share(metric: &'static str, yes: &[bool], reading: Reading) -> Option<Figure> {
    let n = yes.len() as f64;
    if yes.is_empty() {
        return None;
    }
    let value = yes.iter().filter(|yes| **yes).count() as f64 / n;
    let series: Vec<f64> = yes.iter().map(|yes| f64::from(u8::from(*yes))).collect();
    let effective = reading.batches(&series).map_or(n, |batches| batches.effective());
    let adjusted = (value * effective + 1.0) / (effective + 2.0);
    Some(Figure {
        metric,
        value,
        is_share: true,
        error: Some(MeanWithError {
            mean: adjusted,
            standard_error: (adjusted * (1.0 - adjusted) / (effective + 2.0)).sqrt(),
            degrees_of_freedom: f64::INFINITY,
        }),
    })
}
