//! The engine's schedule against vLLM 0.11.2's own scheduler, step by step.
//!
//! The traces come from its `Scheduler` itself (`fixtures/vllm-0.11.2/scheduler.py` says how): small pools, chunked prefill,
//! preemptions, shared prefixes, sliding windows. Who is scheduled, who waits, who is preempted, which blocks are free and what the
//! prefix cache finds must be the same in every step.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use simserver::engine::{Engine, Eos, Request, RequestId};
use simserver::{LinearProfile, Profile};

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
    let profile = LinearProfile {
        eos_mean_tokens: 20.0,
        max_model_len: settings.max_model_len,
        max_num_seqs: settings.max_num_seqs,
        max_num_batched_tokens: settings.max_num_batched_tokens,
        block_size: settings.block_size,
        num_gpu_blocks: settings.num_gpu_blocks,
        full_groups: settings.full,
        sliding_groups: settings.sliding,
        window_tokens: settings.window,
        enable_prefix_caching: settings.caching,
        base_ms: 1.0,
        ..LinearProfile::default()
    };
    profile.build().expect("a valid profile")
}

fn request(profile: &Profile, id: u64, arriving: &Arriving) -> Request {
    let shared = (0..arriving.shared).map(|i| (arriving.family.unwrap_or(0) + 1) * 100_000 + i);
    let own = (0..arriving.own).map(|i| 10_000_000 + id * 10_000 + i);
    let length = u32::try_from(arriving.shared + arriving.own).expect("short");
    let budget = profile.admit(length, Some(arriving.max_tokens)).expect("fits");
    Request { prompt: profile.prompt_blocks(shared.chain(own)), ..Request::new(RequestId(id), budget, Eos::Ignored) }
}

fn follow(name: &str) -> u64 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/vllm-0.11.2/schedule_{name}.json"));
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
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number of blocks")]
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
    assert_eq!(engine.next_start(), None, "{name}: nothing is left, as in vLLM");
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

/// What was seen of a real server, see `fixtures/vllm-0.11.2/waiting_order.py`.
#[derive(Deserialize)]
struct Seen {
    settings: SeenSettings,
    requests: Vec<Sent>,
    /// In the order of their first tokens, and of their ends.
    first: Vec<u64>,
    ended: Vec<u64>,
    /// Running, waiting, preemptions so far.
    gauges: Vec<(usize, usize, u32)>,
}

#[derive(Deserialize)]
struct SeenSettings {
    max_model_len: u32,
    max_num_seqs: u32,
    max_num_batched_tokens: u32,
    block_size: u32,
    num_gpu_blocks: u32,
}

#[derive(Deserialize)]
struct Sent {
    prompt: u32,
    output: u32,
}

#[test]
fn a_real_server_with_a_small_cache_runs_queues_and_preempts_in_the_same_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/vllm-0.11.2/waiting_order.json");
    let text = std::fs::read_to_string(path).expect("a capture");
    let seen: Seen = serde_json::from_str(&text).expect("a capture");
    let profile = profile(&Settings {
        max_model_len: seen.settings.max_model_len,
        max_num_seqs: seen.settings.max_num_seqs,
        max_num_batched_tokens: seen.settings.max_num_batched_tokens,
        block_size: seen.settings.block_size,
        num_gpu_blocks: seen.settings.num_gpu_blocks,
        full: 1,
        sliding: 0,
        window: 0,
        caching: false,
    });
    // They came 3 ms apart at a server of two busy cores, whose first steps took tens of them: how many came in which step is not known. Here
    // ten come in a step; with 50 to 150 µs between them it is the same, the two orders are up to 1.4 ms.
    let ours = serve(&profile, &seen.requests, Duration::from_micros(100));
    assert_eq!(ours.first, seen.first);
    assert_eq!(ours.ended, seen.ended);
    // From when all had come, what was seen now and then is part of what happened, in its order.
    let all_there = seen.gauges.iter().position(|g| g.0 + g.1 == 16);
    let mut happened = ours.gauges.iter();
    for (place, theirs) in seen.gauges.iter().enumerate().skip(all_there.expect("all came")) {
        assert!(happened.any(|ours| ours == theirs), "{place}: {theirs:?}");
    }
    assert_eq!(ours.gauges.last(), seen.gauges.last());
}

/// What happened in the engine, as it would have been seen.
struct Happened {
    first: Vec<u64>,
    ended: Vec<u64>,
    gauges: Vec<(usize, usize, u32)>,
}

/// Serves `requests`, which come `gap` apart; a step takes a millisecond.
fn serve(profile: &Profile, requests: &[Sent], gap: Duration) -> Happened {
    let mut engine = Engine::new(profile);
    let mut coming = (0u32..).zip(requests).peekable();
    let mut happened = Happened { first: Vec::new(), ended: Vec::new(), gauges: Vec::new() };
    let mut preempted = 0;
    while coming.peek().is_some() || engine.next_start().is_some() {
        let now = engine.next_start().unwrap_or_default();
        while let Some((id, sent)) = coming.next_if(|(id, _)| gap * *id <= now) {
            let budget = profile.admit(sent.prompt, Some(sent.output)).expect("fits");
            let request = Request::new(RequestId(id.into()), budget, Eos::Ignored);
            engine.submit(&request, now);
        }
        let step = engine.step(now);
        for token in &step.tokens {
            // vLLM tells of a preemption with the next token of who was preempted.
            preempted += token.preempted;
            if token.index == 1 {
                happened.first.push(token.request.0);
            }
            if token.end.is_some() {
                happened.ended.push(token.request.0);
            }
        }
        let stats = step.stats;
        happened.gauges.push((stats.running, stats.waiting, preempted));
    }
    happened
}
