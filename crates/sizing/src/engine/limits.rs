//! The scheduler's limits when no flag sets them.

use super::rules::{Limits, Rules};
use crate::model::Shape;
use crate::{Bytes, GpuSpec, Tokens};

const LARGE: Bytes = Bytes::from_gib(70.0);
const HUGE: Bytes = Bytes::from_gib(160.0);

/// Limits of the scheduler when no flag sets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServingDefaults {
    /// Tokens of one step (M).
    pub max_num_batched_tokens: Tokens,
    /// Sequences of one step.
    pub max_num_seqs: u64,
}

impl ServingDefaults {
    /// Of an OpenAI server on a card of less than 70 GiB, and on every A100.
    pub const SMALL: Self = Self { max_num_batched_tokens: Tokens::new(2048), max_num_seqs: 256 };

    /// Of an OpenAI server on this GPU.
    pub(super) fn on(rules: &Rules, gpu: &GpuSpec) -> Self {
        let memory = gpu.cuda_visible.as_ref().unwrap_or(&gpu.marketed).value;
        let a100 = gpu.name.to_lowercase().contains("a100");
        let (batched, seqs) = match rules.limits {
            Limits::Huge if memory >= HUGE => (16_384, 1024),
            Limits::Huge | Limits::LargeButA100 if memory >= LARGE && !a100 => (8192, 1024),
            Limits::Early if memory >= LARGE => (8192, 256),
            _ => return Self::SMALL,
        };
        Self { max_num_batched_tokens: Tokens::new(batched), max_num_seqs: seqs }
    }

    /// The step raised to the model's largest multimodal item, where the version does so.
    pub(super) fn raised_for(self, rules: &Rules, shape: &Shape) -> Self {
        let item = shape.largest_item.filter(|_| rules.items_raise_step);
        Self { max_num_batched_tokens: self.max_num_batched_tokens.max(item.unwrap_or_default()), ..self }
    }
}
