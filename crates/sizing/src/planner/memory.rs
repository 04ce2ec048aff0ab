//! How many requests of the target one replica's memory holds.

use super::answer::{Memory, Reason};
use super::target::{Pessimism, Target};
use crate::engine::{Deployment, MemoryBudget, Platform, ServingDefaults};
use crate::mix::Lengths;
use crate::model::ParameterCount;
use crate::performance::Interval;
use crate::weights::WeightFormat;
use crate::{Bytes, Engine, EngineFlags, GpuSpec, KvCachePlan, KvDtype, KvMemory, ModelSpec, Tokens};

/// Most sequences that a replica is given. More would take the sampler's memory from the KV cache, and gain no throughput
/// that another replica would not.
const MOST_SEQUENCES: u64 = 256;

/// What one replica is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup<'a> {
    pub(super) model: &'a ModelSpec,
    pub(super) engine: Engine,
    pub(super) gpu: &'a GpuSpec,
    pub(super) tensor_parallel: u32,
    pub(super) weights: WeightFormat,
    pub(super) kv: KvDtype,
}

/// What fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seats {
    /// Requests of the target's lengths that the KV cache really holds.
    pub(super) requests: Interval,
    /// What the engine prints as its maximum concurrency.
    pub(super) printed: Interval,
    /// `--max-num-seqs`.
    pub(super) max_num_seqs: u64,
    /// `--max-num-batched-tokens`.
    pub(super) max_num_batched_tokens: u64,
    budget: MemoryBudget,
    visible: Bytes,
    /// KV cache of one card.
    pub(super) kv_cache: Bytes,
    /// KV cache that one request takes of one card.
    per_request: f64,
}

impl Seats {
    /// Requests that a replica may be given: what fits, and no more than its sequences.
    pub(super) fn most(&self, pessimism: Pessimism) -> u32 {
        let fits = match pessimism {
            Pessimism::Likely => self.requests.likely,
            Pessimism::SlowEnd => self.requests.low,
        };
        let most = fits.min(self.max_num_seqs as f64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        let whole = most as u32;
        whole
    }

    /// Where the memory of a card goes with so many requests at once.
    pub(super) fn memory(&self, concurrency: f64) -> Memory {
        let used = Bytes::from_gib(self.per_request * concurrency / f64::from(1 << 30)).min(self.kv_cache);
        let budget = &self.budget;
        let other = budget.activation + budget.outside_framework + budget.graphs;
        Memory {
            visible_bytes: self.visible.get(),
            weight_bytes: budget.weights.get(),
            other_bytes: other.get(),
            kv_used_bytes: used.get(),
            kv_free_bytes: self.kv_cache.minus(used).unwrap_or_default().get(),
        }
    }
}

/// Bytes of the whole model; embeddings stay in 16 bits. Where the width is not known, all of it counts as quantised.
pub fn weight_bytes(model: &ModelSpec, weights: WeightFormat) -> Bytes {
    let hidden = model.work.as_ref().map_or(0, |work| u64::from(work.value.hidden));
    let embedding = model.shape.value.vocabulary.saturating_mul(hidden);
    weights.model(ParameterCount { total: model.parameters.value, embedding, attention: 0 }, false)
}

/// Requests that fit, with the flags that make it so.
pub(super) fn seats(setup: &Setup<'_>, target: &Target, load: u64) -> Result<Seats, Reason> {
    let shape = &setup.model.shape.value;
    let cards = u64::from(setup.tensor_parallel);
    if !shape.attention_heads.is_multiple_of(cards) {
        return Err(Reason::HeadsNotShared { heads: shape.attention_heads });
    }
    let small = setup.engine.limits_for(ServingDefaults::SMALL, shape);
    let max_num_seqs = load.clamp(1, MOST_SEQUENCES);
    let budget = setup.engine.budget(&Deployment {
        weights: weight_bytes(setup.model, setup.weights),
        vocabulary: shape.vocabulary,
        gpu: setup.gpu,
        tensor_parallel: cards,
        pipeline_parallel: 1,
        max_num_seqs,
        utilization: None,
        eager: false,
    });
    let budget = budget.ok_or(Reason::MemoryUnknown)?;
    let needed = budget.weights + budget.activation + budget.outside_framework + budget.graphs;
    let kv_cache = budget
        .requested
        .minus(needed)
        .ok_or(Reason::WeightsTooLarge { needed_bytes: needed.get(), usable_bytes: budget.requested.get() })?;
    let flags = EngineFlags {
        max_num_batched_tokens: small.max_num_batched_tokens,
        kv_dtype: setup.kv,
        tensor_parallel: cards,
        platform: Platform::of(setup.gpu),
        ..EngineFlags::new(Tokens::new(target.longest))
    };
    let fit = |bytes| {
        let plan = setup
            .engine
            .plan(shape, &flags, KvMemory::Available(bytes))
            .map_err(|error| Reason::Refused { message: error.to_string() })?;
        Ok((requests(&plan, target), plan))
    };
    let (least, most) = budget.available_interval();
    let ((likely, plan), (low, at_least), (high, at_most)) = (fit(kv_cache)?, fit(least)?, fit(most)?);
    if likely < 1.0 || !plan.starts() {
        return Err(Reason::NoRoom { requests: plan.max_concurrency() });
    }
    let printed = |plan: &KvCachePlan| plan.max_concurrency();
    Ok(Seats {
        requests: Interval { low, likely, high },
        printed: Interval { low: printed(&at_least), likely: printed(&plan), high: printed(&at_most) },
        max_num_seqs,
        max_num_batched_tokens: small.max_num_batched_tokens.get(),
        budget,
        visible: setup.gpu.visible().likely,
        kv_cache,
        per_request: kv_cache.get() as f64 / likely,
    })
}

/// Requests of the target's lengths that fit 99 times in 100, each anywhere between its first and its last token.
fn requests(plan: &KvCachePlan, target: &Target) -> f64 {
    let fixed = |tokens| Lengths::Fixed(Tokens::new(tokens));
    plan.holds(&fixed(target.isl), &fixed(target.osl)).map_or(0.0, |held| held.safe)
}
