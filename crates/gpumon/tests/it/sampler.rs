//! The sampler's thread: ticks, readings on request, and its end.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use records::Clock;

use gpumon::{Access, Line, Occasion, Period, Sampler, Source, server::ServerSource};

use crate::loopback::{Loopback, Pages, VLLM_LOAD, nobody};

/// So long that only the first tick falls into a test.
fn once() -> Period {
    Period::try_from(Duration::from_hours(1)).unwrap()
}

fn metrics() -> Pages {
    Pages::default().with("/metrics", 200, VLLM_LOAD)
}

fn start(server: &Loopback, period: Period) -> Sampler {
    let source = ServerSource::new(server.url(), &Access::default());
    Sampler::start(vec![Box::new(source)], period, Instant::now()).unwrap()
}

fn times(lines: &[Line]) -> Vec<u64> {
    let time = |line: &Line| match line {
        Line::Server(sample) => sample.t_ns.0,
        other => panic!("not a sample: {other:?}"),
    };
    lines.iter().map(time).collect()
}

#[test]
fn ticks_go_on_by_themselves() {
    let server = Loopback::start(metrics());
    let sampler = start(&server, Period::try_from(Period::SHORTEST).unwrap());
    for _ in 0..3 {
        server.seen.recv().unwrap();
    }
    let report = sampler.stop();
    let times = times(&report.lines);
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(times.len() as u64, report.ticks);
    assert!(report.ticks >= 3, "{report:?}");
    assert!(report.read_ns > 0);
}

#[test]
fn a_reading_on_request_is_done_when_the_call_returns() {
    let server = Loopback::start(metrics());
    let sampler = start(&server, once());
    sampler.sample_now();
    sampler.sample_now();
    // The first tick is due at once, but a request that is there already goes first.
    let on_request = sampler.drain().len();
    assert!((2..=3).contains(&on_request), "{on_request}");
    let report = sampler.stop();
    assert_eq!(on_request + report.lines.len(), 2 + usize::try_from(report.ticks).unwrap());
    assert!(report.ticks <= 1);
}

#[test]
fn a_request_during_a_tick_is_answered_after_it() {
    let (server, gate) = Loopback::start_gated(metrics());
    let sampler = start(&server, once());
    server.seen.recv().unwrap(); // the tick is in progress
    let drained_during_tick = sampler.drain();
    assert_eq!(drained_during_tick, [], "drain does not wait for it");

    let report = thread::scope(|scope| {
        let asking = scope.spawn(|| sampler.sample_now());
        gate.send(()).unwrap(); // the tick ends
        server.seen.recv().unwrap(); // the reading that was asked for has heard
        assert!(!asking.is_finished());
        gate.send(()).unwrap();
        asking.join().unwrap();
        times(&sampler.drain())
    });
    assert_eq!(report.len(), 2);
    assert!(report.is_sorted());
    let report = sampler.stop();
    assert_eq!((report.ticks, report.lines), (1, vec![]));
}

#[test]
fn a_dead_server_leaves_one_note_and_the_sampler_goes_on() {
    let source = ServerSource::new(&nobody(), &Access::default());
    let sampler = Sampler::start(vec![Box::new(source)], once(), Instant::now()).unwrap();
    for _ in 0..3 {
        sampler.sample_now();
    }
    let report = sampler.stop();
    assert!(
        matches!(report.lines.as_slice(), [Line::Note(note)] if note.contains("gives no server metrics")),
        "{report:?}"
    );
}

/// Says what it is asked, in order.
struct Scripted {
    told: mpsc::Sender<&'static str>,
    fails: bool,
}

impl Source for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn describe(&mut self) -> Vec<Line> {
        self.told.send("describe").unwrap();
        vec![Line::Note("described".to_owned())]
    }

    fn sample(&mut self, _: Clock, occasion: Occasion, out: &mut Vec<Line>) {
        assert!(!self.fails, "as scripted");
        self.told
            .send(match occasion {
                Occasion::Scheduled => "tick",
                Occasion::Requested => "request",
            })
            .unwrap();
        out.push(Line::Note("sampled".to_owned()));
    }
}

#[test]
fn a_source_is_described_before_it_is_sampled() {
    let (told, heard) = mpsc::channel();
    let source = Scripted { told, fails: false };
    let sampler = Sampler::start(vec![Box::new(source)], once(), Instant::now()).unwrap();
    assert_eq!(heard.recv(), Ok("describe"));
    assert_eq!(heard.recv(), Ok("tick"));
    sampler.sample_now();
    assert_eq!(heard.recv(), Ok("request"));
    let notes = |lines: &[&str]| -> Vec<Line> { lines.iter().map(|line| Line::Note((*line).to_owned())).collect() };
    assert_eq!(sampler.stop().lines, notes(&["described", "sampled", "sampled"]));
}

#[test]
fn dropping_the_sampler_ends_its_thread() {
    let (told, heard) = mpsc::channel();
    let source = Scripted { told, fails: false };
    drop(Sampler::start(vec![Box::new(source)], once(), Instant::now()).unwrap());
    // The channel closes when the thread has let go of the source.
    assert!(heard.iter().count() <= 2);
}

#[test]
fn a_source_that_breaks_its_word_ends_sampling_and_not_the_run() {
    let (told, _heard) = mpsc::channel();
    let source = Scripted { told, fails: true };
    let sampler = Sampler::start(vec![Box::new(source)], once(), Instant::now()).unwrap();
    sampler.sample_now();
    sampler.sample_now();
    let report = sampler.stop();
    assert!(
        matches!(report.lines.as_slice(), [Line::Note(_), Line::Note(last)] if last.contains("thread failed")),
        "{report:?}"
    );
}

/// Takes two and a half periods for a reading, as long as someone listens.
struct Slow(mpsc::Sender<()>);

impl Source for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn describe(&mut self) -> Vec<Line> {
        Vec::new()
    }

    fn sample(&mut self, clock: Clock, _: Occasion, _: &mut Vec<Line>) {
        if self.0.send(()).is_ok() {
            let end = clock.at(Instant::now()) + Period::SHORTEST * 5 / 2;
            while clock.at(Instant::now()) < end {
                thread::yield_now();
            }
        }
    }
}

#[test]
fn ticks_that_pass_during_a_reading_are_counted() {
    let (told, heard) = mpsc::channel();
    let period = Period::try_from(Period::SHORTEST).unwrap();
    let sampler = Sampler::start(vec![Box::new(Slow(told))], period, Instant::now()).unwrap();
    heard.recv().unwrap();
    heard.recv().unwrap(); // the second tick that is read is the fourth that was due, or a later one
    drop(heard);
    let report = sampler.stop();
    assert!(report.missed >= 4, "two during each slow reading: {report:?}");
    assert!(report.read_ns >= 500_000_000, "{report:?}");
}
