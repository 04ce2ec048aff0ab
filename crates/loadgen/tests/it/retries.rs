//! Retries that were asked for: every attempt is a record, and nothing is repeated that cannot help.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use loadgen::RunEnd;
use records::{Outcome, RequestRecord, Stage};

use crate::server::{good_response, level, requests, run, serve, spec};

const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy";
const WRONG: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 5\r\n\r\nwrong";

/// Runs 6 requests in 2 slots against a server that answers the first `failures` attempts of each prompt so.
fn with_retries(retries: u32, failures: u32, refusal: &'static str) -> Vec<RequestRecord> {
    let attempts: Arc<Mutex<HashMap<String, u32>>> = Arc::default();
    let url = serve(move |mut request| {
        let prompt = request.prompt().to_owned();
        let mut attempts = attempts.lock().unwrap();
        let seen = attempts.entry(prompt).or_default();
        *seen += 1;
        let failing = *seen <= failures;
        drop(attempts);
        if failing {
            request.send(refusal);
        } else {
            request.send(good_response());
        }
    });
    let mut spec = spec(&url, &[level(2, 0, 6)]);
    spec.work.retries = retries;
    let (events, end) = run(spec);
    assert_eq!(end.unwrap(), RunEnd::Completed);
    requests(&events)
}

fn measured(records: &[RequestRecord]) -> BTreeMap<u64, Vec<&RequestRecord>> {
    let mut by_request: BTreeMap<u64, Vec<&RequestRecord>> = BTreeMap::new();
    for record in records.iter().filter(|r| r.stage == Stage::Measured) {
        by_request.entry(record.request).or_default().push(record);
    }
    by_request
}

fn completed(record: &RequestRecord) -> bool {
    matches!(record.outcome, Outcome::Completed { .. })
}

#[test]
fn every_attempt_is_a_record_and_comes_after_a_pause() {
    let records = with_retries(3, 2, BUSY);
    let by_request = measured(&records);
    assert_eq!(by_request.len(), 6);
    for attempts in by_request.values() {
        let numbers: Vec<u32> = attempts.iter().map(|r| r.retry).collect();
        assert_eq!(numbers, [0, 1, 2]);
        let ends: Vec<bool> = attempts.iter().map(|r| completed(r)).collect();
        assert_eq!(ends, [false, false, true]);
        for (pair, longest) in attempts.windows(2).zip([500, 1000]) {
            let pause = pair[1].sent_ns - pair[0].finished_ns;
            let longest = Duration::from_millis(longest);
            assert!(pause >= longest.mul_f64(0.75), "{pause:?}");
            assert!(pair[1].intended_ns - pair[0].finished_ns <= longest);
        }
    }
}

#[test]
fn no_more_attempts_than_asked_and_none_unless_asked() {
    for (retries, attempts) in [(0, 1), (1, 2)] {
        let records = with_retries(retries, u32::MAX, BUSY);
        let by_request = measured(&records);
        assert_eq!(by_request.len(), 6);
        assert!(by_request.values().all(|of| of.len() == attempts), "{retries}");
        assert!(!records.iter().any(completed));
    }
}

#[test]
fn what_the_request_is_refused_for_is_not_sent_again() {
    let records = with_retries(5, u32::MAX, WRONG);
    assert!(measured(&records).values().all(|of| of.len() == 1));
}

#[test]
fn a_stopped_run_does_not_wait_for_the_next_attempt() {
    let url = serve(|mut request| request.send(BUSY));
    let mut spec = spec(&url, &[level(1, 0, 3)]);
    spec.work.retries = 100;
    let plan = loadgen::LoadPlan::new(spec).unwrap();
    let stop = loadgen::StopHandle::new();
    let begin = Instant::now();
    let mut attempts = 0;
    let end = loadgen::run(&plan, begin, &stop, &mut |event| {
        if let loadgen::Event::Request(_) = event {
            attempts += 1;
            if attempts == 3 {
                stop.stop();
            }
        }
        Ok(())
    });
    assert_eq!(end.unwrap(), RunEnd::Interrupted);
    // Half a second and a second were waited for; the two seconds before the fourth were not.
    assert!(begin.elapsed() < Duration::from_millis(2_500), "{:?}", begin.elapsed());
    assert_eq!(attempts, 3);
}
