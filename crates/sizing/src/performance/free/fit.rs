//! The coefficients of the free law: the most probable ones under wide log-normal priors around what the smallest level says
//! (Gauss–Newton, damped after Levenberg, 1944).
//!
//! The one ratio that levels of one length cannot tell, a token looked back on against a prompt token, is expected near 0.003:
//! what both a published sweep of an 8B model on an H100 and small models on a CPU show.

use super::super::linear::{self, Matrix};
use super::{COEFFICIENTS, Coefficients, FreeLaw, Load, Logs, NOISE, Observation};

/// The least share of [`NOISE`] that is believed of a server that seems smoother.
const LEAST_NOISE: f64 = 0.3;
/// Steps after which the fit ends whatever it has reached.
const STEPS: usize = 60;

/// What is expected before the fit: means of the logarithms and their spreads.
pub(super) struct Prior {
    mean: Logs,
    spread: Logs,
}

impl Prior {
    /// Around what the smallest level says.
    pub(super) fn of(smallest: &Observation) -> Option<Self> {
        let load = smallest.load;
        let n = load.concurrency;
        let tpot = smallest.tpot_s.or_else(|| {
            let rate = smallest.output_tokens_per_second?;
            Some(n / rate)
        })?;
        let ttft = smallest.ttft_s.unwrap_or(tpot);
        let prompt = ttft / (load.isl * n.powf(0.7));
        let step = tpot / n.sqrt();
        let mean = [0.6 * step, 0.4 * step, 0.7, 0.003, 0.9 * prompt, 0.1 * prompt * load.isl, 1.5, 4096.0, 1.0];
        Some(Self {
            // The share of the others' prompts is a logistic: 1.5 stands for 0.6.
            mean: mean.map(f64::ln),
            spread: [1.0, 1.0, 0.4, 1.0, 0.7, 1.0, 1.5, 0.5, 0.25],
        })
    }
}

/// Logarithms of what was measured. Throughput says nothing new where TTFT and TPOT are known, since a closed loop ties the
/// three; to count it would make the law surer of itself than it may be.
pub(super) fn measured(level: &Observation) -> [Option<f64>; 3] {
    let figures = [level.ttft_s, level.tpot_s, level.output_tokens_per_second];
    let [ttft, tpot, throughput] = figures.map(|figure| Some(figure?.ln()).filter(|log| log.is_finite()));
    let tied = ttft.and(tpot).is_some();
    [ttft, tpot, throughput.filter(|_| !tied)]
}

fn log_times(logs: &Logs, load: Load) -> [f64; 3] {
    Coefficients::of(logs).times(load).map(f64::ln)
}

/// The gradient of each of [`log_times`], by central differences.
pub(super) fn gradients(logs: &Logs, load: Load) -> [Logs; 3] {
    const H: f64 = 1e-4;
    let mut gradients = [[0.0; COEFFICIENTS]; 3];
    for k in 0..COEFFICIENTS {
        let moved = |by: f64| {
            let mut moved = *logs;
            moved[k] += by;
            log_times(&moved, load)
        };
        let (up, down) = (moved(H), moved(-H));
        for (figure, gradient) in gradients.iter_mut().enumerate() {
            gradient[k] = (up[figure] - down[figure]) / (2.0 * H);
        }
    }
    gradients
}

/// A fit under way.
pub(super) struct Fit<'a> {
    pub(super) levels: &'a [Observation],
    pub(super) prior: &'a Prior,
}

impl Fit<'_> {
    pub(super) fn law(&self) -> FreeLaw {
        let figures = self.levels.iter().flat_map(measured).flatten().count() as f64;
        let rough = self.descend(1.0, self.prior.mean);
        // A server that is smoother than expected may pull harder at the priors.
        let scatter = (self.cost(1.0, &rough) / figures).sqrt();
        let logs = self.descend(scatter.clamp(LEAST_NOISE, 1.0), rough);
        let (precision, _) = self.normal(1.0, &logs);
        // But a law that fits better than its noise has been lucky, or has as many coefficients as figures.
        let scale = (self.cost(1.0, &logs) / figures).max(1.0);
        let mut covariance =
            linear::factor(&precision).map_or_else(|| self.of_prior(), |lower| linear::inverse(&lower));
        for value in covariance.iter_mut().flatten() {
            *value *= scale;
        }
        FreeLaw { logs, covariance, noise: scale.sqrt(), figures }
    }

    fn of_prior(&self) -> Matrix<COEFFICIENTS> {
        let mut covariance = [[0.0; COEFFICIENTS]; COEFFICIENTS];
        for (k, spread) in self.prior.spread.iter().enumerate() {
            covariance[k][k] = spread * spread;
        }
        covariance
    }

    /// Damped Gauss–Newton, for a noise of so many times [`NOISE`].
    fn descend(&self, noise: f64, from: Logs) -> Logs {
        let mut logs = from;
        let mut cost = self.cost(noise, &logs);
        let mut damping = 1e-2;
        for _ in 0..STEPS {
            let (precision, slope) = self.normal(noise, &logs);
            let mut damped = precision;
            for (k, row) in damped.iter_mut().enumerate() {
                row[k] *= 1.0 + damping;
            }
            let Some(lower) = linear::factor(&damped) else {
                break;
            };
            let step = linear::solve(&lower, &slope);
            let mut moved = logs;
            for (log, step) in moved.iter_mut().zip(step) {
                *log += step.clamp(-1.0, 1.0);
            }
            let there = self.cost(noise, &moved);
            if there < cost {
                let gain = cost - there;
                (logs, cost) = (moved, there);
                damping = (damping / 5.0).max(1e-9);
                if gain < 1e-7 * (1.0 + cost) {
                    break;
                }
            } else {
                damping *= 5.0;
                if damping > 1e12 {
                    break;
                }
            }
        }
        logs
    }

    /// Sum of squared residuals, the prior's among them.
    fn cost(&self, noise: f64, logs: &Logs) -> f64 {
        let prior = self.prior;
        let of_prior: f64 = (0..COEFFICIENTS).map(|k| ((logs[k] - prior.mean[k]) / prior.spread[k]).powi(2)).sum();
        let of_level = |level: &Observation| -> f64 {
            let told = log_times(logs, level.load);
            let figures = measured(level).into_iter().zip(told);
            let squares = figures
                .zip(NOISE)
                .filter_map(|((measured, told), spread)| Some(((measured? - told) / (noise * spread)).powi(2)));
            squares.sum()
        };
        of_prior + self.levels.iter().map(of_level).sum::<f64>()
    }

    /// The precision of the coefficients and the slope towards lower cost.
    fn normal(&self, noise: f64, logs: &Logs) -> (Matrix<COEFFICIENTS>, Logs) {
        let mut precision = [[0.0; COEFFICIENTS]; COEFFICIENTS];
        let mut slope = [0.0; COEFFICIENTS];
        for k in 0..COEFFICIENTS {
            let weight = self.prior.spread[k].powi(-2);
            precision[k][k] = weight;
            slope[k] = (self.prior.mean[k] - logs[k]) * weight;
        }
        for level in self.levels {
            let told = log_times(logs, level.load);
            let gradients = gradients(logs, level.load);
            for (figure, measured) in measured(level).into_iter().enumerate() {
                let Some(measured) = measured else { continue };
                let weight = (noise * NOISE[figure]).powi(-2);
                let gradient = &gradients[figure];
                for k in 0..COEFFICIENTS {
                    slope[k] += gradient[k] * (measured - told[figure]) * weight;
                    for other in 0..COEFFICIENTS {
                        precision[k][other] += gradient[k] * gradient[other] * weight;
                    }
                }
            }
        }
        (precision, slope)
    }
}
