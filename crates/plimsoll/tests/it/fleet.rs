//! Replicas for a request rate by two ways that share nothing: Erlang's formula in `sizing`, and the simulator's engines behind
//! one queue in virtual time. They agree within their intervals where the formula applies, and differ as they should where
//! it does not.

use simserver::{
    LinearProfile, Profile,
    fleet::{Fleet, alike, fleet},
    simulate::poisson,
};
use sizing::fleet::{Patience, Queue, Replica};
use stats::{Confidence, Sample, mean_interval};

/// Runs of one setting, each with arrivals of its own: what the interval is over.
const RUNS: u64 = 12;
const REQUESTS: usize = 6_000;
/// Requests at the beginning that find the fleet too empty.
const EMPTY: usize = 1_000;

/// A replica whose step takes `step_ms`, exactly or without memory.
fn profile(step_ms: f64, is_memoryless: bool, seed: u64) -> Profile {
    let noise_fraction = if is_memoryless { 1.0 } else { 0.0 };
    let replica = LinearProfile {
        seed,
        base_ms: step_ms,
        noise_fraction,
        is_exponential: is_memoryless,
        ..LinearProfile::default()
    };
    replica.build().expect("a valid profile")
}

/// Shares that wait at all, and longer than `wait_s`, each with its 99 % interval over runs.
fn simulated(of: Fleet, rate: f64, step_ms: f64, memoryless: bool, wait_s: f64) -> [(f64, f64, f64); 2] {
    let mut shares = [Vec::new(), Vec::new()];
    for run in 0..RUNS {
        let profile = profile(step_ms, memoryless, 1_000 * run);
        let arrivals = alike(poisson(rate, REQUESTS, run), 1, 1);
        let served = fleet(&profile, of, &arrivals).expect("short requests");
        let counted = &served[EMPTY..];
        for (shares, longer_than) in shares.iter_mut().zip([0.0, wait_s]) {
            let waited = counted.iter().filter(|s| s.queued.as_secs_f64() > longer_than);
            shares.push(waited.count() as f64 / counted.len() as f64);
        }
    }
    shares.map(|shares| {
        let sample = Sample::new(shares).expect("finite");
        let level = Confidence::new(0.99).expect("a share");
        let interval = mean_interval(&sample, level).expect("several runs");
        (interval.low, sample.mean(), interval.high)
    })
}

/// One seat a replica and service without memory is M/M/c: the formula's shares lie in the simulator's intervals.
#[test]
fn erlang_and_the_simulator_agree_where_service_has_no_memory() {
    for (replicas, busy) in [(2, 0.6), (4, 0.8), (8, 0.7), (16, 0.85)] {
        let service_s = 0.1;
        let rate = busy * f64::from(replicas) / service_s;
        let wait_s = 0.05;
        let of = Fleet { replicas, seats: 1 };
        let queue = Queue::new(replicas, rate, service_s).expect("a queue");
        let [any, long] = simulated(of, rate, 1e3 * service_s, true, wait_s);
        for (formula, (low, mean, high)) in [(queue.waits(), any), (queue.waits_longer(wait_s), long)] {
            assert!(
                low <= formula && formula <= high,
                "{replicas} replicas, {busy} busy: Erlang {formula}, simulated {mean} ({low} to {high})"
            );
        }
    }
}

/// Equal service times wait less than the formula says, and never more: it errs on the safe side.
#[test]
fn where_service_is_always_equally_long_erlang_is_on_the_safe_side() {
    for (replicas, busy) in [(2, 0.8), (8, 0.85)] {
        let rate = busy * f64::from(replicas) / 0.1;
        let queue = Queue::new(replicas, rate, 0.1).expect("a queue");
        let [_, (_, _, high)] = simulated(Fleet { replicas, seats: 1 }, rate, 100.0, false, 0.05);
        assert!(high < queue.waits_longer(0.05), "{replicas}: {high}");
    }
}

/// The number of replicas that the formula gives holds the objective in the simulator, and one fewer does not.
#[test]
fn the_formula_s_number_of_replicas_is_the_simulator_s() {
    let patience = Patience { wait_s: 0.05, share: 0.9 };
    let one = Replica { seats: 1, service_s: 0.1 };
    for rate in [15.0, 40.0, 90.0] {
        let needed = one.needed(rate, patience, 64).expect("enough");
        let late = |replicas| {
            let of = Fleet { replicas, seats: 1 };
            simulated(of, rate, 100.0, true, patience.wait_s)[1]
        };
        let (low, _, _) = late(needed);
        assert!(low <= 1.0 - patience.share, "{rate}/s, {needed}: {low}");
        let (_, mean, _) = late(needed - 1);
        assert!(mean > 1.0 - patience.share, "{rate}/s, {}: {mean}", needed - 1);
    }
}
