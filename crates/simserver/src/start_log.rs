//! The lines that vLLM prints while it starts, for the simulated server: for tools that read them off a log.
//!
//! The wording of 0.11.2 is that of a captured log (`fixtures/vllm-0.11.2/`); of 0.6.5, the last of the old engine, and of 0.30.0 only
//! the lines about the KV cache are known, and only they are given. Nothing is printed here: the caller does.

use std::net::SocketAddr;

use crate::profile::Profile;

/// Whose wording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogWording {
    /// `# GPU blocks: 715, # CPU blocks: 1310`.
    V0_6_5,
    /// `GPU KV cache size: 28,064 tokens`, and the concurrency on a line of its own.
    #[default]
    V0_11_2,
    /// Both on one line.
    V0_30_0,
}

/// The lines, oldest first. `stamp` is the local time as vLLM writes it, such as `11-24 03:10:25`.
pub fn start_log(profile: &Profile, listen: SocketAddr, wording: LogWording, stamp: &str) -> Vec<String> {
    let kv = KvFigures::of(profile);
    match wording {
        LogWording::V0_6_5 => vec![
            // Swap space of 4 GiB, its default, is not in a profile: no blocks on the CPU.
            format!("INFO {stamp} # GPU blocks: {}, # CPU blocks: 0", kv.blocks),
            format!(
                "INFO {stamp} Maximum concurrency for {} tokens per request: {:.2}x",
                kv.max_model_len, kv.concurrency
            ),
        ],
        LogWording::V0_11_2 => full(profile, listen, stamp, &kv),
        LogWording::V0_30_0 => vec![format!(
            "INFO {stamp} GPU KV cache size: {} tokens, Maximum concurrency for {} tokens per request: {:.2}x",
            grouped(kv.tokens),
            grouped(kv.max_model_len.into()),
            kv.concurrency
        )],
    }
}

/// What the lines say of the KV cache, by vLLM's arithmetic.
struct KvFigures {
    blocks: u32,
    /// Blocks over groups, in tokens.
    tokens: u64,
    max_model_len: u32,
    /// Blocks over those that one request of `max_model_len` holds.
    concurrency: f64,
}

impl KvFigures {
    fn of(profile: &Profile) -> Self {
        let kv = &profile.figures.kv_cache;
        let limits = &profile.figures.limits;
        let held = kv.blocks_for(limits.max_model_len, limits.max_num_batched_tokens);
        Self {
            blocks: kv.num_gpu_blocks,
            tokens: u64::from(kv.num_gpu_blocks / kv.groups) * u64::from(kv.block_size),
            max_model_len: limits.max_model_len,
            concurrency: f64::from(kv.num_gpu_blocks) / held as f64,
        }
    }
}

fn full(profile: &Profile, listen: SocketAddr, stamp: &str, kv: &KvFigures) -> Vec<String> {
    let model = profile.served_model();
    let length = kv.max_model_len;
    let batched = profile.figures.limits.max_num_batched_tokens;
    let caching = if profile.figures.kv_cache.enable_prefix_caching { "True" } else { "False" };
    let pid = std::process::id();
    let server = format!("(APIServer pid={pid}) INFO {stamp}");
    let core = format!("(EngineCore_DP0 pid={pid}) INFO {stamp}");
    let mut lines = vec![
        format!("{server} [api_server.py:1977] vLLM API server version 0.11.2+plimsoll.sim"),
        format!("{server} [model.py:1745] Using max model len {length}"),
        format!("{server} [scheduler.py:216] Chunked prefill is enabled with max_num_batched_tokens={batched}."),
        format!(
            "{core} [core.py:93] Initializing a V1 LLM engine (v0.11.2+plimsoll.sim) with config: model='{model}', max_seq_len={length}, served_model_name={model}, enable_prefix_caching={caching}, enable_chunked_prefill=True"
        ),
        format!("{core} [kv_cache_utils.py:1229] GPU KV cache size: {} tokens", grouped(kv.tokens)),
        format!(
            "{core} [kv_cache_utils.py:1234] Maximum concurrency for {} tokens per request: {:.2}x",
            grouped(length.into()),
            kv.concurrency
        ),
        format!("{core} [core.py:250] init engine (profile, create kv cache, warmup model) took 0.00 seconds"),
        format!("{server} [api_server.py:1725] Supported tasks: ['generate']"),
        format!("{server} [api_server.py:2052] Starting vLLM API server 0 on http://{listen}"),
        format!("{server} [launcher.py:38] Available routes are:"),
    ];
    for (route, method) in [
        ("/health", "GET"),
        ("/metrics", "GET"),
        ("/tokenize", "POST"),
        ("/version", "GET"),
        ("/v1/models", "GET"),
        ("/v1/chat/completions", "POST"),
        ("/v1/completions", "POST"),
    ] {
        lines.push(format!("{server} [launcher.py:46] Route: {route}, Methods: {method}"));
    }
    let uvicorn = format!("(APIServer pid={pid}) INFO:    ");
    lines.push(format!("{uvicorn} Started server process [{pid}]"));
    lines.push(format!("{uvicorn} Waiting for application startup."));
    lines.push(format!("{uvicorn} Application startup complete."));
    lines
}

/// With a comma at every third digit.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn log(profile: &str, wording: LogWording) -> String {
        let profile = Profile::builtin(profile).unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8082));
        start_log(&profile, listen, wording, "11-24 03:10:25").join("\n")
    }

    #[test]
    fn figures_are_those_that_vllm_printed_for_the_same_pool() {
        // The reference report's server, and a start-up log of an 80 GB card quoted in vLLM's issue tracker.
        let log = |profile| log(profile, LogWording::V0_11_2);
        let text = log("rtx3090-gemma3-12b-bnb4");
        assert!(text.contains("GPU KV cache size: 28,064 tokens\n"));
        assert!(text.contains("Maximum concurrency for 4,096 tokens per request: 8.62x\n"));
        let text = log("h100-llama3.1-8b-fp16");
        assert!(text.contains("tokens per request: 3.51x\n"));
    }

    #[test]
    fn lines_are_worded_as_in_the_captured_log() {
        // vLLM 0.11.2 on the CPU, captured 2026-11-24.
        let text = log("rtx3090-gemma3-12b-bnb4", LogWording::V0_11_2);
        for line in [
            ") INFO 11-24 03:10:25 [kv_cache_utils.py:1229] GPU KV cache size: ",
            ") INFO 11-24 03:10:25 [scheduler.py:216] Chunked prefill is enabled with max_num_batched_tokens=2048.\n",
            ") INFO 11-24 03:10:25 [model.py:1745] Using max model len 4096\n",
            ") INFO 11-24 03:10:25 [api_server.py:2052] Starting vLLM API server 0 on http://127.0.0.1:8082\n",
            ") INFO 11-24 03:10:25 [launcher.py:46] Route: /metrics, Methods: GET\n",
            ") INFO:     Waiting for application startup.\n",
        ] {
            assert!(text.contains(line), "{line}");
        }
        assert!(text.ends_with(") INFO:     Application startup complete."));
    }

    #[test]
    fn other_versions_have_their_own_wording() {
        let text = log("rtx3090-gemma3-12b-bnb4", LogWording::V0_6_5);
        assert!(text.contains("# GPU blocks: 10526, # CPU blocks: 0\n"));
        assert!(text.contains("Maximum concurrency for 4096 tokens per request: 8.62x"));
        let text = log("rtx3090-gemma3-12b-bnb4", LogWording::V0_30_0);
        assert!(
            text.ends_with("GPU KV cache size: 28,064 tokens, Maximum concurrency for 4,096 tokens per request: 8.62x")
        );
    }
}
