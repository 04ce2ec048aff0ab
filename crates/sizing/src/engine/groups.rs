//! How layers share one pool of blocks.
//!
//! Follows `get_kv_cache_groups` of vLLM's `v1/core/kv_cache_utils.py`: all alike, one group; alike but for size, one group
//! of unequal pages; else pages are made equal and every kind is cut into groups of the same number of layers.

use serde::Serialize;

use super::error::KvCacheError;
use super::flags::EngineFlags;
use super::layers::Bucket;
use super::rules::{Rules, UnequalLayers, UnequalPages};
use crate::model::{Holds, LayerKind, Shape};
use crate::{Bytes, Tokens};

/// Layers whose blocks are handed out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KvGroup {
    /// Which tokens they keep.
    pub kind: LayerKind,
    /// Layers of the model in it.
    pub layers: u64,
    /// Places left empty because every group has the same size.
    pub padding: u64,
    /// Tokens of its blocks.
    pub block_size: Tokens,
}

/// The groups and what a block of the fullest pipeline stage takes.
pub(super) struct Layout {
    pub(super) groups: Vec<KvGroup>,
    pub(super) bytes_per_block: Bytes,
    /// Of each group, which bucket it was cut from.
    pub(super) buckets: Vec<Bucket>,
}

pub(super) fn layout(
    rules: &Rules,
    shape: &Shape,
    flags: &EngineFlags,
    mut buckets: Vec<Bucket>,
) -> Result<Layout, KvCacheError> {
    let first = *buckets.first().ok_or(KvCacheError::NoLayers)?;
    let one_kind = |buckets: &[Bucket]| buckets.iter().all(|bucket| bucket.kind == first.kind);
    if buckets.len() > 1 && one_kind(&buckets) {
        return one_group(rules, shape, flags, &buckets);
    }
    if let Unified::AllFull = unify(rules, &mut buckets)? {
        for bucket in &mut buckets {
            bucket.kind = LayerKind::Full;
        }
        return one_group(rules, shape, flags, &buckets);
    }
    let size = group_size(rules, &buckets);
    let mut groups = Vec::with_capacity(8);
    let mut origin = Vec::with_capacity(8);
    for bucket in &buckets {
        for group in cut(bucket, size) {
            groups.push(group);
            origin.push(*bucket);
        }
    }
    let page = buckets.first().map_or(first.page, |bucket| bucket.page);
    let most = match flags.pipeline_parallel {
        1 => groups.iter().map(|group| group.layers).max().unwrap_or(size),
        stages => {
            let stages = stages_of(shape, &buckets, stages)?;
            let of_bucket = stages.iter().flat_map(|stage| stage.iter().zip(&buckets));
            let fullest = of_bucket.map(|(range, bucket)| fullest_group(*range, bucket.layers.div_ceil(size))).max();
            fullest.unwrap_or(size)
        }
    };
    Ok(Layout { groups, bytes_per_block: page.times(most), buckets: origin })
}

/// One group whose block holds a page of every layer.
fn one_group(rules: &Rules, shape: &Shape, flags: &EngineFlags, buckets: &[Bucket]) -> Result<Layout, KvCacheError> {
    let first = buckets.first().ok_or(KvCacheError::NoLayers)?;
    let alike = buckets.iter().all(|bucket| bucket.page == first.page);
    if rules.unequal_layers == UnequalLayers::Refused && !alike {
        return Err(KvCacheError::UnequalPages);
    }
    let group = KvGroup {
        kind: first.kind,
        layers: buckets.iter().map(|bucket| bucket.layers).sum(),
        padding: 0,
        block_size: Tokens::new(first.block),
    };
    let sum = |layers: &mut dyn Iterator<Item = u64>| -> Bytes {
        let pages = buckets.iter().zip(layers);
        pages.map(|(bucket, layers)| bucket.page.times(layers)).sum()
    };
    let stages = if rules.stages_projected || buckets.len() == 1 { flags.pipeline_parallel } else { 1 };
    let bytes_per_block = match stages {
        1 => sum(&mut buckets.iter().map(|bucket| bucket.layers)),
        stages => {
            let stages = stages_of(shape, buckets, stages)?;
            let bytes = stages.iter().map(|stage| sum(&mut stage.iter().map(|(from, to)| to - from)));
            bytes.max().unwrap_or_default()
        }
    };
    Ok(Layout { groups: vec![group], bytes_per_block, buckets: vec![*first] })
}

enum Unified {
    Pages,
    AllFull,
}

/// Makes the pages of all buckets equal, as far as the version can.
fn unify(rules: &Rules, buckets: &mut [Bucket]) -> Result<Unified, KvCacheError> {
    let largest = buckets.iter().map(|bucket| bucket.page).max();
    let largest = largest.ok_or(KvCacheError::NoLayers)?;
    for bucket in buckets.iter_mut().filter(|bucket| bucket.page < largest) {
        let ratio = (bucket.page.get() > 0 && largest.get().is_multiple_of(bucket.page.get()))
            .then(|| largest.get() / bucket.page.get());
        let attention = matches!(bucket.holds, Holds::Heads(_));
        match (rules.unequal_pages, ratio) {
            (UnequalPages::Refused, _) => return Err(KvCacheError::UnequalPages),
            _ if bucket.kind == LayerKind::State => {}
            (_, Some(ratio)) => bucket.block = bucket.block.saturating_mul(ratio),
            (UnequalPages::Padded | UnequalPages::PaddedOrFull, None) if attention => {}
            (UnequalPages::PaddedOrFull, None) => return Ok(Unified::AllFull),
            (UnequalPages::Scaled | UnequalPages::Padded, None) => {
                return Err(KvCacheError::UnequalPages);
            }
        }
        bucket.page = largest;
    }
    Ok(Unified::Pages)
}

/// Layers of a group: the smallest bucket's, or the largest's where little padding makes them equal.
fn group_size(rules: &Rules, buckets: &[Bucket]) -> u64 {
    let sizes = || buckets.iter().map(|bucket| bucket.layers);
    let (least, most) = (sizes().min().unwrap_or(1), sizes().max().unwrap_or(1));
    let near = most.saturating_mul(100) < least.saturating_mul(rules.group_slack_percent);
    if near { most } else { least }
}

/// Cuts a bucket into groups of `size` layers, dealt round robin, so that the first groups have one layer more.
fn cut(bucket: &Bucket, size: u64) -> impl Iterator<Item = KvGroup> + use<> {
    let (kind, layers, block_size) = (bucket.kind, bucket.layers, Tokens::new(bucket.block));
    let groups = layers.div_ceil(size);
    (0..groups).map(move |group| {
        let dealt = layers / groups + u64::from(group < layers % groups);
        KvGroup { kind, layers: dealt, padding: size - dealt, block_size }
    })
}

/// Most layers that one of `groups` groups has among a bucket's layers `from..to`, dealt round robin.
const fn fullest_group((from, to): (u64, u64), groups: u64) -> u64 {
    (to - from).div_ceil(if groups == 0 { 1 } else { groups })
}

/// For every pipeline stage, which layers of every bucket it holds. What does not divide goes to the stages before the
/// last, as vLLM deals it; a drafter stands on the last.
fn stages_of(shape: &Shape, buckets: &[Bucket], stages: u64) -> Result<Vec<Vec<(u64, u64)>>, KvCacheError> {
    let order = shape.in_order().ok_or(KvCacheError::UnknownOrder)?;
    let layers = order.len() as u64;
    if stages > layers {
        return Err(KvCacheError::TooManyStages { layers, stages });
    }
    let (each, rest) = (layers / stages, layers % stages);
    let mut order = order.into_iter();
    let mut reached = vec![0_u64; buckets.len()];
    let mut dealt = Vec::with_capacity(buckets.len());
    for stage in 0..stages {
        let from_end = stages - stage;
        let extra = u64::from(from_end >= 2 && from_end < rest + 2);
        let before = reached.clone();
        for mask in (0..each + extra).filter_map(|_| order.next()) {
            for (reached, bucket) in reached.iter_mut().zip(buckets) {
                *reached += u64::from((mask & bucket.groups).count_ones());
            }
        }
        if stage + 1 == stages {
            for (reached, bucket) in reached.iter_mut().zip(buckets) {
                *reached += bucket.drafted;
            }
        }
        dealt.push(before.into_iter().zip(reached.iter().copied()).collect());
    }
    Ok(dealt)
}
