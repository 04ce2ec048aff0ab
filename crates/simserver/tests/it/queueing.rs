//! The engine's queue against closed forms of queueing theory, in virtual time.
//!
//! Kleinrock, *Queueing Systems* I (1975): M/M/1 waits ρ/(μ − λ) on average and at all with probability ρ; M/M/c waits C/(cμ − λ) and at
//! all with probability C (Erlang C). Little (1961): L = λW.

use std::time::Duration;

use simserver::engine::{Engine, Eos, PromptBlocks, Request, RequestId};
use simserver::simulate::{Arrival, ClosedLoop, Served, closed_loop, open_loop, poisson};
use simserver::{LinearProfile, Profile};

/// A server of `slots` slots and steps of `base_ms`, whatever is in them.
fn queue(slots: u32, base_ms: f64) -> LinearProfile {
    LinearProfile {
        seed: u64::from(slots),
        max_model_len: 65_536,
        max_num_seqs: slots,
        num_gpu_blocks: 262_144,
        base_ms,
        ..LinearProfile::default()
    }
}

fn arrivals(rate: f64, count: usize, seed: u64, max_tokens: u32, eos: Eos) -> Vec<Arrival> {
    let arrival = |at| Arrival { at, prompt_tokens: 1, max_tokens, eos, prompt: PromptBlocks::unshared() };
    poisson(rate, count, seed).into_iter().map(arrival).collect()
}

/// Mean of `of` with the half-width of its 99 % interval: 25 batch means, Student's t of 24 degrees of freedom 2.797. The first
/// twentieth is warm-up.
fn batch_means(served: &[Served], of: impl Fn(&Served) -> f64) -> (f64, f64) {
    let served = &served[served.len() / 20..];
    let size = served.len() / 25;
    let means: Vec<f64> =
        served.chunks_exact(size).take(25).map(|batch| batch.iter().map(&of).sum::<f64>() / size as f64).collect();
    let mean = means.iter().sum::<f64>() / 25.0;
    let variance = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / 24.0;
    (mean, 2.797 * (variance / 25.0).sqrt())
}

/// Probability that an arrival finds all `c` servers busy, at `offered` Erlang.
fn erlang_c(c: u32, offered: f64) -> f64 {
    // Erlang B by its recursion, then C = B / (1 − ρ(1 − B)).
    let b = (1..=c).fold(1.0, |b, k| offered * b / (f64::from(k) + offered * b));
    b / (1.0 - offered / f64::from(c) * (1.0 - b))
}

#[track_caller]
#[expect(clippy::print_stdout, reason = "the figures are for whoever asks for them")]
fn assert_within(what: &str, (mean, half): (f64, f64), truth: f64, bias: f64) {
    println!("{what}: {mean:.4} ± {half:.4} against {truth:.4}");
    assert!((mean - truth).abs() <= half + bias, "{what}: {mean} ± {half} against {truth}");
    assert!(half < 0.25 * truth, "{what}: the interval says something");
}

#[test]
fn erlang_c_is_the_tabulated_one() {
    // Erlang C of 2 servers at 1 Erlang is 1/3, of 10 servers at 8 Erlang 0.4092 (Kleinrock; any table).
    assert!((erlang_c(1, 0.7) - 0.7).abs() < 1e-12);
    assert!((erlang_c(2, 1.0) - 1.0 / 3.0).abs() < 1e-12);
    assert!((erlang_c(10, 8.0) - 0.409_18).abs() < 1e-4);
}

#[test]
fn one_slot_with_exponential_service_is_m_m_1() {
    // One token a request: a step of exponential length is its service, mean 10 ms. Times in s.
    let profile = LinearProfile { noise_fraction: 1.0, is_exponential: true, ..queue(1, 10.0) }.build().unwrap();
    for (load, count) in [(0.5, 60_000), (0.8, 200_000), (0.9, 400_000)] {
        let rate = load * 100.0;
        let arrivals = arrivals(rate, count, 11, 1, Eos::Ignored);
        let served = open_loop(&profile, &arrivals).unwrap().served;
        let wait = batch_means(&served, |s| s.queued.as_secs_f64());
        assert_within(&format!("M/M/1 at {load}: wait"), wait, load / (100.0 - rate), 0.0);
        let sojourn = batch_means(&served, |s| s.e2el().as_secs_f64());
        assert_within(&format!("M/M/1 at {load}: sojourn"), sojourn, 1.0 / (100.0 - rate), 0.0);
        let waits = batch_means(&served, |s| f64::from(u8::from(!s.queued.is_zero())));
        assert_within(&format!("M/M/1 at {load}: waits"), waits, load, 0.0);
        // The sojourn is exponential: half of them are above ln 2 times the mean.
        let median = 2f64.ln() / (100.0 - rate);
        let above = batch_means(&served, |s| f64::from(u8::from(s.e2el().as_secs_f64() > median)));
        assert_within(&format!("M/M/1 at {load}: above the median"), above, 0.5, 0.0);
    }
}

#[test]
fn several_slots_with_geometric_outputs_are_m_m_c() {
    // Outputs of geometric length, mean 100 tokens of 1 ms: service without memory, in steps. An arrival waits for the step under way
    // to end, half a millisecond on average: the bias that is allowed for.
    let (mean, step) = (0.1, 0.001);
    for (slots, load, count) in [(1, 0.7, 40_000), (2, 0.8, 40_000), (4, 0.8, 50_000), (16, 0.85, 60_000)] {
        let profile = LinearProfile { eos_mean_tokens: 100.0, ..queue(slots, step * 1e3) }.build().unwrap();
        let c = f64::from(slots);
        let rate = load * c / mean;
        let eos = Eos::Allowed { min_tokens: 0 };
        let served = open_loop(&profile, &arrivals(rate, count, slots.into(), 60_000, eos)).unwrap().served;
        let truth = erlang_c(slots, load * c) / (c / mean - rate);
        let wait = batch_means(&served, |s| s.queued.as_secs_f64());
        assert_within(&format!("M/M/{slots} at {load}: wait"), wait, truth, step);
        let waits = batch_means(&served, |s| f64::from(u8::from(s.queued.as_secs_f64() > step)));
        // Of the waits, one in a hundred is shorter than the step that it is told from.
        assert_within(&format!("M/M/{slots} at {load}: waits"), waits, erlang_c(slots, load * c), 0.02);
        let service = batch_means(&served, |s| f64::from(s.output_tokens));
        assert_within(&format!("M/M/{slots} at {load}: tokens"), service, 100.0, 0.0);
    }
}

#[test]
fn littles_law_holds_in_an_open_loop() {
    // L from the engine's gauges, integrated over time, against λW from the requests, at the reference profile near its capacity.
    let profile = Profile::builtin("rtx3090-gemma3-12b-bnb4").unwrap();
    let budget = profile.admit(200, Some(100)).unwrap();
    let arrivals = poisson(5.0, 3000, 3);
    let mut engine = Engine::new(&profile);
    let mut coming = (0u64..).zip(&arrivals).peekable();
    let (mut integral, mut gauge, mut since) = (0.0, 0.0, Duration::ZERO);
    let mut sojourn = 0.0;
    let mut change = |at: Duration, to: f64, gauge: &mut f64, since: &mut Duration| {
        integral += *gauge * at.saturating_sub(*since).as_secs_f64();
        (*gauge, *since) = (to, at);
    };
    while coming.peek().is_some() || engine.next_start().is_some() {
        let end = engine.next_start();
        let step = match (end, coming.peek()) {
            (Some(start), Some((_, at))) if **at <= start => None,
            (Some(start), _) => Some((start, engine.step(start))),
            (None, _) => None,
        };
        let until = step.as_ref().map(|(start, step)| *start + step.duration);
        // What comes while a step runs is in the queue from its own instant on.
        while let Some((id, at)) = coming.next_if(|(_, at)| until.is_none_or(|until| **at < until)) {
            engine.submit(&Request::new(RequestId(id), budget, Eos::Ignored), *at);
            change(*at, gauge + 1.0, &mut gauge, &mut since);
            if until.is_none() {
                break;
            }
        }
        if let (Some((_, step)), Some(until)) = (step, until) {
            let stats = engine.stats();
            change(until, (stats.running + stats.waiting) as f64, &mut gauge, &mut since);
            sojourn += step.tokens.iter().filter_map(|token| token.end).map(|end| end.e2e.as_secs_f64()).sum::<f64>();
        }
    }
    let horizon = since.as_secs_f64();
    let (level, rate, mean) = (integral / horizon, 3000.0 / horizon, sojourn / 3000.0);
    println!("L {level:.4}, λW {:.4}", rate * mean);
    assert!(level > 10.0, "a load worth the name");
    assert!((level / (rate * mean) - 1.0).abs() < 1e-3);
}

#[test]
fn throughput_times_residence_is_the_concurrency_of_a_closed_loop() {
    // Little's law for a loop without think time: N = X·R in any window that is long against a request; here from the moment at
    // which every slot has sent to the last at which every slot has a request under way, cut to it exactly.
    let profile = Profile::builtin("h100-llama3.1-8b-fp16").unwrap();
    let load = ClosedLoop {
        concurrency: 24,
        requests_per_slot: 80,
        prompt_tokens: 300,
        output_tokens: 50,
        ramp: Duration::from_secs(1),
        turnaround: Duration::ZERO,
    };
    let served = closed_loop(&profile, &load).unwrap();
    let ends: Vec<Duration> = (0..24)
        .map(|slot| {
            let mine = served.iter().filter(|s| s.slot == slot);
            mine.map(|s| s.last_token).max().unwrap()
        })
        .collect();
    let (from, to) = (Duration::from_secs(1), *ends.iter().min().unwrap());
    let inside: Vec<&Served> = served.iter().filter(|s| s.last_token > from && s.last_token <= to).collect();
    let throughput = inside.len() as f64 / to.saturating_sub(from).as_secs_f64();
    let residence = inside.iter().map(|s| s.e2el().as_secs_f64()).sum::<f64>() / inside.len() as f64;
    println!("X·R = {:.4}", throughput * residence);
    // Requests that the window cuts at either end are half a request a slot: 24 of 1,900.
    assert!((throughput * residence / 24.0 - 1.0).abs() < 24.0 / 1900.0);
}
