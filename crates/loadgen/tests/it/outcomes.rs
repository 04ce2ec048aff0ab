//! Every way in which a request can end becomes a typed outcome.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use loadgen::{Event, LoadError, LoadPlan, LoadSpec, RunEnd, Secret, StopHandle, Target};
use records::{Connection, Outcome, RequestRecord, TimeoutPhase};

use crate::server::{Request, STREAM_HEAD, event, good_response, level, nowhere, requests, run, serve, spec, token};

/// A deadline that a stalled server meets, and no other on a busy machine.
const SHORT: Duration = Duration::from_millis(300);

/// The one measured record of a run with one request.
fn one(spec: LoadSpec) -> RequestRecord {
    let (events, end) = run(spec);
    assert!(end.is_ok(), "{end:?}");
    requests(&events).remove(0)
}

fn answered_with(response: &'static str) -> RequestRecord {
    let url = serve(move |mut request| {
        request.send(response);
        request.hang_up();
    });
    one(spec(&url, &[level(1, 0, 1)]))
}

fn cut(record: &RequestRecord) -> bool {
    matches!(record.outcome, Outcome::Cut { .. })
}

#[test]
fn stamps_of_a_good_request_are_in_order() {
    let url = serve(|mut request| request.send(good_response()));
    let record = one(spec(&url, &[level(1, 0, 1)]));
    assert_eq!(record.outcome, Outcome::Completed { finish_reason: Some("length".to_owned()) });
    let head = record.head_ns.unwrap();
    assert!(record.intended_ns <= record.sent_ns && record.sent_ns <= head);
    let (first, last) = (record.ttft().unwrap(), record.e2el().unwrap());
    assert!(head - record.sent_ns <= first && first <= last);
    assert!(record.sent_ns + last <= record.finished_ns);
    let Connection::New { connect_ns } = record.connection else { unreachable!("{record:?}") };
    assert!(record.intended_ns.0 + connect_ns <= record.sent_ns.0, "connecting lies before sending");
}

#[test]
fn a_refused_connection_is_told_does_not_spin_and_ends_the_run() {
    let (url, _reserved) = nowhere();
    let (events, end) = run(spec(&url, &[level(1, 0, 100), level(2, 0, 1)]));
    let records = requests(&events);
    assert_eq!(records.len(), 3);
    for record in &records {
        assert!(matches!(record.outcome, Outcome::ConnectFailed { .. }), "{record:?}");
        assert_eq!(record.connection, Connection::None);
    }
    for pair in records.windows(2) {
        assert!(pair[1].intended_ns - pair[0].finished_ns >= Duration::from_millis(50));
    }
    let Ok(RunEnd::ServerLost { message }) = end else { unreachable!("{end:?}") };
    assert!(message.contains("refused"), "{message}");
}

#[test]
fn a_server_that_goes_away_ends_the_run_with_everything_recorded() {
    let answered = AtomicUsize::new(0);
    let url = serve(move |mut request| {
        if answered.fetch_add(1, Ordering::Relaxed) < 5 {
            request.send(good_response());
        } else {
            request.hang_up();
        }
    });
    let (events, end) = run(spec(&url, &[level(4, 2, 100), level(1, 0, 1)]));
    assert!(matches!(end, Ok(RunEnd::ServerLost { .. })), "{end:?}");
    let records = requests(&events);
    let completed = records.iter().filter(|r| matches!(r.outcome, Outcome::Completed { .. }));
    assert_eq!(completed.count(), 5);
    assert!(records.iter().filter(|r| cut(r)).count() >= 4);
    assert!(records.iter().all(|r| r.level == 0));
    let phases = events.iter().filter(|e| matches!(e, Event::Phase(_))).count();
    assert_eq!(phases, 3, "warm-up, measure, drain are closed");
}

#[test]
fn statuses_keep_the_beginning_of_the_body() {
    let record = answered_with("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 17\r\n\r\n{\"error\":\"kaputt\"");
    let body = "{\"error\":\"kaputt\"".to_owned();
    assert_eq!(record.outcome, Outcome::HttpStatus { status: 500, body });
    assert_eq!((record.ttft(), record.output_tokens), (None, None));
}

#[test]
fn a_response_that_breaks_off_is_cut_whatever_was_promised() {
    assert!(cut(&answered_with("")));
    assert!(cut(&answered_with("HTTP/1.1 200 OK\r\ncontent-ty")));
    let url = serve(|mut request| {
        request.send([STREAM_HEAD, &token(), &token()].concat());
        request.hang_up();
    });
    let record = one(spec(&url, &[level(1, 0, 1)]));
    assert!(cut(&record));
    assert_eq!(record.chunks.count, 2, "what had arrived is kept");
}

#[test]
fn what_is_no_stream_is_no_success() {
    let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 32\r\n\r\n";
    let error: &str = format!("{json}{{\"error\":{{\"message\":\"too busy\"}}}}").leak();
    let message = "too busy".to_owned();
    assert_eq!(answered_with(error).outcome, Outcome::ErrorInStream { message });
    let whole: &str = format!("{json}{{\"choices\":[{{\"message\":\"hello\"}}]}}").leak();
    let outcome = answered_with(whole).outcome;
    assert!(matches!(&outcome, Outcome::Malformed { message } if message.contains("hello")), "{outcome:?}");
    let outcome = answered_with("SSH-2.0-OpenSSH_9.2\r\n").outcome;
    assert!(matches!(outcome, Outcome::Malformed { .. }), "{outcome:?}");
}

#[test]
fn an_error_inside_a_stream_is_told_in_the_servers_words() {
    let url = serve(|mut request| {
        let error = event(r#"{"error":{"message":"engine died","code":500}}"#);
        request.send([STREAM_HEAD, &token(), &error].concat());
        request.wait_for_hang_up();
    });
    let message = "engine died".to_owned();
    let record = one(spec(&url, &[level(1, 0, 1)]));
    assert_eq!(record.outcome, Outcome::ErrorInStream { message });
}

/// The outcome when a server sends `parts` and then nothing.
fn stalled_after(parts: &[&str]) -> Outcome {
    let bytes = parts.concat();
    let url = serve(move |mut request| {
        request.send(&bytes);
        request.wait_for_hang_up();
    });
    let mut spec = spec(&url, &[level(1, 0, 1)]);
    spec.timeouts.first_byte = SHORT;
    spec.timeouts.between_tokens = SHORT;
    one(spec).outcome
}

#[test]
fn a_server_that_stalls_meets_the_deadline_of_what_was_waited_for() {
    let after = |phase| Outcome::TimedOut { phase };
    assert_eq!(stalled_after(&[]), after(TimeoutPhase::FirstByte));
    assert_eq!(stalled_after(&[STREAM_HEAD]), after(TimeoutPhase::BetweenTokens));
    assert_eq!(stalled_after(&[STREAM_HEAD, &token()]), after(TimeoutPhase::BetweenTokens));
    let done = stalled_after(&[STREAM_HEAD, &token(), &event("[DONE]")]);
    assert_eq!(done, Outcome::Completed { finish_reason: None }, "nothing is missing after [DONE]");
}

#[test]
fn keeping_a_connection_warm_does_not_count_as_a_token() {
    let url = serve(|mut request| {
        request.send(STREAM_HEAD);
        // Comments until the client gives up.
        while request.try_send("8\r\n: ping\n\n\r\n") {}
    });
    let mut spec = spec(&url, &[level(1, 0, 1)]);
    spec.timeouts.first_byte = SHORT;
    let phase = TimeoutPhase::BetweenTokens;
    assert_eq!(one(spec).outcome, Outcome::TimedOut { phase });
}

#[test]
fn an_endless_answer_meets_the_total_deadline() {
    let url = serve(|mut request| {
        request.send(STREAM_HEAD);
        while request.try_send(&token()) {}
    });
    let mut spec = spec(&url, &[level(1, 0, 1)]);
    spec.timeouts.total = SHORT;
    let record = one(spec);
    assert_eq!(record.outcome, Outcome::TimedOut { phase: TimeoutPhase::Total });
    assert!(record.chunks.count > 0);
}

/// Runs one slot until its connection has been reused `times` times, or for many requests.
fn until_reused(times: usize, answer: impl Fn(Request<'_>) + Send + Sync + 'static) -> Vec<RequestRecord> {
    let plan = LoadPlan::new(spec(&serve(answer), &[level(1, 0, 5_000)])).unwrap();
    let stop = StopHandle::new();
    let mut records = Vec::new();
    let end = loadgen::run(&plan, Instant::now(), &stop, &mut |event| {
        if let Event::Request(record) = event {
            records.push(record);
        }
        let reused = records.iter().filter(|r| r.connection == Connection::Reused);
        if reused.count() == times {
            stop.stop();
        }
        Ok(())
    });
    assert!(end.is_ok(), "{end:?}");
    assert!(!records.iter().any(cut), "no request was lost");
    records
}

#[test]
fn connections_are_reused_once_the_server_has_shown_that_it_keeps_them() {
    let records = until_reused(10, |mut request| request.send(good_response()));
    let kinds: Vec<bool> = records.iter().map(|r| r.connection == Connection::Reused).collect();
    let first = kinds.iter().position(|reused| *reused).unwrap();
    assert!(!kinds[0] && kinds[first..].iter().all(|reused| *reused), "{kinds:?}");
}

#[test]
fn a_server_that_says_close_is_never_asked_twice_on_one_connection() {
    let closing = good_response().replacen("\r\n", "\r\nconnection: close\r\n", 1);
    let url = serve(move |mut request| request.send(&closing));
    let (events, end) = run(spec(&url, &[level(2, 2, 40)]));
    assert_eq!(end.unwrap(), RunEnd::Completed);
    let mut records = requests(&events);
    records.retain(|r| r.outcome != Outcome::Cancelled);
    assert!(records.len() >= 42);
    for record in records {
        assert!(matches!(record.connection, Connection::New { .. }));
        assert!(matches!(record.outcome, Outcome::Completed { .. }));
    }
}

#[test]
fn a_server_that_closes_without_a_word_loses_no_request() {
    // As llama.cpp b10434 does after every stream.
    let url = serve(|mut request| {
        request.send(good_response());
        request.hang_up();
    });
    let (events, end) = run(spec(&url, &[level(4, 4, 400)]));
    assert_eq!(end.unwrap(), RunEnd::Completed);
    let records = requests(&events);
    assert!(!records.iter().any(cut));
    assert!(!records.iter().any(|r| r.connection == Connection::Reused));
}

#[test]
fn a_probe_tells_a_wrong_key_and_no_secret_gets_out() {
    let key = "sk-swordfish-0123456789";
    let url = serve(|mut request| {
        // A server that repeats what it was sent, as proxies do.
        let body = format!("{{\"error\":{{\"message\":\"not you: {}\"}}}}", request.head.replace("\r\n", " "));
        let head = format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\n\r\n", body.len());
        request.send(head + &body);
    });
    let mut spec = spec(&url, &[level(1, 0, 2)]);
    let header = [("x-api-key".to_owned(), "open-sesame".to_owned())];
    spec.target = Target::new(&url, "tiny", Some(Secret::new(key)), &header).unwrap();
    let plan = LoadPlan::new(spec.clone()).unwrap();
    let error = loadgen::probe(&plan, Instant::now(), &StopHandle::new()).unwrap_err();
    assert!(matches!(error, LoadError::Probe { .. }));
    let told = error.to_string();
    assert!(told.contains("answered 401: not you") && told.contains("check the API key"), "{told}");

    let (events, end) = run(spec);
    let everything = format!("{told} {error:?} {plan:?} {events:?} {end:?} {:?}", plan.to_record());
    assert!(everything.contains("not you") && everything.contains("Bearer ***"), "{everything}");
    assert!(!everything.contains(key) && !everything.contains("open-sesame"), "{everything}");
}

#[test]
fn a_probe_of_a_good_server_is_a_record() {
    let url = serve(|mut request| {
        assert_eq!(request.body["max_tokens"], 1);
        request.send(good_response());
    });
    let plan = LoadPlan::new(spec(&url, &[level(1, 0, 1)])).unwrap();
    let record = loadgen::probe(&plan, Instant::now(), &StopHandle::new()).unwrap();
    assert_eq!(record.chunks.count, 2);
    let (url, _reserved) = nowhere();
    let plan = LoadPlan::new(spec(&url, &[level(1, 0, 1)])).unwrap();
    let error = loadgen::probe(&plan, Instant::now(), &StopHandle::new()).unwrap_err();
    assert!(error.to_string().contains("is the server running"), "{error}");
}
