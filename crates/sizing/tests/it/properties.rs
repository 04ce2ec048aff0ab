//! What must hold for every model of the catalogue, every version and any flags.

use proptest::prelude::*;
use sizing::engine::StateCache;
use sizing::model::LayerKind;
use sizing::{Bytes, Engine, EngineFlags, KvDtype, KvMemory, ModelSpec, Tokens, catalogue};

const VERSIONS: [&str; 12] = [
    "0.6.4", "0.8.5", "0.9.2", "0.10.2", "0.11.2", "0.12.0", "0.15.0", "0.20.0", "0.20.1", "0.26.0", "0.29.0", "0.32.0",
];

fn model() -> impl Strategy<Value = &'static ModelSpec> {
    (0..catalogue::models().len()).prop_map(|index| &catalogue::models()[index])
}

fn engine() -> impl Strategy<Value = Engine> {
    (0..VERSIONS.len()).prop_map(|index| Engine::vllm(VERSIONS[index]).unwrap())
}

fn flags() -> impl Strategy<Value = EngineFlags> {
    let length = 256_u64..300_000;
    let step = prop::sample::select(vec![512_u64, 2048, 8192]);
    let cards = prop::sample::select(vec![1_u64, 2, 4, 8]);
    (length, step, cards, any::<[bool; 4]>()).prop_map(
        |(length, step, cards, [fp8, aligned, chunked, asynchronous])| EngineFlags {
            max_num_batched_tokens: Tokens::new(step),
            tensor_parallel: cards,
            kv_dtype: if fp8 { KvDtype::Fp8 } else { KvDtype::Bits16 },
            states: if aligned { StateCache::Cached } else { StateCache::None },
            chunked_hybrid: Some(chunked),
            async_scheduling: asynchronous,
            ..EngineFlags::new(length)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// More memory never means fewer blocks, tokens or requests; the blocks never take more than there is, and one more
    /// would.
    #[test]
    fn more_memory_holds_more(model in model(), engine in engine(), flags in flags(), bytes in 1_u64..1 << 38, more in 0_u64..1 << 36) {
        let plan = |bytes| engine.kv_cache(model, &flags, KvMemory::Available(Bytes::new(bytes)));
        if let (Ok(less), Ok(more)) = (plan(bytes), plan(bytes + more)) {
            prop_assert!(less.blocks() <= more.blocks());
            prop_assert!(less.kv_cache_tokens() <= more.kv_cache_tokens());
            prop_assert!(less.max_concurrency() <= more.max_concurrency());
            prop_assert!(less.bytes().get() <= bytes);
            prop_assert!((less.bytes() + less.bytes_per_block()).get() > bytes);
        }
    }

    /// A longer sequence never takes fewer blocks, so the same pool never holds more of them. The states of a model dictate
    /// its blocks whatever the length.
    #[test]
    fn longer_requests_are_fewer(model in model(), engine in engine(), flags in flags(), more in 0_u64..100_000) {
        let memory = KvMemory::Available(Bytes::from_gib(40.0));
        let longer = EngineFlags { max_model_len: Tokens::new(flags.max_model_len.get() + more), ..flags };
        if let (Ok(short), Ok(long)) = (engine.kv_cache(model, &flags, memory), engine.kv_cache(model, &longer, memory)) {
            prop_assert_eq!(short.blocks(), long.blocks());
            prop_assert!(short.blocks_per_request() <= long.blocks_per_request());
            prop_assert!(short.max_concurrency() >= long.max_concurrency());
            let at = short.blocks_of_length(flags.max_model_len);
            prop_assert!(at <= short.blocks_per_request());
            prop_assert!(short.blocks_of_length(Tokens::new(1)) <= at);
        }
    }

    /// Twice the GPUs never hold fewer requests in the same memory of each.
    #[test]
    fn more_gpus_hold_no_less(model in model(), engine in engine(), flags in flags()) {
        let memory = KvMemory::Available(Bytes::from_gib(40.0));
        let twice = EngineFlags { tensor_parallel: flags.tensor_parallel * 2, ..flags };
        if let (Ok(few), Ok(many)) = (engine.kv_cache(model, &flags, memory), engine.kv_cache(model, &twice, memory)) {
            // A smaller state is padded to blocks of 16 tokens all the same, which may waste more of it.
            let states = model.shape.value.layers.iter().any(|group| group.kind == LayerKind::State);
            let slack = if states { 1.1 } else { 1.0 };
            prop_assert!(many.max_concurrency() * slack >= few.max_concurrency(), "{} {}", few.max_concurrency(), many.max_concurrency());
        }
    }

    /// An upgrade ends where the newer engine's own plan does.
    #[test]
    fn an_upgrade_arrives(model in model(), from in engine(), to in engine(), flags in flags()) {
        let (from, to) = if from.version() <= to.version() { (from, to) } else { (to, from) };
        let memory = KvMemory::Available(Bytes::from_gib(40.0));
        let steps = from.upgrade(&to, &model.shape.value, &flags, memory).unwrap();
        let arrived = steps.last().map_or_else(|| from.kv_cache(model, &flags, memory), |step| step.plan.clone());
        let own = to.kv_cache(model, &flags, memory);
        prop_assert_eq!(arrived.is_ok(), own.is_ok());
        if let (Ok(arrived), Ok(own)) = (arrived, own) {
            prop_assert_eq!(arrived.kv_cache_tokens(), own.kv_cache_tokens());
            prop_assert_eq!(arrived.blocks_per_request(), own.blocks_per_request());
        }
    }

    /// Whatever a file holds, reading it ends in an answer.
    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), text in ".{0,300}") {
        let mut gguf = b"GGUF\x03\0\0\0".to_vec();
        gguf.extend(&bytes);
        prop_assert!(sizing::weights::gguf::header(&gguf).is_ok_and(|read| read.tensors == 0) || sizing::weights::gguf::header(&gguf).is_err());
        prop_assert!(sizing::weights::safetensors::header(&bytes).is_err() || bytes.len() >= 8);
        let log = sizing::StartLog::read(&format!("Available KV cache memory: {text}\nGPU KV cache size: {text}"));
        prop_assert!(log.available.len() <= 1 + text.lines().count());
        prop_assert!(sizing::Checkpoint::from_json(&text).is_err());
    }
}
