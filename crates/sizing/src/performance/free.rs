//! A law whose every coefficient is free: for a server of which nothing is known but its measured levels.
//!
//! A decode step of `n` sequences takes `a + b·nᵖ + c·(tokens they look back on)`: `p` is 1 where every row costs the same
//! and less where rows share what is read or kernels fill up. A prompt token takes `d`, and `n` prompts `nᶠ` times one. Over a
//! cycle of a closed loop all the work is done by one server, so the cycle takes `start + osl·step + d·isl·nᶠ`, however the
//! scheduler mixes it; throughput follows from that alone (Little, Operations Research 9, 1961). How much of the others'
//! prompts a new request waits for is a share of its own, which ends at about two full steps of chunked prefill: prompts
//! beyond take their time from the requests that decode.
//!
//! `fit` finds the coefficients.

mod fit;

use self::fit::{Fit, Prior};
use super::linear::Matrix;
use super::{Bound, Interval, Load, Observation, Prediction, Refusal};

const COEFFICIENTS: usize = 9;
type Logs = [f64; COEFFICIENTS];

/// What a smooth law misses of TTFT, TPOT and throughput, as standard deviations of the logarithms. TTFT hangs on which step a
/// request happens to come in.
const NOISE: [f64; 3] = [0.08, 0.05, 0.05];
/// 95 % point of the normal distribution.
const Z: f64 = 1.645;

/// A fitted law.
#[derive(Clone, Debug)]
pub struct FreeLaw {
    logs: Logs,
    covariance: Matrix<COEFFICIENTS>,
    /// Standard deviations of a level around the law, over [`NOISE`].
    noise: f64,
    /// Figures that were fitted.
    figures: f64,
}

/// The coefficients as they are meant.
struct Coefficients {
    step_s: f64,
    sequence_s: f64,
    power: f64,
    context_s: f64,
    prompt_s: f64,
    start_s: f64,
    /// Share of the others' prompts that a new request waits for.
    together: f64,
    /// Prompt tokens after which it waits for no more.
    longest_wait: f64,
    /// Exponent of prompts that are computed together: below 1 where a batch of them costs less than each by itself.
    filling: f64,
}

impl Coefficients {
    fn of(logs: &Logs) -> Self {
        let [step, sequence, power, context, prompt, start, together, wait, filling] = *logs;
        Self {
            step_s: step.exp(),
            sequence_s: sequence.exp(),
            power: power.exp(),
            context_s: (context + prompt).exp(),
            prompt_s: prompt.exp(),
            start_s: start.exp(),
            together: 1.0 / (1.0 + (-together).exp()),
            longest_wait: wait.exp(),
            filling: filling.exp(),
        }
    }

    /// What a step takes for its sequences, and for what they look back on.
    fn of_step(&self, load: Load) -> (f64, f64) {
        let n = load.concurrency;
        let looked_back = n * (load.isl + load.osl / 2.0);
        (self.sequence_s * n.powf(self.power), self.context_s * looked_back)
    }

    /// TTFT and TPOT in seconds, and output tokens per second.
    fn times(&self, load: Load) -> [f64; 3] {
        let Load { concurrency: n, isl, osl } = load;
        let (sequences, looked_back) = self.of_step(load);
        let step = self.step_s + sequences + looked_back;
        let others = self.together * (n - 1.0) * isl;
        let waited = others / (1.0 + (others / self.longest_wait).powi(2)).sqrt();
        // A request that comes while the others decode waits for half a step.
        let joining = (1.0 - self.together) * step / 2.0 * (1.0 - 1.0 / n);
        let ttft = self.start_s + self.step_s + self.prompt_s * isl * (1.0 + waited / isl).powf(self.filling) + joining;
        let cycle = self.start_s + osl * step + self.prompt_s * isl * n.powf(self.filling);
        let further = (osl - 1.0).max(1.0);
        let tpot = ((cycle - ttft) / further).max(step / 2.0);
        let e2el = ttft + (osl - 1.0) * tpot;
        [ttft, tpot, n * osl / e2el]
    }
}

impl FreeLaw {
    /// The most probable law of these levels.
    ///
    /// # Errors
    /// [`Refusal::TooFew`] for fewer than two levels that are loads and have a TPOT or a throughput.
    pub fn fitted(observations: &[Observation]) -> Result<Self, Refusal> {
        let usable = observations.iter().filter(|level| is_usable(level));
        let mut levels: Vec<Observation> = usable.copied().collect();
        levels.sort_by(|a, b| a.load.concurrency.total_cmp(&b.load.concurrency));
        let too_few = Refusal::TooFew { observations: levels.len() };
        let prior = levels.first().filter(|_| levels.len() >= 2).and_then(Prior::of);
        let prior = prior.ok_or(too_few)?;
        let fit = Fit { levels: &levels, prior: &prior };
        Ok(fit.law())
    }

    /// TTFT, TPOT and throughput under a load.
    ///
    /// # Errors
    /// [`Refusal::NoLoad`] for no load.
    pub fn predict(&self, load: Load) -> Result<Prediction, Refusal> {
        if !is_load(load) {
            return Err(Refusal::NoLoad);
        }
        let coefficients = Coefficients::of(&self.logs);
        let times = coefficients.times(load);
        let gradients = fit::gradients(&self.logs, load);
        let interval = |figure: usize| {
            let law = self.variance(&gradients[figure]);
            // Student's quantile by the first term of its expansion (Abramowitz and Stegun 26.7.5).
            let quantile = Z + (Z.powi(3) + Z) / (4.0 * self.figures);
            let spread = law.sqrt().hypot(self.noise * NOISE[figure]);
            Interval::by_factor(times[figure], (quantile * spread).min(7.0).exp())
        };
        let (sequences, looked_back) = coefficients.of_step(load);
        let bound =
            [(Bound::Overhead, coefficients.step_s), (Bound::Compute, sequences), (Bound::KvCache, looked_back)];
        let bound = bound.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        Ok(Prediction {
            ttft_s: interval(0),
            tpot_s: interval(1),
            output_tokens_per_second: interval(2),
            bound: bound.map_or(Bound::Overhead, |(bound, _)| bound),
        })
    }

    fn variance(&self, gradient: &Logs) -> f64 {
        let row = |row: &Logs| -> f64 { row.iter().zip(gradient).map(|(c, g)| c * g).sum() };
        let sum: f64 = (self.covariance.iter().zip(gradient)).map(|(c, g)| g * row(c)).sum();
        sum.max(0.0)
    }
}

fn is_load(load: Load) -> bool {
    [load.concurrency, load.isl, load.osl].iter().all(|value| value.is_finite() && *value >= 1.0)
}

fn is_usable(level: &Observation) -> bool {
    let [_, tpot, throughput] = fit::measured(level);
    is_load(level.load) && tpot.or(throughput).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels by hand of a server with `a = 10 ms`, `b = 1 ms` a row, no cost of context, 0.1 ms a prompt token, in waves
    /// that prefill together: step `10 + n`, TTFT `10 + 0.1·n·isl`, cycle `osl·step + 0.1·n·isl`.
    fn waves(n: f64, isl: f64, osl: f64) -> Observation {
        let step = 10.0 + n;
        let prefill = 0.1 * n * isl;
        let ttft = 10.0 + prefill;
        let cycle = osl * step + prefill;
        Observation {
            load: Load { concurrency: n, isl, osl },
            ttft_s: Some(ttft / 1e3),
            tpot_s: Some((cycle - ttft) / (osl - 1.0) / 1e3),
            output_tokens_per_second: Some(n * osl / cycle * 1e3),
        }
    }

    fn off(told: Interval, measured: Option<f64>) -> f64 {
        (told.likely / measured.unwrap() - 1.0).abs()
    }

    #[test]
    fn a_server_with_a_law_of_this_kind_is_found_again() {
        let levels = [1.0, 4.0, 16.0].map(|n| waves(n, 100.0, 64.0));
        let law = FreeLaw::fitted(&levels).unwrap();
        // Between the levels, where the priors of a law that three levels cannot settle cost a few percent.
        for n in [2.0, 8.0, 12.0] {
            let truth = waves(n, 100.0, 64.0);
            let told = law.predict(truth.load).unwrap();
            for (told, truth) in [
                (told.ttft_s, truth.ttft_s),
                (told.tpot_s, truth.tpot_s),
                (told.output_tokens_per_second, truth.output_tokens_per_second),
            ] {
                assert!(off(told, truth) < 0.055, "{n}: {told:?} {truth:?}");
            }
        }
    }

    #[test]
    fn intervals_widen_away_from_the_levels() {
        let levels = [1.0, 4.0, 16.0].map(|n| waves(n, 100.0, 64.0));
        let law = FreeLaw::fitted(&levels).unwrap();
        let width = |n: f64, isl: f64| {
            let load = Load { concurrency: n, isl, osl: 64.0 };
            let told = law.predict(load).unwrap().tpot_s;
            told.high / told.low
        };
        assert!(width(8.0, 100.0) < width(64.0, 100.0));
        assert!(width(8.0, 100.0) < width(8.0, 1000.0));
    }

    #[test]
    fn what_is_no_load_or_too_little_is_refused() {
        let one = [waves(1.0, 100.0, 64.0)];
        let refusal = FreeLaw::fitted(&one).unwrap_err();
        assert_eq!(refusal, Refusal::TooFew { observations: 1 });
        let law = FreeLaw::fitted(&[1.0, 4.0].map(|n| waves(n, 100.0, 64.0))).unwrap();
        let none = Load { concurrency: 0.0, isl: 100.0, osl: 64.0 };
        assert_eq!(law.predict(none), Err(Refusal::NoLoad));
    }
}
