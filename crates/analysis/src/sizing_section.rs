//! Which GPUs would hold a load: the planner's answer, with the simple method beside it.
//!
//! Two columns are never the same thing. What the engine *prints* as its maximum concurrency on a fresh server with default
//! flags is a worst case: requests of `--max-model-len` tokens whose window layers reserve a whole step. What requests of these
//! lengths really *hold* is what [`planner`] decides by, and what decides here.
//!
//! No measurement enters the rows: the memory of a server that ran is in [`crate::server_capacity`].

use sizing::engine::{Deployment, Platform};
use sizing::planner::{self, Demand, FleetPlan, Question, Target};
use sizing::reference;
use sizing::simple::CARD_COUNTS;
use sizing::weights::WeightFormat;
use sizing::{Engine, EngineFlags, GpuSpec, KvDtype, KvMemory, ModelSpec, Prices, Tokens, catalogue};

use crate::{Deviation, GpuOption, SimpleMethod, SizingSection, Summary};

/// The reference report's load: 50 requests of 4,096 tokens at once, a quarter of them output, unquantised.
pub fn reference_target() -> Target {
    let context = reference::CONTEXT.get();
    let osl = context / 4;
    Target::concurrency(reference::REQUESTS, context - osl, osl).unquantised()
}

/// Returns the load that a run measured: its largest stable level with that level's mean lengths, no request longer than the
/// longest prompt and the longest output together. For the reference's own model it is [`reference_target`]; `None` where no
/// level was stable.
pub fn measured_target(summary: &Summary) -> Option<Target> {
    if catalogue::model(&summary.run.model).is_ok_and(|model| model.name == reference::MODEL) {
        return Some(reference_target());
    }
    let concurrency = summary.limits.largest_stable?;
    let level = summary.levels.iter().find(|level| level.concurrency == concurrency)?;
    let (prompt, output) = (level.prompt_tokens?, level.output_tokens?);
    let target = Target::concurrency(concurrency, whole(prompt.mean.value), whole(output.mean.value));
    let longest = whole(prompt.max).saturating_add(whole(output.max)).max(target.longest);
    Some(Target { longest, ..target })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(tokens: f64) -> u64 {
    (tokens.round() as u64).max(1)
}

/// Sizes `model` for `target`; `None` when the model is not in the catalogue or the target is no load.
///
/// Without a version, or for one whose arithmetic is not known, the newest known one is taken; the section names it.
pub fn sizing_section(model: &str, engine_version: Option<&str>, target: &Target) -> Option<SizingSection> {
    let model = catalogue::model(model).ok()?;
    let engine = engine_version.and_then(|version| Engine::vllm(version).ok()).unwrap_or_else(Engine::newest);
    let question = Question { engine, ..Question::of(model, target) };
    let fleet = planner::plan(&question).ok()?;
    section_of(&question, fleet)
}

/// Sizes for the load of a plan that was made already, whose answer then is the section's, by the plan's own engine.
pub fn sizing_section_of(fleet: FleetPlan) -> Option<SizingSection> {
    let model = catalogue::model(&fleet.model).ok()?;
    let version = fleet.engine.strip_prefix("vLLM ").unwrap_or(&fleet.engine);
    let engine = Engine::vllm(version).ok()?;
    let target = fleet.target.target();
    section_of(&Question { engine, ..Question::of(model, &target) }, fleet)
}

fn section_of(question: &Question<'_>, fleet: FleetPlan) -> Option<SizingSection> {
    let Question { model, engine, target, .. } = question;
    let context = Tokens::new(target.context());
    let no_memory = KvMemory::Available(sizing::Bytes::default());
    let plan = engine.kv_cache(model, &EngineFlags::new(context), no_memory).ok()?;
    let of_reference = model.name == reference::MODEL;
    let weights = target.weights.unwrap_or_else(|| planner::published_format(model));
    let sizing = Sizing {
        question,
        simple: if of_reference { reference::method(context) } else { sizing::SimpleMethod::of(model, context) },
        concurrency: at_once(target, &fleet),
        weights,
    };
    Some(SizingSection {
        model: model.name.clone(),
        engine: engine.to_string(),
        target_concurrency: sizing.concurrency,
        context_tokens: context.get(),
        weight_dtype: planner::weight_name(weights).to_owned(),
        simple: sizing.terms(),
        exact_kv_bytes_per_request: plan.bytes_per_request().get(),
        weight_bytes: planner::weight_bytes(model, weights).get(),
        options: catalogue::gpus().iter().flat_map(|gpu| sizing.options(gpu, question.prices)).collect(),
        deviations: departures(model, of_reference, target, context),
        fleet: Some(Box::new(fleet)),
    })
}

/// Where the simple method departs: for the report's own question what it stated, else the windows that it overcounts.
fn departures(model: &ModelSpec, of_reference: bool, target: &Target, context: Tokens) -> Vec<Deviation> {
    if of_reference && *target == reference_target() {
        return reference::deviations(model).into_iter().filter_map(deviation).collect();
    }
    reference::windows(model, context).filter_map(deviation).collect()
}

/// Requests at once: those asked for, or those that the least dear choice holds at the rate asked for.
fn at_once(target: &Target, fleet: &FleetPlan) -> u32 {
    match &target.demand {
        Demand::Concurrency(requests) => *requests,
        Demand::Rate(_) => {
            let choice = fleet.recommended.least_cost.and_then(|index| fleet.choices.get(index));
            let requests = choice.map_or(1.0, |choice| choice.concurrency * f64::from(choice.replicas));
            u32::try_from(whole(requests)).unwrap_or(u32::MAX)
        }
    }
}

/// One question with the simple method's terms.
struct Sizing<'a> {
    question: &'a Question<'a>,
    simple: sizing::SimpleMethod,
    concurrency: u32,
    weights: WeightFormat,
}

impl Sizing<'_> {
    fn terms(&self) -> SimpleMethod {
        SimpleMethod {
            weights_gb: self.simple.weights.as_gb(),
            kv_per_request_gb: self.simple.kv_per_request.as_gb(),
            overhead_gb: self.simple.overhead.as_gb(),
            total_gb: self.simple.total(self.concurrency).as_gb(),
        }
    }

    /// Rows of one GPU: one card, then twice as many until both methods hold the target, and every number of cards that a
    /// provider rents as one instance.
    fn options(&self, gpu: &GpuSpec, prices: &Prices) -> Vec<GpuOption> {
        let model = self.question.model;
        let simple = (self.simple).tensor_parallel(model, gpu.marketed.value, self.concurrency);
        let held = CARD_COUNTS.map(|cards| (cards, self.held(gpu, cards)));
        let target = f64::from(self.concurrency);
        let needed = held.iter().find(|(_, held)| held.is_some_and(|held| held >= target)).map(|(cards, _)| *cards);
        let enough = simple.zip(needed).map(|(simple, needed)| simple.max(needed));
        let heads = model.shape.value.attention_heads;
        held.into_iter()
            .filter(|(cards, _)| heads.is_multiple_of(u64::from(*cards)))
            .filter(|(cards, _)| enough.is_none_or(|enough| *cards <= enough) || rented(gpu, *cards, prices))
            .map(|(cards, held)| self.option(gpu, cards, held, (simple, needed)))
            .collect()
    }

    /// What a replica of so many cards really holds of the target.
    fn held(&self, gpu: &GpuSpec, cards: u32) -> Option<f64> {
        Some(planner::held(self.question, gpu, cards)?.requests.likely)
    }

    fn option(
        &self,
        gpu: &GpuSpec,
        cards: u32,
        held: Option<f64>,
        (simple, needed): (Option<u32>, Option<u32>),
    ) -> GpuOption {
        let vram = gpu.marketed.value;
        let prices = self.question.prices;
        let purchase = prices.purchase(&gpu.name, cards);
        let cloud = prices.rent(&gpu.name, cards, 1);
        GpuOption {
            gpu: gpu.name.clone(),
            count: cards,
            vram_gb: vram.as_gb(),
            simple_max_requests: self.simple.max_requests(vram.times(u64::from(cards))),
            exact_max_requests: self.printed(gpu, cards),
            held_max_requests: held,
            memory_bandwidth_gb_s: gpu.bandwidth.as_ref().map(|rate| rate.value.as_gb_per_second()),
            simple_cards_needed: simple,
            exact_cards_needed: needed,
            purchase_usd: purchase.map(|quote| quote.price.get()),
            price_date: purchase.map(|quote| quote.date.to_owned()),
            price_source: purchase.map(|quote| quote.source.to_owned()),
            cloud_usd_per_hour: cloud.map(|rented| rented.quote.price.get()),
            cloud_price_date: cloud.map(|rented| rented.quote.date.to_owned()),
            cloud_price_source: cloud.map(|rented| rented.quote.source.to_owned()),
            cloud_offer: cloud.and_then(|rented| rented.quote.offer).map(str::to_owned),
        }
    }

    /// Maximum concurrency in the log of a fresh server with weights and cache of the section's formats and the engine's own
    /// defaults for the card; `None` when the weights do not fit.
    fn printed(&self, gpu: &GpuSpec, cards: u32) -> Option<f64> {
        let Question { model, engine, target, .. } = self.question;
        let limits = engine.serving_defaults(gpu);
        let tensor_parallel = u64::from(cards);
        let budget = engine.budget(&Deployment {
            weights: planner::weight_bytes(model, self.weights),
            vocabulary: model.shape.value.vocabulary,
            gpu,
            tensor_parallel,
            pipeline_parallel: 1,
            max_num_seqs: limits.max_num_seqs,
            utilization: None,
            eager: false,
        })?;
        let flags = EngineFlags {
            max_num_batched_tokens: limits.max_num_batched_tokens,
            kv_dtype: target.kv.unwrap_or(KvDtype::Bits16),
            platform: Platform::of(gpu),
            tensor_parallel,
            ..EngineFlags::new(target.longest)
        };
        let plan = engine.kv_cache(model, &flags, KvMemory::Available(budget.available()?)).ok()?;
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
