//! What HTTP/1.1 allows a server to send around a stream (RFC 9112), and what it does not.

use std::time::Duration;

use records::{Connection, Outcome, RequestRecord};

use crate::server::{STREAM_HEAD, event, good_response, level, requests, run, serve, spec, token};

/// Records of one slot whose server answers every request with these pieces, apart in time, and then hangs up or not.
fn records(pieces: Vec<String>, hangs_up: bool, count: u64) -> Vec<RequestRecord> {
    let url = serve(move |mut request| {
        for piece in &pieces {
            request.send(piece);
            if pieces.len() > 1 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        if hangs_up {
            request.hang_up();
        }
    });
    let (events, end) = run(spec(&url, &[level(1, 0, count)]));
    assert!(end.is_ok(), "{end:?}");
    requests(&events)
}

fn outcome(response: impl Into<String>) -> Outcome {
    records(vec![response.into()], true, 1).remove(0).outcome
}

fn completed() -> Outcome {
    let finish_reason = Some("length".to_owned());
    Outcome::Completed { finish_reason }
}

/// The events of a good response without HTTP's chunks.
fn plain_events() -> String {
    let chunk = |data: &str| format!("data: {data}\n\n");
    [
        chunk(r#"{"choices":[{"delta":{"content":"a"}}]}"#),
        chunk(r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#),
        chunk("[DONE]"),
    ]
    .concat()
}

/// A head with these fields, then the events.
fn with_fields(version: &str, fields: &str) -> String {
    let events = plain_events();
    let fields = fields.replace("LENGTH", &events.len().to_string());
    format!("HTTP/{version} 200 OK\r\ncontent-type: text/event-stream\r\n{fields}\r\n{events}")
}

#[test]
fn a_body_ends_with_its_length_its_last_chunk_or_the_connection() {
    for response in [
        with_fields("1.1", ""),
        with_fields("1.0", ""),
        with_fields("1.1", "content-length: LENGTH\r\n"),
        with_fields("1.1", "Content-Length: LENGTH, LENGTH\r\n"),
        good_response(),
        // Interim responses, an extension and a trailer.
        format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{}", good_response()),
        good_response().replace("0\r\n\r\n", "0;last\r\nserver-timing: a;dur=1\r\n\r\n"),
    ] {
        assert_eq!(outcome(response.as_str()), completed(), "{response}");
    }
}

#[test]
fn a_head_may_come_in_any_pieces() {
    let response = good_response();
    let pieces = response.as_bytes().chunks(37);
    let pieces = pieces.map(|piece| String::from_utf8_lossy(piece).into_owned());
    let records = records(pieces.collect(), false, 3);
    for record in &records {
        assert_eq!(record.outcome, completed());
        assert_eq!(record.chunks.count, 2);
        assert!(record.head_ns.is_some_and(|head| head > record.sent_ns));
    }
}

#[test]
fn long_heads_are_understood_up_to_a_bound() {
    let with_cookie = |length| {
        let cookie = format!("\r\nset-cookie: {}\r\n", "x".repeat(length));
        good_response().replacen("\r\n", &cookie, 1)
    };
    assert_eq!(outcome(with_cookie(40_000)), completed());
    let too_long = outcome(with_cookie(200_000));
    assert!(matches!(too_long, Outcome::Malformed { .. }), "{too_long:?}");
}

#[test]
fn what_breaks_the_rules_is_malformed_and_what_is_missing_is_cut() {
    for response in [
        with_fields("1.1", "content-length: LENGTH\r\ncontent-length: 7\r\n"),
        with_fields("1.1", "content-length: -1\r\n"),
        format!("{STREAM_HEAD}zz\r\n"),
        [STREAM_HEAD, &token(), "5\r\nabcdefgh\r\n"].concat(),
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n".to_owned(),
        "HTTP/2.0 200 OK\r\n\r\n".to_owned(),
    ] {
        let outcome = outcome(response.as_str());
        assert!(matches!(outcome, Outcome::Malformed { .. }), "{response}: {outcome:?}");
    }
    for response in [
        [STREAM_HEAD, &token(), "5\r\nabc"].concat(),
        with_fields("1.1", "content-length: 100000\r\n").replace("[DONE]", "").replace("finish_reason", "x"),
    ] {
        let outcome = outcome(response.as_str());
        assert!(matches!(outcome, Outcome::Cut { .. }), "{response}: {outcome:?}");
    }
}

#[test]
fn a_connection_is_kept_only_where_both_sides_agree_and_nothing_is_left_over() {
    let reused = |response: String| {
        let records = records(vec![response], false, 2_000);
        assert!(records.iter().all(|record| record.outcome == completed()));
        records.iter().any(|record| record.connection == Connection::Reused)
    };
    let length = "content-length: LENGTH\r\n";
    assert!(reused(with_fields("1.1", length)));
    assert!(reused(with_fields("1.0", &format!("connection: Keep-Alive\r\n{length}"))));
    assert!(!reused(with_fields("1.0", length)));
    assert!(!reused(with_fields("1.1", &format!("connection: x, CLOSE\r\n{length}"))));
    assert!(!reused(good_response() + &event("after the end")));
}
