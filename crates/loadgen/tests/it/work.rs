//! What is asked of the server: endpoints, answers in one piece, prompts of given lengths and of one's own.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use loadgen::{
    Endpoint, LoadPlan, PlanError, StopHandle,
    workload::{Calibration, Dataset, Lengths, Synthetic, Workload},
};
use records::{Outcome, RequestRecord, Stage, TimeoutPhase, TokenCount, TokenSource};
use serde_json::Value;

use crate::server::{STREAM_END, STREAM_HEAD, event, good_response, level, requests, run, serve, spec, token};

fn json(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The one measured record of an answer in one piece.
fn unstreamed(endpoint: Endpoint, response: &str) -> RequestRecord {
    let response = response.to_owned();
    let url = serve(move |mut request| {
        assert!(request.body["stream"] == false && request.body.get("stream_options").is_none());
        request.send(&response);
        request.hang_up();
    });
    let mut spec = spec(&url, &[level(1, 0, 1)]);
    spec.work.stream = false;
    spec.work.endpoint = endpoint;
    let (events, _) = run(spec);
    requests(&events).remove(0)
}

#[test]
fn an_answer_in_one_piece_has_an_end_and_no_first_token() {
    // As vLLM 0.11.2 answers, shortened.
    let chat = r#"{"id":"chatcmpl-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"length"}],"usage":{"prompt_tokens":9,"total_tokens":11,"completion_tokens":2}}"#;
    let text = r#"{"object":"text_completion","choices":[{"index":0,"text":" hi","finish_reason":"length"}],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#;
    for (endpoint, body) in [(Endpoint::Chat, chat), (Endpoint::Completions, text)] {
        let record = unstreamed(endpoint, &json("200 OK", body));
        let finish_reason = Some("length".to_owned());
        assert_eq!(record.outcome, Outcome::Completed { finish_reason });
        let source = TokenSource::Usage;
        assert_eq!(record.output_tokens, Some(TokenCount { count: 2, source }));
        assert_eq!(record.prompt_tokens, Some(9));
        assert_eq!((record.ttft(), record.tpot()), (None, None));
        let e2el = record.e2el().unwrap();
        assert!(e2el > Duration::ZERO && e2el <= record.finished_ns - record.sent_ns);
    }
}

#[test]
fn what_is_no_answer_is_no_success() {
    let outcome = |response: &str| unstreamed(Endpoint::Chat, response).outcome;
    let message = "too busy".to_owned();
    assert_eq!(outcome(&json("200 OK", r#"{"error":{"message":"too busy"}}"#)), Outcome::ErrorInStream { message });
    for body in ["", "{}", "hello", "[1]"] {
        assert!(matches!(outcome(&json("200 OK", body)), Outcome::Malformed { .. }), "{body:?}");
    }
    let empty = r#"{"choices":[{"message":{"role":"assistant","content":""}}],"usage":{"completion_tokens":0}}"#;
    assert_eq!(outcome(&json("200 OK", empty)), Outcome::NoTokens);
    let cut = json("200 OK", r#"{"choices":[{"message":"#).replace("content-length: 23", "content-length: 99");
    assert!(matches!(outcome(&cut), Outcome::Cut { .. }), "{cut}");
    assert!(matches!(outcome(&json("503 Service Unavailable", "busy")), Outcome::HttpStatus { status: 503, .. }));
}

#[test]
fn an_answer_in_one_piece_has_its_whole_time_and_no_more() {
    let url = serve(|mut request| request.wait_for_hang_up());
    let mut spec = spec(&url, &[level(1, 0, 1)]);
    spec.work.stream = false;
    spec.timeouts.first_byte = Duration::from_millis(1);
    spec.timeouts.total = Duration::from_millis(300);
    let (events, _) = run(spec);
    let phase = TimeoutPhase::Total;
    assert_eq!(requests(&events)[0].outcome, Outcome::TimedOut { phase });
}

/// Runs `workload` over two levels; what the server was sent, and the records.
fn sent(workload: Workload, endpoint: Endpoint, osl_stddev: f64) -> (Vec<Value>, Vec<RequestRecord>) {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let url = serve(move |mut request| {
        seen.lock().unwrap().push(request.body.clone());
        request.send(good_response());
    });
    let mut spec = spec(&url, &[level(2, 2, 20), level(3, 3, 30)]);
    spec.work.workload = workload;
    spec.work.endpoint = endpoint;
    spec.work.osl_stddev = osl_stddev;
    spec.osl = 100.try_into().unwrap();
    let (events, end) = run(spec);
    assert!(end.is_ok(), "{end:?}");
    let bodies = bodies.lock().unwrap().clone();
    (bodies, requests(&events))
}

#[test]
fn synthetic_prompts_have_their_lengths_and_answers_theirs() {
    let synthetic = Synthetic {
        isl: Lengths { mean: 200, stddev: 40.0 },
        shared_prefix: 50,
        calibration: Calibration::default(),
        recorded: None,
    };
    let (bodies, records) = sent(Workload::Synthetic(synthetic), Endpoint::Completions, 20.0);
    let prompts: Vec<&str> = bodies.iter().map(|b| b["prompt"].as_str().unwrap()).collect();
    let words = |prompt: &str| prompt.split(' ').count() as f64;
    let mean = prompts.iter().map(|p| words(p)).sum::<f64>() / prompts.len() as f64;
    // Four standard errors of 55 prompts and more.
    assert!((mean - 200.0).abs() < 4.0 * 40.0 / 55_f64.sqrt(), "{mean}");
    let shared: HashSet<Vec<&str>> = prompts.iter().map(|p| p.split(' ').take(50).collect()).collect();
    assert_eq!(shared.len(), 1);
    assert_eq!(prompts.iter().collect::<HashSet<_>>().len(), prompts.len());
    let asked: HashSet<u32> =
        records.iter().filter(|r| r.stage == Stage::Measured).map(|r| r.asked_output_tokens).collect();
    assert!(asked.len() > 20, "{asked:?}");
    let told: HashSet<u64> = bodies.iter().map(|b| b["max_tokens"].as_u64().unwrap()).collect();
    assert!(asked.iter().all(|a| told.contains(&u64::from(*a))), "the record says what was sent");
}

#[test]
fn own_prompts_are_all_sent_before_one_repeats() {
    let line = |k| format!("{{\"prompt\":\"own {k}\",\"output_tokens\":{}}}", k + 1);
    let lines: Vec<String> = (0..1000).map(line).collect();
    let own = Dataset::parse("own.jsonl", &lines.join("\n")).unwrap();
    let (bodies, _) = sent(Workload::Dataset(own), Endpoint::Chat, 0.0);
    let mut prompts: Vec<String> = bodies.iter().map(|b| b["messages"][0]["content"].to_string()).collect();
    let count = prompts.len();
    assert!((55..1000).contains(&count), "{count}");
    prompts.sort();
    prompts.dedup();
    assert_eq!(prompts.len(), count, "none twice");
    // Measured requests ask for what the line says.
    let fits =
        |body: &&Value| body["messages"][0]["content"] == format!("own {}", body["max_tokens"].as_u64().unwrap() - 1);
    assert!(bodies.iter().filter(fits).count() >= 50);
}

#[test]
fn messages_go_as_they_are_and_not_to_completions() {
    let line = r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}]}"#;
    let own = Workload::Dataset(Dataset::parse("chat.jsonl", line).unwrap());
    let (bodies, _) = sent(own.clone(), Endpoint::Chat, 0.0);
    assert_eq!(bodies[0]["messages"][0]["role"], "system");
    let mut spec = spec("http://127.0.0.1:1", &[level(1, 0, 1)]);
    spec.work.workload = own;
    spec.work.endpoint = Endpoint::Completions;
    assert_eq!(LoadPlan::new(spec).unwrap_err(), PlanError::MessagesForCompletions);
}

#[test]
fn words_are_calibrated_by_what_the_server_counts() {
    // A server whose template has 11 tokens and whose words have two.
    let url = serve(|mut request| {
        let words = request.prompt().split(' ').count();
        let usage = format!(r#""prompt_tokens":{}"#, 11 + 2 * words);
        let usage = event(&format!(r#"{{"choices":[],"usage":{{{usage},"completion_tokens":1}}}}"#));
        request.send([STREAM_HEAD, &token(), &usage, &event("[DONE]"), STREAM_END].concat());
    });
    let mut spec = spec(&url, &[level(1, 0, 4)]);
    let synthetic =
        Synthetic { isl: Lengths::exactly(211), shared_prefix: 0, calibration: Calibration::default(), recorded: None };
    spec.work.workload = Workload::Synthetic(synthetic);
    let plan = LoadPlan::new(spec).unwrap();
    let (epoch, stop) = (Instant::now(), StopHandle::new());
    let calibration = loadgen::calibrate(&plan, epoch, &stop).unwrap().unwrap();
    assert_eq!(calibration, Calibration { per_word: 2.0, overhead: 11.0 });
    let mut counts = Vec::new();
    let end = loadgen::run(&plan.calibrated(calibration), epoch, &stop, &mut |event| {
        if let loadgen::Event::Request(record) = event {
            counts.push(record.prompt_tokens);
        }
        Ok(())
    });
    assert!(end.is_ok(), "{end:?}");
    assert!(counts.iter().all(|count| *count == Some(211)), "{counts:?}");
}
