//! What sizing must know of a model: its parameters and the shape of its KV cache.
//!
//! It knows dense and sliding-window attention. Latent attention (MLA), state-space layers, chunked and cross attention
//! have other caches and are not described here.

use serde::{Deserialize, Serialize};

use crate::{Bytes, Sourced, Tokens};

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Name on Hugging Face, with its owner.
    pub name: String,
    /// Other names of the same shape, without regard to case.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Number of parameters, of all towers.
    pub parameters: Sourced<u64>,
    /// Shape of its attention.
    pub shape: Sourced<Shape>,
}

/// The dimensions that decide on memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Query heads of a layer; the tensor-parallel size must divide it.
    pub attention_heads: u64,
    /// Entries of the vocabulary; the sampler's scratch memory grows with it.
    pub vocabulary: u64,
    /// Attention layers, those of one kind and size together.
    pub layers: Vec<LayerGroup>,
}

/// Attention layers of one kind and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerGroup {
    /// Which tokens they keep.
    #[serde(flatten)]
    pub kind: LayerKind,
    /// How many there are.
    pub count: u64,
    /// KV heads of one.
    pub kv_heads: u64,
    /// Elements of one head's key, and of its value.
    pub head_dim: u64,
}

impl LayerGroup {
    /// KV heads × head dimension: elements of one token's key in one layer.
    pub const fn kv_width(&self) -> u64 {
        self.kv_heads * self.head_dim
    }
}

/// Which tokens an attention layer keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LayerKind {
    /// All of them.
    Full,
    /// The last ones.
    Sliding {
        /// How many.
        window: Tokens,
    },
}

impl ModelSpec {
    /// Bytes of the weights with two bytes a parameter (bf16, fp16).
    pub const fn weights_16_bit(&self) -> Bytes {
        Bytes::new(self.parameters.value).times(2)
    }

    /// Attention layers of all kinds.
    pub fn layers(&self) -> u64 {
        self.shape
            .value
            .layers
            .iter()
            .map(|group| group.count)
            .sum()
    }

    /// KV bytes of one token with two bytes an element, were every layer to keep it: what a dense formula counts.
    pub fn kv_bytes_per_token_16_bit(&self) -> Bytes {
        let layers = self.shape.value.layers.iter();
        layers
            .map(|group| Bytes::new(2 * 2 * group.kv_width()).times(group.count))
            .sum()
    }

    /// Whether `name` is this model's: in full, without its owner, or an alias; case does not matter. A path counts by
    /// its last part.
    pub fn is_called(&self, name: &str) -> bool {
        let name = name.trim_end_matches('/');
        let last = |of: &str| of.rsplit('/').next().map(str::to_lowercase);
        name.eq_ignore_ascii_case(&self.name)
            || last(name) == last(&self.name)
            || (self.aliases.iter())
                .any(|alias| last(name).as_deref() == Some(&alias.to_lowercase()))
    }
}
