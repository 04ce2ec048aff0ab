//! Which GPUs would hold a target load of a model: the simple method beside the engine's own arithmetic.
//!
//! The exact column is what the engine would print as its maximum concurrency on a fresh server with default flags and
//! 16-bit weights: what a CUDA program sees of the card × 0.9 − weights / cards − scratch, then the arithmetic of that
//! version. The scratch is a prior (39 B for each of `max_num_seqs` × vocabulary logits, at least 1 GiB, and 0.3 GiB
//! outside the framework, 0.55 GiB on each of several cards), so the column is good to about 1 GiB of a card's memory.
//! Defaults differ between cards: from 70 GiB on, except on an A100, the server takes 1,024 sequences and 8,192 tokens a
//! step instead of 256 and 2,048, which costs a large vocabulary several GiB. Where that is more than a twentieth of the
//! requests, the row also says what fits with the smaller limits as flags.
//!
//! No measurement enters here: the memory of a server that ran is in [`crate::server_capacity`].

use sizing::engine::{MemoryBudget, ServingDefaults};
use sizing::reference;
use sizing::simple::CARD_COUNTS;
use sizing::{Engine, EngineFlags, GpuSpec, KvMemory, ModelSpec, Prices, Tokens, catalogue};

use crate::{Deviation, GpuOption, SimpleMethod, SizingSection};

/// `--max-num-seqs` and `--max-num-batched-tokens` that are the defaults of small cards.
const SMALL: ServingDefaults = ServingDefaults { max_num_batched_tokens: Tokens::new(2048), max_num_seqs: 256 };

/// Share of the requests from which on it is told what large defaults cost.
const COSTLY_DEFAULTS: f64 = 0.05;

/// The load to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizingTarget {
    /// Requests at once.
    pub concurrency: u32,
    /// Tokens of each, prompt and output.
    pub context_tokens: u64,
}

impl Default for SizingTarget {
    /// The reference report's: 50 requests of 4,096 tokens.
    fn default() -> Self {
        Self { concurrency: reference::REQUESTS, context_tokens: reference::CONTEXT.get() }
    }
}

/// Sizes `model` for `target`; `None` when the model is not in the catalogue or the target is no tokens long.
///
/// Without a version, or for one whose arithmetic is not known, the newest known one is taken; the section names it.
pub fn sizing_section(model: &str, engine_version: Option<&str>, target: SizingTarget) -> Option<SizingSection> {
    let model = catalogue::model(model).ok()?;
    let engine = engine_version.and_then(|version| Engine::vllm(version).ok()).unwrap_or_else(Engine::newest);
    let context = Tokens::new(target.context_tokens);
    let no_memory = KvMemory::Available(sizing::Bytes::default());
    let plan = engine.kv_cache(model, &EngineFlags::new(context), no_memory);
    let of_reference = model.name == reference::MODEL;
    let sizing = Sizing {
        model,
        engine,
        simple: if of_reference { reference::method(context) } else { sizing::SimpleMethod::of(model, context) },
        target,
    };
    Some(SizingSection {
        model: model.name.clone(),
        engine: engine.to_string(),
        target_concurrency: target.concurrency,
        context_tokens: target.context_tokens,
        weight_dtype: "bf16".to_owned(),
        simple: sizing.terms(),
        exact_kv_bytes_per_request: plan.ok()?.bytes_per_request().get(),
        weight_bytes: model.weights_16_bit().get(),
        options: catalogue::gpus().iter().flat_map(|gpu| sizing.options(gpu, catalogue::prices())).collect(),
        deviations: if of_reference {
            let found = reference::deviations(model);
            found.into_iter().filter_map(deviation).collect()
        } else {
            let found = reference::windows(model, context);
            found.filter_map(deviation).collect()
        },
    })
}

/// One model, engine and load.
struct Sizing<'a> {
    model: &'a ModelSpec,
    engine: Engine,
    simple: sizing::SimpleMethod,
    target: SizingTarget,
}

impl Sizing<'_> {
    fn terms(&self) -> SimpleMethod {
        SimpleMethod {
            weights_gb: self.simple.weights.as_gb(),
            kv_per_request_gb: self.simple.kv_per_request.as_gb(),
            overhead_gb: self.simple.overhead.as_gb(),
            total_gb: self.simple.total(self.target.concurrency).as_gb(),
        }
    }

    /// Rows of one GPU: one card, then twice as many until both methods hold the target, and every number of cards that a
    /// provider rents as one instance.
    fn options(&self, gpu: &GpuSpec, prices: &Prices) -> Vec<GpuOption> {
        let vram = gpu.marketed.value;
        let simple = (self.simple).tensor_parallel(self.model, vram, self.target.concurrency);
        let exact = self.exact_cards_needed(gpu);
        // Without a figure from the engine's arithmetic the simple one decides alone.
        let enough = match gpu.cuda_visible {
            Some(_) => simple.zip(exact).map(|(simple, exact)| simple.max(exact)),
            None => simple,
        };
        CARD_COUNTS
            .into_iter()
            .filter(|&cards| self.divides(cards))
            .filter(|&cards| enough.is_none_or(|enough| cards <= enough) || rented(gpu, cards, prices))
            .map(|cards| {
                let cards_needed = (simple, exact);
                self.option(gpu, cards, cards_needed, prices)
            })
            .collect()
    }

    fn option(
        &self,
        gpu: &GpuSpec,
        cards: u32,
        (simple, exact): (Option<u32>, Option<u32>),
        prices: &Prices,
    ) -> GpuOption {
        let vram = gpu.marketed.value;
        let purchase = prices.purchase(&gpu.name, cards);
        let cloud = prices.cloud(&gpu.name, cards);
        let bandwidth = gpu.bandwidth.as_ref();
        GpuOption {
            gpu: gpu.name.clone(),
            count: cards,
            vram_gb: vram.as_gb(),
            simple_max_requests: self.simple.max_requests(vram.times(u64::from(cards))),
            exact_max_requests: self.exact_max_requests(gpu, cards),
            exact_max_requests_at_256_seqs: self.with_small_limits(gpu, cards),
            exact_unknown: gpu.cuda_visible.is_none(),
            memory_bandwidth_gb_s: bandwidth.map(|rate| rate.value.as_gb_per_second()),
            simple_cards_needed: simple,
            exact_cards_needed: exact,
            purchase_usd: purchase.map(|quote| quote.price.get()),
            price_date: purchase.map(|quote| quote.date.to_owned()),
            price_source: purchase.map(|quote| quote.source.to_owned()),
            cloud_usd_per_hour: cloud.map(|quote| quote.price.get()),
            cloud_price_date: cloud.map(|quote| quote.date.to_owned()),
            cloud_price_source: cloud.map(|quote| quote.source.to_owned()),
            cloud_offer: cloud.and_then(|quote| quote.offer).map(str::to_owned),
        }
    }

    /// Whether the model can be shared by so many cards.
    fn divides(&self, cards: u32) -> bool {
        let heads = self.model.shape.value.attention_heads;
        heads.is_multiple_of(u64::from(cards))
    }

    fn exact_cards_needed(&self, gpu: &GpuSpec) -> Option<u32> {
        let target = f64::from(self.target.concurrency);
        let holds = |cards| self.exact_max_requests(gpu, cards) >= Some(target);
        CARD_COUNTS.into_iter().find(|&cards| holds(cards))
    }

    /// What the engine would print; `None` when the weights do not fit, the heads cannot be shared, or it is not known how
    /// much of the card a program sees.
    fn exact_max_requests(&self, gpu: &GpuSpec, cards: u32) -> Option<f64> {
        let budget = self.engine.memory_budget(self.model, gpu, u64::from(cards))?;
        let defaults = self.engine.serving_defaults(gpu);
        self.max_concurrency(budget, defaults.max_num_batched_tokens, cards)
    }

    /// The same with the limits of small cards, where the GPU's own defaults are larger and cost more than
    /// [`COSTLY_DEFAULTS`]. A target of more sequences than these limits allow has no use for them.
    fn with_small_limits(&self, gpu: &GpuSpec, cards: u32) -> Option<f64> {
        let of_small = u64::from(self.target.concurrency) <= SMALL.max_num_seqs;
        if self.engine.serving_defaults(gpu) == SMALL || !of_small {
            return None;
        }
        let cards_64 = u64::from(cards);
        // The peak of the activations goes with the model and these limits, not with the card.
        let small_gpu = catalogue::gpus()
            .iter()
            .find(|gpu| gpu.cuda_visible.is_some() && self.engine.serving_defaults(gpu) == SMALL)?;
        let small = self.engine.memory_budget(self.model, small_gpu, cards_64)?;
        let budget =
            MemoryBudget { activation: small.activation, ..self.engine.memory_budget(self.model, gpu, cards_64)? };
        let requests = self.max_concurrency(budget, SMALL.max_num_batched_tokens, cards)?;
        let by_default = self.exact_max_requests(gpu, cards).unwrap_or(0.0);
        (by_default < (1.0 - COSTLY_DEFAULTS) * requests).then_some(requests)
    }

    fn max_concurrency(&self, budget: MemoryBudget, batched: Tokens, cards: u32) -> Option<f64> {
        let flags = EngineFlags {
            max_num_batched_tokens: batched,
            tensor_parallel: u64::from(cards),
            ..EngineFlags::new(self.target.context_tokens)
        };
        let memory = KvMemory::Available(budget.available()?);
        let plan = self.engine.kv_cache(self.model, &flags, memory).ok()?;
        Some(plan.max_concurrency())
    }
}

/// Whether a provider rents exactly so many of the cards as one instance of several.
fn rented(gpu: &GpuSpec, cards: u32, prices: &Prices) -> bool {
    let mut instances = prices.sets().iter().flat_map(|set| &set.cloud);
    cards > 1 && instances.any(|entry| entry.gpu == gpu.name && entry.cards == cards)
}

/// A departure as the summary holds it.
fn deviation(found: reference::Deviation) -> Option<Deviation> {
    Some(match found {
        reference::Deviation::FormulaProduct { stated, product } => {
            Deviation::FormulaProduct { stated_gb: stated.as_gb(), product_gib: product.as_gib() }
        }
        reference::Deviation::KvWidth { used, actual } => Deviation::KvWidth { used, actual },
        reference::Deviation::SlidingWindow { windowed, layers, window } => {
            Deviation::SlidingWindow { windowed_layers: windowed, layers, window: window.get() }
        }
        reference::Deviation::MaxRequests { row, method } => Deviation::TableRow {
            gpu: row.gpu.to_owned(),
            stated: f64::from(row.max_requests),
            method: f64::from(method),
        },
        reference::Deviation::CardsNeeded { row, by_memory, tensor_parallel } => {
            Deviation::CardsNeeded { gpu: row.gpu.to_owned(), stated: row.cards_needed, by_memory, tensor_parallel }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
