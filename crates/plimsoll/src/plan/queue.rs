//! The busiest hour again, by the simulator in virtual time: replicas that slow down as they fill, behind one queue.
//!
//! Erlang's formula takes every service as long as a full replica's and exponentially distributed. The simulated replicas
//! take a step time that grows with their requests, on the line through the two predicted points (at the peak's mean
//! load, and full), and equal requests take equal numbers of steps. The times come from the plan; what this tests is the
//! queue, not them.

use serde::Serialize;
use simserver::{
    LinearProfile, Profile,
    fleet::{Fleet, alike, fleet},
    simulate::poisson,
};
use sizing::planner::{Choice, FleetPlan};
use stats::{Confidence, Sample, mean_interval};

/// Independent runs, each with its own arrivals.
const RUNS: u64 = 8;
/// Requests of each that count, after as many that fill the fleet.
const REQUESTS: usize = 1_000;

/// What the simulated queue did, beside the formula.
#[derive(Debug, Serialize)]
pub(crate) struct Simulated {
    /// Replicas, spare ones not counted.
    replicas: u32,
    /// Requests a second.
    rate_per_s: f64,
    /// Share that waited for a seat, with its 95 % interval over the runs.
    waits: [f64; 3],
    /// Share that waited longer than allowed.
    waits_too_long: [f64; 3],
    /// Erlang's share that waits.
    erlang_waits: f64,
    /// Erlang's share that waits longer than allowed.
    erlang_waits_too_long: f64,
}

impl Simulated {
    pub(super) fn line(&self) -> String {
        let percent =
            |[low, mean, high]: [f64; 3]| format!("{:.1} % ({:.1} to {:.1})", 100.0 * mean, 100.0 * low, 100.0 * high);
        format!(
            "busiest hour, simulated in virtual time with {} replicas and {:.2} requests/s: {} wait for a seat, {} too long; \
             Erlang C says at most {:.1} % and {:.1} %",
            self.replicas,
            self.rate_per_s,
            percent(self.waits),
            percent(self.waits_too_long),
            100.0 * self.erlang_waits,
            100.0 * self.erlang_waits_too_long,
        )
    }
}

/// The queue of the plan's fleet in its busiest hour; `None` for a fixed concurrency.
pub(super) fn simulated(plan: &FleetPlan) -> Option<Simulated> {
    let day = plan.fleet.as_ref()?;
    let choice = plan.choices.get(day.choice)?;
    let peak = day.hours.iter().max_by(|a, b| a.rate_per_s.total_cmp(&b.rate_per_s))?;
    let profile = profile(plan, choice)?;
    let of_choice = Fleet { replicas: choice.replicas, seats: day.replica.seats };
    let (isl, osl) = lengths(plan)?;
    let mut waits = Vec::new();
    let mut too_long = Vec::new();
    for seed in 0..RUNS {
        let arrivals = alike(poisson(peak.rate_per_s, 2 * REQUESTS, seed), isl, osl);
        let served = fleet(&profile, of_choice, &arrivals).ok()?;
        let counted = &served[REQUESTS..];
        let share = |longer_than: f64| {
            let waited = counted.iter().filter(|s| s.queued.as_secs_f64() > longer_than);
            waited.count() as f64 / counted.len() as f64
        };
        waits.push(share(0.0));
        too_long.push(share(day.replica.wait_s));
    }
    Some(Simulated {
        replicas: choice.replicas,
        rate_per_s: peak.rate_per_s,
        waits: interval(waits)?,
        waits_too_long: interval(too_long)?,
        erlang_waits: peak.waits,
        erlang_waits_too_long: peak.waits_too_long,
    })
}

fn interval(shares: Vec<f64>) -> Option<[f64; 3]> {
    let sample = Sample::new(shares).ok()?;
    let interval = mean_interval(&sample, Confidence::P95)?;
    Some([interval.low.max(0.0), sample.mean(), interval.high.min(1.0)])
}

fn lengths(plan: &FleetPlan) -> Option<(u32, u32)> {
    let isl = u32::try_from(plan.target.isl).ok()?;
    let osl = u32::try_from(plan.target.osl).ok()?;
    Some((isl, osl))
}

/// Steps on the line through E2EL at the peak's mean load and of a full replica.
fn profile(plan: &FleetPlan, choice: &Choice) -> Option<Profile> {
    let (service, speed) = choice.queue.zip(choice.speed)?;
    let (isl, osl) = lengths(plan)?;
    let full = f64::from(service.seats);
    let step = |e2el_s: f64| 1e3 * e2el_s / f64::from(osl);
    let (at_peak, at_full) = (step(speed.e2el_s.likely), step(service.service_s));
    let apart = (full - choice.concurrency).max(1e-9);
    let per_sequence_ms = ((at_full - at_peak) / apart).clamp(0.0, at_full / full);
    let base_ms = at_full - per_sequence_ms * full;
    let max_model_len = isl.saturating_add(osl).saturating_add(1);
    let blocks = u64::from(max_model_len.div_ceil(16) + 1) * u64::from(service.seats);
    let replica = LinearProfile {
        name: "plan",
        max_model_len,
        max_num_seqs: service.seats,
        max_num_batched_tokens: u32::try_from(u64::from(isl.max(1)) * u64::from(service.seats) + 1).ok()?,
        num_gpu_blocks: u32::try_from(blocks).ok()?,
        base_ms,
        per_sequence_ms,
        ..LinearProfile::default()
    };
    replica.build().ok()
}
