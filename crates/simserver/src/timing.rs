//! How long a step of the engine takes.
//!
//! Three cost models and one that has no steps. *Tables* interpolate what was measured; *linear* is `base + a·sequences +
//! b·prompt tokens + c·context tokens`, the usual first model of a memory-bound decode; *padded* (a file of its own) is no law
//! that anyone would fit; *fixed* gives every request the same TTFT and
//! ITL and is for auditing clients.
//! Figures come from the profile only, never from the crate `sizing`: a test of one against the other must mean something.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::padded_graphs::Padded;
use crate::step::{NoiseShape, StepLoad};

/// Where the time goes. Times in ms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Timing {
    /// Measured step times.
    Tables(Tables),
    /// A cost per step, per sequence and per prompt token.
    Linear(Linear),
    /// Padded batches and attention out of proportion.
    Padded(Padded),
    /// Constant TTFT and ITL of every request, without steps.
    Fixed(Fixed),
}

/// Step times by what is in the step. Between rows linear, below the first row the first row's time, above the last row
/// on the line through the last two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tables {
    /// See [`Batched::admission`].
    pub(crate) admission_ms: f64,
    /// See [`Batched::noise_fraction`].
    pub(crate) noise_fraction: f64,
    /// See [`NoiseShape`].
    #[serde(default)]
    pub(crate) noise_shape: NoiseShape,
    /// Per token of context, over all sequences of a step: reading their KV cache.
    #[serde(default)]
    pub(crate) per_context_token_us: f64,
    /// (sequences, ms) of a step that only decodes.
    pub(crate) decode_ms: Vec<(u32, f64)>,
    /// (tokens, ms) of a step that prefills.
    pub(crate) prefill_ms: Vec<(u32, f64)>,
}

/// A step takes `base + per_sequence · decodes + per_prompt_token · prompt tokens`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Linear {
    /// See [`Batched::admission`].
    pub(crate) admission_ms: f64,
    /// See [`Batched::noise_fraction`].
    pub(crate) noise_fraction: f64,
    /// See [`NoiseShape`].
    #[serde(default)]
    pub(crate) noise_shape: NoiseShape,
    /// Per token of context, over all sequences of a step: reading their KV cache.
    #[serde(default)]
    pub(crate) per_context_token_us: f64,
    /// What every step costs: mostly reading the weights.
    pub(crate) base_ms: f64,
    /// Per decoding sequence.
    pub(crate) per_sequence_ms: f64,
    /// Per prompt token.
    pub(crate) per_prompt_token_ms: f64,
}

/// Constant times of every request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixed {
    /// From the arrival to the first token.
    pub(crate) ttft_ms: f64,
    /// From a token to the next.
    pub(crate) itl_ms: f64,
}

/// A cost model of steps.
#[derive(Clone, Debug)]
pub(crate) struct Batched {
    /// When the engine is idle: time that the API front end takes to hand over the first request. Requests that arrive
    /// meanwhile join the same step. A busy engine takes what has arrived when a step ends.
    pub(crate) admission: Duration,
    /// Standard deviation of a step's time over its mean, which is the table's.
    pub(crate) noise_fraction: f64,
    pub(crate) noise_shape: NoiseShape,
    per_context_token_us: f64,
    cost: Cost,
}

#[derive(Clone, Debug)]
enum Cost {
    Tables(Tables),
    Linear(Linear),
    Padded(Padded),
}

impl Timing {
    /// What is wrong with the figures, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let not_negative = |name: &str, value: f64| {
            (!(value.is_finite() && value >= 0.0)).then(|| format!("`{name}` must be 0 or more"))
        };
        let positive = |name: &str, value: f64| {
            (!(value.is_finite() && value > 0.0)).then(|| format!("`{name}` must be positive"))
        };
        let noise = |shape: NoiseShape, value: f64| match shape {
            NoiseShape::Uniform => {
                (!(0.0..=0.5).contains(&value)).then(|| "`noise_fraction` must lie between 0 and 0.5".to_owned())
            }
            NoiseShape::Exponential => {
                ((value - 1.0).abs() > f64::EPSILON).then(|| "`noise_fraction` of an exponential is 1".to_owned())
            }
        };
        match self {
            Self::Tables(t) => not_negative("admission_ms", t.admission_ms)
                .or_else(|| noise(t.noise_shape, t.noise_fraction))
                .or_else(|| not_negative("per_context_token_us", t.per_context_token_us))
                .or_else(|| table_problem("decode_ms", &t.decode_ms))
                .or_else(|| table_problem("prefill_ms", &t.prefill_ms)),
            Self::Linear(l) => not_negative("admission_ms", l.admission_ms)
                .or_else(|| noise(l.noise_shape, l.noise_fraction))
                .or_else(|| not_negative("per_context_token_us", l.per_context_token_us))
                .or_else(|| positive("base_ms", l.base_ms))
                .or_else(|| not_negative("per_sequence_ms", l.per_sequence_ms))
                .or_else(|| not_negative("per_prompt_token_ms", l.per_prompt_token_ms)),
            Self::Padded(p) => not_negative("admission_ms", p.admission_ms)
                .or_else(|| noise(p.noise_shape, p.noise_fraction))
                .or_else(|| p.problem()),
            Self::Fixed(f) => positive("itl_ms", f.itl_ms).or_else(|| {
                // A request that arrives while the next token of another is awaited must not be due before it.
                (!(f.ttft_ms.is_finite() && f.ttft_ms >= f.itl_ms))
                    .then(|| "`ttft_ms` must not be less than `itl_ms`".to_owned())
            }),
        }
    }
}

fn table_problem(name: &str, rows: &[(u32, f64)]) -> Option<String> {
    let rising = rows.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
    let positive = rows.iter().all(|&(key, ms)| key > 0 && ms.is_finite() && ms > 0.0);
    (rows.is_empty() || !rising || !positive).then(|| {
        format!("`{name}` needs rows of positive numbers, the first strictly rising, the second never falling")
    })
}

impl Batched {
    pub(crate) fn from_tables(tables: &Tables) -> Self {
        Self {
            admission: milliseconds(tables.admission_ms),
            noise_fraction: tables.noise_fraction,
            noise_shape: tables.noise_shape,
            per_context_token_us: tables.per_context_token_us,
            cost: Cost::Tables(tables.clone()),
        }
    }

    pub(crate) fn from_linear(linear: &Linear) -> Self {
        Self {
            admission: milliseconds(linear.admission_ms),
            noise_fraction: linear.noise_fraction,
            noise_shape: linear.noise_shape,
            per_context_token_us: linear.per_context_token_us,
            cost: Cost::Linear(linear.clone()),
        }
    }

    pub(crate) fn from_padded(padded: &Padded) -> Self {
        Self {
            admission: milliseconds(padded.admission_ms),
            noise_fraction: padded.noise_fraction,
            noise_shape: padded.noise_shape,
            per_context_token_us: 0.0,
            cost: Cost::Padded(padded.clone()),
        }
    }

    /// Mean time of a step, in ms.
    ///
    /// A step that decodes and prefills is one forward pass over all its rows. The tables therefore charge it as a prefill of
    /// that many rows, and never less than the decode of its sequences.
    pub(crate) fn step_ms(&self, load: StepLoad) -> f64 {
        let context = load.context_tokens as f64 * self.per_context_token_us / 1e3;
        let rows = match &self.cost {
            Cost::Tables(tables) => {
                let decode = match load.decodes {
                    0 => 0.0,
                    sequences => interpolate(&tables.decode_ms, sequences),
                };
                match load.prefill_tokens {
                    0 => decode,
                    tokens => interpolate(&tables.prefill_ms, tokens + load.decodes).max(decode),
                }
            }
            Cost::Linear(linear) => {
                linear.base_ms
                    + linear.per_sequence_ms * f64::from(load.decodes)
                    + linear.per_prompt_token_ms * f64::from(load.prefill_tokens)
            }
            Cost::Padded(padded) => padded.step_ms(load),
        };
        rows + context
    }
}

/// A time of the profile; checked to be finite and not negative when the profile was read.
pub(crate) fn milliseconds(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

fn interpolate(rows: &[(u32, f64)], key: u32) -> f64 {
    let above = rows.partition_point(|row| row.0 < key).min(rows.len() - 1);
    if above == 0 {
        return rows[0].1;
    }
    let (x0, y0) = rows[above - 1];
    let (x1, y1) = rows[above];
    y0 + (y1 - y0) * (f64::from(key) - f64::from(x0)) / (f64::from(x1) - f64::from(x0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Batched {
        Batched::from_tables(&Tables {
            admission_ms: 1.0,
            noise_fraction: 0.0,
            noise_shape: NoiseShape::Uniform,
            per_context_token_us: 0.0,
            decode_ms: vec![(1, 10.0), (2, 40.0), (4, 44.0)],
            prefill_ms: vec![(40, 50.0), (80, 60.0), (120, 60.0)],
        })
    }

    #[test]
    fn tables_interpolate_hold_below_and_continue_above() {
        let ms = |decodes, prefill_tokens| tables().step_ms(StepLoad { decodes, prefill_tokens, context_tokens: 0 });
        for (decodes, prefill, expected) in [
            (1, 0, 10.0),
            (3, 0, 42.0),
            (6, 0, 48.0),
            (0, 1, 50.0),
            (0, 60, 55.0),
            (0, 500, 60.0),
            (4, 56, 55.0),
            (20, 1, 76.0),
        ] {
            assert!((ms(decodes, prefill) - expected).abs() < 1e-9, "{decodes} {prefill}");
        }
    }

    #[test]
    fn linear_adds_its_four_parts() {
        let linear = Batched::from_linear(&Linear {
            admission_ms: 0.0,
            noise_fraction: 0.0,
            noise_shape: NoiseShape::Uniform,
            per_context_token_us: 2.0,
            base_ms: 10.0,
            per_sequence_ms: 0.5,
            per_prompt_token_ms: 0.25,
        });
        let load = StepLoad { decodes: 4, prefill_tokens: 100, context_tokens: 500 };
        assert!((linear.step_ms(load) - 38.0).abs() < 1e-12);
    }
}
