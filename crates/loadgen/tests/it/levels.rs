//! What a level does as a whole: how many requests are in flight, which kind they are, and in which order things are told.

use std::{
    collections::HashSet,
    num::NonZeroUsize,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use loadgen::{Event, LoadError, LoadPlan, RunEnd, StopHandle, Threads, workload};
use records::{Outcome, PhaseKind, RequestRecord, Stage};

use crate::server::{Request, good_response, level, requests, run, serve, spec};

/// What a server counts.
#[derive(Default)]
struct Seen {
    in_flight: usize,
    most_in_flight: usize,
    prompts: Vec<String>,
}

/// A count that others can wait on.
#[derive(Clone, Default)]
struct Board(Arc<(Mutex<Seen>, Condvar)>);

impl Board {
    fn arrive(&self, prompt: &str) {
        let mut seen = self.0.0.lock().unwrap();
        seen.in_flight += 1;
        seen.most_in_flight = seen.most_in_flight.max(seen.in_flight);
        seen.prompts.push(prompt.to_owned());
        self.0.1.notify_all();
    }

    fn leave(&self) {
        self.0.0.lock().unwrap().in_flight -= 1;
    }

    fn wait(&self, until: impl Fn(&Seen) -> bool) {
        let seen = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(seen, |seen| !until(seen)).unwrap());
    }

    fn read<T>(&self, what: impl Fn(&Seen) -> T) -> T {
        what(&self.0.0.lock().unwrap())
    }
}

fn prompt(level: u32, request: u64) -> String {
    workload::prompt(workload::PromptId { seed: 1, level, request })
}

#[test]
fn eight_slots_are_eight_requests_in_flight() {
    for threads in [1, 3] {
        let board = Board::default();
        let server = board.clone();
        let url = serve(move |mut request| {
            server.arrive(request.prompt());
            // Nobody is served before eight are there: a client with fewer in flight stands still until it times out.
            server.wait(|seen| seen.most_in_flight >= 8);
            server.leave();
            request.send(good_response());
        });
        let mut spec = spec(&url, &[level(8, 8, 40)]);
        spec.threads = Threads::Exactly(NonZeroUsize::new(threads).unwrap());
        let (events, end) = run(spec);
        assert_eq!(end.unwrap(), RunEnd::Completed);
        assert_eq!(board.read(|seen| seen.most_in_flight), 8);
        let records = requests(&events);
        let measured: Vec<_> = records.iter().filter(|r| r.stage == Stage::Measured).collect();
        assert_eq!(measured.len(), 40);
        assert!(measured.iter().all(|r| matches!(r.outcome, Outcome::Completed { .. })));
        assert_eq!(records.iter().filter(|r| r.stage == Stage::Warmup).count(), 8);
        let slots: HashSet<u32> = records.iter().map(|r| r.slot).collect();
        assert_eq!(slots, (0..8).collect());
    }
}

#[test]
fn warm_up_is_handed_over_without_draining() {
    let board = Board::default();
    let server = board.clone();
    let url = serve(move |mut request| {
        let text = request.prompt().to_owned();
        server.arrive(&text);
        if text == prompt(0, 0) {
            // The first warm-up request stays until a measured one has come. A client that drains never sends it.
            server.wait(|seen| seen.prompts.contains(&prompt(0, 2)));
        }
        request.send(good_response());
    });
    let (events, end) = run(spec(&url, &[level(2, 2, 3)]));
    assert_eq!(end.unwrap(), RunEnd::Completed);
    let records = requests(&events);
    let find = |number| records.iter().find(|r| r.request == number).unwrap();
    assert!(find(2).sent_ns < find(0).finished_ns);
    assert_eq!((find(0).stage, find(0).asked_output_tokens), (Stage::Warmup, 1));
    assert_eq!((find(2).stage, find(2).asked_output_tokens), (Stage::Measured, 2));
    assert!(records.iter().all(|r| !matches!(r.outcome, Outcome::TimedOut { .. })));
}

/// How the cool-down requests end that come while the only measured request is in flight.
fn cool_down(drain: Duration, serve_cool_down: fn(Request<'_>)) -> Vec<Outcome> {
    let board = Board::default();
    let server = board.clone();
    let url = serve(move |mut request| {
        server.arrive(request.prompt());
        if request.prompt() == prompt(0, 0) {
            // A client without cool-down never sends the second.
            server.wait(|seen| seen.in_flight >= 2);
            request.send(good_response());
        } else {
            serve_cool_down(request);
        }
    });
    let mut spec = spec(&url, &[level(2, 0, 1)]);
    spec.drain = drain;
    let (events, end) = run(spec);
    assert_eq!(end.unwrap(), RunEnd::Completed);
    let (measured, cool_down): (Vec<_>, Vec<_>) =
        requests(&events).into_iter().partition(|r| r.stage == Stage::Measured);
    assert!(matches!(measured[..], [RequestRecord { outcome: Outcome::Completed { .. }, asked_output_tokens: 2, .. }]));
    // No measured request has ended, so nothing is known of how long the last one takes.
    assert!(cool_down.iter().all(|r| (r.stage, r.asked_output_tokens) == (Stage::Cooldown, 2)));
    cool_down.into_iter().map(|r| r.outcome).collect()
}

#[test]
fn cool_down_keeps_the_load_until_the_last_measured_request_and_then_ends_by_itself() {
    let ends = cool_down(Duration::from_mins(1), |mut request| {
        request.send(good_response());
    });
    assert!(!ends.is_empty());
    assert!(ends.iter().all(|end| matches!(end, Outcome::Completed { .. })), "{ends:?}");
}

#[test]
fn cool_down_that_does_not_end_is_cancelled() {
    let ends = cool_down(Duration::from_millis(1), |mut request| {
        request.wait_for_hang_up();
    });
    assert_eq!(ends, [Outcome::Cancelled]);
}

/// An event in a word.
fn word(event: &Event) -> Option<String> {
    Some(match event {
        Event::LevelStarted { level, concurrency } => format!("start {level} x{concurrency}"),
        Event::Phase(phase) => format!("{:?} {}", phase.kind, phase.level.unwrap()),
        Event::LevelDone { level } => format!("done {level}"),
        _ => return None,
    })
}

#[test]
fn levels_follow_each_other_and_the_caller_is_asked_in_between() {
    let board = Board::default();
    let server = board.clone();
    let url = serve(move |mut request| {
        server.arrive(request.prompt());
        server.leave();
        request.send(good_response());
    });
    let plan = LoadPlan::new(spec(&url, &[level(1, 1, 3), level(2, 0, 4)])).unwrap();
    let mut events = Vec::new();
    let end = loadgen::run(&plan, Instant::now(), &StopHandle::new(), &mut |event| {
        if event == (Event::LevelDone { level: 0 }) {
            let early = board.read(|seen| seen.prompts.contains(&prompt(1, 0)));
            assert!(!early, "the next level waits for the caller");
        }
        events.push(event);
        Ok(())
    });
    assert_eq!(end.unwrap(), RunEnd::Completed);
    let told: Vec<_> = events.iter().filter_map(word).collect();
    assert_eq!(
        told,
        ["start 0 x1", "Warmup 0", "Measure 0", "Drain 0", "done 0", "start 1 x2", "Measure 1", "Drain 1", "done 1"]
    );
    let records = requests(&events);
    let numbers: HashSet<u64> = records.iter().map(|r| r.request).collect();
    assert_eq!(numbers, (0..records.len() as u64).collect(), "numbered without gaps");
    let prompts = board.read(|seen| seen.prompts.clone());
    assert_eq!(prompts.iter().collect::<HashSet<_>>().len(), prompts.len(), "no prompt twice");
}

#[test]
fn the_measuring_phase_spans_the_measured_requests() {
    let url = serve(|mut request| request.send(good_response()));
    let (events, _) = run(spec(&url, &[level(2, 3, 20)]));
    let records = requests(&events);
    let measured = records.iter().filter(|r| r.stage == Stage::Measured);
    let (start, end) =
        (measured.clone().map(|r| r.sent_ns).min().unwrap(), measured.map(|r| r.finished_ns).max().unwrap());
    let phase = events.iter().find_map(|e| match e {
        Event::Phase(phase) if phase.kind == PhaseKind::Measure => Some(phase),
        _ => None,
    });
    let phase = phase.unwrap();
    assert_eq!((phase.start_ns, phase.end_ns), (start, end));
    let last = events.iter().rev().find_map(|e| match e {
        Event::Progress(progress) => Some(*progress),
        _ => None,
    });
    let last = last.unwrap();
    assert_eq!((last.finished, last.planned, last.in_flight), (23, 23, 0));
}

#[test]
fn a_stop_keeps_what_was_in_flight() {
    let url = serve(|mut request| {
        if request.prompt() == prompt(0, 0) {
            request.send(good_response());
        } else {
            request.wait_for_hang_up();
        }
    });
    let plan = LoadPlan::new(spec(&url, &[level(3, 0, 9), level(1, 0, 1)])).unwrap();
    let stop = StopHandle::new();
    let mut events = Vec::new();
    let end = loadgen::run(&plan, Instant::now(), &stop, &mut |event| {
        if matches!(event, Event::Request(_)) {
            stop.clone().stop();
        }
        events.push(event);
        Ok(())
    });
    assert_eq!(end.unwrap(), RunEnd::Interrupted);
    let records = requests(&events);
    let cancelled = records.iter().filter(|r| r.outcome == Outcome::Cancelled).count();
    assert_eq!(cancelled, records.len() - 1);
    assert!(cancelled >= 2);
    let told: Vec<_> = events.iter().filter_map(word).collect();
    assert_eq!(told, ["start 0 x3", "Measure 0", "Drain 0"]);
}

#[test]
fn a_sink_that_fails_stops_the_load() {
    let url = serve(|mut request| request.send(good_response()));
    let plan = LoadPlan::new(spec(&url, &[level(2, 0, 1_000)])).unwrap();
    let mut after = 0;
    let mut failed = false;
    let end = loadgen::run(&plan, Instant::now(), &StopHandle::new(), &mut |event| {
        after += usize::from(failed);
        failed |= matches!(event, Event::Request(_));
        if failed { Err("no space left on device".into()) } else { Ok(()) }
    });
    let Err(LoadError::Sink { source }) = end else { unreachable!("{end:?}") };
    assert_eq!((source.to_string().as_str(), after), ("no space left on device", 0));
}

#[test]
fn a_sink_that_has_seen_enough_ends_the_level_and_not_the_run() {
    let url = serve(|mut request| request.send(good_response()));
    let plan = LoadPlan::new(spec(&url, &[level(4, 4, 100_000), level(2, 0, 5)])).unwrap();
    let stop = StopHandle::new();
    let mut events = Vec::new();
    let end = loadgen::run(&plan, Instant::now(), &stop, &mut |event| {
        if matches!(&event, Event::Request(record) if record.level == 0 && record.request == 30) {
            stop.enough(0);
        }
        events.push(event);
        Ok(())
    });
    assert_eq!(end.unwrap(), RunEnd::Completed);
    let records = requests(&events);
    let measured = |level| {
        let of_level = |r: &&RequestRecord| r.level == level && r.stage == Stage::Measured;
        records.iter().filter(of_level).count()
    };
    // 27 were measured when it had seen enough, and what was in flight or taken meanwhile counts too.
    assert!((27..10_000).contains(&measured(0)), "{}", measured(0));
    assert_eq!(measured(1), 5);
    let completed = |r: &RequestRecord| matches!(r.outcome, Outcome::Completed { .. });
    assert!(records.iter().filter(|r| r.stage == Stage::Measured).all(completed));
    let ended_by = |level| {
        let mut phases = events.iter().filter_map(|event| match event {
            Event::Phase(phase) if phase.kind == PhaseKind::Measure => Some(phase),
            _ => None,
        });
        phases.find(|phase| phase.level == Some(level)).unwrap().ended_by
    };
    assert_eq!(ended_by(0), Some(records::MeasureEnd::Tight));
    assert_eq!(ended_by(1), Some(records::MeasureEnd::Requests));
}
