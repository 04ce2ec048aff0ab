//! The steps between memory and the printed lines, and the refusals.

use sizing::engine::{KvCacheError, KvGroup};
use sizing::model::{Heads, Holds, LayerGroup, LayerKind};
use sizing::{Blocks, Bytes, Engine, EngineFlags, KvDtype, KvMemory, ModelSpec, Tokens, catalogue};

fn gemma() -> &'static ModelSpec {
    catalogue::model("google/gemma-3-12b-it").unwrap()
}

fn engine() -> Engine {
    Engine::vllm("0.11.2").unwrap()
}

const POOL: KvMemory = KvMemory::Blocks(Blocks::new(10_526));

/// vLLM 0.11.2 printed 28,064 tokens and 8.62x for 10.28 GiB; the steps follow its source: pages of 16 × 2 × 8 × 256 ×
/// 2 B in 8 layers, 256 blocks for the full group and 193 for each of five window groups.
#[test]
fn gemma_3_12b_step_by_step() {
    let memory = KvMemory::Available(Bytes::from_gib(10.28));
    let plan = engine().kv_cache(gemma(), &EngineFlags::new(4096), memory).unwrap();
    assert_eq!(plan.bytes_per_block(), Bytes::new(1 << 20));
    assert_eq!(plan.blocks(), Blocks::new(10_526));
    assert_eq!(plan.groups().len(), 6);
    assert!(plan.groups().iter().all(|group| group.layers == 8 && group.padding == 0));
    assert_eq!(plan.kv_cache_tokens(), Tokens::new(28_064));
    assert_eq!(plan.blocks_per_request(), Blocks::new(256 + 5 * 193));
    assert_eq!(plan.bytes_per_request(), Bytes::new(1221 << 20));
    assert_eq!(format!("{:.2}", plan.max_concurrency()), "8.62");
}

/// "Add 8 padding layers, may waste at most 15.38% KV cache memory" (8 of 52), printed by vLLM 0.11.0 for gemma-3-27b.
#[test]
fn padding_layers_are_those_of_the_log() {
    let model = catalogue::model("google/gemma-3-27b-it").unwrap();
    let plan = engine().kv_cache(model, &EngineFlags::new(4096), POOL).unwrap();
    assert_eq!(plan.groups().iter().map(|group| group.padding).sum::<u64>(), 8);
    assert_eq!(plan.groups().iter().map(|group| group.layers).sum::<u64>(), 62);
}

/// Without the hybrid manager all 48 layers keep everything: one group of 6 MiB blocks, 256 blocks a request.
#[test]
fn without_the_hybrid_manager_windows_keep_everything() {
    let flags = EngineFlags { hybrid_manager: false, ..EngineFlags::new(4096) };
    let plan = engine().kv_cache(gemma(), &flags, POOL).unwrap();
    let one = KvGroup { kind: LayerKind::Full, layers: 48, padding: 0, block_size: Tokens::new(16) };
    assert_eq!(plan.groups(), [one]);
    assert_eq!(plan.bytes_per_block(), Bytes::new(6 << 20));
    assert_eq!(plan.blocks_per_request(), Blocks::new(256));
}

#[test]
fn fp8_and_tensor_parallelism_halve_a_block_until_one_head_is_left() {
    let block = |change: fn(&mut EngineFlags)| {
        let mut flags = EngineFlags::new(4096);
        change(&mut flags);
        let plan = engine().kv_cache(gemma(), &flags, POOL).unwrap();
        plan.bytes_per_block().get()
    };
    assert_eq!(block(|flags| flags.kv_dtype = KvDtype::Fp8), 1 << 19);
    assert_eq!(block(|flags| flags.tensor_parallel = 8), 1 << 17);
    assert_eq!(block(|flags| flags.tensor_parallel = 16), 1 << 17);
}

/// "Total number of attention heads must be divisible by tensor parallel size", says vLLM of 64 heads and 3 GPUs.
#[test]
fn heads_must_be_divisible() {
    let flags = EngineFlags { tensor_parallel: 3, ..EngineFlags::new(4096) };
    let model = catalogue::model("Qwen/Qwen3-32B").unwrap();
    let error = engine().kv_cache(model, &flags, POOL).unwrap_err();
    let expected = KvCacheError::IndivisibleHeads { heads: 64, tensor_parallel: 3 };
    assert_eq!(error, expected);
}

/// vLLM before 0.11.0 wants equal layers; from 0.11.0 full layers of two sizes form one group; a window layer of another
/// page is refused by all of these versions.
#[test]
fn unequal_layers_are_pooled_only_where_the_version_can() {
    let layers = |kind, kv_heads| LayerGroup { kind, holds: Holds::Heads(Heads::new(kv_heads, 64)), count: 4 };
    let model = |other| {
        let mut model = gemma().clone();
        model.shape.value.layers = vec![layers(LayerKind::Full, 8), other];
        model
    };
    let plan = |version, model| {
        let engine = Engine::vllm(version).unwrap();
        engine.kv_cache(&model, &EngineFlags::new(4096), POOL)
    };
    let narrow = layers(LayerKind::Full, 2);
    assert_eq!(plan("0.10.2", model(narrow)), Err(KvCacheError::UnequalPages));
    let pooled = plan("0.11.0", model(narrow)).unwrap();
    assert_eq!(pooled.groups().len(), 1);
    assert_eq!(pooled.bytes_per_block().get(), 4 * (8 + 2) * 64 * 2 * 2 * 16);
    let window = Tokens::new(512);
    let sliding = layers(LayerKind::Sliding { window }, 2);
    assert_eq!(plan("0.11.2", model(sliding)), Err(KvCacheError::UnequalPages));
}

#[test]
fn impossible_flags_and_absurd_sizes_are_errors_not_panics() {
    let mut flags = EngineFlags::new(0);
    let error = engine().kv_cache(gemma(), &flags, POOL).unwrap_err();
    assert!(matches!(error, KvCacheError::ZeroFlag { flag: "max_model_len" }));

    flags = EngineFlags::new(u64::MAX);
    flags.max_num_batched_tokens = Tokens::new(u64::MAX);
    let absurd = KvMemory::Blocks(Blocks::new(u64::MAX));
    let plan = engine().kv_cache(gemma(), &flags, absurd).unwrap();
    assert_eq!(plan.bytes(), Bytes::new(u64::MAX));

    let mut empty = gemma().clone();
    empty.shape.value.layers.clear();
    let error = engine().kv_cache(&empty, &EngineFlags::new(4096), POOL).unwrap_err();
    assert_eq!(error, KvCacheError::NoLayers);
}

/// A V0 log of 0.8 (Phi-4, 45.21 GiB): "# cuda blocks: 14815", 462.97x for 512 tokens.
#[test]
fn the_old_engine_counts_blocks() {
    let model = catalogue::model("microsoft/phi-4").unwrap();
    let memory = KvMemory::Available(Bytes::from_gib(45.212));
    let engine = Engine::vllm("0.8.5").unwrap().v0();
    let plan = engine.kv_cache(model, &EngineFlags::new(512), memory).unwrap();
    let printed = "# GPU blocks: 14815\nMaximum concurrency for 512 tokens per request: 462.97x";
    assert_eq!(plan.to_string(), printed);
}

/// vllm-project/vllm#10517: 1,478 blocks of 16 hold 23,648 tokens, so a length of 29,000 is refused.
#[test]
fn the_longest_length_is_the_one_that_still_fits() {
    let model = catalogue::model("meta-llama/Llama-3.1-8B-Instruct").unwrap();
    let shape = &model.shape.value;
    let memory = KvMemory::Blocks(Blocks::new(1478));
    let flags = EngineFlags::new(29_000);
    let engine = engine();
    assert!(!engine.plan(shape, &flags, memory).unwrap().starts());
    let longest = engine.longest(shape, &flags, memory).unwrap();
    assert_eq!(longest, Some(Tokens::new(23_648)));
    let nothing = KvMemory::Blocks(Blocks::new(0));
    assert_eq!(engine.longest(shape, &flags, nothing), Ok(None));
    let enough = KvMemory::Blocks(Blocks::new(10_000));
    assert_eq!(engine.longest(shape, &flags, enough), Ok(Some(Tokens::new(29_000))));
}
