//! The step engine against closed forms and hand-computed schedules.

use std::time::Duration;

use simserver::engine::{Engine, Eos, FinishReason, Request, RequestId, Token};
use simserver::{LinearProfile, Profile};

const MS: Duration = Duration::from_millis(1);

/// Steps of 10 ms + 1 ms per decode + 0.5 ms per prompt token, no noise, 5 ms of admission, blocks of 4 tokens.
fn profile(max_num_seqs: u32, max_num_batched_tokens: u32, num_gpu_blocks: u32, max_model_len: u32) -> Profile {
    let profile = LinearProfile {
        seed: 7,
        eos_mean_tokens: 20.0,
        max_model_len,
        max_num_seqs,
        max_num_batched_tokens,
        block_size: 4,
        num_gpu_blocks,
        admission_ms: 5.0,
        base_ms: 10.0,
        per_sequence_ms: 1.0,
        per_prompt_token_ms: 0.5,
        ..LinearProfile::default()
    };
    profile.build().expect("a valid profile")
}

fn request(profile: &Profile, id: u64, prompt_tokens: u32, output_tokens: u32) -> Request {
    let budget = profile.admit(prompt_tokens, Some(output_tokens));
    Request::new(RequestId(id), budget.expect("fits"), Eos::Ignored)
}

/// What came of a run: every token with the instant at which it existed, and the preemptions of every step.
struct Trace {
    tokens: Vec<(Duration, Token)>,
    preempted: Vec<u32>,
}

fn drain(engine: &mut Engine) -> Trace {
    let mut trace = Trace { tokens: Vec::new(), preempted: Vec::new() };
    while let Some(start) = engine.next_start() {
        let step = engine.step(start);
        trace.preempted.push(step.preempted);
        trace.tokens.extend(step.tokens.iter().map(|&token| (start + step.duration, token)));
    }
    trace
}

impl Trace {
    /// Instants of the tokens of one request, in ms.
    fn of(&self, id: u64) -> Vec<f64> {
        let mine = self.tokens.iter().filter(|(_, token)| token.request == RequestId(id));
        mine.map(|(at, _)| at.as_secs_f64() * 1e3).collect()
    }
}

#[test]
fn one_slot_serves_first_come_first_served_in_closed_form() {
    let profile = profile(1, 64, 100, 64);
    let mut engine = Engine::new(&profile);
    for id in 0..3 {
        engine.submit(&request(&profile, id, 20, 6), Duration::ZERO);
    }
    let trace = drain(&mut engine);
    // Prefill 10 + 20·0.5 = 20 ms, five decodes of 11 ms: service 75 ms, the k-th request waits for k of them.
    for (k, id) in [(0.0, 0), (1.0, 1), (2.0, 2)] {
        let expected: Vec<f64> = (0..6).map(|i| 5.0 + k * 75.0 + 20.0 + f64::from(i) * 11.0).collect();
        assert_eq!(trace.of(id), expected);
    }
    let last = trace.tokens.last().unwrap().1.end.unwrap();
    assert_eq!(last.reason, FinishReason::Length);
    assert_eq!(last.queued, 155 * MS);
    assert_eq!(last.e2e, 230 * MS);
}

#[test]
fn admission_gathers_what_arrives_meanwhile() {
    let profile = profile(8, 64, 100, 64);
    let mut engine = Engine::new(&profile);
    engine.submit(&request(&profile, 0, 4, 2), 100 * MS);
    assert_eq!(engine.next_start(), Some(105 * MS));
    engine.submit(&request(&profile, 1, 4, 2), 104 * MS);
    let first = engine.step(105 * MS);
    assert_eq!(first.duration, 14 * MS);
    assert_eq!(first.tokens.len(), 2);
    // Arrives while the engine is busy: joins the next step without a wait for admission.
    engine.submit(&request(&profile, 2, 4, 2), 118 * MS);
    assert_eq!(engine.next_start(), Some(119 * MS));
    let second = engine.step(119 * MS);
    assert_eq!(second.duration, 14 * MS); // 10 + 2 decodes + 4 prompt tokens
    assert_eq!(second.tokens.len(), 3);
    assert_eq!(second.tokens[2].elapsed, 15 * MS);
}

#[test]
fn prompts_are_prefilled_in_chunks_beside_decodes() {
    let profile = profile(8, 16, 100, 64);
    let mut engine = Engine::new(&profile);
    engine.submit(&request(&profile, 0, 4, 4), Duration::ZERO);
    engine.submit(&request(&profile, 1, 30, 2), Duration::ZERO);
    let trace = drain(&mut engine);
    // Step 1: 4 + 12 prompt tokens, 18 ms. Step 2: 1 decode + 15 prompt tokens, 18.5 ms. Step 3: 1 decode + the last 3: 12.5 ms,
    // first token of request 1. Step 4: two decodes, 12 ms, both end.
    assert_eq!(trace.of(0), [23.0, 41.5, 54.0, 66.0]);
    assert_eq!(trace.of(1), [54.0, 66.0]);
}

#[test]
fn youngest_is_preempted_when_blocks_run_out_and_recomputed() {
    // Four usable blocks of 4 tokens; two requests of 4 prompt tokens and 8 output tokens, 11 tokens of KV, 3 blocks each.
    let profile = profile(8, 64, 5, 12);
    let mut engine = Engine::new(&profile);
    engine.submit(&request(&profile, 0, 4, 8), Duration::ZERO);
    engine.submit(&request(&profile, 1, 4, 8), Duration::ZERO);
    let trace = drain(&mut engine);
    // Steps 1 to 5 serve both (up to 8 tokens, two blocks each). Step 6 needs a third block for request 0: request 1 goes.
    // Steps 6 to 8 serve request 0 alone; step 9 recomputes the 4 + 5 tokens of request 1 and makes its sixth.
    assert_eq!(trace.preempted, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    let both = [19.0, 31.0, 43.0, 55.0, 67.0];
    assert_eq!(trace.of(0), [&both[..], &[78.0, 89.0, 100.0]].concat());
    assert_eq!(trace.of(1), [&both[..], &[114.5, 125.5, 136.5]].concat());
}

#[test]
fn a_step_that_preempts_admits_nobody() {
    // As before, with five tokens a step: the preempted request could come back in chunks, one block at a time.
    let profile = profile(8, 5, 5, 12);
    let mut engine = Engine::new(&profile);
    engine.submit(&request(&profile, 0, 4, 8), Duration::ZERO);
    engine.submit(&request(&profile, 1, 4, 8), Duration::ZERO);
    let trace = drain(&mut engine);
    // Step 6 preempts request 1 (8 tokens known) and is a lone decode of 11 ms, though one block and four tokens are left. Step 7
    // takes a chunk of 4 in, step 8 finds no block for the next and preempts it again; request 0 ends. Steps 9 and 10 recompute
    // 5 + 3 tokens.
    assert_eq!(trace.preempted, [0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
    assert_eq!(trace.of(0), [17.5, 30.0, 42.0, 54.0, 66.0, 77.0, 90.0, 101.0]);
    assert_eq!(trace.of(1), [30.0, 42.0, 54.0, 66.0, 125.0, 136.0, 147.0, 158.0]);
}

#[test]
fn one_block_more_and_nobody_is_preempted_in_that_step() {
    // Five usable blocks: request 0 gets its third in step 6, request 1 finds none and gives up its own.
    let profile = profile(8, 64, 6, 12);
    let mut engine = Engine::new(&profile);
    engine.submit(&request(&profile, 0, 4, 8), Duration::ZERO);
    engine.submit(&request(&profile, 1, 4, 8), Duration::ZERO);
    let short = drain(&mut engine);
    assert_eq!(short.preempted.iter().sum::<u32>(), 1);
    assert_eq!(short.preempted[5], 1);
    // Six: enough for both.
    let profile = self::profile(8, 64, 7, 12);
    let mut engine = Engine::new(&profile);
    engine.submit(&request(&profile, 0, 4, 8), Duration::ZERO);
    engine.submit(&request(&profile, 1, 4, 8), Duration::ZERO);
    let ample = drain(&mut engine);
    assert_eq!(ample.preempted, [0; 8]);
}

#[test]
fn abort_frees_the_place_and_the_blocks() {
    let profile = profile(1, 64, 5, 12);
    let mut engine = Engine::new(&profile);
    engine.submit(&request(&profile, 0, 4, 8), Duration::ZERO);
    engine.submit(&request(&profile, 1, 4, 1), Duration::ZERO);
    let step = engine.step(5 * MS);
    assert_eq!((step.stats.running, step.stats.waiting), (1, 1));
    assert!((step.stats.kv_usage - 0.25).abs() < 1e-12);
    assert!(engine.abort(RequestId(0)));
    assert!(!engine.abort(RequestId(0)));
    assert!(engine.stats().kv_usage.abs() < 1e-12);
    let trace = drain(&mut engine);
    assert_eq!(trace.tokens.len(), 1);
    assert_eq!(engine.next_start(), None);
}

#[test]
fn littles_law_holds_over_a_busy_period() {
    // Requests in the engine, averaged over time, equal arrival rate times mean time in the engine (Little 1961). The left side
    // is integrated from the engine's gauges, the right one comes from the arrivals and completions.
    let profile = profile(4, 64, 40, 64);
    let mut engine = Engine::new(&profile);
    let arrivals: Vec<(Duration, Request)> = (0u32..60)
        .map(|i| {
            let at = Duration::from_millis(u64::from(37 * i + (i * i) % 29));
            (at, request(&profile, u64::from(i), 3 + i % 17, 1 + (i * 7) % 23))
        })
        .collect();
    let mut coming = arrivals.iter().peekable();
    let (mut integral, mut in_engine, mut sojourn) = (0.0, 0.0, 0.0);
    let mut last = Duration::ZERO;
    let mut advance = |to: Duration, level: &mut f64, next: f64, last: &mut Duration| {
        integral += *level * to.saturating_sub(*last).as_secs_f64();
        *level = next;
        *last = to;
    };
    loop {
        let start = engine.next_start();
        if let Some((at, request)) = coming.next_if(|(at, _)| start.is_none_or(|start| *at <= start)) {
            engine.submit(request, *at);
            let level = in_engine + 1.0;
            advance(*at, &mut in_engine, level, &mut last);
            continue;
        }
        let Some(start) = start else { break };
        let step = engine.step(start);
        let end = start + step.duration;
        for token in &step.tokens {
            sojourn += token.end.map_or(0.0, |end| end.e2e.as_secs_f64());
        }
        // Arrivals during the step count from their own instant.
        let gauge = (step.stats.running + step.stats.waiting) as f64;
        let during: Vec<_> = std::iter::from_fn(|| coming.next_if(|(at, _)| *at < end)).collect();
        for (at, request) in &during {
            engine.submit(request, *at);
            let level = in_engine + 1.0;
            advance((*at).max(last), &mut in_engine, level, &mut last);
        }
        advance(end, &mut in_engine, gauge + during.len() as f64, &mut last);
    }
    assert!(in_engine.abs() < 1e-12, "all served");
    let horizon = last.as_secs_f64();
    let (mean_in_engine, rate, mean_sojourn) = (integral / horizon, 60.0 / horizon, sojourn / 60.0);
    assert!(mean_in_engine > 1.0, "a queue worth the name: {mean_in_engine}");
    assert!(
        (mean_in_engine - rate * mean_sojourn).abs() < 1e-9 * mean_in_engine,
        "{mean_in_engine} against {rate} x {mean_sojourn}"
    );
}

#[test]
fn output_lengths_are_geometric_after_min_tokens() {
    let profile = profile(1, 64, 2000, 4096);
    let mut engine = Engine::new(&profile);
    let count = 4000u32;
    let (mut stopped, mut sum) = (0u32, 0u32);
    for id in 0..count {
        let budget = profile.admit(4, Some(60)).unwrap();
        let eos = Eos::Allowed { min_tokens: 10 };
        let request = Request::new(RequestId(u64::from(id)), budget, eos);
        engine.submit(&request, Duration::ZERO);
    }
    for (_, token) in drain(&mut engine).tokens {
        let Some(end) = token.end else { continue };
        sum += token.index;
        assert!(token.index > 10);
        match end.reason {
            FinishReason::Stop => stopped += 1,
            FinishReason::Length => assert_eq!(token.index, 60),
            FinishReason::StopString => panic!("nobody asked for a stop string"),
        }
    }
    // 10 + G cut at 60, G geometric with p = 1/20: P(stop) = 1 - 0.95^50 = 0.92306; mean 10 + (1 - 0.95^50)·20 = 28.461.
    // Tolerances of four standard errors: 4·sqrt(.923·.077/4000) = 0.017, 4·15.5/sqrt(4000) = 0.98.
    let share = f64::from(stopped) / f64::from(count);
    let mean = f64::from(sum) / f64::from(count);
    assert!((share - 0.92306).abs() < 0.017, "{share}");
    assert!((mean - 28.461).abs() < 0.98, "{mean}");
}

#[test]
fn the_same_calls_give_the_same_answers() {
    let run = || {
        let profile = Profile::builtin("rtx3090-gemma3-12b-bnb4").unwrap();
        let mut engine = Engine::new(&profile);
        for id in 0..20 {
            let budget = profile.admit(40, None).unwrap();
            let request = Request::new(RequestId(id), budget, Eos::Allowed { min_tokens: 0 });
            engine.submit(&request, Duration::from_millis(id));
        }
        drain(&mut engine).tokens
    };
    assert_eq!(run(), run());
}
