//! What the model of speed is told of the system that served: as much as the run knows, and no guess.
//!
//! The model comes from the catalogue by the name that was asked for, the card by the name that its driver gives. Cards
//! are taken as one tensor-parallel group: those that telemetry saw. The format of the weights is the one in the model's
//! name, else 16 bits; where 16 bits would not fit into the cards, nothing is known of the weights. Where a part is
//! missing, measured levels alone speak.

use std::borrow::Cow;

use records::{Engine, EngineFacts};
use sizing::performance::{EngineFamily, System};
use sizing::weights::WeightFormat;
use sizing::{Bytes, GpuSpec, ModelSpec, Shape, Sourced, catalogue};

use crate::{RunFacts, ServedFacts, ServerCapacity};

/// What served, as far as the run knows.
#[derive(Clone, Debug)]
pub struct Served {
    model: Cow<'static, ModelSpec>,
    gpu: Option<&'static GpuSpec>,
    cards: u32,
    weights: WeightFormat,
    kv_element_bytes: u32,
    engine: EngineFamily,
    kv_cache: Option<Bytes>,
    max_num_seqs: Option<u32>,
}

impl Served {
    /// What served the run of these facts.
    pub fn of(facts: &RunFacts, engine: &EngineFacts, capacity: Option<&ServerCapacity>) -> Self {
        let names = std::iter::once(&facts.model).chain(&engine.models);
        let known = names.clone().find_map(|name| catalogue::model(name).ok()).map(Cow::Borrowed);
        let format = names.clone().find_map(|name| name.parse().ok());
        let served = Self {
            model: known.unwrap_or_else(|| Cow::Owned(unknown_model(&facts.model))),
            gpu: gpu(&facts.gpus),
            cards: u32::try_from(facts.gpus.len()).unwrap_or(u32::MAX).max(1),
            weights: format.unwrap_or(WeightFormat::Bits16),
            kv_element_bytes: kv_element_bytes(engine),
            engine: family(engine),
            kv_cache: capacity.and_then(|capacity| Some(Bytes::new(capacity.kv_cache_bytes?))),
            max_num_seqs: engine.max_num_seqs.and_then(|sequences| u32::try_from(sequences).ok()),
        };
        if format.is_none() && !served.weights_fit() {
            return Self { gpu: None, ..served };
        }
        served
    }

    /// Something of which no more than the model's name is known.
    pub fn unknown(model: &str) -> Self {
        Self {
            model: Cow::Owned(unknown_model(model)),
            gpu: None,
            cards: 1,
            weights: WeightFormat::Bits16,
            kv_element_bytes: 2,
            engine: EngineFamily::Other,
            kv_cache: None,
            max_num_seqs: None,
        }
    }

    /// The same as the model of speed wants it.
    pub fn system(&self) -> System<'_> {
        System {
            model: &self.model,
            gpu: self.gpu,
            tensor_parallel: self.cards,
            weights: self.weights,
            kv_element_bytes: self.kv_element_bytes,
            engine: self.engine,
            kv_cache: self.kv_cache,
            max_num_seqs: self.max_num_seqs,
        }
    }

    /// The same as the summary holds it.
    pub(super) fn facts(&self, from_catalogue: bool) -> ServedFacts {
        ServedFacts {
            model: self.model.name.clone(),
            gpu: self.gpu.map(|gpu| gpu.name.clone()),
            cards: self.cards,
            from_catalogue,
        }
    }

    fn weights_fit(&self) -> bool {
        let needed = self.weights.bytes(self.model.parameters.value);
        let memory = self.gpu.map(|gpu| gpu.marketed.value);
        memory.is_none_or(|memory| needed < memory.times(u64::from(self.cards)))
    }
}

/// A model of which no more than the name is known.
fn unknown_model(name: &str) -> ModelSpec {
    let nowhere = "not in the catalogue";
    ModelSpec {
        name: name.to_owned(),
        aliases: Vec::new(),
        parameters: Sourced::new(0, nowhere, nowhere),
        shape: Sourced::new(
            Shape {
                attention_heads: 0,
                vocabulary: 0,
                layers: Vec::new(),
                order: Vec::new(),
                names_chunk: false,
                experts: false,
                largest_item: None,
            },
            nowhere,
            nowhere,
        ),
        work: None,
    }
}

/// The card, when all that were seen are of one kind and the catalogue has it.
fn gpu(names: &[String]) -> Option<&'static GpuSpec> {
    let (first, others) = names.split_first()?;
    let alike = others.iter().all(|name| name == first);
    catalogue::gpu(first).ok().filter(|_| alike)
}

/// Bytes of an element of the KV cache: `cache_dtype` of vLLM begins with `fp8` or `int8` for one byte.
fn kv_element_bytes(engine: &EngineFacts) -> u32 {
    let name = engine.cache_config.get("cache_dtype");
    let one = |name: &String| name.starts_with("fp8") || name.starts_with("int8");
    if name.is_some_and(one) { 1 } else { 2 }
}

fn family(engine: &EngineFacts) -> EngineFamily {
    match &engine.name {
        Some(Engine::Vllm) => EngineFamily::Vllm,
        Some(Engine::Sglang) => EngineFamily::Sglang,
        Some(Engine::TensorRtLlm) => EngineFamily::TensorRtLlm,
        Some(Engine::LlamaCpp) => EngineFamily::LlamaCpp,
        _ => EngineFamily::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn served(model: &str, gpus: &[&str]) -> Served {
        let facts = RunFacts {
            run_id: "test".to_owned(),
            started_unix_s: 0,
            duration_s: 1.0,
            simulated_profile: None,
            url: String::new(),
            model: model.to_owned(),
            engine: None,
            engine_version: None,
            workload: "synthetic".to_owned(),
            osl: 100,
            isl_mean: None,
            seed: 1,
            gpus: gpus.iter().map(|&gpu| gpu.to_owned()).collect(),
            client: String::new(),
            tool: String::new(),
            argv: Vec::new(),
            settings: BTreeMap::new(),
            complete: true,
            incomplete_reason: None,
            skipped_lines: 0,
            notes: Vec::new(),
        };
        Served::of(&facts, &EngineFacts::default(), None)
    }

    #[test]
    fn model_card_and_format_come_from_their_names() {
        let known = served("meta-llama/Llama-3.1-8B-Instruct", &["NVIDIA H100 80GB HBM3"; 2]);
        let system = known.system();
        assert_eq!(system.tensor_parallel, 2);
        assert_eq!(system.weights, WeightFormat::Bits16);
        assert!(system.gpu.is_some_and(|gpu| gpu.name.starts_with("H100")));
        let quantised = served("someone/Llama-3.1-8B-Instruct-AWQ", &["NVIDIA H100 80GB HBM3"]);
        assert_eq!(quantised.system().weights, WeightFormat::Awq);
    }

    #[test]
    fn what_is_not_known_stays_unknown() {
        // 12 billion parameters in 16 bits are 24 GB: this server has them in another format, and does not say in which.
        let other_format = served("google/gemma-3-12b-it", &["NVIDIA GeForce RTX 3090"]);
        assert!(other_format.system().gpu.is_none());
        let on_a_cpu = served("my/tiny", &[]);
        assert!(on_a_cpu.system().gpu.is_none() && on_a_cpu.system().work().is_err());
        let unlike = served("google/gemma-3-12b-it", &["NVIDIA L4", "NVIDIA L40S"]);
        assert!(unlike.system().gpu.is_none());
    }
}
