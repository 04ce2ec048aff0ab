//! What is expected of a machine before it is measured: means by engine, model class, card and format, and spreads.
//!
//! The figures are in `catalogue/speed.toml`, learnt from published sweeps; `docs/sizing.md` says how and how well they do.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::step::{Logs, PARAMETERS};
use super::{EngineFamily, System};
use crate::gpu::Generation;
use crate::weights::WeightFormat;

static EMBEDDED: LazyLock<Priors> = LazyLock::new(|| {
    Priors::from_toml(include_str!("../../catalogue/speed.toml"))
        .expect("the embedded priors are read by a test")
});

/// Spread of a factor of which nothing is known, as on a machine that is in no catalogue: a factor of five either way.
const UNKNOWN: f64 = 1.6;

/// What measured systems teach of those that nobody measured.
#[derive(Clone, Debug)]
pub struct Priors(Arc<Learnt>);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Learnt {
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
    bits16: Logs,
    int4: Logs,
    doubling: Logs,
}

/// Parameters before a measurement: distributions of their logarithms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prior {
    pub mean: Logs,
    pub spread: Logs,
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

    /// Standard deviations of the logarithms of TTFT, TPOT and throughput around the law.
    pub(super) fn noise(&self) -> &[f64; 3] {
        &self.0.noise
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
        let kinds = kinds.into_iter().flatten().map(|effect| (effect, 1.0));
        let both = has_experts && system.engine == EngineFamily::TensorRtLlm;
        let both = both.then_some((&effects.tensorrt_llm_experts, 1.0));
        for (effect, times) in kinds.chain(both).chain([(&effects.doubling, several)]) {
            for (mean, effect) in mean.iter_mut().zip(effect) {
                *mean += effect * times;
            }
        }
        let spread = match system.gpu {
            Some(_) => self.0.spread,
            None => [UNKNOWN; PARAMETERS],
        };
        Prior { mean, spread }
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
            Generation::Hopper => None,
            Generation::Blackwell => Some(&self.0.effects.blackwell),
            Generation::Ada | Generation::Ampere => Some(&self.0.effects.ada_ampere),
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
