//! Every fault, as a client sees it on its socket.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use simserver::{FaultRule, SimConfig, SimServer};

use crate::client::{ask, chat, completion, quick_profile, quick_server};

/// What came off the socket until the server closed it, and whether it was reset.
struct Raw {
    bytes: String,
    reset: bool,
}

impl Raw {
    fn head(&self) -> &str {
        self.bytes.split("\r\n\r\n").next().unwrap_or_default()
    }

    /// The body without its HTTP chunk framing.
    fn body(&self) -> String {
        let (head, mut rest) = self.bytes.split_once("\r\n\r\n").unwrap_or_default();
        if !head.contains("transfer-encoding: chunked") {
            return rest.to_owned();
        }
        let mut body = String::new();
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).expect("a chunk size");
            let size = size.min(after.len());
            body.push_str(&after[..size]);
            rest = after.get(size + 2..).unwrap_or_default();
        }
        body
    }

    fn ended_well(&self) -> bool {
        self.bytes.ends_with("0\r\n\r\n")
    }
}

fn raw(server: &SimServer, faults: &str, path: &str, body: &str) -> Raw {
    let mut socket = TcpStream::connect(server.address()).expect("the server listens");
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\nx-sim-fault: {faults}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).expect("sent");
    let mut bytes = Vec::new();
    let reset = match socket.read_to_end(&mut bytes) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            true
        }
    };
    Raw { bytes: String::from_utf8(bytes).expect("UTF-8"), reset }
}

fn streamed(server: &SimServer, faults: &str) -> Raw {
    let rest = r#","stream":true,"ignore_eos":true,"max_tokens":6,"stream_options":{"include_usage":true}"#;
    raw(server, faults, "/v1/chat/completions", &chat(rest))
}

fn whole(server: &SimServer, faults: &str) -> Raw {
    let rest = r#","ignore_eos":true,"max_tokens":6"#;
    raw(server, faults, "/v1/completions", &completion(rest))
}

fn data(body: &str) -> Vec<&str> {
    body.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
}

fn text(body: &str) -> String {
    let content = |event: &&str| {
        let json: serde_json::Value = serde_json::from_str(event).ok()?;
        json["choices"][0]["delta"]["content"].as_str().map(str::to_owned)
    };
    data(body).iter().filter_map(content).collect()
}

const SIX: &str = "harbor stone green paper window slow";

#[test]
fn without_faults_nothing_goes_wrong() {
    let server = quick_server();
    let good = streamed(&server, "");
    assert!(good.ended_well() && !good.reset);
    assert_eq!(text(&good.body()), SIX);
    assert_eq!(data(&good.body()).len(), 1 + 6 + 1 + 1);
}

#[test]
fn connections_are_reset_and_cut() {
    let server = quick_server();
    let before = streamed(&server, "reset-before-head");
    assert!(before.reset && before.bytes.is_empty());
    for answer in [streamed(&server, "reset-after-head"), whole(&server, "reset-after-head")] {
        assert!(answer.reset);
        assert!(answer.bytes.starts_with("HTTP/1.1 200 OK\r\n"), "{}", answer.bytes);
    }
    let later = streamed(&server, "reset-after-head,after=3");
    assert!(later.reset);
    assert_eq!(text(&later.body()), "harbor stone green");
    let cut = streamed(&server, "cut,after=2");
    assert!(!cut.reset && !cut.ended_well());
    assert_eq!(text(&cut.body()), "harbor stone");
    let cut = whole(&server, "cut");
    assert!(!cut.reset);
    let length = cut.head().split("content-length: ").nth(1).unwrap();
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    assert_eq!(cut.body().len(), length / 2);
}

#[test]
fn statuses_come_with_and_without_retry_after() {
    let server = quick_server();
    for (fault, status, retry_after) in [
        ("status=429,retry-after=2", "429 Too Many Requests", true),
        ("status=500", "500 Internal Server Error", false),
        ("status=503", "503 Service Unavailable", false),
    ] {
        let answer = streamed(&server, fault);
        assert!(answer.head().starts_with(&format!("HTTP/1.1 {status}")));
        assert_eq!(answer.head().contains("retry-after: 2"), retry_after);
        let body: serde_json::Value = serde_json::from_str(&answer.body()).unwrap();
        assert_eq!(body["error"]["code"].to_string(), status[..3]);
    }
}

#[test]
fn a_stall_takes_its_time_and_goes_on() {
    let server = quick_server();
    for answer in [streamed, whole] {
        let begun = Instant::now();
        let stalled = answer(&server, "stall=150ms,after=2");
        assert!(begun.elapsed() >= Duration::from_millis(150));
        assert!(stalled.head().starts_with("HTTP/1.1 200 OK"));
    }
    assert_eq!(text(&streamed(&server, "stall=5ms,after=2").body()), SIX);
}

#[test]
fn drops_are_small_and_complete() {
    let server = quick_server();
    let begun = Instant::now();
    let dripped = streamed(&server, "drip=300,every=5ms");
    assert_eq!(text(&dripped.body()), SIX);
    assert!(dripped.ended_well());
    // Nine events, none above 300 bytes: at least eight pauses.
    assert!(begun.elapsed() >= Duration::from_millis(40));
    let largest = dripped
        .bytes
        .split("\r\n")
        .filter_map(|line| (line.len() < 4).then(|| usize::from_str_radix(line, 16).ok()).flatten())
        .max();
    assert!(largest <= Some(300), "{largest:?}");
    let begun = Instant::now();
    let dripped = whole(&server, "drip=100,every=5ms");
    assert!(begun.elapsed() >= Duration::from_millis(10));
    assert!(serde_json::from_str::<serde_json::Value>(&dripped.body()).is_ok());
}

#[test]
fn frames_go_wrong() {
    let server = quick_server();
    let error = streamed(&server, "error-in-200,after=1").body();
    let events = data(&error);
    assert_eq!(events.len(), 1 + 1 + 1 + 1, "role, token, error, [DONE]");
    assert!(events[2].starts_with(r#"{"error": {"message": "#));
    let error = whole(&server, "error-in-200").body();
    assert!(error.starts_with(r#"{"error": {"message": "#));

    let malformed = streamed(&server, "malformed,after=2").body();
    let events = data(&malformed);
    let broken: Vec<usize> =
        (0..events.len()).filter(|&i| serde_json::from_str::<serde_json::Value>(events[i]).is_err()).collect();
    assert_eq!(broken, [3, events.len() - 1], "the broken one and [DONE]");
    assert_eq!(text(&malformed), SIX);

    let giant = streamed(&server, "giant=300000,after=2").body();
    assert_eq!(text(&giant).len(), SIX.len() + 300_000);
    let longest = data(&giant).iter().map(|event| event.len()).max().unwrap();
    assert!(longest > 300_000);

    let crlf = streamed(&server, "crlf").body();
    assert_eq!(crlf.matches("\r\n\r\n").count(), 9);
    assert_eq!(crlf.matches('\n').count(), crlf.matches("\r\n").count());

    let together = streamed(&server, "tokens-per-chunk=4").body();
    let chunks = data(&together);
    // role, "harbor stone green paper", " window slow", usage, [DONE]
    assert_eq!(chunks.len(), 5);
    assert!(chunks[1].contains("\"harbor stone green paper\""));
    assert_eq!(text(&together), SIX);
}

#[test]
fn counts_go_wrong() {
    let server = quick_server();
    let usages = |faults: &str| {
        let body = streamed(&server, faults).body();
        data(&body)
            .iter()
            .filter_map(|event| serde_json::from_str::<serde_json::Value>(event).ok())
            .filter_map(|event| event["usage"]["completion_tokens"].as_u64())
            .collect::<Vec<_>>()
    };
    assert_eq!(usages(""), [6]);
    assert!(usages("no-usage").is_empty());
    assert_eq!(usages("duplicate-usage"), [6, 6]);
    assert_eq!(usages("wrong-counts=3"), [9]);
    assert_eq!(usages("wrong-counts=-4; duplicate-usage"), [2, 2]);
    let body = whole(&server, "wrong-counts=5").body();
    assert!(body.contains(r#""completion_tokens":11"#));
    assert!(whole(&server, "no-usage").body().contains(r#""usage":null"#));
}

#[test]
fn faults_of_the_server_strike_their_share_and_are_counted() {
    let rules: Vec<FaultRule> =
        ["status=503@0.3", "delay-accept=1ms@0.5"].iter().map(|rule| rule.parse().unwrap()).collect();
    let statuses = |fault_seed| {
        let server =
            SimServer::start(SimConfig { faults: rules.clone(), fault_seed, ..SimConfig::new(quick_profile()) })
                .unwrap();
        let answers: Vec<bool> = (0..60).map(|_| whole(&server, "").head().contains("503")).collect();
        let page = ask(&server, "GET", "/metrics", "").body();
        let struck = answers.iter().filter(|struck| **struck).count();
        let counted = format!("simserver:faults_total{{fault=\"status\",profile=\"quick\"}} {struck}.0");
        assert!(page.contains(&counted), "{counted}");
        let told = ask(&server, "GET", "/simulation", "").body();
        assert!(told.contains(r#""faults":["status=503@0.3","delay-accept=1ms@0.5"]"#), "{told}");
        answers
    };
    let once = statuses(1);
    let struck = once.iter().filter(|struck| **struck).count();
    // 60 draws at 0.3: 18, four standard errors are 14.2.
    assert!((4..=32).contains(&struck), "{struck}");
    assert_eq!(once, statuses(1));
    assert_ne!(once, statuses(2));
}

#[test]
fn nobody_listens_or_the_connection_is_refused_now_and_then() {
    let refusing = |rule: &str| {
        SimServer::start(SimConfig { faults: vec![rule.parse().unwrap()], ..SimConfig::new(quick_profile()) }).unwrap()
    };
    let never = refusing("refuse");
    let error = TcpStream::connect(never.address()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    never.stop();
    let sometimes = refusing("refuse@0.5");
    let health = |_| {
        let mut socket = TcpStream::connect(sometimes.address()).unwrap();
        let sent = socket.write_all(b"GET /health HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        sent.is_ok() && socket.read_to_string(&mut answer).is_ok() && answer.contains("200 OK")
    };
    let served = (0..30).map(health).filter(|served| *served).count();
    assert!((4..=26).contains(&served), "{served}");
}

#[test]
fn nonsense_in_the_header_is_refused_in_words() {
    let server = quick_server();
    let answer = streamed(&server, "cut,before=3");
    assert!(answer.head().starts_with("HTTP/1.1 400"));
    assert!(answer.body().contains("it takes no `before`"));
    assert!(streamed(&server, "refuse").head().starts_with("HTTP/1.1 400"));
}
