//! The model of speed that a run's levels calibrate, and the test that it has to pass every time: each level predicted
//! from the others.
//!
//! `observe` turns levels into observations, `served` says what is known of the system, `law` fits, `calibrated` makes the
//! intervals as wide as held-out levels demand, `range` says how far out something may be said. The levels below a change of
//! regime ([`crate::Scaling`]) are predicted by nothing and calibrate nothing.

mod calibrated;
mod law;
mod observe;
mod range;
mod served;

use records::RunData;
use sizing::performance::{Interval, Load, Observation, Prediction};
use stats::{Quantile, Sample, quantile};

pub use self::{
    calibrated::Calibrated,
    observe::{Observed, observations},
    served::Served,
};
use crate::{
    Forecast, Held, HeldOutLevel, LevelSummary, PerformanceSection, Predicted, PredictionError, Refused, Scaling,
    level::window::LevelRecords,
};

/// Fewest loads that can predict each other: two that calibrate, and the one that is held out.
const FEWEST_TO_TEST: usize = calibrated::FEWEST + 1;
/// Ratio of neighbouring levels from which on it is told what lies between them.
const WORTH_TELLING: f64 = 1.5;

/// The self-test and the forecasts of these levels; `None` when not one of them ran to its end.
pub(crate) fn section(
    served: &Served,
    run: &RunData,
    records: &[LevelRecords<'_>],
    levels: &[LevelSummary],
    scaling: Option<&Scaling>,
) -> Option<PerformanceSection> {
    let (observed, left_out) = observe::from_records(run, records, levels);
    if !levels.iter().any(|level| level.complete) {
        return None;
    }
    let from = scaling.filter(|scaling| scaling.levels_before > 0).map(|scaling| scaling.from);
    let (regime, before): (Vec<_>, Vec<_>) =
        observed.into_iter().partition(|observed| from.is_none_or(|from| observed.concurrency >= from));
    let other_law = from.map(|from| Refused::OtherLaw { from });
    let mut rows: Vec<HeldOutLevel> =
        before.iter().map(|observed| row(observed, other_law.clone().map_or(Ok(None), Err))).collect();
    rows.extend(regime.iter().map(|observed| row(observed, held_out(served, &regime, observed).map(Some))));
    let model = calibrated(served, &regime);
    let (forecasts, refused) = match &model {
        Ok(model) => (forecasts(model, &regime, other_law.as_ref()), None),
        Err(refused) => (Vec::new(), Some(refused.clone())),
    };
    Some(PerformanceSection {
        system: served.facts(model.is_ok_and(|model| model.is_from_catalogue())),
        ttft: error(&rows, |row| row.ttft_ms),
        tpot: error(&rows, |row| row.tpot_ms),
        output_tok_s: error(&rows, |row| row.output_tok_s),
        levels: rows,
        left_out,
        forecasts,
        refused,
    })
}

/// The model that all levels calibrate; refused when they are too few to be tested on each other.
fn calibrated(served: &Served, levels: &[Observed]) -> Result<Calibrated, Refused> {
    let observations: Vec<Observation> = levels.iter().map(|level| level.observation).collect();
    let model = Calibrated::new(&served.system(), &observations);
    match model {
        Ok(model) if model.loads() >= FEWEST_TO_TEST => Ok(model),
        Ok(_) | Err(Refused::TooFewLevels { .. }) => Err(too_few(levels.len())),
        Err(refused) => Err(refused),
    }
}

fn too_few(usable: usize) -> Refused {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Refused::TooFewLevels { usable: count(usable), needed: count(FEWEST_TO_TEST) }
}

/// What the other levels say of this one. Levels of the same concurrency say too much of it and are held out with it.
fn held_out(served: &Served, levels: &[Observed], this: &Observed) -> Result<[Interval; 3], Refused> {
    let others: Vec<Observation> =
        levels.iter().filter(|other| other.concurrency != this.concurrency).map(|other| other.observation).collect();
    let model = Calibrated::new(&served.system(), &others);
    let model = model.map_err(|refused| match refused {
        Refused::TooFewLevels { .. } => too_few(levels.len()),
        refused => refused,
    })?;
    let told = model.predict(this.observation.load)?;
    Ok([told.ttft_s, told.tpot_s, told.output_tokens_per_second])
}

fn row(observed: &Observed, told: Result<Option<[Interval; 3]>, Refused>) -> HeldOutLevel {
    let Observation { load, ttft_s, tpot_s, output_tokens_per_second } = observed.observation;
    let (told, refused) = match told {
        Ok(told) => (told, None),
        Err(refused) => (None, Some(refused)),
    };
    let held = |measured: Option<f64>, figure: usize, scale: f64| {
        Some(Held { measured: measured? * scale, predicted: told.map(|told| predicted(told[figure], scale)) })
    };
    HeldOutLevel {
        level: observed.level,
        concurrency: observed.concurrency,
        in_flight: load.concurrency,
        isl: load.isl,
        osl: load.osl,
        ttft_ms: held(ttft_s, 0, 1e3),
        tpot_ms: held(tpot_s, 1, 1e3),
        output_tok_s: held(output_tokens_per_second, 2, 1.0),
        refused,
    }
}

fn predicted(interval: Interval, scale: f64) -> Predicted {
    Predicted { low: interval.low * scale, likely: interval.likely * scale, high: interval.high * scale }
}

fn error(rows: &[HeldOutLevel], figure: impl Fn(&HeldOutLevel) -> Option<Held>) -> Option<PredictionError> {
    let held: Vec<Held> = rows.iter().filter_map(figure).collect();
    let errors = held.iter().filter_map(Held::error).map(f64::abs).collect();
    let errors = Sample::new(errors).ok()?;
    Some(PredictionError {
        n: errors.n(),
        median: quantile(&errors, Quantile::P50),
        largest: errors.max(),
        held: held.iter().filter(|held| held.holds() == Some(true)).count() as u64,
    })
}

/// What the levels say of loads between them and beyond, at the mean lengths of all.
fn forecasts(model: &Calibrated, levels: &[Observed], other_law: Option<&Refused>) -> Vec<Forecast> {
    let mean = |length: fn(&Load) -> f64| {
        let sum: f64 = levels.iter().map(|level| length(&level.observation.load)).sum();
        sum / levels.len() as f64
    };
    let (isl, osl) = (mean(|load| load.isl), mean(|load| load.osl));
    let mut tested: Vec<u32> = levels.iter().map(|level| level.concurrency).collect();
    tested.dedup();
    let told = |concurrency: f64| {
        let load = Load { concurrency, isl, osl };
        let below = f64::from(tested.first().copied().unwrap_or(0));
        let refused = other_law.filter(|_| concurrency < below).cloned();
        let told = refused.map_or_else(|| model.predict(load), Err);
        forecast(load, told)
    };
    loads(&tested, model.reach()).into_iter().map(told).collect()
}

fn forecast(load: Load, told: Result<Prediction, Refused>) -> Forecast {
    let (told, refused) = match told {
        Ok(told) => (Some(told), None),
        Err(refused) => (None, Some(refused)),
    };
    Forecast {
        concurrency: load.concurrency,
        isl: load.isl,
        osl: load.osl,
        ttft_ms: told.map(|told| predicted(told.ttft_s, 1e3)),
        tpot_ms: told.map(|told| predicted(told.tpot_s, 1e3)),
        output_tok_s: told.map(|told| predicted(told.output_tokens_per_second, 1.0)),
        refused,
    }
}

/// Whole loads worth telling: one below the levels where there is room, one between neighbours that lie apart, the
/// farthest beyond of which something may be said, and twice that, of which nothing may.
fn loads(tested: &[u32], (_, farthest): (f64, f64)) -> Vec<f64> {
    let (Some(&smallest), Some(&largest)) = (tested.first(), tested.last()) else {
        return Vec::new();
    };
    let below = (smallest > 1).then(|| (f64::from(smallest) / 2.0).floor().max(1.0));
    let between = tested.windows(2).filter_map(|pair| {
        let (low, high) = (f64::from(pair[0]), f64::from(pair[1]));
        let middle = (low * high).sqrt().round();
        (high / low >= WORTH_TELLING && middle > low && middle < high).then_some(middle)
    });
    let farthest = farthest.floor();
    let beyond = [farthest, 2.0 * farthest.max(f64::from(largest))];
    let beyond = beyond.into_iter().filter(|load| *load > f64::from(largest));
    below.into_iter().chain(between).chain(beyond).collect()
}
