//! What is expected of a machine before it is measured: means by engine, model class, card and format, and spreads.
//!
//! The figures are in `catalogue/speed.toml`, learnt from published sweeps; `docs/sizing.md` says how and how well they do.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::step::{self, PARAMETERS};
use super::{EngineFamily, System};
use crate::gpu::Generation;
use crate::weights::WeightFormat;

static EMBEDDED: LazyLock<Priors> = LazyLock::new(|| {
    Priors::from_toml(include_str!("../../catalogue/speed.toml")).expect("the embedded priors are read by a test")
});

/// Parameters that published sweeps teach; the last, how sequences crowd, is fixed but on an unknown machine.
const LEARNT: usize = PARAMETERS - 1;

type Logs = [f64; LEARNT];

/// Spread of a factor of which nothing is known, as on a machine that is in no catalogue: a factor of five either way.
const UNKNOWN: f64 = 1.6;
/// Parameters that are the engine's rather than the machine's: experts, mixing, burst, memory.
const OF_THE_ENGINE: [usize; 4] = [1, 7, 9, 10];
/// Spread of the power to which sequences crowd there, and where it is known to be 1.
const UNKNOWN_CROWD: f64 = 0.5;
const KNOWN_CROWD: f64 = 1e-3;
/// Least noise there: what is measured on a desktop varies more than in a data centre.
const UNKNOWN_NOISE: [f64; 3] = [0.2, 0.08, 0.08];

/// What measured systems teach of those that nobody measured.
#[derive(Clone, Debug)]
pub struct Priors(Arc<Learnt>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Learnt {
    #[serde(rename = "parameters")]
    _parameters: [String; LEARNT],
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

/// What a kind adds to the base, each where it applies.
#[derive(Debug, Deserialize)]
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
    unpacked: Logs,
    bits16: Logs,
    int4: Logs,
    doubling: Logs,
}

/// Parameters before a measurement: distributions of their logarithms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prior {
    pub mean: step::Logs,
    pub spread: step::Logs,
    /// Standard deviations of the logarithms of TTFT, TPOT and throughput around the law.
    pub noise: [f64; 3],
}

/// A file of priors that cannot be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("not a file of priors: {0}\nhint: write it with fixtures/published/learn.py")]
pub struct PriorsError(#[from] Box<toml::de::Error>);

impl Priors {
    /// Those that come with the crate.
    pub fn embedded() -> Self {
        EMBEDDED.clone()
    }

    /// Others, as `catalogue/speed.toml` writes them.
    ///
    /// # Errors
    /// [`PriorsError`] when the text is not such a file.
    pub fn from_toml(text: &str) -> Result<Self, PriorsError> {
        let learnt: Learnt = toml::from_str(text).map_err(Box::new)?;
        Ok(Self(Arc::new(learnt)))
    }

    pub(super) fn errors(&self) -> &Errors {
        &self.0.errors
    }

    pub(super) fn of(&self, system: &System<'_>, has_experts: bool) -> Prior {
        let effects = &self.0.effects;
        let several = f64::from(system.tensor_parallel.max(1)).log2();
        let mut mean = effects.base;
        let kinds = [
            self.engine(system.engine),
            has_experts.then_some(&effects.experts),
            self.card(system.gpu.and_then(|gpu| gpu.generation)),
            self.format(system.weights),
        ];
        let both = has_experts && system.engine == EngineFamily::TensorRtLlm;
        let both = [both.then_some(&effects.tensorrt_llm_experts), is_unpacked(system).then_some(&effects.unpacked)];
        let kinds = kinds.into_iter().chain(both).flatten();
        let kinds = kinds.map(|effect| (effect, 1.0));
        for (effect, times) in kinds.chain([(&effects.doubling, several)]) {
            for (mean, effect) in mean.iter_mut().zip(effect) {
                *mean += effect * times;
            }
        }
        let known = system.gpu.is_some();
        let mut spread = self.0.spread;
        for (at, spread) in spread.iter_mut().enumerate() {
            if !known && !OF_THE_ENGINE.contains(&at) {
                *spread = UNKNOWN;
            }
        }
        let crowd = if known { KNOWN_CROWD } else { UNKNOWN_CROWD };
        let mut noise = self.0.noise;
        if !known {
            noise = std::array::from_fn(|at| noise[at].max(UNKNOWN_NOISE[at]));
        }
        Prior { mean: with_last(mean, 0.0), spread: with_last(spread, crowd), noise }
    }

    fn engine(&self, engine: EngineFamily) -> Option<&Logs> {
        match engine {
            EngineFamily::Vllm => None,
            EngineFamily::TensorRtLlm => Some(&self.0.effects.tensorrt_llm),
            EngineFamily::Sglang => Some(&self.0.effects.sglang),
            _ => Some(&self.0.effects.other_engine),
        }
    }

    /// Hopper is the base.
    fn card(&self, generation: Option<Generation>) -> Option<&Logs> {
        match generation? {
            Generation::Hopper | Generation::Tpu => None,
            Generation::Blackwell => Some(&self.0.effects.blackwell),
            Generation::Ada | Generation::Ampere | Generation::Turing | Generation::Volta | Generation::Xe => {
                Some(&self.0.effects.ada_ampere)
            }
            Generation::Cdna => Some(&self.0.effects.cdna),
            Generation::Gaudi => Some(&self.0.effects.gaudi),
        }
    }

    /// fp8 and int8 are the base.
    fn format(&self, weights: WeightFormat) -> Option<&Logs> {
        match weights {
            WeightFormat::Nvfp4 | WeightFormat::Mxfp4 => Some(&self.0.effects.float4),
            WeightFormat::Bits16 | WeightFormat::Float32 => Some(&self.0.effects.bits16),
            WeightFormat::Awq | WeightFormat::Bnb4 => Some(&self.0.effects.int4),
            WeightFormat::Fp8 | WeightFormat::Int8 => None,
        }
    }
}

/// Whether weights in 4-bit floating point are turned into 16 bits on the way, as on a card without such arithmetic.
fn is_unpacked(system: &System<'_>) -> bool {
    let float4 = matches!(system.weights, WeightFormat::Nvfp4 | WeightFormat::Mxfp4);
    float4 && system.gpu.is_some_and(|gpu| gpu.fp4_flops.is_none())
}

fn with_last(learnt: Logs, last: f64) -> step::Logs {
    std::array::from_fn(|at| learnt.get(at).copied().unwrap_or(last))
}
