//! The engine's schedule against vLLM 0.11.2's own scheduler, step by step.
//!
//! The traces come from its `Scheduler` itself (`fixtures/vllm-0.11.2/scheduler.py` says how): small pools, chunked prefill,
//! preemptions, shared prefixes, sliding windows. Who is scheduled, who waits, who is preempted, which blocks are free and what the
//! prefix cache finds must be the same in every step.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use simserver::Profile;
use simserver::engine::{Engine, Eos, Request, RequestId};

#[derive(Deserialize)]
struct Trace {
    settings: Settings,
    requests: Vec<Arriving>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Settings {
    max_num_seqs: u32,
    max_num_batched_tokens: u32,
    max_model_len: u32,
    block_size: u32,
    num_gpu_blocks: u32,
    full: u32,
    sliding: u32,
    window: u32,
    caching: bool,
}

#[derive(Deserialize)]
struct Arriving {
    step: u64,
    family: Option<u64>,
    shared: u64,
    own: u64,
    max_tokens: u32,
}

/// Number, prompt tokens, single new tokens, who made a token, preempted; after it running, waiting, free blocks; queried and hit so far.
#[derive(Debug, Deserialize, PartialEq)]
struct Step(u64, u32, u32, Vec<u64>, u32, usize, usize, u32, u64, u64);

fn profile(settings: &Settings) -> Profile {
    let groups = settings.full + settings.sliding;
    let window = match settings.sliding {
        0 => String::new(),
        sliding => format!(
            "sliding_window = {{ tokens = {}, groups = {sliding} }}",
            settings.window
        ),
    };
    Profile::from_toml(&format!(
        r#"
        name = "trace"
        description = "vLLM's scheduler"
        source = "a trace"
        served_model = "trace"
        seed = 1
        eos_mean_tokens = 20
        [limits]
        max_model_len = {}
        max_num_seqs = {}
        max_num_batched_tokens = {}
        [kv_cache]
        block_size = {}
        num_gpu_blocks = {}
        groups = {groups}
        enable_prefix_caching = {}
        {window}
        [timing]
        kind = "linear"
        admission_ms = 0
        noise_fraction = 0
        base_ms = 1
        per_sequence_ms = 0
        per_prompt_token_ms = 0
        "#,
        settings.max_model_len,
        settings.max_num_seqs,
        settings.max_num_batched_tokens,
        settings.block_size,
        settings.num_gpu_blocks,
        settings.caching,
    ))
    .expect("a valid profile")
}

fn request(profile: &Profile, id: u64, arriving: &Arriving) -> Request {
    let shared = (0..arriving.shared).map(|i| (arriving.family.unwrap_or(0) + 1) * 100_000 + i);
    let own = (0..arriving.own).map(|i| 10_000_000 + id * 10_000 + i);
    let length = u32::try_from(arriving.shared + arriving.own).expect("short");
    let budget = profile
        .admit(length, Some(arriving.max_tokens))
        .expect("fits");
    Request {
        prompt: profile.prompt_blocks(shared.chain(own)),
        ..Request::new(RequestId(id), budget, Eos::Ignored)
    }
}

fn follow(name: &str) -> u64 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../fixtures/vllm-0.11.2/schedule_{name}.json"));
    let text = std::fs::read_to_string(path).expect("a trace");
    let trace: Trace = serde_json::from_str(&text).expect("a trace");
    let profile = profile(&trace.settings);
    let mut engine = Engine::new(&profile);
    let mut coming = (0u64..).zip(&trace.requests).peekable();
    let (mut now, mut queries, mut hits, mut preempted) = (Duration::ZERO, 0, 0, 0);
    for theirs in &trace.steps {
        while let Some((id, arriving)) = coming.next_if(|(_, arriving)| arriving.step <= theirs.0) {
            engine.submit(&request(&profile, id, arriving), now);
        }
        let start = engine.next_start().expect("work, as vLLM has");
        let step = engine.step(start);
        now = start + step.duration;
        queries += step.prefix.queries;
        hits += step.prefix.hits;
        preempted += u64::from(step.preempted);
        let mut made: Vec<u64> = step.tokens.iter().map(|token| token.request.0).collect();
        made.sort_unstable();
        let usable = f64::from(trace.settings.num_gpu_blocks - 1);
        let free = ((1.0 - step.stats.kv_usage) * usable).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number of blocks"
        )]
        let ours = Step(
            theirs.0,
            step.prefill_tokens,
            step.decodes,
            made,
            step.preempted,
            step.stats.running,
            step.stats.waiting,
            free as u32,
            queries,
            hits,
        );
        assert_eq!(ours, *theirs, "{name}");
    }
    assert_eq!(
        engine.next_start(),
        None,
        "{name}: nothing is left, as in vLLM"
    );
    preempted
}

#[test]
fn preemption_and_chunked_prefill_are_vllms() {
    assert_eq!(follow("plain"), 133);
}

#[test]
fn prefix_cache_is_vllms() {
    assert_eq!(follow("prefix"), 88);
    assert_eq!(follow("roomy_prefix"), 0);
}

#[test]
fn sliding_windows_give_back_what_vllm_gives_back() {
    assert_eq!(follow("sliding"), 48);
    assert_eq!(follow("sliding_prefix"), 64);
}
