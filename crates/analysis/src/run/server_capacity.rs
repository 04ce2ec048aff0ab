//! What a server says it can hold, completed by its engine's arithmetic.
//!
//! vLLM logs the size of its KV cache but serves only the number of blocks (`vllm:cache_config_info`). Blocks, model shape,
//! version and longest sequence give back the bytes and both logged figures. One thing is assumed: the tokens of a
//! scheduler step, which no interface shows and which matters only where layers have windows. Bytes are those of all
//! cards of a tensor-parallel group together, as long as there are no more cards than KV heads.
//!
//! What needs an unknown model or version is left out; nothing is guessed.

use records::EngineFacts;
use sizing::{Blocks, Engine, EngineFlags, KvCachePlan, KvDtype, KvMemory, Tokens, catalogue};

use crate::ServerCapacity;

/// What the server of `facts` can hold; `None` when it said nothing about it.
///
/// `max_num_batched_tokens` is the assumption: 2,048 for an OpenAI server on a card of less than 70 GiB, 8,192 on larger
/// ones except the A100.
pub fn server_capacity(facts: &EngineFacts, max_num_batched_tokens: u64) -> Option<ServerCapacity> {
    let gpu_blocks = label(facts, "num_gpu_blocks");
    let block_size = label(facts, "block_size");
    let slots = facts.max_num_seqs;
    let source = if gpu_blocks.or(block_size).is_some() {
        "vllm:cache_config_info"
    } else if slots.is_some() {
        "/props"
    } else {
        facts.max_model_len?;
        "/v1/models"
    };
    let plan = plan(facts, max_num_batched_tokens);
    Some(ServerCapacity {
        source: source.to_owned(),
        max_model_len: facts.max_model_len,
        gpu_blocks,
        block_size,
        kv_cache_bytes: plan.as_ref().map(|plan| plan.bytes().get()),
        kv_cache_tokens: plan.as_ref().map(|plan| plan.kv_cache_tokens().get()),
        max_concurrency: plan.as_ref().map(KvCachePlan::max_concurrency),
        slots,
    })
}

/// The engine's plan, when everything that it follows from is known.
fn plan(facts: &EngineFacts, max_num_batched_tokens: u64) -> Option<KvCachePlan> {
    let engine = Engine::vllm(facts.version.as_deref()?).ok()?;
    let mut names = facts.models.iter();
    let model = names.find_map(|name| catalogue::model(name).ok())?;
    let flags = EngineFlags {
        max_num_batched_tokens: Tokens::new(max_num_batched_tokens),
        block_size: Some(Tokens::new(label(facts, "block_size")?)),
        kv_dtype: kv_dtype(facts)?,
        ..EngineFlags::new(facts.max_model_len?)
    };
    let blocks = Blocks::new(label(facts, "num_gpu_blocks")?);
    let memory = KvMemory::Blocks(blocks);
    engine.kv_cache(model, &flags, memory).ok()
}

/// A label of `vllm:cache_config_info` that is a number; `None` also for the `None` that vLLM writes.
fn label(facts: &EngineFacts, name: &str) -> Option<u64> {
    facts.cache_config.get(name)?.parse().ok()
}

/// The element of the cache; `None` for a type whose size is not known here. `auto` is the model's own type, which all
/// models of the catalogue have in 16 bits.
fn kv_dtype(facts: &EngineFacts) -> Option<KvDtype> {
    match facts.cache_config.get("cache_dtype") {
        None => Some(KvDtype::Bits16),
        Some(name) => name.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vllm(model: &str, version: &str, length: u64, labels: &[(&str, &str)]) -> EngineFacts {
        let labels = labels.iter();
        EngineFacts {
            name: Some(records::Engine::Vllm),
            version: Some(version.to_owned()),
            models: vec![model.to_owned()],
            max_model_len: Some(length),
            max_num_seqs: None,
            cache_config: labels.map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    const GEMMA_POOL: [(&str, &str); 2] = [("num_gpu_blocks", "10526"), ("block_size", "16")];

    fn two_decimals(figure: Option<f64>) -> Option<String> {
        figure.map(|figure| format!("{figure:.2}"))
    }

    /// The reference report's server, vLLM 0.11.2: 10.28 GiB, 28,064 tokens, 8.62x for 4,096 tokens.
    #[test]
    fn gemma_3_12b_of_the_reference_report() {
        let facts = vllm("google/gemma-3-12b-it", "0.11.2", 4096, &GEMMA_POOL);
        let capacity = server_capacity(&facts, 2048).unwrap();
        assert_eq!(capacity.kv_cache_tokens, Some(28_064));
        assert_eq!(two_decimals(capacity.max_concurrency).unwrap(), "8.62");
        let gib = capacity.kv_cache_bytes.unwrap() as f64 / f64::from(1 << 30);
        assert_eq!(format!("{gib:.2}"), "10.28");
    }

    /// vLLM 0.11.2.post2 on the CPU, captured 2026-11-24: labels of `/metrics` (an excerpt), `/version`, `/v1/models`, and the
    /// log's "93,184 tokens" and "45.50x for 2,048 tokens"; 728 blocks of 128 × 23,040 B.
    #[test]
    fn smollm2_on_the_cpu() {
        let labels = [
            ("block_size", "128"),
            ("cache_dtype", "auto"),
            ("mamba_block_size", "None"),
            ("num_cpu_blocks", "None"),
            ("num_gpu_blocks", "728"),
        ];
        let facts = vllm("smollm2-135m", "0.11.2.post2", 2048, &labels);
        let capacity = server_capacity(&facts, 2048).unwrap();
        assert_eq!(capacity.source, "vllm:cache_config_info");
        assert_eq!(capacity.kv_cache_bytes, Some(728 * 128 * 23_040));
        assert_eq!(capacity.kv_cache_tokens, Some(93_184));
        assert_eq!(two_decimals(capacity.max_concurrency).unwrap(), "45.50");
    }

    /// llama.cpp b10434, captured 2026-11-24: `total_slots` 8, `n_ctx` 2048, no block pool.
    #[test]
    fn llama_cpp_has_slots() {
        let facts = EngineFacts {
            name: Some(records::Engine::LlamaCpp),
            version: Some("b1-7e4c0a9".to_owned()),
            models: vec!["smollm2-135m".to_owned()],
            max_model_len: Some(2048),
            max_num_seqs: Some(8),
            cache_config: std::collections::BTreeMap::new(),
        };
        let capacity = server_capacity(&facts, 2048).unwrap();
        assert_eq!((capacity.slots, capacity.max_model_len), (Some(8), Some(2048)));
        assert_eq!(capacity.source, "/props");
        assert_eq!((capacity.kv_cache_tokens, capacity.max_concurrency), (None, None));
    }

    #[test]
    fn what_needs_the_unknown_is_left_out() {
        let fp4 = [GEMMA_POOL[0], GEMMA_POOL[1], ("cache_dtype", "fp2")];
        for facts in [
            vllm("in-house-model", "0.11.2", 4096, &GEMMA_POOL),
            vllm("google/gemma-3-12b-it", "0.99.0", 4096, &GEMMA_POOL),
            vllm("google/gemma-3-12b-it", "0.11.2", 4096, &fp4),
        ] {
            let capacity = server_capacity(&facts, 2048).unwrap();
            assert_eq!((capacity.gpu_blocks, capacity.block_size), (Some(10_526), Some(16)));
            assert_eq!(capacity.kv_cache_bytes, None, "{facts:?}");
            assert_eq!((capacity.kv_cache_tokens, capacity.max_concurrency), (None, None));
        }
        assert_eq!(server_capacity(&EngineFacts::default(), 2048), None);
        let length = EngineFacts { max_model_len: Some(4096), ..EngineFacts::default() };
        assert_eq!(server_capacity(&length, 2048).unwrap().source, "/v1/models");
    }

    /// fp8 holds twice the tokens in the same bytes: half the bytes for the same blocks.
    #[test]
    fn the_element_of_the_cache_decides_on_its_bytes() {
        let fp8 = [GEMMA_POOL[0], GEMMA_POOL[1], ("cache_dtype", "fp8_e4m3")];
        let facts = vllm("google/gemma-3-12b-it", "0.11.2", 4096, &fp8);
        let capacity = server_capacity(&facts, 2048).unwrap();
        assert_eq!(capacity.kv_cache_bytes, Some(10_526 << 19));
        assert_eq!(capacity.kv_cache_tokens, Some(28_064));
    }
}
