//! What is expected of a machine before it is measured: means by engine, model class, card and format, and spreads.
//!
//! The figures are in `catalogue/speed.toml`, learnt from published sweeps; `docs/sizing.md` says how and how well they do.

use std::sync::LazyLock;

use serde::Deserialize;

use super::step::{Logs, PARAMETERS};
use super::{EngineFamily, System};
use crate::gpu::Generation;
use crate::weights::WeightFormat;

static SPEED: LazyLock<Speed> = LazyLock::new(|| {
    toml::from_str(include_str!("../../catalogue/speed.toml"))
        .expect("the embedded priors are read by a test")
});

/// Spread of a factor of which nothing is known, as on a machine that is in no catalogue: a factor of five either way.
const UNKNOWN: f64 = 1.6;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Speed {
    #[serde(rename = "parameters")]
    _parameters: [String; PARAMETERS],
    spread: Logs,
    noise: [f64; 3],
    errors: Errors,
    effects: Effects,
}

/// Standard deviations of the logarithms of TTFT, TPOT and throughput that parameters do not account for.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Errors {
    /// From the catalogue alone.
    pub alone: [f64; 3],
    /// At and between measured levels.
    pub within: [f64; 3],
    /// For each e-fold outside the measured levels.
    pub beyond: [f64; 3],
    /// For each e-fold of other lengths.
    pub length: [f64; 3],
    /// On another number of cards.
    pub cards: [f64; 3],
    /// On another card.
    pub card: [f64; 3],
    /// In another format of weights.
    pub format: [f64; 3],
    /// For another model.
    pub model: [f64; 3],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Effects {
    base: Logs,
    tensorrt_llm: Logs,
    sglang: Logs,
    other_engine: Logs,
    experts: Logs,
    tensorrt_llm_experts: Logs,
    blackwell: Logs,
    ada_ampere: Logs,
    cdna: Logs,
    gaudi: Logs,
    float4: Logs,
    bits16: Logs,
    int4: Logs,
    doubling: Logs,
}

/// Parameters before a measurement: independent normal distributions of their logarithms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prior {
    pub mean: Logs,
    pub spread: Logs,
}

impl Prior {
    pub(super) fn of(system: &System<'_>, has_experts: bool) -> Self {
        let effects = &SPEED.effects;
        let mut mean = effects.base;
        let mut add = |effect: &Logs, times: f64| {
            for (mean, effect) in mean.iter_mut().zip(effect) {
                *mean += effect * times;
            }
        };
        match system.engine {
            EngineFamily::Vllm => {}
            EngineFamily::TensorRtLlm => add(&effects.tensorrt_llm, 1.0),
            EngineFamily::Sglang => add(&effects.sglang, 1.0),
            _ => add(&effects.other_engine, 1.0),
        }
        if has_experts {
            add(&effects.experts, 1.0);
            if system.engine == EngineFamily::TensorRtLlm {
                add(&effects.tensorrt_llm_experts, 1.0);
            }
        }
        match system.gpu.and_then(|gpu| gpu.generation) {
            Some(Generation::Blackwell) => add(&effects.blackwell, 1.0),
            Some(Generation::Ada | Generation::Ampere) => add(&effects.ada_ampere, 1.0),
            Some(Generation::Cdna) => add(&effects.cdna, 1.0),
            Some(Generation::Gaudi) => add(&effects.gaudi, 1.0),
            Some(Generation::Hopper) | None => {}
        }
        match system.weights {
            WeightFormat::Nvfp4 | WeightFormat::Mxfp4 => add(&effects.float4, 1.0),
            WeightFormat::Bits16 | WeightFormat::Float32 => add(&effects.bits16, 1.0),
            WeightFormat::Awq | WeightFormat::Bnb4 => add(&effects.int4, 1.0),
            _ => {}
        }
        add(
            &effects.doubling,
            f64::from(system.tensor_parallel.max(1)).log2(),
        );
        let mut spread = SPEED.spread;
        if system.gpu.is_none() {
            spread = [UNKNOWN; PARAMETERS];
        }
        Self { mean, spread }
    }
}

/// Standard deviations of the logarithms of TTFT, TPOT and throughput around the law.
pub(super) fn noise() -> [f64; 3] {
    SPEED.noise
}

/// What the law misses, by how far it is carried.
pub(super) fn errors() -> &'static Errors {
    &SPEED.errors
}
