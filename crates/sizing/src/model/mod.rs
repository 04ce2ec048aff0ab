//! What sizing must know of a model: its parameters, and what each of its layers keeps of a sequence.
//!
//! A layer's cache has two sides: which tokens it keeps ([`LayerKind`]) and how many bytes that takes ([`Holds`]). Every
//! architecture that vLLM serves is a list of such layers. Where the facts come from is elsewhere: [`crate::catalogue`] for
//! known models, [`crate::config`] for a `config.json`.

mod state;
mod work;

use serde::{Deserialize, Serialize};

pub use state::{StateDtype, StateShape};
pub use work::Work;

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
    /// What a token costs it in arithmetic; needed to predict speed only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Sourced<Work>>,
}

/// Parameters of a language model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterCount {
    /// All of them.
    pub total: u64,
    /// Of these, entries of the embedding and of the output layer, which quantisation usually leaves alone.
    pub embedding: u64,
    /// Of these, projections of attention, which some quantised checkpoints leave alone too.
    pub attention: u64,
}

/// The dimensions that decide on memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Query heads of a layer; the tensor-parallel size must divide it. 0 for a model without attention.
    pub attention_heads: u64,
    /// Entries of the vocabulary; the sampler's scratch memory grows with it.
    pub vocabulary: u64,
    /// Layers with a cache, those of one kind and size together. A layer of the model that keeps two caches counts twice.
    pub layers: Vec<LayerGroup>,
    /// For every layer of the model in its order, which of `layers` it has: bit i for the i-th. Needed only to cut a model
    /// of unlike layers into pipeline stages. A shorter list repeats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<u64>,
    /// Whether the config names an `attention_chunk_size`, used or not: vLLM then turns its hybrid manager off.
    #[serde(default)]
    pub names_chunk: bool,
    /// Whether feed-forward layers are mixtures of experts.
    #[serde(default)]
    pub experts: bool,
    /// Multimodal tokens of the largest item, where a model must see an item in one step (Gemma 4: 2,496).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest_item: Option<Tokens>,
}

/// Layers of one kind and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerGroup {
    /// Which tokens they keep.
    #[serde(flatten)]
    pub kind: LayerKind,
    /// What they hold.
    #[serde(flatten)]
    pub holds: Holds,
    /// How many there are.
    pub count: u64,
}

/// Which tokens a layer keeps.
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
    /// Those of the current chunk.
    Chunked {
        /// Tokens of a chunk.
        chunk: Tokens,
    },
    /// Those of the encoder.
    Cross {
        /// Most tokens that the encoder gives.
        encoder_tokens: Tokens,
    },
    /// None: a state of constant size stands for all.
    State,
}

/// What a layer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Holds {
    /// A key and a value for every token and KV head.
    Heads(Heads),
    /// One compressed vector for every token (MLA), the same on every GPU of a tensor-parallel group.
    Latent {
        /// Its elements: `kv_lora_rank` + `qk_rope_head_dim`.
        latent_dim: u64,
        /// Whether only the most relevant tokens are attended to (DSA); its fp8 cache has 656 B a token.
        #[serde(default)]
        sparse: bool,
    },
    /// Keys of a sparse-attention indexer, in fp8 with their scales.
    Index {
        /// Bytes of one token: 132 for 128 elements.
        bytes_per_token: u64,
    },
    /// A recurrent or convolutional state of a sequence.
    State {
        /// Its dimensions.
        #[serde(flatten)]
        shape: StateShape,
        /// Element of its recurrent part; the convolutional part has the model's.
        #[serde(default)]
        dtype: StateDtype,
    },
}

/// KV heads of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heads {
    /// KV heads of the whole model.
    pub kv_heads: u64,
    /// Elements of one head's key.
    pub head_dim: u64,
    /// Elements of one head's value, where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_dim: Option<u64>,
}

impl Heads {
    /// Heads whose keys and values have the same size.
    pub const fn new(kv_heads: u64, head_dim: u64) -> Self {
        Self { kv_heads, head_dim, value_dim: None }
    }

    /// Elements of one head's key and value.
    pub const fn pair(&self) -> u64 {
        match self.value_dim {
            Some(value) => self.head_dim.saturating_add(value),
            None => self.head_dim.saturating_mul(2),
        }
    }
}

impl LayerGroup {
    /// `count` layers that keep all tokens of these heads.
    pub const fn full(count: u64, heads: Heads) -> Self {
        Self { kind: LayerKind::Full, holds: Holds::Heads(heads), count }
    }

    /// KV heads × head dimension, elements of one token's key in one layer; `None` where the layer has no KV heads.
    pub const fn kv_width(&self) -> Option<u64> {
        match self.holds {
            Holds::Heads(heads) => Some(heads.kv_heads.saturating_mul(heads.head_dim)),
            _ => None,
        }
    }

    /// Bytes of one token in one layer with two bytes an element; a state takes none, whatever its length.
    pub fn bytes_per_token_16_bit(&self) -> Bytes {
        match self.holds {
            Holds::Heads(heads) => Bytes::new(2).times(heads.kv_heads).times(heads.pair()),
            Holds::Latent { latent_dim, .. } => Bytes::new(2).times(latent_dim),
            Holds::Index { bytes_per_token } => Bytes::new(bytes_per_token),
            Holds::State { .. } => Bytes::new(0),
        }
    }
}

impl Shape {
    /// A model whose layers are all alike.
    pub fn uniform(attention_heads: u64, vocabulary: u64, layers: LayerGroup) -> Self {
        Self {
            attention_heads,
            vocabulary,
            layers: vec![layers],
            order: Vec::new(),
            names_chunk: false,
            experts: false,
            largest_item: None,
        }
    }

    /// Whether any layer keeps a state.
    pub fn has_states(&self) -> bool {
        self.layers.iter().any(|group| group.kind == LayerKind::State && group.count > 0)
    }

    /// The same model with an indexer for every layer of sparse attention; `None` where none borrows another's.
    pub(crate) fn with_own_indexers(&self) -> Option<Self> {
        let position = |holds: fn(&Holds) -> bool| self.layers.iter().position(|group| holds(&group.holds));
        let attention = position(|holds| matches!(holds, Holds::Latent { sparse: true, .. }))?;
        let indexer = position(|holds| matches!(holds, Holds::Index { .. }))?;
        let layers = self.layers.get(attention)?.count;
        let mut own = self.clone();
        let group = own.layers.get_mut(indexer).filter(|group| group.count < layers)?;
        group.count = layers;
        for mask in own.order.iter_mut().filter(|mask| **mask >> attention & 1 == 1) {
            *mask |= 1 << indexer;
        }
        Some(own)
    }

    /// Which of the groups every layer of the model has, in order; `None` when unlike layers have no known order.
    pub fn in_order(&self) -> Option<Vec<u64>> {
        let first = self.layers.first()?;
        if self.layers.iter().all(|group| group.count == first.count) && self.order.is_empty() {
            let all = (1_u64 << self.layers.len().min(63)) - 1;
            return Some(vec![all; usize::try_from(first.count).ok()?]);
        }
        let mut left: Vec<u64> = self.layers.iter().map(|group| group.count).collect();
        let mut layers = Vec::new();
        for &mask in self.order.iter().cycle() {
            if left.iter().all(|left| *left == 0) {
                break;
            }
            for (group, left) in left.iter_mut().enumerate() {
                if mask >> group & 1 == 1 {
                    *left = left.checked_sub(1)?;
                }
            }
            layers.push(mask);
            if layers.len() > 10_000 {
                return None;
            }
        }
        (!layers.is_empty()).then_some(layers)
    }
}

impl ModelSpec {
    /// Bytes of the weights with two bytes a parameter (bf16, fp16).
    pub const fn weights_16_bit(&self) -> Bytes {
        Bytes::new(self.parameters.value).times(2)
    }

    /// Layers with a cache, of all kinds.
    pub fn layers(&self) -> u64 {
        self.shape.value.layers.iter().map(|group| group.count).sum()
    }

    /// KV bytes of one token with two bytes an element, were every layer to keep it: what a dense formula counts.
    pub fn kv_bytes_per_token_16_bit(&self) -> Bytes {
        let layers = self.shape.value.layers.iter();
        layers.map(|group| group.bytes_per_token_16_bit().times(group.count)).sum()
    }

    /// Whether `name` is this model's: in full, without its owner, or an alias; case does not matter. A path counts by
    /// its last part.
    pub fn is_called(&self, name: &str) -> bool {
        let name = name.trim_end_matches('/');
        let last = |of: &str| of.rsplit('/').next().map(str::to_lowercase);
        name.eq_ignore_ascii_case(&self.name)
            || last(name) == last(&self.name)
            || (self.aliases.iter()).any(|alias| last(name).as_deref() == Some(&alias.to_lowercase()))
    }
}
