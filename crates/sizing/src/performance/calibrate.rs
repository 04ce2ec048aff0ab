//! Parameters from measured levels: the most probable ones under the prior (maximum a posteriori), by damped Gauss–Newton.
//!
//! Two levels cannot tell eleven parameters; the prior says which of them they may move, and how far. Residuals are of
//! logarithms; they and the parameters' departures from the prior count as Student's t with four degrees of freedom, so that
//! one odd level does not pull the others, and a machine unlike its kind can be one.

use super::demand::Demand;
use super::linear::{self, Matrix};
use super::prior::Prior;
use super::step::{self, Logs, PARAMETERS};
use super::{Load, Observation};

/// Degrees of freedom of the residuals.
const FREEDOM: f64 = 4.0;
/// Steps after which the fit ends whatever it has reached; it usually takes five to ten.
const STEPS: usize = 40;
/// No step moves a logarithm by more than this.
const LONGEST: f64 = 0.7;

/// Parameters with their covariance.
#[derive(Clone, Debug)]
pub(super) struct Posterior {
    pub logs: Logs,
    pub covariance: Matrix<PARAMETERS>,
}

impl Posterior {
    /// What is known before a measurement.
    pub(super) fn prior(prior: &Prior) -> Self {
        let mut covariance = [[0.0; PARAMETERS]; PARAMETERS];
        for (k, spread) in prior.spread.iter().enumerate() {
            covariance[k][k] = spread * spread;
        }
        Self { logs: prior.mean, covariance }
    }

    /// Variance of a figure whose logarithm has this gradient.
    pub(super) fn variance(&self, gradient: &Logs) -> f64 {
        let row = |row: &Logs| row.iter().zip(gradient).map(|(c, g)| c * g).sum::<f64>();
        let sum: f64 = (self.covariance.iter().zip(gradient)).map(|(c, g)| g * row(c)).sum();
        sum.max(0.0)
    }
}

/// Logarithms of TTFT, TPOT and throughput.
pub(super) fn log_times(demand: &Demand, logs: &Logs, load: Load) -> [f64; 3] {
    let times = step::times(demand, logs, load);
    [times.ttft_s, times.tpot_s, times.tokens_per_second].map(f64::ln)
}

/// The gradient of each of [`log_times`] in the parameters, by central differences.
pub(super) fn gradients(demand: &Demand, logs: &Logs, load: Load) -> [Logs; 3] {
    const H: f64 = 1e-4;
    let mut gradients = [[0.0; PARAMETERS]; 3];
    for k in 0..PARAMETERS {
        let moved = |by: f64| {
            let mut moved = *logs;
            moved[k] += by;
            log_times(demand, &moved, load)
        };
        let (up, down) = (moved(H), moved(-H));
        for (figure, gradient) in gradients.iter_mut().enumerate() {
            gradient[k] = (up[figure] - down[figure]) / (2.0 * H);
        }
    }
    gradients
}

/// Logarithms of what was measured. Throughput says nothing new where TTFT and TPOT are known: a closed loop ties the three
/// (Little's law).
pub(super) fn measured(observation: &Observation) -> [Option<f64>; 3] {
    let log = |value: Option<f64>| value.filter(|value| value.is_finite() && *value > 0.0).map(f64::ln);
    let (ttft, tpot) = (log(observation.ttft_s), log(observation.tpot_s));
    let throughput = match (ttft, tpot) {
        (Some(_), Some(_)) => None,
        _ => log(observation.output_tokens_per_second),
    };
    [ttft, tpot, throughput]
}

/// The most probable parameters, and their covariance around them.
pub(super) fn posterior(demand: &Demand, prior: &Prior, observations: &[Observation]) -> Posterior {
    let mut logs = prior.mean;
    let mut cost = misfit(demand, prior, observations, &logs);
    let mut damping = 1e-2;
    for _ in 0..STEPS {
        let (precision, slope) = normal(demand, prior, observations, &logs);
        let Some((better, lower)) = improved(&precision, &slope, &logs, &mut damping, |logs| {
            let new = misfit(demand, prior, observations, logs);
            (new < cost).then_some(new)
        }) else {
            break;
        };
        let moved = logs.iter().zip(&better).map(|(a, b)| (a - b).abs());
        let largest = moved.fold(0.0, f64::max);
        (logs, cost) = (better, lower);
        if largest < 1e-5 {
            break;
        }
    }
    let (precision, _) = normal(demand, prior, observations, &logs);
    let covariance = linear::factor(&precision).map(|lower| linear::inverse(&lower));
    Posterior { logs, covariance: covariance.unwrap_or(Posterior::prior(prior).covariance) }
}

/// A step that lowers the cost, and the cost there; more damping until one does.
fn improved(
    precision: &Matrix<PARAMETERS>,
    slope: &Logs,
    logs: &Logs,
    damping: &mut f64,
    lower: impl Fn(&Logs) -> Option<f64>,
) -> Option<(Logs, f64)> {
    for _ in 0..12 {
        let mut damped = *precision;
        for (k, row) in damped.iter_mut().enumerate() {
            row[k] *= 1.0 + *damping;
        }
        let step = linear::solve(&linear::factor(&damped)?, slope);
        let mut moved = *logs;
        for (log, step) in moved.iter_mut().zip(step) {
            *log += step.clamp(-LONGEST, LONGEST);
        }
        if let Some(cost) = lower(&moved) {
            *damping = (*damping / 5.0).max(1e-9);
            return Some((moved, cost));
        }
        *damping *= 5.0;
    }
    None
}

/// Minus twice the logarithm of Student's density at `z` standard deviations, but for a constant.
fn surprise(z: f64) -> f64 {
    (FREEDOM + 1.0) * (z * z / FREEDOM).ln_1p()
}

/// The precision of the normal distribution that has the slope of Student's at `z` standard deviations of `scale`.
fn weight(z: f64, scale: f64) -> f64 {
    (FREEDOM + 1.0) / (FREEDOM + z * z) / (scale * scale)
}

/// Minus twice the logarithm of the posterior density, but for a constant.
pub(super) fn misfit(demand: &Demand, prior: &Prior, observations: &[Observation], logs: &Logs) -> f64 {
    let expected = prior.mean.iter().zip(&prior.spread);
    let mut sum: f64 = (logs.iter().zip(expected)).map(|(log, (mean, spread))| surprise((log - mean) / spread)).sum();
    for observation in observations {
        let predicted = log_times(demand, logs, observation.load);
        for (figure, measured) in measured(observation).into_iter().enumerate() {
            if let Some(measured) = measured {
                sum += surprise((measured - predicted[figure]) / prior.noise[figure]);
            }
        }
    }
    sum
}

/// The precision of the parameters and the slope of the cost at `logs`.
fn normal(demand: &Demand, prior: &Prior, observations: &[Observation], logs: &Logs) -> (Matrix<PARAMETERS>, Logs) {
    let mut precision = [[0.0; PARAMETERS]; PARAMETERS];
    let mut slope = [0.0; PARAMETERS];
    for k in 0..PARAMETERS {
        let weight = weight((logs[k] - prior.mean[k]) / prior.spread[k], prior.spread[k]);
        precision[k][k] = weight;
        slope[k] = (prior.mean[k] - logs[k]) * weight;
    }
    for observation in observations {
        let predicted = log_times(demand, logs, observation.load);
        let gradients = gradients(demand, logs, observation.load);
        for (figure, measured) in measured(observation).into_iter().enumerate() {
            let Some(measured) = measured else { continue };
            let residual = measured - predicted[figure];
            let weight = weight(residual / prior.noise[figure], prior.noise[figure]);
            let gradient = &gradients[figure];
            for k in 0..PARAMETERS {
                slope[k] += gradient[k] * residual * weight;
                for other in 0..PARAMETERS {
                    precision[k][other] += gradient[k] * gradient[other] * weight;
                }
            }
        }
    }
    (precision, slope)
}
