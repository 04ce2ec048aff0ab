//! A law with the intervals that its own errors support.
//!
//! The levels calibrate a law (`law`). Each load in turn is then held out and predicted from the others; how far those
//! predictions were off says how far the next one may be: a prediction interval of Student's from the root mean square of
//! the logarithms of predicted over measured, as leave-one-out errors are taken (Geisser, JASA 70, 1975), with what is
//! expected of any law counting as two more. Loads between
//! others are easier than those at the ends, so beyond the levels it is the larger of both that counts. Lengths that no
//! level had were held out by no one: there the law's own interval counts where it is the wider one.

use sizing::performance::{Interval, Load, Observation, Prediction, Refusal, System};

use super::{
    law::{HeldOut, Kind, Law, Trial},
    range::Range,
};
use crate::Refused;

/// Loads whose concurrency and lengths differ by less than this share are one load.
const SAME_LOAD: f64 = 0.02;
/// Lengths that differ by less than this factor from those of the levels have been tested with them.
const SAME_LENGTHS: f64 = 1.1;
/// Probability that the truth lies below the upper end of a 90 % interval.
const UPPER: f64 = 0.95;
/// Errors of TTFT, TPOT and throughput that are expected of any law between loads and beyond them (by the example
/// `self_test`, on published sweeps), and how many held-out loads that expectation is worth: three loads that happen to lie
/// on a curve do not prove that there are no others.
const BETWEEN: [f64; 3] = [0.1, 0.035, 0.04];
const BEYOND: [f64; 3] = [0.3, 0.08, 0.08];
const WORTH: f64 = 2.0;

/// Most loads that are held out; a long search of levels need not hold out all of them.
const MOST_HELD_OUT: usize = 10;

/// Fewest loads that calibrate anything.
pub(crate) const FEWEST: usize = 2;

/// A calibrated law and how far it is off.
#[derive(Clone, Debug)]
pub struct Calibrated {
    law: Law,
    kind: Kind,
    reach: Range,
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
    /// [`Refused::TooFewLevels`] for less than two loads, [`Refused::Model`] with the law's own reason.
    pub fn new(system: &System<'_>, observations: &[Observation]) -> Result<Self, Refused> {
        let reach = Range::new(observations).ok_or_else(|| too_few(observations))?;
        let loads = loads(observations);
        if loads.len() < FEWEST {
            return Err(too_few(observations));
        }
        // Two loads calibrate, but of two none can be held out.
        let tested = if loads.len() > FEWEST { spread(&loads) } else { Vec::new() };
        let trial = |kind| {
            Trial::of(kind, system, observations, &tested, |load| {
                observations.iter().partition(|observation| is_same(observation.load, load))
            })
        };
        let known = system.gpu.is_some() && system.model.work.is_some();
        let from_catalogue = known.then(|| trial(Kind::Catalogue)).and_then(Result::ok);
        let best = match (from_catalogue, trial(Kind::Free)) {
            (Some(catalogue), Ok(free)) => catalogue.better(free),
            (Some(trial), Err(_)) | (None, Ok(trial)) => trial,
            (None, Err(refusal)) => return Err(refused(&refusal)),
        };
        let errors = [0, 1, 2].map(|figure| Errors::from_held_out(&best.held_out, reach, figure));
        Ok(Self { law: best.law, kind: best.kind, reach, errors, loads: loads.len() })
    }

    /// TTFT, TPOT and throughput under a load, each with its 90 % interval.
    ///
    /// # Errors
    /// [`Refused::Untested`] for a concurrency farther out than one that was held out; [`Refused::Model`] with the law's
    /// own reason.
    pub fn predict(&self, load: Load) -> Result<Prediction, Refused> {
        if !self.reach.covers(load) {
            return Err(self.reach.refusal());
        }
        let told = self.law.predict(load).map_err(|refusal| refused(&refusal))?;
        let tested = self.reach.has_lengths(load, SAME_LENGTHS);
        let within = self.reach.is_within(load);
        let interval = |figure: usize, own: Interval| match self.errors[figure] {
            Some(errors) => {
                let shown = Interval::by_factor(own.likely, errors.factor(within));
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

    /// Whether what the catalogue knows took part.
    pub fn is_from_catalogue(&self) -> bool {
        self.kind == Kind::Catalogue
    }
}

impl Errors {
    fn from_held_out(held_out: &[HeldOut], reach: Range, figure: usize) -> Option<Self> {
        let errors = |ends_only: bool| -> Vec<f64> {
            let counted = held_out.iter().filter(|out| !ends_only || reach.is_at_an_end(out.load));
            counted.filter_map(|out| out.errors[figure]).collect()
        };
        let with_expected = |errors: &[f64], expected: f64| {
            let squares: f64 = errors.iter().map(|error| error * error).sum();
            let n = errors.len() as f64;
            ((squares + WORTH * expected * expected) / (n + WORTH)).sqrt()
        };
        let all = errors(false);
        if all.is_empty() {
            return None;
        }
        let of_all = with_expected(&all, BETWEEN[figure]);
        let of_ends = with_expected(&errors(true), BEYOND[figure]);
        Some(Self { all: of_all, ends: of_ends.max(of_all), n: all.len() })
    }

    /// How far the ends of the interval are from the prediction, as a ratio.
    fn factor(self, within: bool) -> f64 {
        let n = self.n as f64 + WORTH;
        let spread = if within { self.all } else { self.ends };
        // Errors of held-out loads have no mean to be estimated: all of them are free.
        (stats::student_quantile(UPPER, n) * spread).exp()
    }
}

/// One load of every kind, in the order of the observations.
fn loads(observations: &[Observation]) -> Vec<Load> {
    let mut loads: Vec<Load> = Vec::new();
    for observation in observations {
        if !loads.iter().any(|load| is_same(*load, observation.load)) {
            loads.push(observation.load);
        }
    }
    loads
}

/// As many of them as are held out, from the smallest to the largest.
fn spread(loads: &[Load]) -> Vec<Load> {
    let mut sorted = loads.to_vec();
    sorted.sort_by(|a, b| a.concurrency.total_cmp(&b.concurrency));
    let n = sorted.len();
    if n <= MOST_HELD_OUT {
        return sorted;
    }
    let at = |index: usize| sorted[index * (n - 1) / (MOST_HELD_OUT - 1)];
    (0..MOST_HELD_OUT).map(at).collect()
}

fn is_same(a: Load, b: Load) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= SAME_LOAD * a.max(b);
    near(a.concurrency, b.concurrency) && near(a.isl, b.isl) && near(a.osl, b.osl)
}

fn wider(a: Interval, b: Interval) -> Interval {
    Interval { low: a.low.min(b.low), high: a.high.max(b.high), ..a }
}

fn too_few(observations: &[Observation]) -> Refused {
    Refused::TooFewLevels {
        usable: u32::try_from(observations.len()).unwrap_or(u32::MAX),
        needed: u32::try_from(FEWEST).unwrap_or(u32::MAX),
    }
}

/// The law's own reason, in one line without its hint: the section says what to do.
fn refused(refusal: &Refusal) -> Refused {
    let reason = refusal.to_string();
    let reason = reason.lines().next().unwrap_or_default();
    Refused::Model { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(concurrency: f64) -> Load {
        Load { concurrency, isl: 100.0, osl: 10.0 }
    }

    fn observed(concurrency: f64) -> Observation {
        Observation { load: load(concurrency), ttft_s: Some(0.1), tpot_s: Some(0.01), output_tokens_per_second: None }
    }

    /// Student's t at 0.95: 1.943 for 6 degrees of freedom, as every table has it; by hand, with two errors of 0.1
    /// beside the four, and two of 0.3 beside the two at the ends.
    #[test]
    fn intervals_are_students_of_the_errors() {
        let reach = Range::new(&[1.0, 2.0, 4.0, 8.0].map(observed)).unwrap();
        let errors = [0.1, -0.02, 0.02, -0.1];
        let held_out: Vec<HeldOut> = [1.0, 2.0, 4.0, 8.0]
            .into_iter()
            .zip(errors)
            .map(|(concurrency, error)| HeldOut { load: load(concurrency), errors: [Some(error), None, None] })
            .collect();
        let errors = Errors::from_held_out(&held_out, reach, 0).unwrap();
        let all = (0.0408_f64 / 6.0).sqrt();
        let ends = (0.2_f64 / 4.0).sqrt();
        assert!((errors.factor(true).ln() - 1.9432 * all).abs() < 1e-4);
        assert!((errors.factor(false).ln() - 1.9432 * ends).abs() < 1e-4);
        assert!(Errors::from_held_out(&held_out, reach, 1).is_none());
    }

    #[test]
    fn many_loads_are_held_out_from_end_to_end() {
        let loads: Vec<Load> = (1..=40).map(|c| load(f64::from(c))).collect();
        let spread = spread(&loads);
        assert_eq!(spread.len(), MOST_HELD_OUT);
        assert!((spread[0].concurrency - 1.0).abs() < 1e-9);
        assert!((spread[MOST_HELD_OUT - 1].concurrency - 40.0).abs() < 1e-9);
    }
}
