//! `size predict`, `size explain` and the plan for a GPU, on the real binary.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::binary::{json, run, stdout};

fn predict(args: &[&str]) -> Value {
    let output = run(&[&["size", "predict", "--json"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    json(&output)
}

fn refused(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(2), "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const GEMMA: [&str; 6] = ["--model", "google/gemma-3-12b-it", "--available-kv-gib", "10.28", "--max-model-len", "4096"];

/// Printed by vLLM 0.11.2 on the reference's server: 28,064 tokens, 8.62x, 10,526 blocks.
#[test]
fn predict_has_the_promised_keys_and_the_printed_figures() {
    let predicted = predict(&[&GEMMA[..], &["--vllm", "0.11.2"]].concat());
    assert_eq!(predicted["gpu_blocks"], 10_526);
    assert_eq!(predicted["kv_cache_tokens"], 28_064);
    assert_eq!(predicted["blocks_per_request"], 1221);
    assert_eq!(predicted["bytes_per_block"], 1 << 20);
    assert_eq!(predicted["groups"].as_array().map(Vec::len), Some(6));
    let of = |key: &str| predicted[key].as_array().expect("an interval").clone();
    assert_eq!(of("kv_cache_tokens_interval").len(), 2);
    let concurrency = of("max_concurrency_interval");
    assert!(concurrency.iter().all(|end| format!("{:.2}", end.as_f64().unwrap_or(0.0)) == "8.62"));
    assert_eq!(predicted["starts"], true);
}

#[test]
fn a_config_and_vllm_s_own_flag_names_are_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.json");
    fs::write(
        &config,
        r#"{"model_type": "qwen3", "num_hidden_layers": 36, "hidden_size": 4096, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "intermediate_size": 12288}"#,
    )
    .expect("written");
    let config = config.to_str().expect("UTF-8");
    let flags = "--max-model-len 32768 --max-num-batched-tokens 8192 --max-num-seqs 64 --tensor-parallel-size 2 \
        --pipeline-parallel-size 2 --data-parallel-size 2 --decode-context-parallel-size 1 --kv-cache-dtype fp8 \
        --block-size 32 --enable-prefix-caching --gpu-memory-utilization 0.9 --speculative-tokens 0 --vllm 0.20.1 \
        --kv-cache-memory-bytes 1000000000";
    let flags: Vec<_> = ["--config", config].into_iter().chain(flags.split_whitespace()).collect();
    let predicted = predict(&flags);
    // 18 layers a stage × 32 tokens × 2 × 4 heads × 128 × 1 B.
    assert_eq!(predicted["bytes_per_block"], 18 * 32 * 2 * 4 * 128);
    assert_eq!(predicted["gpu_blocks"], 1_000_000_000 / (18 * 32 * 2 * 4 * 128));
    assert_eq!(predicted["replicas"], 2);
}

/// 35,310 tokens from 0.20.1 on and 6.83x from 0.26 on, as vLLM's sources give them for this pool.
#[test]
fn an_upgrade_names_its_rules_and_a_mix_its_requests() {
    let lengths = ["--vllm", "0.11.2..0.27.1", "--isl", "100-300", "--osl", "50-200"];
    let predicted = predict(&[&GEMMA[..], &lengths].concat());
    let changes = predicted["upgrade"]["changes"].as_array().expect("changes");
    let since: Vec<_> = changes.iter().filter_map(|change| change["since"].as_str()).collect();
    assert_eq!(since, ["0.20.1", "0.26.0"]);
    assert_eq!(changes[0]["kv_cache_tokens"], 35_310);
    assert_eq!(format!("{:.2}", changes[1]["max_concurrency"].as_f64().expect("a number")), "6.83");
    let safe = predicted["mix"]["safe"].as_f64().expect("a number");
    assert!(safe > 64.0 && safe < 200.0, "{safe}");
}

#[test]
fn refusals_name_what_is_wrong() {
    let model = ["size", "predict", "--model", "Qwen/Qwen3-32B", "--available-kv-gib", "10", "--max-model-len", "4096"];
    let with = |more: &[&'static str]| refused(&[&model[..], more].concat());
    assert!(
        with(&["-t", "3"])
            .contains("total number of attention heads (64) must be divisible by tensor parallel size (3)")
    );
    assert!(with(&["--vllm", "0.99.0"]).contains("0.33.0"));
    assert!(with(&["--kv-cache-dtype", "fp2"]).contains("fp2"));
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.json");
    let odd = r#"{"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
        "vocab_size": 99, "layer_types": ["full_attention", "flying_attention"]}"#;
    fs::write(&config, odd).expect("written");
    let config = config.to_str().expect("UTF-8");
    let error = refused(&["size", "predict", "--config", config, "--available-kv-gib", "1", "--max-model-len", "9"]);
    assert!(error.contains("flying_attention"), "{error}");
}

#[test]
fn a_log_is_explained() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sizing/logs");
    let explain = |name: &str| {
        let log = root.join(name);
        let output = run(&["size", "explain", log.to_str().expect("UTF-8"), "--json"]);
        assert_eq!(output.status.code(), Some(0));
        json(&output)
    };
    for (name, terms) in [("vllm-0.11.2-cpu-smollm2.log", 2), ("vllm-0.11.0-qwen3-next-tp2.log", 5)] {
        let explained = explain(name);
        let found = explained["terms"].as_array().expect("terms");
        assert_eq!(found.len(), terms, "{explained}");
        assert!(found.iter().all(|term| term["agrees"] == true), "{explained}");
    }
    // The model of this one is in no catalogue; what its log says is still there.
    let tiny = explain("vllm-0.11.2-cpu-tiny_llama.log");
    assert!(tiny["missing"].as_str().is_some_and(|hint| hint.contains("--config")));
    assert_eq!(tiny["log"]["pools"][0]["tokens"], 2_097_152);
}

#[test]
fn a_load_on_a_gpu_gets_its_flags() {
    let args =
        ["size", "--model", "google/gemma-3-12b-it", "--gpu", "A100 80GB", "--concurrency", "50", "--context", "4096"];
    let text = stdout(&run(&args));
    assert!(text.contains("--max-num-seqs 50") && text.contains("--max-model-len 4096"), "{text}");
    assert!(text.contains("A100 80GB") && !text.lines().any(|line| line.starts_with("RTX 3090")), "{text}");
}

/// NVIDIA's checkpoints keep their quantisation in a second file; vLLM takes the KV cache that it names.
#[test]
fn what_lies_beside_the_config_is_read_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = r#"{"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
        "num_key_value_heads": 4, "vocab_size": 99, "intermediate_size": 64}"#;
    fs::write(folder.path().join("config.json"), config).expect("written");
    let quantised = r#"{"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}"#;
    fs::write(folder.path().join("hf_quant_config.json"), quantised).expect("written");
    let folder = folder.path().to_str().expect("UTF-8");
    let memory = ["--available-kv-gib", "1", "--max-model-len", "512"];
    let with = |version| predict(&[&["--config", folder, "--vllm", version], &memory[..]].concat());
    assert_eq!(with("0.20.1")["kv_cache_dtype"], "fp8");
    assert_eq!(with("0.20.1")["bytes_per_block"], 2 * 16 * 2 * 4 * 16);
    assert_eq!(with("0.9.2")["kv_cache_dtype"], "auto");
}
