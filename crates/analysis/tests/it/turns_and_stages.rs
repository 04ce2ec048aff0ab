//! Figures by turn of conversations and by stage of a rate that moves in steps.

use analysis::{LevelSummary, summarise};
use records::{Offset, Outcome, RateStage, RequestRecord, RunData, Turn};

use crate::build::{MS, failed, one_level, request};

fn level(run: &RunData) -> LevelSummary {
    summarise(run, None, None).levels.remove(0)
}

fn close(a: Option<f64>, b: f64) -> bool {
    a.is_some_and(|a| (a - b).abs() < 1e-9 * b.abs().max(1.0))
}

fn turn(number: u32, prompt: u64, cached: Option<u64>, ttft_ms: u64) -> RequestRecord {
    let at = (1 + u64::from(number)) * 1000 * MS;
    RequestRecord {
        turn: Some(Turn { session: 0, number, of: 3 }),
        prompt_tokens: Some(prompt),
        cached_prompt_tokens: cached,
        ..request(at + ttft_ms * MS, ttft_ms * MS, 500 * MS, 4)
    }
}

#[test]
fn turns_have_figures_of_their_own_and_single_requests_have_none() {
    let requests = vec![
        turn(0, 100, Some(0), 40),
        turn(0, 120, Some(0), 60),
        turn(1, 200, Some(96), 20),
        RequestRecord { outcome: Outcome::NoTokens, ..turn(1, 900, Some(900), 400) },
        turn(2, 300, None, 30),
    ];
    let turns = level(&one_level(requests, (1000 * MS, 4000 * MS))).turns;
    let told: Vec<(u32, u64)> = turns.iter().map(|t| (t.turn, t.completed)).collect();
    assert_eq!(told, [(0, 2), (1, 1), (2, 1)]);
    assert!(close(turns[0].ttft_ms.map(|t| t.mean.value), 50.0));
    assert!(close(turns[1].ttft_ms.map(|t| t.mean.value), 20.0));
    assert!(close(turns[0].prompt_tokens_mean, 110.0));
    assert!(close(turns[1].cached_prompt_tokens_mean, 96.0));
    assert_eq!(turns[2].cached_prompt_tokens_mean, None);

    let single = one_level(vec![request(0, MS, 2 * MS, 2)], (0, 2 * MS));
    assert!(level(&single).turns.is_empty());
}

/// Requests of 4 tokens that take 400 ms, at these milliseconds.
fn stepped(at_ms: &[u64]) -> RunData {
    let requests = (0..)
        .zip(at_ms)
        .map(|(number, &at)| RequestRecord { request: number, ..request(at * MS, 100 * MS, 400 * MS, 4) });
    let last = at_ms.iter().max().unwrap_or(&0) + 400;
    let mut run = one_level(requests.collect(), (at_ms[0] * MS, last * MS));
    run.manifest.plan.levels = vec![0];
    let stage = |per_second, until_ms: u64| RateStage { per_second, until_ns: until_ms * MS };
    run.manifest.plan.arrivals = vec![Some(records::Arrivals {
        per_second: Some(2.0),
        burstiness: None,
        ramp: None,
        stages: vec![stage(2.0, 1000), stage(8.0, 2000), stage(1.0, 3000)],
        recorded: false,
        most_in_flight: 64,
    })];
    run
}

#[test]
fn a_request_belongs_to_the_stage_in_which_it_was_to_be_sent() {
    // The first arrival is at 5 s; the stages end one, two and three seconds after it.
    let run = stepped(&[5000, 5500, 6000, 6125, 6900, 7000, 8100]);
    let stages = level(&run).stages;
    let counts: Vec<u64> = stages.iter().map(|s| s.requests).collect();
    assert_eq!(counts, [2, 3, 2], "the last stage goes on");
    let seconds: Vec<f64> = stages.iter().map(|s| s.seconds).collect();
    assert!(close(Some(seconds[0]), 1.0) && close(Some(seconds[1]), 1.0));
    assert!(close(Some(seconds[2]), 1.1), "to the last arrival: {seconds:?}");
    assert!(close(Some(stages[1].planned_per_s), 8.0));
    // Of the request at 6900 one token of four comes at 7000, when the stage has ended, and two after it.
    let tokens = stages[1].output_tok_s * seconds[1];
    assert!((8.0..9.5).contains(&tokens), "{tokens}");
    assert!(close(stages[0].e2el_ms.map(|e| e.mean.value), 400.0));
}

#[test]
fn a_late_request_and_a_retry_belong_to_the_stage_that_wanted_them() {
    let mut run = stepped(&[5000, 5900, 6500]);
    // The second left 300 ms late; the third failed and came through a second later.
    run.requests[1].sent_ns = Offset(6200 * MS);
    let retry = RequestRecord { request: 2, retry: 1, ..request(7600 * MS, 100 * MS, 400 * MS, 4) };
    let first = failed(6500 * MS, 6600 * MS, Outcome::NoTokens);
    run.requests[2] = RequestRecord { request: 2, ..first };
    run.requests.push(retry);
    let stages = level(&run).stages;
    let counts: Vec<(u64, u64)> = stages.iter().map(|s| (s.requests, s.completed)).collect();
    assert_eq!(counts, [(2, 2), (1, 1), (0, 0)]);
    assert!(close(stages[0].e2el_from_intended_ms.map(|e| e.max), 700.0));
    assert_eq!(stages[2].ttft_ms, None);
}

#[test]
fn retries_are_counted_as_attempts() {
    let first = failed(0, 100 * MS, Outcome::NoTokens);
    let second = RequestRecord { retry: 1, ..request(600 * MS, 100 * MS, 400 * MS, 4) };
    let requests = level(&one_level(vec![first, second], (0, 1000 * MS))).requests;
    assert_eq!((requests.measured, requests.completed), (2, 1));
    assert_eq!((requests.failed, requests.retries), (1, 1));
}

#[test]
fn gaps_of_chunks_with_several_tokens_are_shared_among_the_tokens() {
    // Chunks at 100, 130, 150 and 190 ms with 1, 3, 0 and 2 tokens: gaps of 10 ms three times, then 60 ms shared by two.
    let mut record = request(0, 100 * MS, 190 * MS, 4);
    record.chunks.since_sent_ns = [100, 130, 150, 190].map(|at| at * MS).to_vec();
    record.chunks.tokens = vec![1, 3, 0, 2];
    let told = level(&one_level(vec![record.clone()], (0, 190 * MS)));
    let itl = told.itl_ms.unwrap();
    assert_eq!(itl.n, 5);
    assert!(close(Some(itl.mean.value), 18.0) && close(Some(itl.max), 30.0), "{itl:?}");
    assert!(close(told.icl_ms.map(|icl| icl.mean.value), 30.0));
    record.chunks.tokens.clear();
    assert_eq!(level(&one_level(vec![record], (0, 190 * MS))).itl_ms, None);
}

#[test]
fn the_first_output_after_reasoning_has_a_time_of_its_own() {
    let mut record = request(50 * MS, 100 * MS, 400 * MS, 4);
    assert_eq!(level(&one_level(vec![record.clone()], (0, 450 * MS))).ttfo_ms, None);
    record.first_output_ns = Some(Offset(350 * MS));
    let told = level(&one_level(vec![record], (0, 450 * MS)));
    assert!(close(told.ttfo_ms.map(|ttfo| ttfo.mean.value), 300.0));
    assert!(close(told.ttft_ms.map(|ttft| ttft.mean.value), 100.0));
}
