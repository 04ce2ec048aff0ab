//! The model of one system: what is known of it, and what it predicts from that.

use super::calibrate::{self, Posterior};
use super::demand::Demand;
use super::prior::{Prior, Priors};
use super::regime::{self, Seen};
use super::{Interval, Load, Observation, Prediction, Refusal, System, step};
use crate::weights::WeightFormat;

/// A model of one system's speed.
#[derive(Clone, Debug)]
pub struct Performance {
    demand: Demand,
    priors: Priors,
    prior: Prior,
    posterior: Posterior,
    seen: Option<Seen>,
    /// Whether the card or the model's work had to be assumed: then nothing can be said of another system.
    assumed: bool,
    identity: Identity,
    /// What another system than the measured one adds to the error.
    carried: [f64; 3],
}

/// What tells one system from another.
#[derive(Clone, Debug, PartialEq)]
struct Identity {
    model: String,
    gpu: Option<String>,
    cards: u32,
    weights: WeightFormat,
}

/// The quantile of the normal distribution that leaves one in twenty beyond it: 90 % lie between it and its negative.
const NINETY: f64 = 1.645;

impl Performance {
    /// From the catalogue alone: priors by engine, model class, card and format.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when the catalogue lacks a fact of the model or the card.
    pub fn of(system: &System<'_>) -> Result<Self, Refusal> {
        Self::of_with(system, &Priors::embedded())
    }

    /// The same with other priors than those of the crate.
    ///
    /// # Errors
    /// As [`Performance::of`].
    pub fn of_with(system: &System<'_>, priors: &Priors) -> Result<Self, Refusal> {
        Ok(Self::before(system, Demand::of(system)?, false, priors))
    }

    /// What measured levels of this very system say, with what is known of it beforehand. The card and the model's work may
    /// be unknown: then the levels alone speak, and intervals are wide.
    ///
    /// # Errors
    /// As [`Performance::fitted`].
    pub fn calibrated(system: &System<'_>, observations: &[Observation]) -> Result<Self, Refusal> {
        let before = Self::of(system)
            .unwrap_or_else(|_| Self::before(system, Demand::assumed(system), true, &Priors::embedded()));
        before.fitted(observations)
    }

    fn before(system: &System<'_>, demand: Demand, assumed: bool, priors: &Priors) -> Self {
        let prior = priors.of(system, demand.expert_bytes > 0.0);
        Self {
            posterior: Posterior::prior(&prior),
            demand,
            priors: priors.clone(),
            prior,
            seen: None,
            assumed,
            identity: Identity {
                model: system.model.name.clone(),
                gpu: system.gpu.map(|gpu| gpu.name.clone()),
                cards: system.tensor_parallel,
                weights: system.weights,
            },
            carried: [0.0; 3],
        }
    }

    /// The same with the 4-bit kernels of this version of bitsandbytes, as `(0, 50)` for 0.50; those of 0.49 and before are
    /// assumed otherwise. Models in other formats do not change. What was fitted before is forgotten.
    #[must_use]
    pub fn with_bitsandbytes(mut self, version: (u32, u32)) -> Self {
        self.demand.kernel = self.demand.kernel.of_bitsandbytes(version);
        self.posterior = Posterior::prior(&self.prior);
        self.seen = None;
        self
    }

    /// The most probable parameters for these levels of this system. A level at either end that no smooth law joins with the
    /// others is left out, and predictions on its side are refused.
    ///
    /// # Errors
    /// [`Refusal::TooFew`] for fewer than two usable levels.
    pub fn fitted(mut self, observations: &[Observation]) -> Result<Self, Refusal> {
        let usable = observations.iter().filter(|level| level.load.is_some() && regime::speaks(level));
        let usable: Vec<Observation> = usable.copied().collect();
        if usable.len() < 2 {
            return Err(Refusal::TooFew { observations: usable.len() });
        }
        let (posterior, seen) = regime::fit(&self.demand, &self.prior, usable);
        self.posterior = posterior;
        self.seen = Some(seen);
        Ok(self)
    }

    /// What was learnt on the system of this model, said of another one: what sets it apart from other systems of its kind
    /// is taken over, what the catalogue says of the two kinds is exchanged.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when the catalogue lacks a fact of either.
    pub fn transferred(&self, to: &System<'_>) -> Result<Self, Refusal> {
        let mut there = match Demand::of(to) {
            Ok(demand) if !self.assumed => Self::before(to, demand, false, &self.priors),
            _ if self.assumed && self.is_same_machine(to) => Self::before(to, Demand::assumed(to), true, &self.priors),
            Err(refusal) => return Err(refusal),
            Ok(_) => {
                return Err(Refusal::Unknown { what: "the card or the work", of: self.identity.model.clone() });
            }
        };
        there.demand.kernel = there.demand.kernel.version_of(self.demand.kernel);
        for (k, log) in there.posterior.logs.iter_mut().enumerate() {
            *log += self.posterior.logs[k] - self.prior.mean[k];
        }
        there.posterior.covariance = self.posterior.covariance;
        there.seen.clone_from(&self.seen);
        let errors = self.priors.errors();
        let (own, other) = (&self.identity, &there.identity);
        let changes = [
            (own.cards != other.cards, errors.cards),
            (own.gpu != other.gpu, errors.card),
            (own.weights != other.weights, errors.format),
            (own.model != other.model, errors.model),
        ];
        there.carried = self.carried;
        for (_, error) in changes.into_iter().filter(|(changes, _)| *changes) {
            for (carried, error) in there.carried.iter_mut().zip(error) {
                *carried = carried.hypot(error);
            }
        }
        Ok(there)
    }

    fn is_same_machine(&self, to: &System<'_>) -> bool {
        self.identity.gpu.as_deref() == to.gpu.map(|gpu| gpu.name.as_str())
            && self.identity.cards == to.tensor_parallel
            && self.identity.model == to.model.name
    }

    /// Seconds of a decode step if nothing were lost: the longer of moving its bytes and computing at the card's rates
    /// (Williams, Waterman, Patterson 2009). A floor to compare with, not a prediction.
    pub fn roofline_s(&self, load: Load) -> f64 {
        step::roofline_s(&self.demand, load)
    }

    /// TTFT, TPOT and throughput under a load, each with the interval that holds it nine times in ten.
    ///
    /// # Errors
    /// [`Refusal::NoLoad`] for no load; [`Refusal::OtherRegime`] for one that the calibration cannot speak of.
    pub fn predict(&self, load: Load) -> Result<Prediction, Refusal> {
        let load = load.is_some().then_some(load).ok_or(Refusal::NoLoad)?;
        let times = step::times(&self.demand, &self.posterior.logs, load);
        if let Some(seen) = &self.seen {
            seen.speaks_of(load, times.pressure, self.demand.kv_memory_known)?;
        }
        let errors = match &self.seen {
            None => self.priors.errors().alone,
            Some(seen) => seen.errors(load, self.priors.errors()),
        };
        let gradients = calibrate::gradients(&self.demand, &self.posterior.logs, load);
        let interval = |figure: usize, likely: f64| {
            let law = self.posterior.variance(&gradients[figure]);
            let error = errors[figure].hypot(self.carried[figure]);
            Interval::by_factor(likely, (NINETY * law.sqrt().hypot(error)).min(7.0).exp())
        };
        Ok(Prediction {
            ttft_s: interval(0, times.ttft_s),
            tpot_s: interval(1, times.tpot_s),
            output_tokens_per_second: interval(2, times.tokens_per_second),
            bound: times.bound,
        })
    }

    /// The most likely figures alone, with intervals of no width: a tenth of the work of [`Performance::predict`], for searches.
    ///
    /// # Errors
    /// As [`Performance::predict`].
    pub fn likely(&self, load: Load) -> Result<Prediction, Refusal> {
        let load = load.is_some().then_some(load).ok_or(Refusal::NoLoad)?;
        let times = step::times(&self.demand, &self.posterior.logs, load);
        if let Some(seen) = &self.seen {
            seen.speaks_of(load, times.pressure, self.demand.kv_memory_known)?;
        }
        Ok(Prediction {
            ttft_s: Interval::by_factor(times.ttft_s, 1.0),
            tpot_s: Interval::by_factor(times.tpot_s, 1.0),
            output_tokens_per_second: Interval::by_factor(times.tokens_per_second, 1.0),
            bound: times.bound,
        })
    }
}
