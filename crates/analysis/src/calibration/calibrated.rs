//! A model of speed with the intervals that its own errors support.
//!
//! The levels calibrate [`Performance`]. Each load in turn is then held out and predicted from the others; how far those
//! predictions were off says how far the next one may be: a prediction interval of Student's from the root mean square of
//! the logarithms of predicted over measured, as leave-one-out errors are taken (Geisser, JASA 70, 1975). Loads between
//! others are easier than those at the ends, so beyond the levels it is the larger of both that counts. Lengths that no
//! level had were held out by no one: there the model's own interval counts where it is the wider one.

use sizing::performance::{Interval, Load, Observation, Performance, Prediction, System};

use super::reach::Reach;
use crate::Refused;

/// Loads whose concurrency and lengths differ by less than this share are one load.
const SAME_LOAD: f64 = 0.02;
/// Lengths that differ by less than this factor from those of the levels have been tested with them.
const SAME_LENGTHS: f64 = 1.1;
/// Probability that the truth lies below the upper end of a 90 % interval.
const UPPER: f64 = 0.95;

/// Fewest loads that calibrate anything.
pub(crate) const FEWEST: usize = 2;

/// A calibrated model and how far it is off.
#[derive(Clone, Debug)]
pub struct Calibrated {
    model: Performance,
    reach: Reach,
    /// Of TTFT, TPOT and throughput; `None` where nothing could be held out.
    errors: [Option<Errors>; 3],
    loads: usize,
}

/// Root mean squares of the logarithms of predicted over measured.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Errors {
    /// Over all loads.
    all: f64,
    /// Over the smallest and the largest.
    ends: f64,
    n: usize,
}

impl Calibrated {
    /// Calibrates with levels of one system.
    ///
    /// # Errors
    /// [`Refused::TooFewLevels`] for less than two loads, [`Refused::Model`] with the model's own reason.
    pub fn new(system: &System<'_>, observations: &[Observation]) -> Result<Self, Refused> {
        let reach = Reach::of(observations).ok_or(too_few(observations))?;
        let groups = same_loads(observations);
        if groups.len() < FEWEST {
            return Err(too_few(observations));
        }
        let model = Performance::calibrated(system, observations).map_err(|refusal| model(&refusal))?;
        let held_out: Vec<HeldOut> = groups
            .iter()
            .filter(|_| groups.len() > FEWEST)
            .flat_map(|group| held_out(system, observations, *group, reach))
            .collect();
        let errors = [0, 1, 2].map(|figure| Errors::of(&held_out, figure));
        Ok(Self {
            model,
            reach,
            errors,
            loads: groups.len(),
        })
    }

    /// TTFT, TPOT and throughput under a load, each with its 90 % interval.
    ///
    /// # Errors
    /// [`Refused::Untested`] for a concurrency farther out than one that was held out; [`Refused::Model`] with the model's
    /// own reason.
    pub fn predict(&self, load: Load) -> Result<Prediction, Refused> {
        if !self.reach.covers(load) {
            return Err(self.reach.refusal());
        }
        let told = self.model.predict(load).map_err(|refusal| model(&refusal))?;
        let tested = self.reach.has_lengths(load, SAME_LENGTHS);
        let within = self.reach.is_within(load);
        let interval = |figure: usize, own: Interval| match self.errors[figure] {
            Some(errors) => {
                let factor = errors.factor(within);
                let shown = Interval::by_factor(own.likely, factor);
                if tested { shown } else { wider(shown, own) }
            }
            None => own,
        };
        Ok(Prediction {
            ttft_s: interval(0, told.ttft_s),
            tpot_s: interval(1, told.tpot_s),
            output_tokens_per_second: interval(2, told.output_tokens_per_second),
            ..told
        })
    }

    /// Loads, of different concurrency or lengths, that it was calibrated with.
    pub fn loads(&self) -> usize {
        self.loads
    }

    /// Concurrencies of which it says something.
    pub fn reach(&self) -> (f64, f64) {
        self.reach.concurrency()
    }
}

impl Errors {
    fn of(held_out: &[HeldOut], figure: usize) -> Option<Self> {
        let errors = |ends_only: bool| -> Vec<f64> {
            let counted = held_out.iter().filter(|out| out.at_an_end || !ends_only);
            counted.filter_map(|out| out.errors[figure]).collect()
        };
        let all = errors(false);
        let of_ends = root_mean_square(&errors(true)).unwrap_or(0.0);
        let of_all = root_mean_square(&all)?;
        Some(Self {
            all: of_all,
            ends: of_ends.max(of_all),
            n: all.len(),
        })
    }

    /// How far the ends of the interval are from the prediction, as a ratio.
    fn factor(self, within: bool) -> f64 {
        let n = self.n as f64;
        let spread = if within { self.all } else { self.ends };
        // Errors of held-out loads have no mean to be estimated: all n of them are free.
        (stats::student_quantile(UPPER, n) * spread).exp()
    }
}

/// How far the prediction of a load was off that took no part.
#[derive(Clone, Copy, Debug)]
struct HeldOut {
    errors: [Option<f64>; 3],
    at_an_end: bool,
}

/// A load held out: every observation of it against what the others say.
fn held_out(
    system: &System<'_>,
    observations: &[Observation],
    of: Load,
    reach: Reach,
) -> Vec<HeldOut> {
    let (out, others): (Vec<_>, Vec<_>) = observations
        .iter()
        .partition(|observation| is_same(observation.load, of));
    let Ok(model) = Performance::calibrated(system, &others) else {
        return Vec::new();
    };
    let against = |observation: &Observation| {
        let told = model.predict(observation.load).ok()?;
        Some(HeldOut {
            errors: [
                log_ratio(told.ttft_s, observation.ttft_s),
                log_ratio(told.tpot_s, observation.tpot_s),
                log_ratio(
                    told.output_tokens_per_second,
                    observation.output_tokens_per_second,
                ),
            ],
            at_an_end: reach.is_at_an_end(of),
        })
    };
    out.iter().filter_map(against).collect()
}

/// One load of every kind, in the order of the observations.
fn same_loads(observations: &[Observation]) -> Vec<Load> {
    let mut loads: Vec<Load> = Vec::new();
    for observation in observations {
        if !loads.iter().any(|load| is_same(*load, observation.load)) {
            loads.push(observation.load);
        }
    }
    loads
}

fn is_same(a: Load, b: Load) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= SAME_LOAD * a.max(b);
    near(a.concurrency, b.concurrency) && near(a.isl, b.isl) && near(a.osl, b.osl)
}

fn log_ratio(predicted: Interval, measured: Option<f64>) -> Option<f64> {
    let ratio = (predicted.likely / measured?).ln();
    ratio.is_finite().then_some(ratio)
}

fn root_mean_square(values: &[f64]) -> Option<f64> {
    let squares: f64 = values.iter().map(|value| value * value).sum();
    (!values.is_empty()).then(|| (squares / values.len() as f64).sqrt())
}

fn wider(a: Interval, b: Interval) -> Interval {
    Interval {
        low: a.low.min(b.low),
        high: a.high.max(b.high),
        ..a
    }
}

fn too_few(observations: &[Observation]) -> Refused {
    Refused::TooFewLevels {
        usable: u32::try_from(observations.len()).unwrap_or(u32::MAX),
        needed: u32::try_from(FEWEST).unwrap_or(u32::MAX),
    }
}

/// The model's own reason, in one line without its hint: the section says what to do.
fn model(refusal: &sizing::performance::Refusal) -> Refused {
    let reason = refusal.to_string();
    let reason = reason.lines().next().unwrap_or_default();
    Refused::Model {
        reason: reason.to_owned(),
    }
}
