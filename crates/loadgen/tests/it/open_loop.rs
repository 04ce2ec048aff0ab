//! Open loop: requests are sent when the schedule says, whatever the server does; and levels that stop on time.

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use loadgen::{
    Done, Level, Load, LoadPlan, LoadSpec, RunEnd, StopHandle, Volume,
    arrival::{Arrivals, Shape, Spacing},
    workload::{Calibration, Lengths, Synthetic, Trace, Workload},
};
use records::{Outcome, RequestRecord, Stage};

use crate::server::{good_response, level, requests, run, serve, spec};

static FAST: Arrivals = Arrivals::Steady { per_second: 400.0, spacing: Spacing::POISSON };

fn open(arrivals: Arrivals, most_in_flight: u32, warmup_requests: u64, requests: u64) -> Level {
    Level {
        load: Load::Open { arrivals, most_in_flight: NonZeroU32::new(most_in_flight).unwrap() },
        volume: Volume::Requests(NonZeroU64::new(requests).unwrap()),
        warmup_requests,
    }
}

fn measured(records: &[RequestRecord]) -> Vec<&RequestRecord> {
    let mut measured: Vec<_> = records.iter().filter(|r| r.stage == Stage::Measured).collect();
    measured.sort_by_key(|r| r.request);
    measured
}

#[test]
fn requests_are_meant_for_the_times_of_the_schedule() {
    let url = serve(|mut request| request.send(good_response()));
    let spec = spec(&url, &[open(FAST.clone(), 64, 5, 60)]);
    let plan = LoadPlan::new(spec.clone()).unwrap();
    let schedule: Vec<_> = FAST.times(plan.level_seed(0), 5).take(65).collect();
    let (events, end) = run(spec);
    assert_eq!(end.unwrap(), RunEnd::Completed);
    let records = requests(&events);
    let measured = measured(&records);
    assert_eq!(measured.len(), 60);
    for (record, due) in measured.iter().zip(&schedule[5..]) {
        let after_first = record.intended_ns - measured[0].intended_ns;
        assert_eq!(after_first, due.saturating_sub(schedule[5]), "absolute, not from one to the next");
        assert!(record.sent_ns >= record.intended_ns, "never before its time");
        assert!(matches!(record.outcome, Outcome::Completed { .. }));
    }
    assert!(records.iter().filter(|r| r.stage == Stage::Warmup).all(|r| r.asked_output_tokens == 2));
}

#[test]
fn a_slow_server_does_not_slow_the_arrivals() {
    // Nobody is served before all are there: a client that waits for answers stands still until it times out.
    let seen = Arc::new((Mutex::new(0), Condvar::new()));
    let url = serve(move |mut request| {
        let mut count = seen.0.lock().unwrap();
        *count += 1;
        seen.1.notify_all();
        drop(seen.1.wait_while(count, |count| *count < 30).unwrap());
        request.send(good_response());
    });
    for arrivals in [FAST.clone(), Arrivals::AtOnce] {
        let (events, end) = run(spec(&url, &[open(arrivals.clone(), 64, 0, 30)]));
        assert_eq!(end.unwrap(), RunEnd::Completed);
        let records = requests(&events);
        assert!(measured(&records).iter().all(|r| matches!(r.outcome, Outcome::Completed { .. })));
        if arrivals == Arrivals::AtOnce {
            assert_eq!(records.len(), 30, "no cool-down after a burst");
        }
    }
}

#[test]
fn what_finds_no_free_slot_is_late_and_says_so() {
    let pause = Duration::from_millis(30);
    let url = serve(move |mut request| {
        std::thread::sleep(pause);
        request.send(good_response());
    });
    let (events, end) = run(spec(&url, &[open(Arrivals::AtOnce, 2, 0, 10)]));
    assert_eq!(end.unwrap(), RunEnd::Completed);
    let records = requests(&events);
    assert!(records.iter().all(|r| r.slot < 2));
    // Ten requests, two at a time: the last pair waited for four pairs before it.
    let longest = records.iter().map(RequestRecord::send_lag).max().unwrap();
    assert!(longest >= 4 * pause, "{longest:?}");
    let intended = records[0].intended_ns;
    assert!(records.iter().all(|r| r.intended_ns == intended));
}

#[test]
fn recorded_traffic_comes_when_and_as_long_as_it_did() {
    let url = serve(|mut request| request.send(good_response()));
    let lines = [(1000, 40, 3), (1010, 60, 4), (1200, 80, 5)];
    let lines = lines.map(|(at, input, output)| {
        format!("{{\"timestamp\":{at},\"input_length\":{input},\"output_length\":{output}}}")
    });
    let trace = Trace::parse("t.jsonl", &lines.join("\n"), 2.0).unwrap();
    let mut spec = spec(&url, &[open(trace.arrivals(), 64, 0, 100)]);
    spec.work.workload = Workload::Synthetic(Synthetic {
        isl: Lengths::exactly(1),
        shared_prefix: 0,
        calibration: Calibration::default(),
        recorded: Some(trace),
    });
    let record = LoadPlan::new(spec.clone()).unwrap().to_record();
    assert_eq!((record.requests, record.workload.as_str()), (vec![3], "t.jsonl"));
    let (events, end) = run(spec);
    assert_eq!(end.unwrap(), RunEnd::Completed);
    let records = requests(&events);
    let measured = measured(&records);
    let asked: Vec<_> = measured.iter().map(|r| r.asked_output_tokens).collect();
    let after: Vec<_> = measured.iter().map(|r| (r.intended_ns - measured[0].intended_ns).as_millis()).collect();
    assert_eq!((asked, after), (vec![3, 4, 5], vec![0, 5, 100]));
    assert_eq!(records.len(), 3, "nothing after the last one");
}

#[test]
fn a_ramp_brings_what_it_promises_and_time_bounds_it() {
    let url = serve(|mut request| request.send(good_response()));
    let over = Duration::from_millis(400);
    let arrivals = Arrivals::Ramp { shape: Shape::Linear, from: 50.0, to: 450.0, over, spacing: Spacing::Constant };
    let level = Level { volume: Volume::Time(over), ..open(arrivals, 64, 0, 1) };
    let spec = spec(&url, &[level]);
    let record = LoadPlan::new(spec.clone()).unwrap().to_record();
    // (50 + 450)/2 per second for 0.4 s.
    assert_eq!((record.levels, record.requests), (vec![0], vec![100]));
    let (events, end) = run(spec);
    assert_eq!(end.unwrap(), RunEnd::Completed);
    assert_eq!(measured(&requests(&events)).len(), 100);
}

#[test]
fn a_closed_loop_can_stop_on_time() {
    let url = serve(|mut request| request.send(good_response()));
    let time = Duration::from_millis(300);
    let timed = Level { volume: Volume::Time(time), ..level(3, 3, 1) };
    let (events, end) = run(spec(&url, std::slice::from_ref(&timed)));
    assert_eq!(end.unwrap(), RunEnd::Completed);
    let records = requests(&events);
    let measured = measured(&records);
    let first = measured.iter().map(|r| r.intended_ns).min().unwrap();
    let last = measured.iter().map(|r| r.intended_ns).max().unwrap();
    assert!(last - first <= time + Duration::from_millis(1), "{:?}", last - first);
    assert!(measured.len() > 3, "{}", measured.len());
    let record = LoadPlan::new(spec(&url, std::slice::from_ref(&timed))).unwrap().to_record();
    assert_eq!((record.requests, record.durations_ns), (vec![0], vec![300_000_000]));

    let either = Level { volume: Volume::Either(NonZeroU64::new(4).unwrap(), Duration::from_mins(1)), ..timed };
    let (events, _) = run(spec(&url, &[either]));
    assert_eq!(requests(&events).iter().filter(|r| r.stage == Stage::Measured).count(), 4);
}

fn resumed(spec: LoadSpec, done: &Done) -> Vec<RequestRecord> {
    let mut records = Vec::new();
    let plan = LoadPlan::new(spec).unwrap();
    let end = loadgen::resume(&plan, done, Instant::now(), &StopHandle::new(), &mut |event| {
        if let loadgen::Event::Request(record) = event {
            records.push(record);
        }
        Ok(())
    });
    assert_eq!(end.unwrap(), RunEnd::Completed);
    records
}

#[test]
fn a_resumed_run_does_what_is_missing_with_prompts_never_sent() {
    let prompts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&prompts);
    let url = serve(move |mut request| {
        seen.lock().unwrap().push(request.prompt().to_owned());
        request.send(good_response());
    });
    let spec = spec(&url, &[level(1, 0, 3), level(2, 0, 4), level(1, 1, 2)]);
    let whole = resumed(spec.clone(), &Done::default());
    let before = prompts.lock().unwrap().len();
    let done = Done { levels: [0, 2].into(), next_request: 100, attempt: 1 };
    let missing = resumed(spec, &done);
    assert!(missing.iter().all(|r| r.level == 1 && r.request >= 100));
    assert_eq!(missing.iter().filter(|r| r.stage == Stage::Measured).count(), 4);
    assert!(whole.iter().any(|r| r.level == 1));
    let prompts = prompts.lock().unwrap();
    assert!(prompts[before..].iter().all(|p| !prompts[..before].contains(p)));
}
