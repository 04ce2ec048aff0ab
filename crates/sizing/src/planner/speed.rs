//! How fast one replica serves, and how many requests at once keep the objectives.

use super::answer::{Reason, Speed};
use super::memory::{Seats, Setup};
use super::target::{Pessimism, Slo, Target};
use super::{Measured, Question};
use crate::KvDtype;
use crate::performance::{EngineFamily, Interval, Load, Performance, Prediction, Refusal, System};

/// The speed model of a replica.
#[derive(Debug)]
pub(super) struct Speeds {
    performance: Performance,
    isl: f64,
    osl: f64,
}

impl Speeds {
    pub(super) fn of(
        question: &Question<'_>,
        setup: &Setup<'_>,
        seats: &Seats,
        target: &Target,
    ) -> Result<Self, Refusal> {
        let system = System {
            model: setup.model,
            gpu: Some(setup.gpu),
            tensor_parallel: setup.tensor_parallel,
            weights: setup.weights,
            kv_element_bytes: if setup.kv == KvDtype::Bits16 { 2 } else { 1 },
            engine: EngineFamily::Vllm,
            kv_cache: Some(seats.kv_cache.times(u64::from(setup.tensor_parallel))),
            max_num_seqs: u32::try_from(seats.max_num_seqs).ok(),
        };
        let performance = match nearest(question.measured, setup) {
            Some(measured) => measured.performance.transferred(&system)?,
            None => Performance::of(&system)?,
        };
        Ok(Self { performance, isl: target.isl as f64, osl: target.osl as f64 })
    }

    /// What so many requests at once get; `concurrency` is at least 1.
    pub(super) fn at(&self, concurrency: f64) -> Result<Speed, Refusal> {
        Ok(self.speed(&self.performance.predict(self.load(concurrency))?))
    }

    /// The same without intervals, at a tenth of the work.
    pub(super) fn likely_at(&self, concurrency: f64) -> Result<Speed, Refusal> {
        Ok(self.speed(&self.performance.likely(self.load(concurrency))?))
    }

    fn load(&self, concurrency: f64) -> Load {
        Load { concurrency: concurrency.max(1.0), isl: self.isl, osl: self.osl }
    }

    fn speed(&self, prediction: &Prediction) -> Speed {
        let steps = (self.osl - 1.0).max(0.0);
        let sum = |ttft: f64, tpot: f64| ttft + steps * tpot;
        let (ttft, tpot) = (prediction.ttft_s, prediction.tpot_s);
        Speed {
            ttft_s: ttft,
            tpot_s: tpot,
            e2el_s: Interval {
                low: sum(ttft.low, tpot.low),
                likely: sum(ttft.likely, tpot.likely),
                high: sum(ttft.high, tpot.high),
            },
            output_tokens_per_second: prediction.output_tokens_per_second,
            bound: prediction.bound,
        }
    }

    /// The most requests at once, up to `most`, that keep the objectives; latencies grow with the load. For the slow ends it may
    /// be a few less than the most.
    pub(super) fn most_within(&self, slo: Slo, most: u32, pessimism: Pessimism) -> Result<u32, Reason> {
        let missed = |requests: u32| -> Result<Option<Reason>, Reason> {
            let requests = f64::from(requests);
            let speed = match pessimism {
                Pessimism::Likely => self.likely_at(requests),
                Pessimism::SlowEnd => self.at(requests),
            };
            Ok(first_missed(slo, &speed.map_err(unknown)?, pessimism))
        };
        if slo.is_none() || missed(most)?.is_none() {
            return Ok(most);
        }
        if let Some(reason) = missed(1)? {
            return Err(reason);
        }
        let nearly = match pessimism {
            Pessimism::Likely => slo,
            Pessimism::SlowEnd => nearer(slo, &self.at(f64::from(most)).map_err(unknown)?),
        };
        let (mut kept, mut too_many) = (1, most);
        while too_many - kept > 1 {
            let middle = kept.midpoint(too_many);
            let speed = self.likely_at(f64::from(middle)).map_err(unknown)?;
            if first_missed(nearly, &speed, Pessimism::Likely).is_none() {
                kept = middle;
            } else {
                too_many = middle;
            }
        }
        while pessimism == Pessimism::SlowEnd && kept > 1 && missed(kept)?.is_some() {
            kept -= (kept / 16).max(1);
        }
        Ok(kept)
    }
}

/// Objectives for the likely values that put the slow ends on `slo`. How far those are from the likely values in ratio hardly
/// depends on the load, so that a search needs no intervals; where it ends they are looked at.
fn nearer(slo: Slo, speed: &Speed) -> Slo {
    let scaled = |limit: Option<f64>, of: Interval| limit.map(|limit| limit * of.likely / of.high);
    Slo {
        ttft_s: scaled(slo.ttft_s, speed.ttft_s),
        tpot_s: scaled(slo.tpot_s, speed.tpot_s),
        e2el_s: scaled(slo.e2el_s, speed.e2el_s),
    }
}

/// A refusal as a reason.
#[expect(clippy::needless_pass_by_value, reason = "the form that `map_err` takes")]
pub(super) fn unknown(refusal: Refusal) -> Reason {
    let message = refusal.to_string();
    let first = message.lines().next().unwrap_or_default().to_owned();
    Reason::SpeedUnknown { message: first }
}

/// The first objective that is not kept.
pub(super) fn first_missed(slo: Slo, speed: &Speed, pessimism: Pessimism) -> Option<Reason> {
    let all =
        [("ttft", slo.ttft_s, speed.ttft_s), ("tpot", slo.tpot_s, speed.tpot_s), ("e2el", slo.e2el_s, speed.e2el_s)];
    all.into_iter().find_map(|(metric, limit, interval)| {
        let (limit_s, likely_s) = (limit?, pessimism.end(interval));
        (likely_s > limit_s).then(|| Reason::SloMissed { metric: metric.to_owned(), likely_s, limit_s })
    })
}

/// The measured system that has most in common with the one that is planned.
fn nearest<'q, 'a>(measured: &'q [Measured<'a>], setup: &Setup<'_>) -> Option<&'q Measured<'a>> {
    measured.iter().max_by_key(|measured| {
        let same_gpu = measured.gpu.is_some_and(|gpu| gpu.name == setup.gpu.name);
        let same_weights = measured.weights == setup.weights;
        let same_cards = measured.tensor_parallel == setup.tensor_parallel;
        4 * u8::from(same_weights) + 2 * u8::from(same_gpu) + u8::from(same_cards)
    })
}
