//! From memory to blocks, printed tokens and printed maximum concurrency.
//!
//! Notation of the formulas: L = `max_model_len`, M = `max_num_batched_tokens`, w = window, cdiv = division rounded up.
//! [`super::rules`] says what holds in which version. Figures are those of one GPU, and of several pipeline stages those of
//! the fullest: the smallest pool counts.

use std::fmt;

use serde::Serialize;

use super::error::KvCacheError;
use super::flags::EngineFlags;
use super::groups::{KvGroup, layout};
use super::layers::{Bucket, StateMode, buckets, state_mode};
use super::rules::{Checkpoints, Cross, InFlight, Lines, Request, Rules, States, TokensLine};
use crate::model::{Holds, LayerKind, Shape, StateShape};
use crate::units::Grouped;
use crate::{Blocks, Bytes, Tokens};

/// What is known of the cache's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KvMemory {
    /// "Available KV cache memory", on one GPU.
    Available(Bytes),
    /// The number of blocks, as in `num_gpu_blocks`.
    Blocks(Blocks),
}

/// The KV cache that an engine makes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KvCachePlan {
    groups: Vec<KvGroup>,
    bytes_per_block: Bytes,
    blocks: Blocks,
    blocks_per_request: Blocks,
    blocks_of_group: Vec<u64>,
    max_model_len: Tokens,
    kv_cache_tokens: Tokens,
    max_concurrency: f64,
    #[serde(skip)]
    lines: Lines,
    #[serde(skip)]
    null_block_checked: bool,
}

impl KvCachePlan {
    pub(super) fn new(
        rules: &Rules,
        shape: &Shape,
        flags: &EngineFlags,
        memory: KvMemory,
    ) -> Result<Self, KvCacheError> {
        let unborrowed = (!rules.borrowed_indexers).then(|| shape.with_own_indexers()).flatten();
        let shape = unborrowed.as_ref().unwrap_or(shape);
        let layout = layout(rules, shape, flags, buckets(rules, shape, flags)?)?;
        let blocks = match memory {
            KvMemory::Blocks(blocks) => blocks,
            KvMemory::Available(bytes) => {
                let blocks = bytes.whole(layout.bytes_per_block);
                Blocks::new(blocks.ok_or(KvCacheError::NoLayers)?)
            }
        };
        let mode = state_mode(rules, shape, flags);
        // The second model runner, the default of these from 0.25 on, schedules ahead on every stage.
        let overlaps = !shape.experts && !shape.has_states();
        let per_group = layout.groups.iter().zip(&layout.buckets);
        let blocks_of_group: Vec<u64> =
            per_group.map(|(group, bucket)| blocks_of_request(rules, group, bucket, mode, overlaps, flags)).collect();
        let blocks_per_request = blocks_of_group.iter().copied().fold(0, u64::saturating_add);
        let length = flags.max_model_len.get();
        let smallest = layout.groups.iter().map(|group| group.block_size.get()).min();
        let block = smallest.unwrap_or(1).max(1);
        let max_concurrency = match rules.request {
            Request::Tokens => blocks.get() as f64 * block as f64 / length as f64,
            Request::Blocks => blocks.get() as f64 / blocks_per_request as f64,
        };
        let kv_cache_tokens = Tokens::new(match rules.tokens_line {
            TokensLine::BlocksOfAGroup => {
                let of_group = blocks.get() / layout.groups.len() as u64;
                of_group.saturating_mul(block).saturating_mul(flags.decode_context_parallel)
            }
            TokensLine::Concurrency => whole(max_concurrency * length as f64),
        });
        Ok(Self {
            groups: layout.groups,
            bytes_per_block: layout.bytes_per_block,
            blocks,
            blocks_per_request: Blocks::new(blocks_per_request),
            blocks_of_group,
            max_model_len: flags.max_model_len,
            kv_cache_tokens,
            max_concurrency,
            lines: rules.lines,
            null_block_checked: rules.null_block_checked,
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

    /// The same, group by group.
    pub fn blocks_of_groups(&self) -> &[u64] {
        &self.blocks_of_group
    }

    /// Blocks that a request holds which has reached this length and is being answered, over all groups: of windows and
    /// chunks only what is still looked at, of states what the worst case holds.
    pub fn blocks_of_length(&self, length: Tokens) -> Blocks {
        let length = length.get().min(self.max_model_len.get());
        let of_group = |(group, most): (&KvGroup, &u64)| {
            let block = group.block_size.get().max(1);
            let held = match group.kind {
                LayerKind::Full => length.div_ceil(block),
                LayerKind::Sliding { window } => length.min(window.get()).div_ceil(block) + 1,
                LayerKind::Chunked { chunk } => length.min(chunk.get()).div_ceil(block),
                LayerKind::Cross { .. } | LayerKind::State => *most,
            };
            held.min(*most)
        };
        let groups = self.groups.iter().zip(&self.blocks_of_group);
        Blocks::new(groups.map(of_group).fold(0, u64::saturating_add))
    }

    /// Bytes that a request of `max_model_len` tokens may hold, on one GPU.
    pub const fn bytes_per_request(&self) -> Bytes {
        self.bytes_per_block.times(self.blocks_per_request.get())
    }

    /// "GPU KV cache size: N tokens". No capacity where layers have windows or states: up to 0.20.0 the pool is divided by
    /// the number of groups as if all kept everything, from 0.20.1 on it depends on the longest length.
    pub const fn kv_cache_tokens(&self) -> Tokens {
        self.kv_cache_tokens
    }

    /// "Maximum concurrency for L tokens per request".
    pub const fn max_concurrency(&self) -> f64 {
        self.max_concurrency
    }

    /// Whatever an upgrade may change.
    pub(super) fn figures(&self) -> (u64, u64, u64, u64, u64) {
        (
            self.blocks.get(),
            self.bytes_per_block.get(),
            self.blocks_per_request.get(),
            self.kv_cache_tokens.get(),
            self.max_concurrency.to_bits(),
        )
    }

    /// Whether one request of `max_model_len` tokens fits; the engine refuses to start otherwise.
    pub const fn starts(&self) -> bool {
        let null = self.null_block_checked as u64;
        self.blocks.get().saturating_sub(null) >= self.blocks_per_request.get()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates; vLLM truncates too")]
const fn whole(tokens: f64) -> u64 {
    tokens as u64
}

/// The figures as vLLM prints them.
impl fmt::Display for KvCachePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, concurrency) = (self.max_model_len.get(), self.max_concurrency);
        match self.lines {
            Lines::Blocks => write!(
                f,
                "# GPU blocks: {}\nMaximum concurrency for {length} tokens per request: {concurrency:.2}x",
                self.blocks.get()
            ),
            Lines::Two | Lines::One => write!(
                f,
                "GPU KV cache size: {}{}Maximum concurrency for {} tokens per request: {concurrency:.2}x",
                self.kv_cache_tokens,
                if self.lines == Lines::One { ", " } else { "\n" },
                Grouped(length),
            ),
        }
    }
}

/// Blocks that one request of L tokens may hold in one group.
fn blocks_of_request(
    rules: &Rules,
    group: &KvGroup,
    bucket: &Bucket,
    mode: StateMode,
    overlaps: bool,
    flags: &EngineFlags,
) -> u64 {
    let length = flags.max_model_len.get();
    let block = group.block_size.get().max(1);
    let step = flags.max_num_batched_tokens.get();
    let batched = step.saturating_mul(steps_in_flight(rules.in_flight, overlaps, flags));
    match group.kind {
        LayerKind::Full => length.div_ceil(flags.decode_context_parallel).div_ceil(block),
        LayerKind::Sliding { window } => {
            let kept = window.get().saturating_sub(1).saturating_add(batched);
            // The window rarely begins at a block's edge: one block more.
            kept.min(length).div_ceil(block).saturating_add(1)
        }
        LayerKind::Chunked { chunk } => {
            let kept = chunk.get().saturating_add(batched);
            kept.min(length).div_ceil(block)
        }
        LayerKind::Cross { encoder_tokens } => match rules.cross {
            Cross::Encoder => encoder_tokens.get().div_ceil(block),
            // Without chunked prefill a step is at least as long as a request.
            Cross::Step => step.max(length).div_ceil(block),
        },
        LayerKind::State => states_of_request(rules, bucket, mode, block, flags),
    }
}

fn states_of_request(rules: &Rules, bucket: &Bucket, mode: StateMode, block: u64, flags: &EngineFlags) -> u64 {
    let drafted = flags.speculation.tokens;
    let by_length = flags.max_model_len.get().div_ceil(block);
    let since = match bucket.holds {
        Holds::State { shape: StateShape::Kda { checkpointed: true, .. }, .. }
            if flags.platform.prefills_states_in_chunks() =>
        {
            Checkpoints::Kda
        }
        Holds::State { shape: StateShape::Mamba2 { .. }, .. } => Checkpoints::Mamba2,
        Holds::State { shape: StateShape::Gdn { .. }, .. } if flags.platform.prefills_states_in_chunks() => {
            Checkpoints::Gdn
        }
        _ => Checkpoints::None,
    };
    let kept = since != Checkpoints::None && rules.checkpoints >= since;
    match (rules.states, mode) {
        (States::Refused | States::One, _) => 1,
        (States::ByLength, _) | (_, StateMode::All) => by_length,
        (_, StateMode::None) => drafted.saturating_add(1),
        (_, StateMode::Align) => drafted.saturating_add(2).saturating_add(u64::from(kept)),
    }
}

/// Steps that may be under way at once.
const fn steps_in_flight(rule: InFlight, overlaps: bool, flags: &EngineFlags) -> u64 {
    let stages = flags.pipeline_parallel;
    match rule {
        InFlight::One => 1,
        InFlight::StagesAndOne if flags.async_scheduling => stages.saturating_add(1),
        InFlight::Stages if flags.async_scheduling && (overlaps || stages == 1) => stages.saturating_add(1),
        InFlight::Stages | InFlight::StagesAndOne => stages,
    }
}
