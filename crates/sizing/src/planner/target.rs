//! What has to be served: load, lengths, objectives, reserve.

use serde::{Deserialize, Serialize};

use crate::KvDtype;
use crate::fleet::Day;
use crate::performance::Interval;
use crate::weights::WeightFormat;

/// How much is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// So many requests at once, all the time: a closed loop.
    Concurrency(u32),
    /// So many requests a second, hour by hour, whatever the fleet does: an open loop.
    Rate(Day),
}

/// How requests fill the KV cache. Plans of today are all [`Room::Usual`]; kept ones may have the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Room {
    /// All of them at their full length at once, as the engine's "maximum concurrency" counts.
    Longest,
    /// Each anywhere between its first and its last token, so that they fit 99 times in 100.
    #[default]
    Usual,
}

/// Latencies that the mean request has to keep, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// Time to first token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_s: Option<f64>,
    /// Time per output token after the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpot_s: Option<f64>,
    /// From sending to the last token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e2el_s: Option<f64>,
}

impl Slo {
    /// Whether nothing is asked.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// All objectives `factor` times as long.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        let scale = |limit: Option<f64>| limit.map(|limit| limit * factor);
        Self { ttft_s: scale(self.ttft_s), tpot_s: scale(self.tpot_s), e2el_s: scale(self.e2el_s) }
    }
}

/// Which end of an interval an objective is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pessimism {
    Likely,
    SlowEnd,
}

impl Pessimism {
    /// Returns that end of an interval of times.
    pub(super) fn end(self, interval: Interval) -> f64 {
        match self {
            Self::Likely => interval.likely,
            Self::SlowEnd => interval.high,
        }
    }
}

/// What has to be served.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// How much.
    pub demand: Demand,
    /// Mean prompt tokens.
    pub isl: u64,
    /// Mean output tokens.
    pub osl: u64,
    /// Tokens of the longest request, prompt and output: the server's `--max-model-len`.
    pub longest: u64,
    /// What the mean request has to keep.
    pub slo: Slo,
    /// Share of the requests that must find a seat in time when they come at a rate, 0 to 1.
    pub success: f64,
    /// Replicas beyond those that carry the load, so that so many may fail: N + 1.
    pub spare: u32,
    /// By how much the load may grow before anything is bought again; 1 for not at all.
    pub growth: f64,
    /// The format that the weights must have; `None` leaves it open.
    pub weights: Option<WeightFormat>,
    /// The element that the KV cache must have; `None` leaves it open.
    pub kv: Option<KvDtype>,
}

impl Target {
    /// So many requests at once, of so many tokens of prompt and output, none of them longer.
    pub const fn concurrency(requests: u32, isl: u64, osl: u64) -> Self {
        Self {
            demand: Demand::Concurrency(requests),
            isl,
            osl,
            longest: isl.saturating_add(osl),
            slo: Slo { ttft_s: None, tpot_s: None, e2el_s: None },
            success: 0.95,
            spare: 0,
            growth: 1.0,
            weights: None,
            kv: None,
        }
    }

    /// The same target without quantisation of any kind.
    #[must_use]
    pub fn unquantised(self) -> Self {
        Self { weights: Some(WeightFormat::Bits16), kv: Some(KvDtype::Bits16), ..self }
    }

    /// Whether weights and KV cache have the formats that were asked for.
    pub(super) fn asks_for(&self, weights: WeightFormat, kv: KvDtype) -> bool {
        self.weights.is_none_or(|asked| asked == weights) && self.kv.is_none_or(|asked| asked == kv)
    }

    /// Tokens of a request at its end.
    pub const fn context(&self) -> u64 {
        self.isl.saturating_add(self.osl)
    }

    /// The same target with `factor` times the load.
    #[must_use]
    pub fn with_load(&self, factor: f64) -> Self {
        Self { growth: self.growth * factor, ..self.clone() }
    }

    /// The same target with prompts and outputs `factor` times as long.
    #[must_use]
    pub fn with_lengths(&self, factor: f64) -> Self {
        Self {
            isl: scaled(self.isl, factor),
            osl: scaled(self.osl, factor),
            longest: scaled(self.longest, factor),
            ..self.clone()
        }
    }

    /// The same target with objectives `factor` times as long.
    #[must_use]
    pub fn with_slo(&self, factor: f64) -> Self {
        Self { slo: self.slo.times(factor), ..self.clone() }
    }

    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        let slo = [self.slo.ttft_s, self.slo.tpot_s, self.slo.e2el_s];
        match &self.demand {
            Demand::Concurrency(0) => Some("no request at once is no load"),
            Demand::Rate(day) if day.peak() <= 0.0 => Some("no request a second is no load"),
            _ if self.isl == 0 || self.osl == 0 => Some("a request has at least one prompt token and one output token"),
            _ if self.longest < self.context() => Some("the longest request is no shorter than the mean one"),
            _ if !(self.growth.is_finite() && self.growth > 0.0) => Some("growth is a positive factor"),
            _ if !(self.success > 0.0 && self.success < 1.0) => Some("success is a share between 0 and 1"),
            _ if slo.into_iter().flatten().any(|limit| !(limit.is_finite() && limit > 0.0)) => {
                Some("an objective is a positive time")
            }
            _ => None,
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn scaled(tokens: u64, factor: f64) -> u64 {
    ((tokens as f64 * factor).round() as u64).max(1)
}
