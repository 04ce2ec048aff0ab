//! Conversations: what each turn repeats, how long users think, and which part of a level a conversation belongs to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use loadgen::{
    Endpoint, LoadPlan, LoadSpec, PlanError,
    workload::{Conversations, Dataset, Lengths, Workload},
};
use records::{Outcome, RequestRecord, Stage};
use serde_json::Value;

use crate::server::{STREAM_END, STREAM_HEAD, event, level, requests, run, serve, spec};

fn conversations(turns: u32, think_ms: u32) -> Conversations {
    Conversations { turns: Lengths::exactly(turns), think_ms: Lengths::exactly(think_ms) }
}

/// An answer of two chunks that names the number of messages it answers.
fn answer(body: &Value) -> String {
    let count = body["messages"].as_array().unwrap().len();
    let chunk = |text: &str| event(&format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#));
    let usage = event(r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#);
    let said = [chunk("after "), chunk(&count.to_string())].concat();
    [STREAM_HEAD, &said, &usage, &event("[DONE]"), STREAM_END].concat()
}

/// Runs against a server that answers so; the bodies in the order in which they came, and the records.
fn talk(change: impl FnOnce(&mut LoadSpec)) -> (Vec<Value>, Vec<RequestRecord>) {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let url = serve(move |mut request| {
        seen.lock().unwrap().push(request.body.clone());
        let answer = answer(&request.body);
        request.send(answer);
    });
    let mut spec = spec(&url, &[level(3, 5, 24)]);
    spec.work.conversations = Some(conversations(4, 0));
    change(&mut spec);
    let (events, end) = run(spec);
    assert!(end.is_ok(), "{end:?}");
    let bodies = bodies.lock().unwrap().clone();
    (bodies, requests(&events))
}

/// Records by conversation.
fn sessions(records: &[RequestRecord]) -> BTreeMap<u64, Vec<&RequestRecord>> {
    let mut sessions: BTreeMap<u64, Vec<&RequestRecord>> = BTreeMap::new();
    for record in records {
        let turn = record.turn.expect("a conversation");
        sessions.entry(turn.session).or_default().push(record);
    }
    for session in sessions.values_mut() {
        session.sort_by_key(|record| record.sent_ns);
    }
    sessions
}

#[test]
fn every_turn_repeats_what_was_said_with_the_servers_own_answers() {
    let (bodies, _) = talk(|_| {});
    let mut seen_turns = 0;
    for body in &bodies {
        let messages = body["messages"].as_array().unwrap();
        for (index, message) in messages.iter().enumerate() {
            let role = if index % 2 == 0 { "user" } else { "assistant" };
            assert_eq!(message["role"], role);
            if role == "assistant" {
                assert_eq!(message["content"], format!("after {index}"));
            }
        }
        if messages.len() > 2 {
            // What it repeats was sent before, word for word.
            let before = &messages[..messages.len() - 2];
            let sent = |other: &&Value| other["messages"].as_array().unwrap() == before;
            assert_eq!(bodies.iter().filter(sent).count(), 1, "{body}");
            seen_turns += 1;
        }
    }
    assert!(seen_turns >= 18, "{seen_turns}");
    let questions: Vec<String> =
        bodies.iter().map(|b| b["messages"].as_array().unwrap().last().unwrap()["content"].to_string()).collect();
    let mut different = questions.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), questions.len(), "no question is asked twice");
}

#[test]
fn a_conversation_is_measured_whole_and_the_counts_are_exact() {
    let (_, records) = talk(|_| {});
    let of = |stage| records.iter().filter(|r| r.stage == stage).count();
    assert_eq!((of(Stage::Warmup), of(Stage::Measured)), (5, 24));
    let mut lengths = Vec::new();
    for (name, session) in sessions(&records) {
        let first = session[0].turn.unwrap();
        assert_eq!(session[0].request, name, "it is named after its first request");
        for (number, record) in (0..).zip(&session) {
            let turn = record.turn.unwrap();
            assert_eq!((turn.number, turn.of), (number, first.of));
            assert_eq!(record.stage, session[0].stage);
            assert_eq!(record.slot, session[0].slot);
        }
        match session[0].stage {
            Stage::Measured => assert_eq!((session.len(), first.of), (4, 4)),
            Stage::Warmup => lengths.push(first.of),
            _ => {}
        }
    }
    lengths.sort_unstable();
    // One, two, and what is left of five: users are at different turns when measuring begins.
    assert_eq!(lengths, [1, 2, 2]);
}

#[test]
fn fewer_requests_than_turns_make_the_last_conversation_shorter() {
    let (_, records) = talk(|spec| spec.levels = vec![level(2, 0, 11)]);
    let measured: Vec<_> = records.iter().filter(|r| r.stage == Stage::Measured).cloned().collect();
    assert_eq!(measured.len(), 11);
    let mut lengths: Vec<usize> = sessions(&measured).values().map(Vec::len).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [3, 4, 4]);
}

#[test]
fn users_think_between_an_answer_and_the_next_turn() {
    let (_, records) = talk(|spec| {
        spec.levels = vec![level(2, 0, 8)];
        spec.work.conversations = Some(conversations(4, 60));
    });
    let think = Duration::from_millis(60);
    let mut pauses = 0;
    for session in sessions(&records).values() {
        for pair in session.windows(2) {
            assert_eq!(pair[1].intended_ns, pair[0].finished_ns + think);
            assert!(pair[1].sent_ns >= pair[1].intended_ns);
            pauses += 1;
        }
    }
    assert!(pauses >= 6, "{pauses}");
}

#[test]
fn a_turn_that_failed_is_recorded_and_the_conversation_goes_on_without_it() {
    let url = serve(|mut request| {
        let messages = request.body["messages"].as_array().unwrap();
        // The second turn of every conversation.
        let refused = messages.len() == 3 && messages[1]["content"] == "after 1";
        let again = messages[0]["content"].as_str().unwrap().len() % 2 == 0;
        if refused && again {
            request.send("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
        } else {
            let answer = answer(&request.body);
            request.send(answer);
        }
    });
    let mut spec = spec(&url, &[level(1, 0, 40)]);
    spec.work.conversations = Some(conversations(4, 0));
    let (events, end) = run(spec);
    assert!(end.is_ok(), "{end:?}");
    let records = requests(&events);
    let measured = records.iter().filter(|r| r.stage == Stage::Measured);
    assert_eq!(measured.clone().count(), 40);
    let failed = measured.filter(|r| matches!(r.outcome, Outcome::HttpStatus { status: 503, .. })).count();
    // Once refused, the question is dropped, so that the next one has as many messages and is refused as well.
    assert!(failed > 0 && failed % 3 == 0, "{failed}");
}

#[test]
fn answers_in_one_piece_are_repeated_as_well() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let url = serve(move |mut request| {
        seen.lock().unwrap().push(request.body.clone());
        let body = r#"{"object":"response","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"안녕"}]}],"usage":{"input_tokens":3,"output_tokens":2}}"#;
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        request.send(head + body);
    });
    let mut spec = spec(&url, &[level(1, 0, 2)]);
    spec.work.stream = false;
    spec.work.endpoint = Endpoint::Responses;
    spec.work.conversations = Some(conversations(2, 0));
    let (events, _) = run(spec);
    let records = requests(&events);
    assert!(records.iter().all(|r| r.e2el().is_some() && r.ttft().is_none()), "{records:?}");
    let bodies = bodies.lock().unwrap();
    assert_eq!(bodies[1]["input"][1]["content"], "안녕");
    assert_eq!(bodies[1]["input"][0], bodies[0]["input"][0]);
}

#[test]
fn what_has_no_turns_is_refused() {
    let refused = |change: &dyn Fn(&mut LoadSpec)| {
        let mut spec = spec("http://127.0.0.1:1", &[level(1, 0, 1)]);
        spec.work.conversations = Some(conversations(2, 0));
        change(&mut spec);
        matches!(LoadPlan::new(spec), Err(PlanError::NoConversation { .. }))
    };
    assert!(!refused(&|_| {}));
    assert!(refused(&|spec| spec.work.endpoint = Endpoint::Completions));
    assert!(refused(&|spec| spec.work.endpoint = Endpoint::Embeddings));
    let line = r#"{"messages":[{"role":"user","content":"u"}]}"#;
    let chats = Workload::Dataset(Dataset::parse("c.jsonl", line).unwrap());
    assert!(refused(&|spec| spec.work.workload = chats.clone()));
}
