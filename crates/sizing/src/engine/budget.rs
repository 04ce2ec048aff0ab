//! What a GPU's memory is spent on before the KV cache: a prediction, where [`super::kv_cache`] is arithmetic.
//!
//! available = what a CUDA program sees × 0.9 − weights / GPUs − activation peak − what libraries take outside the framework.
//! CUDA graphs are not counted by these versions. The activation peak and the rest are priors with errors of about
//! 1 GiB, read from public start-up logs of vLLM 0.10.2 to 0.11.0:
//!
//! - The peak of a text model is the sampler's warm-up, which sorts the logits of `max_num_seqs` sequences: 38.4 to
//!   39.6 B for every sequence and vocabulary entry, whatever the tensor-parallel size. Where that is small, other
//!   scratch shows: 0.8 to 2.7 GiB.
//! - Outside the framework: 0.02 to 0.35 GiB on one GPU, 0.21 to 0.55 GiB on each of several.

use crate::{Bytes, GpuSpec, ModelSpec, Tokens};

/// `--gpu-memory-utilization` unless set.
const UTILIZATION: f64 = 0.9;
const SAMPLER_BYTES_PER_LOGIT: u64 = 39;
const LEAST_ACTIVATION: Bytes = Bytes::from_gib(1.0);
const OUTSIDE_ONE: Bytes = Bytes::from_gib(0.3);
const OUTSIDE_SEVERAL: Bytes = Bytes::from_gib(0.55);
const LARGE_GPU: Bytes = Bytes::from_gib(70.0);

/// Limits of the scheduler when no flag sets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServingDefaults {
    /// Tokens of one step (M).
    pub max_num_batched_tokens: Tokens,
    /// Sequences of one step.
    pub max_num_seqs: u64,
}

impl ServingDefaults {
    /// Of an OpenAI server in 0.9.1 to 0.11.2: large from 70 GiB on, except on any A100.
    pub(super) fn on(gpu: &GpuSpec) -> Self {
        let memory = gpu.cuda_visible.as_ref().unwrap_or(&gpu.marketed).value;
        let a100 = gpu.name.to_lowercase().contains("a100");
        let (batched, seqs) = if memory >= LARGE_GPU && !a100 {
            (8192, 1024)
        } else {
            (2048, 256)
        };
        Self {
            max_num_batched_tokens: Tokens::new(batched),
            max_num_seqs: seqs,
        }
    }
}

/// What one GPU's memory is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    /// What the engine may use.
    pub requested: Bytes,
    /// Its share of the weights.
    pub weights: Bytes,
    /// Peak of the activations (prior).
    pub activation: Bytes,
    /// CUDA context, NCCL and other libraries (prior).
    pub outside_framework: Bytes,
}

impl MemoryBudget {
    pub(super) fn predict(model: &ModelSpec, gpu: &GpuSpec, tensor_parallel: u64) -> Option<Self> {
        let visible = gpu.cuda_visible.as_ref()?.value;
        let logits = ServingDefaults::on(gpu)
            .max_num_seqs
            .saturating_mul(model.shape.value.vocabulary);
        let sampler = Bytes::new(logits).times(SAMPLER_BYTES_PER_LOGIT);
        Some(Self {
            requested: visible.share(UTILIZATION),
            weights: model.weights_16_bit().part_of(tensor_parallel)?,
            activation: sampler.max(LEAST_ACTIVATION),
            outside_framework: match tensor_parallel {
                1 => OUTSIDE_ONE,
                _ => OUTSIDE_SEVERAL,
            },
        })
    }

    /// What is left for the KV cache; `None` when the rest does not even fit.
    pub fn available(&self) -> Option<Bytes> {
        let used = self.weights + self.activation + self.outside_framework;
        self.requested.minus(used)
    }
}
