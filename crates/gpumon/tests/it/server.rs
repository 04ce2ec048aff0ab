//! The engine's `/metrics` as a source: good answers, none, and none for a while.

use std::{io::Write, net::TcpListener, sync::mpsc, thread, time::Instant};

use gpumon::{Access, Line, Occasion, Source, server::ServerSource, telemetry_url};
use records::{Clock, Engine, ServerSample, ServerUrl};

use crate::loopback::{LLAMA, Loopback, Pages, VLLM_LOAD, read_head};

fn sample(source: &mut ServerSource, clock: Clock) -> Vec<Line> {
    let mut lines = Vec::new();
    source.sample(clock, Occasion::Requested, &mut lines);
    lines
}

fn only_sample(lines: &[Line]) -> &ServerSample {
    match lines {
        [Line::Server(sample)] => sample,
        other => panic!("not one sample: {other:?}"),
    }
}

fn only_note(lines: &[Line]) -> &str {
    match lines {
        [Line::Note(note)] => note,
        other => panic!("not one note: {other:?}"),
    }
}

#[test]
fn a_scrape_is_stamped_with_its_middle() {
    let server = Loopback::start(Pages::default().with("/metrics", 200, VLLM_LOAD));
    let clock = Clock::new(Instant::now());
    let mut source = ServerSource::new(server.url(), &Access::default());
    let before = clock.at(Instant::now());
    let lines = sample(&mut source, clock);
    let after = clock.at(Instant::now());

    let sample = only_sample(&lines);
    assert_eq!(sample.engine, Engine::Vllm);
    assert_eq!(sample.running, Some(16.0));
    assert!(sample.t_ns.0 - sample.rtt_ns / 2 >= before.0);
    assert!(sample.t_ns.0 + sample.rtt_ns / 2 <= after.0);
    assert!(sample.rtt_ns > 0);
}

#[test]
fn a_server_that_dies_is_noted_once_and_again_when_it_is_back() {
    let server = Loopback::start(Pages::default().with("/metrics", 200, LLAMA));
    let clock = Clock::new(Instant::now());
    let mut source = ServerSource::new(server.url(), &Access::default());
    assert_eq!(only_sample(&sample(&mut source, clock)).engine, Engine::LlamaCpp);

    server.set_dead(true);
    let lost = sample(&mut source, clock);
    assert!(only_note(&lost).contains("gives no server metrics from"), "{lost:?}");
    assert_eq!(sample(&mut source, clock), []);
    let mut scheduled = Vec::new();
    source.sample(clock, Occasion::Scheduled, &mut scheduled);
    assert_eq!(scheduled, [], "a tick says it no second time");

    server.set_dead(false);
    let back = sample(&mut source, clock);
    assert!(only_note(&back[..1]).contains("is back at"), "{back:?}");
    assert_eq!(only_sample(&back[1..]).engine, Engine::LlamaCpp);
}

#[test]
fn a_server_that_accepts_and_says_nothing_does_not_hold_the_source() {
    let (server, gate) = Loopback::start_gated(Pages::default());
    let mut source = ServerSource::new(server.url(), &Access::default());
    let lines = sample(&mut source, Clock::new(Instant::now()));
    assert!(only_note(&lines).ends_with("no answer in time"), "{lines:?}");
    drop(gate);
}

/// Answers one request with the beginning of a scrape that claims to be longer; then cuts the connection, or says no more.
fn answer_in_part(then_cut: bool) -> (ServerUrl, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (gate, opened) = mpsc::channel();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        read_head(&connection);
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nvllm:num_requests_running 1").unwrap();
        if !then_cut {
            opened.recv().ok();
        }
    });
    (telemetry_url(&url).unwrap(), gate)
}

/// A scrape that ends early may end within a number: `16` of `16388` would be a wrong value.
#[test]
fn half_an_answer_is_none() {
    for then_cut in [true, false] {
        let (url, gate) = answer_in_part(then_cut);
        let mut source = ServerSource::new(&url, &Access::default());
        let lines = sample(&mut source, Clock::new(Instant::now()));
        let note = only_note(&lines);
        assert_eq!(note.ends_with("no answer in time"), !then_cut, "{note}");
        drop(gate);
    }
}

#[test]
fn an_answer_without_metrics_is_noted_with_its_reason() {
    for (status, body, reason) in [
        (404, "", "status 404\nhint: llama.cpp serves metrics only when started with --metrics"),
        (501, "", "status 501\nhint: llama.cpp serves metrics only when started with --metrics"),
        (307, "", "status 307"),
        (500, VLLM_LOAD, "status 500"),
        (200, "<html>", "no metric of vLLM or llama.cpp among its answer"),
    ] {
        let server = Loopback::start(Pages::default().with("/metrics", status, body));
        let mut source = ServerSource::new(server.url(), &Access::default());
        let clock = Clock::new(Instant::now());
        let lines = sample(&mut source, clock);
        assert!(only_note(&lines).ends_with(reason), "{lines:?}");
        assert_eq!(sample(&mut source, clock), []);
    }
}
