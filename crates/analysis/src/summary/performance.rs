//! How well the measured levels predict each other, and what they predict of loads that no level ran.
//!
//! Intervals of this section hold nine times in ten, whatever `confidence_level` says: they are about a prediction, not
//! about a sample.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;
use sizing::performance::{Load, Observation};

/// The model of speed that the levels of the run calibrate, tested on themselves.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerformanceSection {
    /// What is known of what served.
    pub system: ServedFacts,
    /// Every level that was used, predicted from the others, by concurrency.
    pub levels: Vec<HeldOutLevel>,
    /// Levels that were not used, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutLevel>,
    /// How far the predictions of TTFT were off.
    pub ttft: Option<PredictionError>,
    /// The same of TPOT.
    pub tpot: Option<PredictionError>,
    /// The same of the whole server's output throughput.
    pub output_tok_s: Option<PredictionError>,
    /// Loads between the levels and beyond, by concurrency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forecasts: Vec<Forecast>,
    /// Why nothing could be predicted.
    pub refused: Option<Refused>,
}

/// What is known of what served. What is absent is not known.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedFacts {
    /// The model, as in the catalogue if it is there, else as it was asked for.
    pub model: String,
    /// The card as in the catalogue.
    pub gpu: Option<String>,
    /// Cards that served.
    pub cards: u32,
    /// Whether what the catalogue knows of model and card helped; else measured levels alone speak.
    pub from_catalogue: bool,
}

/// A level, and what the other levels say of it.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOutLevel {
    /// Index into the plan's levels.
    pub level: u32,
    /// Requests kept in flight.
    pub concurrency: u32,
    /// Requests that really were in flight, on average: the load that is predicted.
    pub in_flight: f64,
    /// Mean prompt tokens that no cache spared.
    pub isl: f64,
    /// Mean output tokens.
    pub osl: f64,
    /// Mean TTFT in milliseconds.
    pub ttft_ms: Option<Held>,
    /// Mean TPOT in milliseconds.
    pub tpot_ms: Option<Held>,
    /// Output tokens per second of the whole server.
    pub output_tok_s: Option<Held>,
    /// Why the others say nothing of it.
    pub refused: Option<Refused>,
}

impl HeldOutLevel {
    /// The level as the model of speed is calibrated with it.
    pub fn observation(&self) -> Observation {
        let measured = |held: Option<Held>, scale: f64| held.map(|held| held.measured * scale);
        Observation {
            load: Load { concurrency: self.in_flight, isl: self.isl, osl: self.osl },
            ttft_s: measured(self.ttft_ms, 1e-3),
            tpot_s: measured(self.tpot_ms, 1e-3),
            output_tokens_per_second: measured(self.output_tok_s, 1.0),
        }
    }
}

/// A measured figure beside what was predicted without it.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// What was measured.
    pub measured: f64,
    /// What the other levels say.
    pub predicted: Option<Predicted>,
}

impl Held {
    /// How far the prediction was off, as a share of what was measured: above 0 when it was too large.
    pub fn error(&self) -> Option<f64> {
        self.predicted.map(|predicted| predicted.likely / self.measured - 1.0)
    }

    /// Whether the interval held the measured figure.
    pub fn holds(&self) -> Option<bool> {
        self.predicted.map(|predicted| (predicted.low..=predicted.high).contains(&self.measured))
    }
}

/// A predicted figure with the ends between which it lies nine times in ten.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// Lower end.
    pub low: f64,
    /// The most likely value.
    pub likely: f64,
    /// Upper end.
    pub high: f64,
}

/// How far predictions of one figure were off, over the levels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionError {
    /// Levels that were predicted.
    pub n: u64,
    /// Median of the errors without their signs, as a share of what was measured.
    pub median: f64,
    /// The largest.
    pub largest: f64,
    /// Levels whose interval held what was measured.
    pub held: u64,
}

/// What all levels together say of a load that no level ran.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Requests in flight.
    pub concurrency: f64,
    /// Prompt tokens.
    pub isl: f64,
    /// Output tokens.
    pub osl: f64,
    /// Mean TTFT in milliseconds.
    pub ttft_ms: Option<Predicted>,
    /// Mean TPOT in milliseconds.
    pub tpot_ms: Option<Predicted>,
    /// Output tokens per second of the whole server.
    pub output_tok_s: Option<Predicted>,
    /// Why nothing is said.
    pub refused: Option<Refused>,
}

/// Why there is no prediction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refused {
    /// Too few levels to predict any of them from the others.
    TooFewLevels {
        /// Levels that could be used.
        usable: u32,
        /// How many it takes.
        needed: u32,
    },
    /// The load lies below where the law of the others begins.
    OtherLaw {
        /// Smallest level that follows the law.
        from: u32,
    },
    /// The load lies farther out than a level that was held out.
    Untested {
        /// Smallest load of which something can be said.
        from: f64,
        /// Largest.
        to: f64,
    },
    /// The model of speed itself refuses.
    Model {
        /// Its reason, in English.
        reason: String,
    },
}

/// A level that calibrates nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOutLevel {
    /// Index into the plan's levels.
    pub level: u32,
    /// Requests kept in flight; 0 for an open loop.
    pub concurrency: u32,
    /// Why.
    pub why: LeftOut,
}

/// Why a level calibrates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeftOut {
    /// Its figures are not valid, or it was not measured to its end.
    Invalid,
    /// Requests came by a schedule, so that the load is the server's answer and not the plan's.
    OpenLoop,
    /// The server does not say how long prompts or outputs were.
    LengthsUnknown,
    /// Too few requests ended before the first cool-down request: less than one for each slot.
    TooShort,
    /// Requests failed: the load was another one than it seems.
    Failures {
        /// Share that failed.
        share: f64,
    },
    /// The KV cache ran full, and requests lost their place.
    Preempted {
        /// How often.
        preemptions: f64,
    },
}
