//! Three models that vLLM 0.11.2.post2 served on the CPU on 2026-11-24, with random weights: predicted first, then printed.
//!
//! To see it again: a folder with such a `config.json` and a tokenizer, `VLLM_CPU_KVCACHE_SPACE=1 vllm serve FOLDER --dtype
//! bfloat16 --max-num-seqs 8 --enforce-eager --load-format dummy` and the row's flags.

use serde::Deserialize;
use serde_json::Value;
use sizing::engine::Platform;
use sizing::{Bytes, Checkpoint, Engine, EngineFlags, KvMemory, Tokens};

#[derive(Deserialize)]
struct Served {
    config: Value,
    max_model_len: u64,
    block_size: Option<u64>,
    memory_bytes: u64,
    printed: Vec<String>,
}

#[test]
fn the_lines_that_vllm_printed_are_the_predicted_ones() {
    let text = include_str!("../../../../fixtures/sizing/real_vllm_0.11.2_cpu.json");
    let served: Vec<Served> = serde_json::from_str(text).unwrap();
    assert_eq!(served.len(), 3);
    for row in served {
        let checkpoint = Checkpoint::from_json(&row.config.to_string()).unwrap();
        let flags = EngineFlags {
            block_size: row.block_size.map(Tokens::new),
            platform: Platform::Cpu,
            ..EngineFlags::new(row.max_model_len)
        };
        let memory = KvMemory::Available(Bytes::new(row.memory_bytes));
        let plan = Engine::vllm("0.11.2.post2").unwrap().plan(&checkpoint.shape, &flags, memory).unwrap();
        assert_eq!(plan.to_string(), row.printed.join("\n"));
    }
}
