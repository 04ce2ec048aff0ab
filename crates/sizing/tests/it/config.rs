//! `config.json` files of every family, reduced to the fields that count; the facts are those of the published checkpoints.

use sizing::config::ConfigError;
use sizing::model::{Holds, LayerKind, StateDtype, StateShape};
use sizing::{Bytes, Checkpoint, Engine, EngineFlags, KvDtype, KvMemory, PrintedGib, Tokens};

fn read(json: &str) -> Checkpoint {
    Checkpoint::from_json(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// Kind, count, and bytes of a token in one layer.
fn layers(json: &str) -> Vec<(LayerKind, u64, u64)> {
    let shape = read(json).shape;
    shape.layers.iter().map(|group| (group.kind, group.count, group.bytes_per_token_16_bit().get())).collect()
}

fn window(tokens: u64) -> LayerKind {
    LayerKind::Sliding { window: Tokens::new(tokens) }
}

const FULL: LayerKind = LayerKind::Full;

/// The published config of gemma-3-12b-it names neither head dimension nor vocabulary nor pattern.
const GEMMA_3_12B: &str = r#"{"model_type": "gemma3", "vision_config": {"hidden_size": 1152}, "text_config": {"model_type":
    "gemma3_text", "hidden_size": 3840, "intermediate_size": 15360, "num_attention_heads": 16, "num_hidden_layers": 48,
    "num_key_value_heads": 8, "sliding_window": 1024}}"#;

#[test]
fn the_reference_s_figures_come_from_its_config_alone() {
    let checkpoint = read(GEMMA_3_12B);
    let memory = KvMemory::Available(PrintedGib::new(10.28).nominal());
    let engine = Engine::vllm("0.11.2").unwrap();
    let plan = engine.plan(&checkpoint.shape, &EngineFlags::new(4096), memory).unwrap();
    assert_eq!(plan.kv_cache_tokens(), Tokens::new(28_064));
    assert_eq!(format!("{:.2}", plan.max_concurrency()), "8.62");
    let assumed = checkpoint.assumptions.join("\n");
    for part in ["head_dim = 256", "vocab_size = 262208", "one layer in 6"] {
        assert!(assumed.contains(part), "{assumed}");
    }
}

#[test]
fn windows_chunks_and_shared_caches_are_told_apart() {
    let gemma2 = r#"{"model_type": "gemma2", "num_hidden_layers": 42, "hidden_size": 3584, "num_attention_heads": 16,
        "num_key_value_heads": 8, "head_dim": 256, "sliding_window": 4096, "vocab_size": 256000}"#;
    assert_eq!(layers(gemma2), [(window(4096), 21, 8192), (FULL, 21, 8192)]);
    let gemma3n = r#"{"model_type": "gemma3n", "text_config": {"model_type": "gemma3n_text", "num_hidden_layers": 35,
        "num_kv_shared_layers": 15, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 256, "hidden_size": 2048,
        "sliding_window": 512, "vocab_size": 262400}}"#;
    assert_eq!(layers(gemma3n), [(window(512), 16, 2048), (FULL, 4, 2048)]);
    let gemma4 = r#"{"model_type": "gemma4", "vision_config": {"hidden_size": 1}, "text_config": {"model_type": "gemma4_text",
        "num_hidden_layers": 6, "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention",
        "sliding_attention", "sliding_attention", "full_attention"], "num_attention_heads": 32, "num_key_value_heads": 16,
        "num_global_key_value_heads": 4, "attention_k_eq_v": true, "head_dim": 256, "global_head_dim": 512,
        "sliding_window": 1024, "hidden_size": 5376, "vocab_size": 262144, "num_kv_shared_layers": 0}}"#;
    assert_eq!(layers(gemma4), [(window(1024), 5, 16_384), (FULL, 1, 8192)]);
    assert_eq!(read(gemma4).shape.largest_item, Some(Tokens::new(2496)));
    let scout = r#"{"model_type": "llama4", "text_config": {"model_type": "llama4_text", "num_hidden_layers": 48,
        "attention_chunk_size": 8192, "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128,
        "hidden_size": 5120, "vocab_size": 202048, "no_rope_layers": []}}"#;
    let chunk = LayerKind::Chunked { chunk: Tokens::new(8192) };
    assert_eq!(layers(scout), [(chunk, 36, 4096), (FULL, 12, 4096)]);
    let mistral = |window: &str| {
        format!(
            r#"{{"model_type": "mistral", "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32,
            "num_key_value_heads": 8, "vocab_size": 32000, "sliding_window": {window}}}"#
        )
    };
    assert_eq!(layers(&mistral("4096")), [(window(4096), 32, 4096)]);
    assert_eq!(layers(&mistral("null")), [(FULL, 32, 4096)]);
    let qwen2 = r#"{"model_type": "qwen2", "num_hidden_layers": 28, "hidden_size": 3584, "num_attention_heads": 28,
        "num_key_value_heads": 4, "vocab_size": 152064, "sliding_window": 131072, "use_sliding_window": false}"#;
    assert_eq!(layers(qwen2), [(FULL, 28, 2048)]);
}

#[test]
fn latent_attention_and_its_indexers() {
    let deepseek = r#"{"model_type": "deepseek_v32", "num_hidden_layers": 61, "num_attention_heads": 128, "hidden_size": 7168,
        "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128, "q_lora_rank": 1536,
        "index_topk": 2048, "index_head_dim": 128, "index_n_heads": 64, "vocab_size": 129280, "num_nextn_predict_layers": 1,
        "intermediate_size": 18432, "n_routed_experts": 256, "moe_intermediate_size": 2048, "n_shared_experts": 1,
        "first_k_dense_replace": 3, "tie_word_embeddings": false}"#;
    assert_eq!(layers(deepseek), [(FULL, 61, 1152), (FULL, 61, 132)]);
    let checkpoint = read(deepseek);
    assert_eq!(checkpoint.draft_layers, 1);
    // 671 billion, says the publisher.
    let total = checkpoint.parameters.unwrap().total;
    assert!((670_000_000_000..673_000_000_000).contains(&total), "{total}");
    let kimi = r#"{"model_type": "kimi_linear", "num_hidden_layers": 8, "num_attention_heads": 32, "hidden_size": 2304,
        "kv_lora_rank": 512, "qk_rope_head_dim": 64, "vocab_size": 163840, "linear_attn_config": {"full_attn_layers": [4, 8],
        "kda_layers": [1, 2, 3, 5, 6, 7], "head_dim": 128, "num_heads": 32, "short_conv_kernel_size": 4}}"#;
    assert_eq!(layers(kimi), [(LayerKind::State, 6, 0), (FULL, 2, 1152)]);
}

#[test]
fn states_of_every_family() {
    let nemotron = r#"{"model_type": "nemotron_h", "hybrid_override_pattern": "MEM*-", "num_hidden_layers": 5,
        "num_attention_heads": 32, "num_key_value_heads": 2, "head_dim": 128, "hidden_size": 2688, "mamba_num_heads": 64,
        "mamba_head_dim": 64, "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4, "chunk_size": 128, "vocab_size": 131072,
        "time_step_limit": [0.0, Infinity]}"#;
    let shape = read(nemotron).shape;
    assert_eq!((shape.layers[0].count, shape.layers[1].count), (2, 1));
    assert_eq!(shape.order, [1, 0, 1, 2, 0]);
    let Holds::State { shape, dtype } = shape.layers[0].holds else {
        panic!("a state");
    };
    assert!(matches!(shape, StateShape::Mamba2 { heads: 64, state_dim: 128, chunk: 128, .. }));
    assert_eq!(dtype, StateDtype::NemotronH);
    let jamba = r#"{"model_type": "jamba", "num_hidden_layers": 32, "attn_layer_period": 8, "attn_layer_offset": 4,
        "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096, "mamba_d_state": 16, "mamba_d_conv": 4,
        "mamba_expand": 2, "vocab_size": 65536}"#;
    assert_eq!(layers(jamba), [(LayerKind::State, 28, 0), (FULL, 4, 4096)]);
    let lfm2 = r#"{"model_type": "lfm2", "num_hidden_layers": 4, "layer_types": ["conv", "conv", "full_attention", "conv"],
        "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 2048, "conv_L_cache": 3, "vocab_size": 65536}"#;
    assert_eq!(layers(lfm2), [(LayerKind::State, 3, 0), (FULL, 1, 2048)]);
    let falcon = r#"{"model_type": "falcon_h1", "num_hidden_layers": 24, "num_attention_heads": 12, "num_key_value_heads": 2,
        "head_dim": 128, "hidden_size": 2048, "mamba_d_ssm": 3072, "mamba_n_heads": 48, "mamba_d_head": 64, "mamba_n_groups": 1,
        "mamba_d_state": 256, "mamba_d_conv": 4, "mamba_chunk_size": 256, "vocab_size": 65537}"#;
    assert_eq!(layers(falcon), [(FULL, 24, 1024), (LayerKind::State, 24, 0)]);
    let minimax = r#"{"model_type": "minimax_text_01", "num_hidden_layers": 4, "attn_type_list": [0, 0, 0, 1],
        "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 128, "hidden_size": 6144, "vocab_size": 200064}"#;
    assert_eq!(layers(minimax), [(LayerKind::State, 3, 0), (FULL, 1, 4096)]);
    let mamba = r#"{"model_type": "mamba", "num_hidden_layers": 64, "hidden_size": 2560, "intermediate_size": 5120,
        "state_size": 16, "conv_kernel": 4, "vocab_size": 50280}"#;
    assert_eq!(layers(mamba), [(LayerKind::State, 64, 0)]);
    let whisper = r#"{"model_type": "whisper", "is_encoder_decoder": true, "num_hidden_layers": 32, "decoder_layers": 32,
        "decoder_attention_heads": 20, "d_model": 1280, "max_source_positions": 1500, "vocab_size": 51866}"#;
    let encoder_tokens = Tokens::new(1500);
    assert_eq!(layers(whisper), [(FULL, 32, 5120), (LayerKind::Cross { encoder_tokens }, 32, 5120)]);
}

/// "Setting attention block size to 1568 tokens" (Qwen3.5-27B, fp8), 784 in 16 bits, 800 with two draft tokens, and the
/// padding layers "3 … 6.25 %" that a drafter causes, as logs print them.
#[test]
fn blocks_of_a_hybrid_are_those_of_logs() {
    let qwen = r#"{"model_type": "qwen3_5", "text_config": {"model_type": "qwen3_5_text", "num_hidden_layers": 64,
        "full_attention_interval": 4, "num_attention_heads": 24, "num_key_value_heads": 4, "head_dim": 256,
        "hidden_size": 5120, "linear_num_value_heads": 48, "linear_num_key_heads": 16, "linear_key_head_dim": 128,
        "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4, "mamba_ssm_dtype": "float32", "mtp_num_hidden_layers": 1,
        "vocab_size": 248320}}"#;
    let shape = read(qwen).shape;
    let engine = Engine::vllm("0.20.0").unwrap();
    let plan = |change: &dyn Fn(&mut EngineFlags)| {
        let mut flags = EngineFlags::new(131_072);
        change(&mut flags);
        engine.plan(&shape, &flags, KvMemory::Available(Bytes::from_gib(10.0))).unwrap()
    };
    let block = |plan: &sizing::KvCachePlan| {
        let blocks = plan.groups().iter().filter(|group| group.kind == FULL);
        blocks.map(|group| group.block_size.get()).max()
    };
    assert_eq!(block(&plan(&|_| ())), Some(784));
    assert_eq!(block(&plan(&|flags| flags.kv_dtype = KvDtype::Fp8)), Some(1568));
    assert_eq!(block(&plan(&|flags| flags.tensor_parallel = 2)), Some(784));
    let drafted = plan(&|flags| {
        flags.speculation.tokens = 2;
        flags.speculation.layers = 1;
    });
    assert_eq!(block(&drafted), Some(800));
    assert_eq!(drafted.groups().iter().map(|group| group.padding).sum::<u64>(), 3);
}

#[test]
fn what_is_not_understood_is_named() {
    let with = |field: &str| {
        let json = format!(
            r#"{{"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 99, {field}}}"#
        );
        Checkpoint::from_json(&json)
    };
    let named = |field: &str, name: &str| {
        let error = with(field).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    };
    named(r#""layer_types": ["full_attention", "flying_attention"]"#, "flying_attention");
    named(r#""rolling_window_size": 512"#, "rolling_window_size");
    named(r#""kv_compression_rank": 8"#, "kv_compression_rank");
    named(r#""num_hidden_layers": "many""#, "num_hidden_layers");
    named(r#""num_hidden_layers": 99999999999"#, "num_hidden_layers");
    // A rotary or training field is none of the cache's business.
    assert!(with(r#""rope_magic": 7, "initializer_range": 0.02, "rolling_window_size": null"#).is_ok());
    let missing = Checkpoint::from_json(r#"{"model_type": "in_house", "hidden_size": 64}"#).unwrap_err();
    assert!(matches!(missing, ConfigError::Missing { field: "num_hidden_layers", .. }), "{missing}");
    assert!(matches!(Checkpoint::from_json("[1]"), Err(ConfigError::NotJson { .. })));
}

/// vLLM turns its hybrid manager off for every config that names an `attention_chunk_size`, though MiMo-V2 uses windows only:
/// all layers keep everything and pool pages of two sizes, 4 and 8 heads of 192 + 128.
#[test]
fn a_chunk_size_that_is_only_named_turns_the_hybrid_manager_off() {
    let mimo = r#"{"model_type": "mimo_v2_flash", "num_hidden_layers": 3, "hybrid_layer_pattern": [0, 1, 1],
        "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 192, "v_head_dim": 128, "hidden_size": 4096,
        "swa_num_key_value_heads": 8, "swa_head_dim": 192, "swa_v_head_dim": 128, "sliding_window": 128,
        "attention_chunk_size": 128, "vocab_size": 152576}"#;
    let shape = read(mimo).shape;
    let plan = |chunked_hybrid| {
        let flags = EngineFlags { chunked_hybrid: Some(chunked_hybrid), ..EngineFlags::new(4096) };
        let memory = KvMemory::Available(Bytes::from_gib(1.0));
        Engine::vllm("0.24.0").unwrap().plan(&shape, &flags, memory).unwrap()
    };
    assert_eq!(plan(false).groups().len(), 1);
    assert_eq!(plan(false).bytes_per_block().get(), 16 * 320 * 2 * (4 + 2 * 8));
    assert_eq!(plan(true).groups().len(), 3);
}

/// `ModelOpt` and compressed-tensors checkpoints name their KV cache.
#[test]
fn a_quantised_checkpoint_declares_its_kv_cache() {
    let with = |quantisation: &str| {
        read(&format!(
            r#"{{"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 99,
            "quantization_config": {quantisation}}}"#
        ))
    };
    let modelopt = with(
        r#"{"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_scheme": {"num_bits": 8, "type": "float", "dynamic": false}}"#,
    );
    assert_eq!(modelopt.kv_dtype, Some(KvDtype::Fp8));
    assert_eq!(modelopt.quantisation.as_deref(), Some("modelopt NVFP4"));
    assert_eq!(with(r#"{"quant_method": "awq", "bits": 4}"#).kv_dtype, None);
}
