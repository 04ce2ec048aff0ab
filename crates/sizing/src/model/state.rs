//! States of a sequence: what Mamba, gated delta nets, linear attention and short convolutions keep instead of tokens.
//!
//! Follows `MambaStateShapeCalculator` and `MambaStateDtypeCalculator` of vLLM (`layers/mamba/mamba_utils.py`).

use serde::{Deserialize, Serialize};

use crate::Bytes;

/// Dimensions of a state, of the whole model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum StateShape {
    /// Mamba-1.
    Mamba1 {
        /// Channels.
        channels: u64,
        /// State of a channel.
        state_dim: u64,
        /// Width of the convolution.
        kernel: u64,
    },
    /// Mamba-2.
    Mamba2 {
        /// Heads.
        heads: u64,
        /// Channels of a head.
        head_channels: u64,
        /// State of a channel.
        state_dim: u64,
        /// Groups that share B and C.
        groups: u64,
        /// Width of the convolution.
        kernel: u64,
        /// Tokens of a scan's chunk; the block of prefix caching in mode `all` is a multiple of it.
        chunk: u64,
    },
    /// Gated delta net (Qwen3-Next, Qwen3.5).
    Gdn {
        /// Heads of keys.
        key_heads: u64,
        /// Heads of values.
        value_heads: u64,
        /// Elements of a key.
        key_dim: u64,
        /// Elements of a value.
        value_dim: u64,
        /// Width of the convolution.
        kernel: u64,
    },
    /// Kimi delta attention.
    Kda {
        /// Heads.
        heads: u64,
        /// Elements of a head.
        channels: u64,
        /// Width of the convolutions of queries, keys and values.
        kernel: u64,
        /// Whether its prefill keeps a checkpoint beside the running state, as that of Kimi K3 does and that of Kimi Linear
        /// does not.
        #[serde(default)]
        checkpointed: bool,
    },
    /// Lightning attention (`MiniMax`).
    Linear {
        /// Heads.
        heads: u64,
        /// Elements of a head.
        channels: u64,
    },
    /// Short convolution (LFM2).
    Conv {
        /// Channels.
        channels: u64,
        /// Width of the convolution.
        kernel: u64,
    },
}

/// Element of the recurrent part of a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateDtype {
    /// The model's own.
    #[default]
    Model,
    /// Two bytes.
    Bits16,
    /// Four bytes.
    Float32,
    /// Nemotron-H without a stated type: four bytes from 0.20 on, two before.
    NemotronH,
}

impl StateDtype {
    const fn bytes(self, model: u64) -> u64 {
        match self {
            Self::Model => model,
            Self::Bits16 => 2,
            Self::Float32 | Self::NemotronH => 4,
        }
    }
}

impl StateShape {
    /// Bytes of the state of one layer and sequence on one of `ranks` GPUs. `element` is the model's own size, `drafted`
    /// the number of speculative tokens, whose convolution inputs are kept too. `None` when the heads or channels cannot
    /// be shared evenly.
    pub fn bytes(&self, ranks: u64, element: u64, dtype: StateDtype, drafted: u64) -> Option<Bytes> {
        let share = |of: u64| (ranks > 0 && of.is_multiple_of(ranks)).then(|| of / ranks);
        let recurrent = dtype.bytes(element);
        let taps = |kernel: u64| (kernel.saturating_sub(1)).saturating_add(drafted);
        let (conv, state) = match *self {
            Self::Mamba1 { channels, state_dim, kernel } => {
                let own = share(channels)?;
                (product([own, kernel.saturating_sub(1)]), product([own, state_dim]))
            }
            Self::Mamba2 { heads, head_channels, state_dim, groups, kernel, .. } => {
                // Groups that do not divide are repeated on every rank.
                let groups = if groups.is_multiple_of(ranks.max(1)) { groups } else { ranks };
                let width = product([heads, head_channels]).saturating_add(product([2, groups, state_dim]));
                (product([share(width)?, taps(kernel)]), product([share(heads)?, head_channels, state_dim]))
            }
            Self::Gdn { key_heads, value_heads, key_dim, value_dim, kernel } => {
                let width = product([2, key_heads, key_dim]).saturating_add(product([value_heads, value_dim]));
                (product([share(width)?, taps(kernel)]), product([share(value_heads)?, value_dim, key_dim]))
            }
            Self::Kda { heads, channels, kernel, .. } => (
                product([share(product([3, heads, channels]))?, taps(kernel)]),
                product([share(heads)?, channels, channels]),
            ),
            Self::Linear { heads, channels } => (0, product([share(heads)?, channels, channels])),
            Self::Conv { channels, kernel } => (product([share(channels)?, taps(kernel)]), 0),
        };
        Some(Bytes::new(conv).times(element) + Bytes::new(state).times(recurrent))
    }

    /// Tokens of a scan's chunk, where prefix caching can keep a state at every block boundary (mode `all`).
    pub const fn chunk(&self) -> Option<u64> {
        match self {
            Self::Mamba2 { chunk, .. } => Some(*chunk),
            // Mamba-1 has no chunks; vLLM takes this for one.
            Self::Mamba1 { .. } => Some(2048),
            _ => None,
        }
    }
}

fn product<const N: usize>(factors: [u64; N]) -> u64 {
    factors.into_iter().fold(1, u64::saturating_mul)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// vLLM's own block sizes, which follow from the states: Qwen3-Next with a 16-bit state, 2 GPUs, and Qwen3.5-27B with
    /// a float32 one; pages 1,072 × 512 B (fp8, one head) and 784 × 4,096 B less the padding.
    #[test]
    fn states_have_the_bytes_that_block_sizes_of_logs_imply() {
        let next = StateShape::Gdn { key_heads: 16, value_heads: 32, key_dim: 128, value_dim: 128, kernel: 4 };
        assert_eq!(next.bytes(2, 2, StateDtype::Model, 0), Some(Bytes::new(1072 * 512)));
        assert_eq!(next.bytes(3, 2, StateDtype::Model, 0), None);
        let qwen27 = StateShape::Gdn { key_heads: 16, value_heads: 48, key_dim: 128, value_dim: 128, kernel: 4 };
        let bytes = qwen27.bytes(1, 2, StateDtype::Float32, 0).unwrap().get();
        assert!(bytes > 768 * 4096 && bytes <= 784 * 4096, "{bytes}");
    }
}
