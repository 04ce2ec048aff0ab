//! Which GPUs would hold a target load of a model: the simple method beside the engine's own arithmetic.
//!
//! The exact column is what the engine would print as its maximum concurrency on a fresh server with default flags and
//! 16-bit weights: what a CUDA program sees of the card × 0.9 − weights / cards − scratch, then the arithmetic of that
//! version. The scratch is a prior (39 B for each of `max_num_seqs` × vocabulary logits, at least 1 GiB, and 0.3 GiB
//! outside the framework, 0.55 GiB on each of several cards), so the column is good to about 1 GiB of a card's memory.
//! Defaults differ between cards: from 70 GiB on, except on an A100, the server takes 1,024 sequences and 8,192 tokens a
//! step instead of 256 and 2,048, which costs a large vocabulary several GiB.
//!
//! No measurement enters here: the memory of a server that ran is in [`crate::server_capacity`].

use sizing::reference;
use sizing::simple::CARD_COUNTS;
use sizing::{Engine, EngineFlags, GpuSpec, KvMemory, ModelSpec, Prices, Tokens, catalogue};

use crate::{Deviation, GpuOption, SimpleMethod, SizingSection};

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
        Self {
            concurrency: reference::REQUESTS,
            context_tokens: reference::CONTEXT.get(),
        }
    }
}

/// Sizes `model` for `target`; `None` when the model is not in the catalogue or the target is no tokens long.
///
/// Without a version, or for one whose arithmetic is not known, the newest known one is taken; the section names it.
pub fn sizing_section(
    model: &str,
    engine_version: Option<&str>,
    target: SizingTarget,
) -> Option<SizingSection> {
    let model = catalogue::model(model).ok()?;
    let engine = engine_version
        .and_then(|version| Engine::vllm(version).ok())
        .unwrap_or_else(Engine::newest);
    let context = Tokens::new(target.context_tokens);
    let no_memory = KvMemory::Available(sizing::Bytes::default());
    let plan = engine.kv_cache(model, &EngineFlags::new(context), no_memory);
    let of_reference = model.name == reference::MODEL;
    let sizing = Sizing {
        model,
        engine,
        simple: if of_reference {
            reference::method(context)
        } else {
            sizing::SimpleMethod::of(model, context)
        },
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
        options: catalogue::gpus()
            .iter()
            .flat_map(|gpu| sizing.options(gpu, catalogue::prices()))
            .collect(),
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
            .filter(|&cards| {
                enough.is_none_or(|enough| cards <= enough) || rented(gpu, cards, prices)
            })
            .map(|cards| GpuOption {
                gpu: gpu.name.clone(),
                count: cards,
                vram_gb: vram.as_gb(),
                simple_max_requests: self.simple.max_requests(vram.times(u64::from(cards))),
                exact_max_requests: self.exact_max_requests(gpu, cards),
                simple_cards_needed: simple,
                exact_cards_needed: exact,
                purchase_usd: prices
                    .purchase(&gpu.name, cards)
                    .map(|quote| quote.price.get()),
                cloud_usd_per_hour: prices
                    .cloud(&gpu.name, cards)
                    .map(|quote| quote.price.get()),
            })
            .collect()
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
        let cards = u64::from(cards);
        let budget = self.engine.memory_budget(self.model, gpu, cards)?;
        let defaults = self.engine.serving_defaults(gpu);
        let flags = EngineFlags {
            max_num_batched_tokens: defaults.max_num_batched_tokens,
            tensor_parallel: cards,
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

/// A departure as the summary holds it. A row whose report says N/A has no figure to hold.
fn deviation(found: reference::Deviation) -> Option<Deviation> {
    Some(match found {
        reference::Deviation::FormulaProduct { stated, product } => Deviation::FormulaProduct {
            stated_gb: stated.as_gb(),
            product_gib: product.as_gib(),
        },
        reference::Deviation::KvWidth { used, actual } => Deviation::KvWidth { used, actual },
        reference::Deviation::SlidingWindow {
            windowed,
            layers,
            window,
        } => Deviation::SlidingWindow {
            windowed_layers: windowed,
            layers,
            window: window.get(),
        },
        reference::Deviation::MaxRequests { row, method } => Deviation::TableRow {
            gpu: row.gpu.to_owned(),
            stated: f64::from(row.max_requests),
            method: f64::from(method),
        },
        reference::Deviation::CardsNeeded { row, by_memory, .. } => Deviation::TableRow {
            gpu: format!("{} (cards)", row.gpu),
            stated: f64::from(row.cards_needed?),
            method: by_memory as f64,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gemma() -> SizingSection {
        let target = SizingTarget::default();
        sizing_section("google/gemma-3-12b-it", Some("0.11.2.post2"), target)
            .expect("in the catalogue")
    }

    fn option<'a>(section: &'a SizingSection, gpu: &str, count: u32) -> &'a GpuOption {
        let mut options = section.options.iter();
        options
            .find(|option| option.gpu == gpu && option.count == count)
            .unwrap_or_else(|| panic!("no row for {count} × {gpu}"))
    }

    fn near(figure: Option<f64>, expected: f64) -> bool {
        figure.is_some_and(|figure| (figure - expected).abs() < 0.005)
    }

    /// Section 3.2 of the reference report of 2025-11-26, but for its 9 on 40 GB (its method gives 8) and its N/A for 24 GB
    /// (its method gives 8 cards).
    #[test]
    fn every_row_of_the_reference_table_is_there() {
        let section = gemma();
        assert!((section.simple.total_gb - 102.0).abs() < 1e-9);
        for (gpu, count, requests, cards, usd) in [
            ("RTX 3090", 1, 0, 8, None),
            ("RTX 4090", 1, 0, 8, None),
            ("RTX A6000", 1, 14, 4, Some(18_000.0)),
            ("L40S", 1, 14, 4, Some(16_000.0)),
            ("A100 40GB", 1, 8, 4, Some(40_000.0)),
            ("A100 80GB", 1, 35, 2, Some(30_000.0)),
            ("H100 80GB", 1, 35, 2, Some(60_000.0)),
            ("A100 80GB", 2, 88, 2, Some(30_000.0)),
            ("H100 80GB", 2, 88, 2, Some(60_000.0)),
        ] {
            let row = option(&section, gpu, count);
            assert_eq!(row.simple_max_requests, requests, "{gpu}");
            assert_eq!(row.simple_cards_needed, Some(cards), "{gpu}");
            if usd.is_some() {
                assert_eq!(option(&section, gpu, cards).purchase_usd, usd, "{gpu}");
            }
        }
    }

    /// By hand: (visible × 0.9 − 24,374,650,080 B / cards − 39 B × seqs × 262,208 − 0.3 or 0.55 GiB) / (1 MiB / cards) /
    /// blocks of a request, 1,221 with M 2,048 and 1,541 with M 8,192.
    #[test]
    fn exact_column_follows_the_documented_budget() {
        let section = gemma();
        assert_eq!(section.engine, "vLLM 0.11.2");
        assert_eq!(section.exact_kv_bytes_per_request, 1221 << 20);
        assert_eq!(section.weight_bytes, 24_374_650_080);
        assert_eq!(option(&section, "RTX 3090", 1).exact_max_requests, None);
        for (gpu, count, expected) in [
            ("RTX 3090", 8, 103.30),
            ("RTX A6000", 1, 14.54),
            ("RTX A6000", 2, 47.70),
            ("A100 80GB", 1, 38.41),
            ("A100 80GB", 2, 95.43),
            ("H100 80GB", 1, 25.59),
            ("H100 80GB", 2, 65.93),
            ("H200", 1, 61.84),
        ] {
            let exact = option(&section, gpu, count).exact_max_requests;
            assert!(near(exact, expected), "{count} × {gpu}: {exact:?}");
        }
        assert_eq!(option(&section, "A100 80GB", 1).exact_cards_needed, Some(2));
        let unseen = option(&section, "MI300X", 1);
        assert_eq!(
            (unseen.exact_max_requests, unseen.simple_max_requests),
            (None, 110)
        );
    }

    /// Option C: AWS p4d.24xlarge, 8 × A100 40GB, about 32 USD an hour. Unknown prices stay unknown.
    #[test]
    fn rented_instances_have_their_row() {
        let section = gemma();
        let p4d = option(&section, "A100 40GB", 8);
        assert_eq!(p4d.cloud_usd_per_hour, Some(32.0));
        assert_eq!(option(&section, "A100 40GB", 4).cloud_usd_per_hour, None);
        assert_eq!(option(&section, "H200", 1).purchase_usd, None);
    }

    /// What the report itself says of its model: 1.5 GB against 3.0 GiB, 4096 against 8 × 256, 40 of 48 layers with 1,024
    /// tokens, 9 against 8 on 40 GB, 4 cards where 102 GB are three of 40 or 48 GB.
    #[test]
    fn departures_of_the_report_are_listed() {
        let row = |gpu: &str, stated, method| Deviation::TableRow {
            gpu: gpu.to_owned(),
            stated,
            method,
        };
        let expected = [
            Deviation::FormulaProduct {
                stated_gb: 1.5,
                product_gib: 3.0,
            },
            Deviation::KvWidth {
                used: 4096,
                actual: 2048,
            },
            Deviation::SlidingWindow {
                windowed_layers: 40,
                layers: 48,
                window: 1024,
            },
            row("A100 40GB", 9.0, 8.0),
            row("RTX A6000 (cards)", 4.0, 3.0),
            row("L40S (cards)", 4.0, 3.0),
            row("A100 40GB (cards)", 4.0, 3.0),
        ];
        assert_eq!(gemma().deviations, expected);
    }

    /// SmolLM2-135M: 9 query heads, so no 2, 4 or 8 cards; 30 × 2 × 3 × 64 × 2 B = 23,040 B a token.
    #[test]
    fn another_model_and_an_unknown_engine() {
        let target = SizingTarget::default();
        let section = sizing_section("smollm2-135m", Some("b1-7e4c0a9"), target).unwrap();
        assert_eq!(section.engine, "vLLM 0.32.0");
        assert_eq!(section.exact_kv_bytes_per_request, 23_040 * 4096);
        assert!((section.simple.kv_per_request_gb - 23_040.0 * 4096.0 / 1e9).abs() < 1e-12);
        assert!(section.options.iter().all(|option| option.count == 1));
        assert_eq!(section.deviations, []);
    }

    #[test]
    fn what_is_not_known_is_not_sized() {
        let target = SizingTarget::default();
        assert_eq!(sizing_section("no/such-model", None, target), None);
        let nothing = SizingTarget {
            context_tokens: 0,
            ..target
        };
        assert_eq!(sizing_section("google/gemma-3-12b-it", None, nothing), None);
    }
}
