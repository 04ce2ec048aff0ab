//! The simple method: weights, a flat amount of KV cache per request, a flat overhead, in decimal gigabytes.
//!
//! It is how reports usually size GPUs. It ignores the engine's reserve of a tenth, activations, windows, block rounding
//! and how memory is shared; [`crate::engine`] does not.

use crate::{Bytes, ModelSpec, Tokens};

/// Tensor-parallel sizes that servers are built with.
pub const CARD_COUNTS: [u32; 4] = [1, 2, 4, 8];

/// Terms of the method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimpleMethod {
    /// Weights.
    pub weights: Bytes,
    /// KV cache of one request.
    pub kv_per_request: Bytes,
    /// Whatever else: CUDA context and buffers.
    pub overhead: Bytes,
}

impl SimpleMethod {
    /// The overhead that the reference report takes.
    pub const OVERHEAD: Bytes = Bytes::from_gb(3.0);

    /// The method with a model's own figures: 16-bit weights, and a KV cache to which every layer contributes every token.
    pub fn of(model: &ModelSpec, context: Tokens) -> Self {
        Self {
            weights: model.weights_16_bit(),
            kv_per_request: model.kv_bytes_per_token_16_bit().times(context.get()),
            overhead: Self::OVERHEAD,
        }
    }

    /// Memory for this many requests at once.
    pub fn total(&self, requests: u32) -> Bytes {
        self.weights + self.kv_per_request.times(u64::from(requests)) + self.overhead
    }

    /// Requests that fit into `memory`; 0 when not even the weights do.
    pub fn max_requests(&self, memory: Bytes) -> u32 {
        let left = memory.minus(self.weights + self.overhead);
        let requests = left.and_then(|left| left.whole(self.kv_per_request));
        requests.map_or(0, |requests| u32::try_from(requests).unwrap_or(u32::MAX))
    }

    /// Cards of `memory` each that hold the requests, by the sum of their memory alone; `None` for cards without memory.
    pub fn cards_by_memory(&self, memory: Bytes, requests: u32) -> Option<u64> {
        let total = self.total(requests).get();
        (memory.get() > 0).then(|| total.div_ceil(memory.get()))
    }

    /// The same as one tensor-parallel group: the smallest of [`CARD_COUNTS`] that divides the attention heads; `None`
    /// when even eight do not hold the requests.
    pub fn tensor_parallel(&self, model: &ModelSpec, memory: Bytes, requests: u32) -> Option<u32> {
        let heads = model.shape.value.attention_heads;
        CARD_COUNTS.into_iter().find(|&cards| {
            let all = memory.times(u64::from(cards));
            heads.is_multiple_of(u64::from(cards)) && all >= self.total(requests)
        })
    }
}
