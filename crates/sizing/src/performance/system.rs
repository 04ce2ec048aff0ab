//! What serves: model, card, number of cards, formats, engine.

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::model::Work;
use crate::weights::WeightFormat;
use crate::{Bytes, GpuSpec, ModelSpec};

/// Whose kernels and scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EngineFamily {
    /// vLLM.
    Vllm,
    /// `SGLang`.
    Sglang,
    /// TensorRT-LLM.
    TensorRtLlm,
    /// llama.cpp.
    LlamaCpp,
    /// Any other.
    Other,
}

/// A model on cards in an engine.
#[derive(Clone, Debug)]
pub struct System<'a> {
    /// The model.
    pub model: &'a ModelSpec,
    /// The card; `None` when it is not known: then only measured levels can say anything.
    pub gpu: Option<&'a GpuSpec>,
    /// Cards that share every layer.
    pub tensor_parallel: u32,
    /// Format of the weights.
    pub weights: WeightFormat,
    /// Bytes of a KV-cache element: 2 for 16 bits, 1 for fp8.
    pub kv_element_bytes: u32,
    /// The engine.
    pub engine: EngineFamily,
    /// KV-cache memory of all cards together, if it is known: beyond it, requests wait.
    pub kv_cache: Option<Bytes>,
    /// `--max-num-seqs`, if it is known.
    pub max_num_seqs: Option<u32>,
}

impl System<'_> {
    /// What a token costs the model.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when the catalogue does not say.
    pub fn work(&self) -> Result<Work, Refusal> {
        self.model.work.as_ref().map(|work| work.value).ok_or_else(|| Refusal::Unknown {
            what: "the width and the active parameters",
            of: self.model.name.clone(),
        })
    }
}
