//! From memory to blocks, printed tokens and printed maximum concurrency.
//!
//! Notation of the formulas: L = `max_model_len`, M = `max_num_batched_tokens`, w = window, cdiv = division rounded up.
//! See [`super::rules`] for what holds in which version. Figures are those of one GPU; of several pipeline stages or
//! unequal ranks the smallest pool counts, which is the caller's to choose.

use std::fmt;

use serde::Serialize;

use super::rules::{Rules, UnequalLayers};
use crate::model::{LayerGroup, LayerKind, Shape};
use crate::units::Grouped;
use crate::{Blocks, Bytes, Tokens};

/// The flags that decide on the KV cache. [`EngineFlags::new`] gives vLLM's defaults on a GPU of less than 70 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineFlags {
    /// Longest sequence (L).
    pub max_model_len: Tokens,
    /// Tokens of one scheduler step (M); counts where layers have a window.
    pub max_num_batched_tokens: Tokens,
    /// Tokens a block: 16 on CUDA, 128 on the CPU.
    pub block_size: Tokens,
    /// Element of the cache.
    pub kv_dtype: KvDtype,
    /// GPUs that share every layer.
    pub tensor_parallel: u64,
    /// Whether window layers may free what left their window (`--disable-hybrid-kv-cache-manager` forbids it).
    pub hybrid_manager: bool,
}

impl EngineFlags {
    /// Defaults for sequences of up to `max_model_len` tokens.
    pub fn new(max_model_len: impl Into<Tokens>) -> Self {
        Self {
            max_model_len: max_model_len.into(),
            max_num_batched_tokens: Tokens::new(2048),
            block_size: Tokens::new(16),
            kv_dtype: KvDtype::Bits16,
            tensor_parallel: 1,
            hybrid_manager: true,
        }
    }

    fn check(&self) -> Result<(), KvCacheError> {
        let zero = [
            ("max_model_len", self.max_model_len.get()),
            ("max_num_batched_tokens", self.max_num_batched_tokens.get()),
            ("block_size", self.block_size.get()),
            ("tensor_parallel", self.tensor_parallel),
        ];
        match zero.into_iter().find(|(_, value)| *value == 0) {
            Some((flag, _)) => Err(KvCacheError::ZeroFlag { flag }),
            None => Ok(()),
        }
    }
}

/// Element type of the KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KvDtype {
    /// bf16 or fp16.
    Bits16,
    /// fp8, of either kind.
    Fp8,
}

impl KvDtype {
    /// Bytes of one element.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Bits16 => 2,
            Self::Fp8 => 1,
        }
    }
}

/// What is known of the cache's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvMemory {
    /// "Available KV cache memory", on one GPU.
    Available(Bytes),
    /// The number of blocks, as in `num_gpu_blocks`.
    Blocks(Blocks),
}

/// Layers whose blocks are handed out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KvGroup {
    /// Which tokens they keep.
    pub kind: LayerKind,
    /// Layers of the model in it.
    pub layers: u64,
    /// Places left empty because every group has the same size.
    pub padding: u64,
}

/// The KV cache that an engine makes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KvCachePlan {
    groups: Vec<KvGroup>,
    bytes_per_block: Bytes,
    blocks: Blocks,
    blocks_per_request: Blocks,
    block_size: Tokens,
    max_model_len: Tokens,
}

impl KvCachePlan {
    pub(super) fn new(
        rules: &Rules,
        shape: &Shape,
        flags: &EngineFlags,
        memory: KvMemory,
    ) -> Result<Self, KvCacheError> {
        flags.check()?;
        let buckets = buckets(shape, flags)?;
        let (groups, bytes_per_block) = groups(rules, &buckets)?;
        let blocks = match memory {
            KvMemory::Blocks(blocks) => blocks,
            KvMemory::Available(bytes) => {
                let blocks = bytes.whole(bytes_per_block);
                Blocks::new(blocks.ok_or(KvCacheError::NoLayers)?)
            }
        };
        let per_group = groups
            .iter()
            .map(|group| blocks_of_request(group.kind, flags));
        let blocks_per_request = Blocks::new(per_group.fold(0, u64::saturating_add));
        Ok(Self {
            groups,
            bytes_per_block,
            blocks,
            blocks_per_request,
            block_size: flags.block_size,
            max_model_len: flags.max_model_len,
        })
    }

    /// The groups. Every block belongs to one of them at a time.
    pub fn groups(&self) -> &[KvGroup] {
        &self.groups
    }

    /// Bytes of one block: a page of every layer of a group, on one GPU.
    pub const fn bytes_per_block(&self) -> Bytes {
        self.bytes_per_block
    }

    /// Blocks of the pool.
    pub const fn blocks(&self) -> Blocks {
        self.blocks
    }

    /// Bytes of the pool, on one GPU.
    pub const fn bytes(&self) -> Bytes {
        self.bytes_per_block.times(self.blocks.get())
    }

    /// Blocks that a request of `max_model_len` tokens may hold, over all groups.
    pub const fn blocks_per_request(&self) -> Blocks {
        self.blocks_per_request
    }

    /// Bytes that a request of `max_model_len` tokens may hold, on one GPU.
    pub const fn bytes_per_request(&self) -> Bytes {
        self.bytes_per_block.times(self.blocks_per_request.get())
    }

    /// "GPU KV cache size: N tokens". No capacity where layers have windows: the pool is divided by the number of groups
    /// as if all kept everything.
    pub const fn kv_cache_tokens(&self) -> Tokens {
        let blocks = self.blocks.get() / self.groups.len() as u64;
        Tokens::new(blocks.saturating_mul(self.block_size.get()))
    }

    /// "Maximum concurrency for L tokens per request". Below 1 the engine refuses to start.
    pub fn max_concurrency(&self) -> f64 {
        self.blocks.get() as f64 / self.blocks_per_request.get() as f64
    }
}

/// The two lines that vLLM prints.
impl fmt::Display for KvCachePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "GPU KV cache size: {}", self.kv_cache_tokens())?;
        write!(
            f,
            "Maximum concurrency for {} tokens per request: {:.2}x",
            Grouped(self.max_model_len.get()),
            self.max_concurrency()
        )
    }
}

/// Layers of one kind and page.
struct Bucket {
    kind: LayerKind,
    page: Bytes,
    layers: u64,
}

/// Layers by kind and page, in the model's order, as one GPU holds them.
fn buckets(shape: &Shape, flags: &EngineFlags) -> Result<Vec<Bucket>, KvCacheError> {
    if !shape.attention_heads.is_multiple_of(flags.tensor_parallel) {
        return Err(KvCacheError::IndivisibleHeads {
            heads: shape.attention_heads,
            tensor_parallel: flags.tensor_parallel,
        });
    }
    let mut buckets: Vec<Bucket> = Vec::new();
    for layers in shape.layers.iter().filter(|group| group.count > 0) {
        let kind = match layers.kind {
            LayerKind::Sliding { .. } if !flags.hybrid_manager => LayerKind::Full,
            kind => kind,
        };
        let page = page(layers, flags)?;
        let same = |bucket: &&mut Bucket| bucket.kind == kind && bucket.page == page;
        match buckets.iter_mut().find(same) {
            Some(bucket) => bucket.layers += layers.count,
            None => buckets.push(Bucket {
                kind,
                page,
                layers: layers.count,
            }),
        }
    }
    Ok(buckets)
}

/// Bytes of one layer's block on one GPU: keys and values of its share of the heads, at least one.
fn page(layers: &LayerGroup, flags: &EngineFlags) -> Result<Bytes, KvCacheError> {
    let (heads, ranks) = (layers.kv_heads, flags.tensor_parallel);
    if !heads.is_multiple_of(ranks) && !ranks.is_multiple_of(heads) {
        return Err(KvCacheError::IndivisibleHeads {
            heads,
            tensor_parallel: ranks,
        });
    }
    let own = (heads / ranks).max(1);
    let element = flags.kv_dtype.bytes();
    Ok(Bytes::new(2 * own * layers.head_dim * element).times(flags.block_size.get()))
}

/// The groups and the bytes of a block.
fn groups(rules: &Rules, buckets: &[Bucket]) -> Result<(Vec<KvGroup>, Bytes), KvCacheError> {
    let first = buckets.first().ok_or(KvCacheError::NoLayers)?;
    if buckets.iter().all(|bucket| bucket.page == first.page) {
        let sizes = buckets.iter().map(|bucket| bucket.layers);
        let size = sizes.min().ok_or(KvCacheError::NoLayers)?;
        let groups = buckets.iter().flat_map(|bucket| cut(bucket, size));
        return Ok((groups.collect(), first.page.times(size)));
    }
    let one_kind = buckets.iter().all(|bucket| bucket.kind == first.kind);
    match rules.unequal_layers {
        UnequalLayers::OneGroup if one_kind => {
            let group = KvGroup {
                kind: first.kind,
                layers: buckets.iter().map(|bucket| bucket.layers).sum(),
                padding: 0,
            };
            let pages = buckets
                .iter()
                .map(|bucket| bucket.page.times(bucket.layers));
            Ok((vec![group], pages.sum()))
        }
        UnequalLayers::OneGroup | UnequalLayers::Refused => Err(KvCacheError::UnequalPages),
    }
}

/// Cuts a bucket into groups of `size` layers, dealt round robin, so that the first groups have one layer more.
fn cut(bucket: &Bucket, size: u64) -> impl Iterator<Item = KvGroup> + use<> {
    let (kind, layers) = (bucket.kind, bucket.layers);
    let groups = layers.div_ceil(size);
    (0..groups).map(move |group| {
        let dealt = layers / groups + u64::from(group < layers % groups);
        KvGroup {
            kind,
            layers: dealt,
            padding: size - dealt,
        }
    })
}

/// Blocks that one request of L tokens may hold in one group.
fn blocks_of_request(kind: LayerKind, flags: &EngineFlags) -> u64 {
    let length = flags.max_model_len.get();
    let block = flags.block_size.get();
    match kind {
        LayerKind::Full => length.div_ceil(block),
        LayerKind::Sliding { window } => {
            let batched = flags.max_num_batched_tokens.get();
            let kept = window.get().saturating_sub(1).saturating_add(batched);
            // The window rarely begins at a block's edge: one block more.
            kept.min(length).div_ceil(block).saturating_add(1)
        }
    }
}

/// Why there is no KV cache for a model and its flags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KvCacheError {
    /// A flag is 0.
    #[error("{flag} is 0\nhint: give at least 1")]
    ZeroFlag {
        /// Its name.
        flag: &'static str,
    },
    /// The model has no attention layer.
    #[error("the model has no attention layer, so there is no KV cache to plan")]
    NoLayers,
    /// Heads cannot be shared evenly.
    #[error(
        "{heads} heads cannot be shared by {tensor_parallel} GPUs\nhint: choose a tensor-parallel size that divides \
         the attention heads"
    )]
    IndivisibleHeads {
        /// Attention or KV heads.
        heads: u64,
        /// GPUs.
        tensor_parallel: u64,
    },
    /// This version cannot pool layers of different page sizes.
    #[error(
        "this version cannot pool layers whose blocks differ in bytes\nhint: turn the hybrid manager off, or use a \
         newer engine"
    )]
    UnequalPages,
}
