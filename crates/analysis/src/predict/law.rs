//! The two laws that levels may calibrate, and which of them held-out levels speak for.
//!
//! [`Performance`] starts from what the catalogue knows of model, card and engine; [`FreeLaw`] knows nothing but levels. On a
//! server that the catalogue describes the first needs fewer levels; on one that it does not, the second bends further.
//! The law with the smaller errors on held-out loads is taken (cross-validation, Stone, JRSS B 36, 1974).

use sizing::performance::{FreeLaw, Interval, Load, Observation, Performance, Prediction, Refusal, System};

/// A fitted law.
#[derive(Clone, Debug)]
pub(super) enum Law {
    /// From the catalogue on.
    Catalogue(Box<Performance>),
    /// From levels alone.
    Free(Box<FreeLaw>),
}

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Catalogue,
    Free,
}

/// How far the predictions of one load were off, as logarithms of predicted over measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldOut {
    pub(super) load: Load,
    pub(super) errors: [Option<f64>; 3],
}

/// A law fitted to all levels, and its errors on loads that were held out.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) law: Law,
    pub(super) kind: Kind,
    pub(super) held_out: Vec<HeldOut>,
}

impl Law {
    pub(super) fn fitted(kind: Kind, system: &System<'_>, observations: &[Observation]) -> Result<Self, Refusal> {
        match kind {
            Kind::Catalogue => Performance::calibrated(system, observations).map(|law| Self::Catalogue(Box::new(law))),
            Kind::Free => FreeLaw::fitted(observations).map(|law| Self::Free(Box::new(law))),
        }
    }

    pub(super) fn predict(&self, load: Load) -> Result<Prediction, Refusal> {
        match self {
            Self::Catalogue(law) => law.predict(load),
            Self::Free(law) => law.predict(load),
        }
    }
}

impl Trial {
    /// Fits, and holds out each of `loads` in turn; `out_of` gives the observations of a load and all others.
    pub(super) fn of(
        kind: Kind,
        system: &System<'_>,
        observations: &[Observation],
        loads: &[Load],
        out_of: impl Fn(Load) -> (Vec<Observation>, Vec<Observation>),
    ) -> Result<Self, Refusal> {
        let held_out = loads.iter().flat_map(|&load| {
            let (out, others) = out_of(load);
            let law = Law::fitted(kind, system, &others).ok();
            out.into_iter().filter_map(move |observation| {
                let told = law.as_ref()?.predict(observation.load).ok()?;
                Some(HeldOut { load: observation.load, errors: log_ratios(&told, &observation) })
            })
        });
        Ok(Self { held_out: held_out.collect(), law: Law::fitted(kind, system, observations)?, kind })
    }

    /// The better of two on the loads that both predicted; without such loads, the one that knows the system.
    pub(super) fn better(self, other: Self) -> Self {
        let mean = |of: &Self, with: &Self| -> Option<f64> {
            let both = of.held_out.iter().filter(|out| {
                let mut there = with.held_out.iter();
                there.any(|there| there.load == out.load)
            });
            let errors: Vec<f64> = both.flat_map(|out| out.errors).flatten().collect();
            root_mean_square(&errors)
        };
        match (mean(&self, &other), mean(&other, &self)) {
            (Some(own), Some(others)) if others < own => other,
            (Some(_), Some(_)) => self,
            _ if self.kind == Kind::Catalogue => self,
            _ => other,
        }
    }
}

fn log_ratios(told: &Prediction, observation: &Observation) -> [Option<f64>; 3] {
    let log = |predicted: Interval, measured: Option<f64>| {
        let ratio = (predicted.likely / measured?).ln();
        ratio.is_finite().then_some(ratio)
    };
    [
        log(told.ttft_s, observation.ttft_s),
        log(told.tpot_s, observation.tpot_s),
        log(told.output_tokens_per_second, observation.output_tokens_per_second),
    ]
}

fn root_mean_square(values: &[f64]) -> Option<f64> {
    let squares: f64 = values.iter().map(|value| value * value).sum();
    (!values.is_empty()).then(|| (squares / values.len() as f64).sqrt())
}
