//! A model's layers as one GPU holds them: bytes of a block, tokens of a block, and how many layers are alike.
//!
//! Follows the `get_kv_cache_spec` of vLLM's layers, and for models with states `update_block_size_for_backend`: the block
//! of attention is made as large as a state, then the state is padded to it.

use super::error::KvCacheError;
use super::flags::{EngineFlags, KvDtype, StateCache};
use super::rules::{Checkpoints, Pool, Rules, States};
use crate::model::{Heads, Holds, LayerGroup, LayerKind, Shape, StateDtype, StateShape};
use crate::{Bytes, Tokens};

/// Layers of one kind and size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    pub(super) kind: LayerKind,
    pub(super) holds: Holds,
    /// Bytes of one layer's block.
    pub(super) page: Bytes,
    /// Tokens of a block.
    pub(super) block: u64,
    pub(super) layers: u64,
    /// Of these, layers of a drafter, which follow the model's own.
    pub(super) drafted: u64,
    /// Which of the shape's groups it is made of: bit i for the i-th.
    pub(super) groups: u64,
}

/// Layers by kind and size, in the model's order.
pub(super) fn buckets(rules: &Rules, shape: &Shape, flags: &EngineFlags) -> Result<Vec<Bucket>, KvCacheError> {
    flags.check()?;
    let tensor_parallel = flags.tensor_parallel;
    if !shape.attention_heads.is_multiple_of(tensor_parallel) {
        return Err(KvCacheError::IndivisibleHeads { heads: shape.attention_heads, tensor_parallel });
    }
    let block = block(rules, shape, flags)?;
    let mut buckets: Vec<Bucket> = Vec::with_capacity(shape.layers.len());
    for (index, group) in shape.layers.iter().enumerate() {
        if group.count == 0 {
            continue;
        }
        let kind = kept(rules, group, shape, flags)?;
        let drafted = drafted(shape, group, flags);
        let same = |bucket: &&mut Bucket| bucket.kind == kind && bucket.holds == group.holds;
        if let Some(bucket) = buckets.iter_mut().find(same) {
            bucket.layers += group.count + drafted;
            bucket.drafted += drafted;
            bucket.groups |= 1 << index;
            continue;
        }
        let tokens = match kind {
            LayerKind::State => block.of_states,
            LayerKind::Sliding { .. } if rules.own_window_block && block.state.is_none() => flags.platform.block(),
            _ => block.tokens,
        };
        buckets.push(Bucket {
            kind,
            holds: group.holds,
            page: page(rules, &group.holds, flags, tokens, block.state)?,
            block: tokens,
            layers: group.count + drafted,
            drafted,
            groups: 1 << index,
        });
    }
    let one_kind = |buckets: &[Bucket]| buckets.windows(2).all(|pair| matches!(pair, [a, b] if a.kind == b.kind));
    if rules.pool == Pool::Groups && !managed(rules, shape, flags) && !one_kind(&buckets) {
        return Err(KvCacheError::SeveralKinds);
    }
    Ok(buckets)
}

/// Whether the hybrid manager is on.
fn managed(rules: &Rules, shape: &Shape, flags: &EngineFlags) -> bool {
    let is_chunked = |group: &LayerGroup| matches!(group.kind, LayerKind::Chunked { .. });
    let chunks = shape.names_chunk || shape.layers.iter().any(is_chunked);
    flags.hybrid_manager && (flags.chunked_hybrid.unwrap_or(rules.chunked_hybrid) || !chunks)
}

/// Layers that a drafter adds to this group: to the first full-attention one, and to its indexer.
fn drafted(shape: &Shape, group: &LayerGroup, flags: &EngineFlags) -> u64 {
    let full = |of: &&LayerGroup| of.kind == LayerKind::Full && of.count > 0;
    let indexes = |of: &LayerGroup| matches!(of.holds, Holds::Index { .. });
    let mut attention = shape.layers.iter().filter(full).filter(|of| !indexes(of));
    let first = attention.next();
    if full(&group) && (first == Some(group) || indexes(group)) { flags.speculation.layers } else { 0 }
}

/// Which tokens a layer keeps in this version and with these flags.
fn kept(
    rules: &Rules,
    LayerGroup { kind, holds, .. }: &LayerGroup,
    shape: &Shape,
    flags: &EngineFlags,
) -> Result<LayerKind, KvCacheError> {
    let mixed = || shape.layers.iter().any(|other| other.kind == LayerKind::Full);
    let one_pool = rules.pool == Pool::AllFull || !managed(rules, shape, flags);
    Ok(match *kind {
        LayerKind::State if rules.states == States::Refused => {
            return Err(KvCacheError::NoStates);
        }
        LayerKind::State if flags.speculation.tokens > 0 && !rules.drafted_states && !is_gdn(holds) => {
            return Err(KvCacheError::DraftedStates);
        }
        LayerKind::Sliding { .. } if flags.decode_context_parallel > 1 && !one_pool => {
            return Err(KvCacheError::WindowAcrossRanks);
        }
        LayerKind::Sliding { .. } if rules.pool == Pool::AllFull => LayerKind::Full,
        LayerKind::Sliding { .. } | LayerKind::Chunked { .. } if one_pool && mixed() => LayerKind::Full,
        kind => kind,
    })
}

/// Tokens of a block, and the page that states are padded to.
struct Block {
    tokens: u64,
    of_states: u64,
    /// Bytes of a state's page; `None` when attention does not set it.
    state: Option<Bytes>,
}

fn block(rules: &Rules, shape: &Shape, flags: &EngineFlags) -> Result<Block, KvCacheError> {
    let latent = |group: &LayerGroup| matches!(group.holds, Holds::Latent { .. });
    let sparse = |group: &LayerGroup| matches!(group.holds, Holds::Latent { sparse: true, .. });
    let is_latent = shape.layers.iter().any(latent);
    let tokens = flags.block(rules.latent_kernel, is_latent, shape.layers.iter().any(sparse));
    let length = flags.max_model_len.get();
    let mode = state_mode(rules, shape, flags);
    let mut largest = None;
    for group in &shape.layers {
        if let Holds::State { .. } = group.holds
            && group.count > 0
        {
            largest = largest.max(Some(page(rules, &group.holds, flags, 1, None)?));
        }
    }
    let attention =
        (shape.layers.iter()).find(|group| group.count > 0 && matches!(group.holds, Holds::Heads(_)) || latent(group));
    let (Some(state), Some(attention)) = (largest, attention) else {
        // Of models with states only, 0.15 is the first to cut them by blocks.
        let whole = mode == StateMode::None || rules.states == States::ByLength;
        let of_states = if whole { length } else { tokens };
        return Ok(Block { tokens, of_states, state: None });
    };
    let one = page(rules, &attention.holds, flags, 1, None)?.get().max(1);
    let alignment = alignment(rules, shape, flags, &attention.holds, tokens, mode);
    let aligned = |unit: u64| unit.saturating_mul(state.get().div_ceil(unit.saturating_mul(one)));
    let least = match (mode, chunk(shape)) {
        (StateMode::All, Some(chunk)) => aligned(least_common_multiple(chunk, alignment)),
        _ => aligned(alignment),
    };
    let tokens = tokens.max(least);
    Ok(Block {
        tokens,
        of_states: match mode {
            StateMode::None => length,
            StateMode::Align | StateMode::All => tokens,
        },
        state: Some(Bytes::new(one).times(tokens).max(state)),
    })
}

/// Tokens that the block of attention is a multiple of beside states.
fn alignment(rules: &Rules, shape: &Shape, flags: &EngineFlags, attention: &Holds, block: u64, mode: StateMode) -> u64 {
    let kernel = match attention {
        Holds::Heads(heads) => {
            let set = flags.block_size.filter(|_| rules.user_block_aligns).map_or(1, Tokens::get);
            flags.platform.alignment(heads.head_dim).max(set)
        }
        _ => block.max(rules.latent_hybrid_alignment),
    };
    let checkpointed = rules.checkpoints >= Checkpoints::Gdn && flags.platform.prefills_states_in_chunks();
    if mode == StateMode::Align && checkpointed && shape.layers.iter().any(|group| is_gdn(&group.holds)) {
        return least_common_multiple(kernel, GDN_CHECKPOINT_ALIGNMENT_TOKENS);
    }
    kernel
}

const fn is_gdn(holds: &Holds) -> bool {
    matches!(holds, Holds::State { shape: StateShape::Gdn { .. }, .. })
}

/// `FlashInfer` exports checkpoints of gated delta nets at multiples of these tokens (`v1/attention/backends/gdn_attn.py`).
const GDN_CHECKPOINT_ALIGNMENT_TOKENS: u64 = 64;

fn chunk(shape: &Shape) -> Option<u64> {
    shape.layers.iter().find_map(|group| match group.holds {
        Holds::State { shape, .. } => shape.chunk().filter(|chunk| *chunk > 0),
        _ => None,
    })
}

fn least_common_multiple(a: u64, b: u64) -> u64 {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    a / x.max(1) * b
}

/// How states are kept once defaults are filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateMode {
    None,
    Align,
    All,
}

/// The mode of a version: `all` where the model can up to 0.27, `align` afterwards, `none` without prefix caching.
pub(super) fn state_mode(rules: &Rules, shape: &Shape, flags: &EngineFlags) -> StateMode {
    let can = chunk(shape).is_some();
    let states = match flags.states {
        StateCache::Default if rules.states_cached && shape.attention_heads > 0 => StateCache::Cached,
        StateCache::Default => StateCache::None,
        set => set,
    };
    match (states, rules.states) {
        (StateCache::None | StateCache::Default, _) | (_, States::Refused | States::One) => StateMode::None,
        (_, States::ByLength) if !can => StateMode::None,
        (StateCache::Align, States::ByMode | States::AlignByDefault) | (_, States::NoAll) => StateMode::Align,
        (_, States::ByLength) | (StateCache::All, _) => StateMode::All,
        (StateCache::Cached, States::ByMode) if can => StateMode::All,
        (StateCache::Cached, _) => StateMode::Align,
    }
}

/// Bytes of one layer's block of `tokens` on one GPU. KV heads are shared until one is left, latent vectors never.
fn page(
    rules: &Rules,
    holds: &Holds,
    flags: &EngineFlags,
    tokens: u64,
    state_page: Option<Bytes>,
) -> Result<Bytes, KvCacheError> {
    let ranks = flags.tensor_parallel;
    let one = match *holds {
        Holds::Heads(heads) => {
            let total = heads.kv_heads;
            if total == 0 || !total.is_multiple_of(ranks) && !ranks.is_multiple_of(total) {
                return Err(KvCacheError::IndivisibleKvHeads { heads: total, tensor_parallel: ranks });
            }
            let value_dim = heads.value_dim.filter(|_| rules.own_value_dim);
            let dtype = match flags.kv_dtype {
                KvDtype::Fp8 if heads.value_dim.is_some() && !rules.own_value_dim_fp8 => KvDtype::Bits16,
                dtype => dtype,
            };
            dtype.heads((total / ranks).max(1), &Heads { value_dim, ..heads })
        }
        Holds::Latent { latent_dim, sparse } => flags.kv_dtype.latent(latent_dim, sparse),
        Holds::Index { bytes_per_token } => Bytes::new(bytes_per_token),
        Holds::State { shape, dtype } => {
            let dtype = match dtype {
                StateDtype::NemotronH if !rules.nemotron_float32 => StateDtype::Bits16,
                _ if matches!(shape, StateShape::Mamba2 { .. }) && !rules.stated_state_dtype => StateDtype::Model,
                stated => stated,
            };
            let dtype = flags.state_dtype.unwrap_or(dtype);
            let element = flags.kv_dtype.model_element();
            let state = shape.bytes(ranks, element, dtype, flags.speculation.tokens);
            let state = state.ok_or(KvCacheError::IndivisibleState { tensor_parallel: ranks })?;
            return Ok(state_page.map_or(state, |page| page.max(state)));
        }
    };
    Ok(one.times(tokens))
}
