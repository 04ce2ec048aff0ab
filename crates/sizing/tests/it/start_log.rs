//! Start-up logs, read and explained: captured files, and the wordings of the versions from 0.6 to 0.32.

use sizing::start_log::{Failure, Term, engine_of, explain, flags_of};
use sizing::{StartLog, catalogue};

const SMOLLM: &str = include_str!("../../../../fixtures/sizing/logs/vllm-0.11.2-cpu-smollm2.log");
const TINY: &str = include_str!("../../../../fixtures/sizing/logs/vllm-0.11.2-cpu-tiny_llama.log");
const NEXT: &str = include_str!("../../../../fixtures/sizing/logs/vllm-0.11.0-qwen3-next-tp2.log");

fn term<'a>(terms: &'a [Term], what: &str) -> &'a Term {
    terms.iter().find(|term| term.what == what).unwrap_or_else(|| panic!("no term {what}"))
}

#[test]
fn a_captured_log_of_the_cpu_is_read() {
    let log = StartLog::read(SMOLLM);
    assert_eq!(log.version.as_deref(), Some("0.11.2.post2"));
    assert_eq!(log.version_by_line.as_deref(), Some("0.11.2"));
    assert_eq!(log.served_names, ["smollm2-135m"]);
    assert!(log.flags.cpu);
    let flags = &log.flags;
    assert_eq!(
        (flags.max_model_len, flags.max_num_batched_tokens, flags.max_num_seqs),
        (Some(2048), Some(2048), Some(64))
    );
    let pool = log.pool().unwrap();
    assert_eq!((pool.tokens, pool.length, pool.concurrency), (Some(93_184), Some(2048), Some(45.5)));
    assert_eq!(pool.rank, "EngineCore_DP0");
    let tiny = StartLog::read(TINY);
    assert_eq!(tiny.pool().unwrap().concurrency, Some(1024.0));
}

/// The public log prints 47,878,721,024 B, 973,760 tokens and 14.77x; the identity of its memory closes to 0.02 GiB.
#[test]
fn a_gpu_s_log_is_explained_without_a_gap() {
    let log = StartLog::read(NEXT);
    let model = catalogue::model(log.model.as_deref().unwrap()).unwrap();
    let engine = engine_of(&log).unwrap();
    let terms = explain(&log, &engine, &model.shape.value, &flags_of(&log, 1), Some(model.weights_16_bit()), None);
    assert_eq!(terms.len(), 5);
    for term in &terms {
        assert_eq!(term.agrees, Some(true), "{term:?}");
    }
    assert_eq!(term(&terms, "KV cache size").predicted, Some([973_760.0; 2]));
}

/// A gap has its likely reason: the same log as if fp8 had been chosen in a file that the log does not show.
#[test]
fn a_gap_names_what_would_explain_it() {
    let log = StartLog::read(
        "INFO [core.py:77] Initializing a V1 LLM engine (v0.11.2) with config: model='Qwen/Qwen3-8B', max_seq_len=4096\n\
         INFO [gpu_worker.py:359] Available KV cache memory: 9.00 GiB\n\
         INFO [kv_cache_utils.py:1229] GPU KV cache size: 131,072 tokens",
    );
    let model = catalogue::model("Qwen/Qwen3-8B").unwrap();
    let engine = engine_of(&log).unwrap();
    let flags = flags_of(&log, 1);
    let terms = explain(&log, &engine, &model.shape.value, &flags, None, None);
    let tokens = term(&terms, "KV cache size");
    assert_eq!(tokens.agrees, Some(false));
    assert!(tokens.reason.contains("with an fp8 KV cache"), "{}", tokens.reason);
}

/// vllm-project/vllm#10517 (0.6), a V0 log of 0.8, two ranks of 0.10.2, one line of 0.28 and 0.30.
#[test]
fn every_wording_is_understood() {
    let old = StartLog::read(
        "INFO model_runner.py:1099] Loading model weights took 14.9888 GB\n\
         INFO worker.py:232] Memory profiling results: total_gpu_memory=23.58GiB initial_memory_usage=15.4GiB \
         kv_cache_size=2.89GiB gpu_memory_utilization=0.90\n\
         INFO gpu_executor.py:113] # GPU blocks: 1478, # CPU blocks: 2048\n\
         INFO gpu_executor.py:117] Maximum concurrency for 29000 tokens per request: 0.82x",
    );
    assert_eq!(old.memory.weights_gib, Some(14.9888));
    assert_eq!((old.memory.total_gib, old.available[0].gib), (Some(23.58), 2.89));
    assert_eq!(old.pool().unwrap().blocks, Some(1478));
    assert_eq!(old.pool().unwrap().length, Some(29_000));

    let v0 = StartLog::read(
        "the current vLLM instance can use total_gpu_memory (79.15GiB) x gpu_memory_utilization (0.70) = 55.09GiB\n\
         model weights take 8.63GiB; non_torch_memory takes 0.09GiB; PyTorch activation peak memory takes 1.16GiB; the \
         rest of the memory reserved for KV Cache is 45.21GiB.\n# cuda blocks: 14815, # CPU blocks: 1966",
    );
    assert_eq!(v0.memory.requested_gib, Some(55.09));
    assert_eq!(v0.memory.activation_gib, Some(1.16));
    assert_eq!(v0.memory.non_torch_gib, Some(0.09));
    assert!((v0.available[0].gib - 45.21).abs() < 1e-9);
    assert_eq!(v0.flags.gpu_memory_utilization, Some(0.70));

    let ranks = StartLog::read(
        "(Worker_TP0_EP0 pid=1) INFO [gpu_worker.py:298] Available KV cache memory: 11.55 GiB\n\
         (Worker_TP3_EP3 pid=4) INFO [gpu_worker.py:298] Available KV cache memory: 11.52 GiB\n\
         (Worker_TP0_EP0 pid=1) INFO [kv_cache_utils.py:864] GPU KV cache size: 257,664 tokens\n\
         (Worker_TP3_EP3 pid=4) INFO [kv_cache_utils.py:864] GPU KV cache size: 256,976 tokens",
    );
    assert_eq!(ranks.pools.len(), 2);
    assert_eq!(ranks.pool().unwrap().tokens, Some(256_976));
    assert_eq!(ranks.version_by_line.as_deref(), Some("0.10.2"));

    for device in ["GPU", "XPU", "GPU + host"] {
        let one = StartLog::read(&format!(
            "\u{1b}[32mINFO\u{1b}[0m {device} KV cache size: 315,039 tokens, Maximum concurrency for 262,144 tokens per \
             request: 1.20x"
        ));
        let pool = one.pool().unwrap();
        assert_eq!((pool.tokens, pool.length, pool.concurrency), (Some(315_039), Some(262_144), Some(1.2)));
    }
    let new = StartLog::read(
        "Free memory on device (94.41/94.97 GiB) on startup. Desired GPU memory utilization is (0.97, 92.12 GiB). Actual \
         usage is 81.7 GiB for consumed memory (weights + non-torch), 1.78 GiB for peak activation, and 0.28 GiB for \
         CUDAGraph memory.\nModel loading took 14.25 GiB memory and 63.2 seconds\n\
         Graph capturing finished in 8 secs, took -0.17 GiB",
    );
    assert_eq!(new.memory.consumed_gib, Some(81.7));
    assert_eq!((new.memory.activation_gib, new.memory.weights_gib), (Some(1.78), Some(14.25)));
    assert_eq!(new.memory.graphs_gib, Some(-0.17));
}

#[test]
fn what_kept_it_from_starting_is_typed() {
    let log = StartLog::read(
        "ValueError: To serve at least one request with the model's max seq len (8192), (18.00 GiB KV cache is needed, \
         which is larger than the available KV cache memory (4.00 GiB). Based on the available memory, the estimated \
         maximum model length is 1808.\n\
         No available memory for the cache blocks. Try increasing `gpu_memory_utilization`\n\
         CUDA out of memory occurred when warming up sampler with 1024 dummy requests.",
    );
    assert_eq!(
        log.failures,
        [
            Failure::TooSmall {
                length: Some(8192),
                needed_gib: Some(18.0),
                available_gib: Some(4.0),
                estimated_length: Some(1808),
            },
            Failure::NoMemory,
            Failure::SamplerOutOfMemory { sequences: Some(1024) },
        ]
    );
    assert!(StartLog::read("INFO: 127.0.0.1 - \"GET /health\" 200 OK\n\u{1b}[").is_empty());
}
