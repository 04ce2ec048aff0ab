//! A step whose cost no simple law has: the *padded* cost model.
//!
//! Decoding rows are padded to the next size for which a CUDA graph was captured, as vLLM pads them (`cudagraph_capture_sizes`);
//! beyond the largest size they run as they are. Prompt tokens and the context of a step cost more than in proportion, as
//! attention does whose tiles no longer fit. It is there to be unlike what predictions are made with: whoever fits a smooth law
//! to it is tested on a server that has none.

use serde::{Deserialize, Serialize};

use crate::step::{NoiseShape, StepLoad};

/// A step takes `base + per_row · padded rows + per_prompt_token · prompt^prompt_power + per_context_token · context^context_power`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Padded {
    /// See [`crate::timing::Batched::admission`].
    pub(crate) admission_ms: f64,
    /// See [`crate::timing::Batched::noise_fraction`].
    pub(crate) noise_fraction: f64,
    /// See [`NoiseShape`].
    #[serde(default)]
    pub(crate) noise_shape: NoiseShape,
    /// What every step costs.
    base_ms: f64,
    /// Per row of the padded batch.
    per_row_ms: f64,
    /// Sizes to which rows are padded, rising.
    sizes: Vec<u32>,
    /// Of the first prompt token.
    per_prompt_token_ms: f64,
    /// Exponent of the prompt tokens of a step.
    prompt_power: f64,
    /// Of the first token of context, in µs.
    per_context_token_us: f64,
    /// Exponent of the tokens that a step looks back on.
    context_power: f64,
}

impl Padded {
    /// What is wrong with the figures, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let costs = [
            ("per_row_ms", self.per_row_ms),
            ("per_prompt_token_ms", self.per_prompt_token_ms),
            ("per_context_token_us", self.per_context_token_us),
        ];
        let powers = [("prompt_power", self.prompt_power), ("context_power", self.context_power)];
        if !(self.base_ms.is_finite() && self.base_ms > 0.0) {
            return Some("`base_ms` must be positive".to_owned());
        }
        for (name, cost) in costs {
            if !(cost.is_finite() && cost >= 0.0) {
                return Some(format!("`{name}` must be 0 or more"));
            }
        }
        for (name, power) in powers {
            if !(1.0..=2.0).contains(&power) {
                return Some(format!("`{name}` must lie between 1 and 2"));
            }
        }
        let rising = self.sizes.windows(2).all(|pair| pair[0] < pair[1]);
        (!rising || self.sizes.first() == Some(&0)).then(|| "`sizes` must be positive and rising".to_owned())
    }

    /// Mean time of a step, in ms.
    pub(crate) fn step_ms(&self, load: StepLoad) -> f64 {
        let prompt = f64::from(load.prefill_tokens).powf(self.prompt_power);
        let context = (load.context_tokens as f64).powf(self.context_power);
        self.base_ms
            + self.per_row_ms * f64::from(self.padded(load.decodes))
            + self.per_prompt_token_ms * prompt
            + self.per_context_token_us / 1e3 * context
    }

    fn padded(&self, rows: u32) -> u32 {
        if rows == 0 {
            return 0;
        }
        let size = self.sizes.iter().find(|size| **size >= rows);
        size.copied().unwrap_or(rows).max(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_and_attention_grows_out_of_proportion() {
        let padded = Padded {
            admission_ms: 0.0,
            noise_fraction: 0.0,
            noise_shape: NoiseShape::Uniform,
            base_ms: 10.0,
            per_row_ms: 0.5,
            sizes: vec![1, 2, 4, 8],
            per_prompt_token_ms: 0.25,
            prompt_power: 1.0,
            per_context_token_us: 1.0,
            context_power: 2.0,
        };
        let ms = |decodes, prefill_tokens, context_tokens| {
            padded.step_ms(StepLoad { decodes, prefill_tokens, context_tokens })
        };
        // By hand: 10 + 0.5 · padded + 0.25 · prompt + context² / 1000.
        for (decodes, prompt, context, expected) in
            [(1, 0, 0, 10.5), (3, 0, 0, 12.0), (5, 0, 0, 14.0), (9, 0, 0, 14.5), (0, 8, 0, 12.0), (0, 0, 100, 20.0)]
        {
            let got = ms(decodes, prompt, context);
            assert!((got - expected).abs() < 1e-12, "{decodes} {prompt} {context}: {got}");
        }
    }
}
