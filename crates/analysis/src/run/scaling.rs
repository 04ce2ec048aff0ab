//! How aggregate throughput scales: the Universal Scalability Law over the levels, and whether one law is enough.

use stats::{Confidence, ScalabilityLaw};

use crate::{Estimate, Scaling, distribution::estimate, run::limits::Point};

/// The law of levels in rising order of concurrency; `None` for fewer than five.
pub(crate) fn scaling(points: &[Point], confidence: Confidence) -> Option<Scaling> {
    let law = ScalabilityLaw::fit(&pairs(points), confidence)?;
    let of = |value: f64, parameter: usize| -> Estimate {
        estimate(value, law.intervals.map(|intervals| intervals[parameter]))
    };
    let peak = law.peak();
    Some(Scaling {
        lambda_tok_s: of(law.lambda, 0),
        sigma: of(law.sigma, 1),
        kappa: of(law.kappa, 2),
        from: points.get(law.levels_before)?.concurrency,
        levels_before: u32::try_from(law.levels_before).ok()?,
        relative_error: law.relative_error,
        knee: law.knee(),
        peak,
        ceiling_tok_s: peak.map(|load| law.throughput(load)).or(law.ceiling()),
    })
}

fn pairs(points: &[Point]) -> Vec<(f64, f64)> {
    let pairs = points.iter();
    pairs.map(|point| (f64::from(point.concurrency), point.output_tok_s)).collect()
}
