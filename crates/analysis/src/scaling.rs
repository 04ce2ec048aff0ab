//! How aggregate throughput scales: the Universal Scalability Law over the levels, and whether one law is enough.

use stats::{Confidence, ScalabilityLaw};

use crate::{
    Estimate, Finding, FindingKind, Scaling, Severity, distribution::estimate, findings::finding, limits::Point,
};

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

/// The finding that the smallest levels follow another law.
pub(crate) fn regime_change(points: &[Point], scaling: Option<&Scaling>) -> Option<Finding> {
    let scaling = scaling?;
    let before = &points[..usize::try_from(scaling.levels_before).ok()?];
    let last = before.last()?;
    let n = f64::from(last.concurrency);
    let shared = 1.0 + scaling.sigma.value * (n - 1.0) + scaling.kappa.value * n * (n - 1.0);
    let change = FindingKind::RegimeChange {
        before: before.iter().map(|point| point.concurrency).collect(),
        from: scaling.from,
        measured_tok_s: last.output_tok_s,
        law_tok_s: scaling.lambda_tok_s.value * n / shared,
    };
    Some(finding(Severity::Warning, change))
}

fn pairs(points: &[Point]) -> Vec<(f64, f64)> {
    let pairs = points.iter();
    pairs.map(|point| (f64::from(point.concurrency), point.output_tok_s)).collect()
}
