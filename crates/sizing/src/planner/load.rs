//! How many replicas carry the load, and what each then does.

use super::Question;
use super::answer::{Choice, FleetDay, FleetHour, Reason, Recommended, Service, Speed};
use super::memory::{Seats, Setup};
use super::speed::{Speeds, unknown};
use super::target::{Demand, Pessimism, Target};
use crate::fleet::{Patience, Queue, Replica};
use crate::performance::Interval;

/// Most replicas of a choice.
const MOST_REPLICAS: u32 = 64;

/// The load, carried.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    pub(super) replicas: u32,
    /// Requests that a replica answers at once.
    pub(super) concurrency: f64,
    /// Most that it may be given: what fits and keeps the objectives.
    pub(super) most: u32,
    pub(super) speed: Option<Speed>,
    pub(super) speed_unknown: Option<String>,
    pub(super) queue: Option<Service>,
}

/// Requests at once that the whole fleet is asked for; for a rate as many as a replica may ever be given.
pub(super) fn at_once(target: &Target) -> u64 {
    match &target.demand {
        Demand::Concurrency(requests) => whole(f64::from(*requests) * target.growth),
        Demand::Rate(_) => u64::MAX,
    }
}

pub(super) fn carried(
    question: &Question<'_>,
    setup: &Setup<'_>,
    seats: &Seats,
    target: &Target,
    pessimism: Pessimism,
) -> Result<Carried, Reason> {
    let most = seats.most(pessimism);
    if most == 0 {
        return Err(Reason::NoRoom { requests: seats.requests.low });
    }
    let speeds = Speeds::of(question, setup, seats, target);
    match (&target.demand, speeds) {
        (Demand::Concurrency(_), Ok(speeds)) => at_fixed_concurrency(&speeds, target, most, pessimism),
        (Demand::Concurrency(_), Err(refusal)) if target.slo.is_none() => {
            let (replicas, concurrency) = shared(at_once(target), most)?;
            Ok(Carried {
                replicas,
                concurrency,
                most,
                speed: None,
                speed_unknown: Some(refusal.to_string().lines().next().unwrap_or_default().to_owned()),
                queue: None,
            })
        }
        (Demand::Rate(day), Ok(speeds)) => {
            let peak = day.peak() * target.growth;
            at_rate(&speeds, target, most, peak, pessimism)
        }
        (_, Err(refusal)) => Err(unknown(refusal)),
    }
}

fn at_fixed_concurrency(speeds: &Speeds, target: &Target, most: u32, pessimism: Pessimism) -> Result<Carried, Reason> {
    let load = at_once(target);
    let asked = u32::try_from(load).unwrap_or(u32::MAX);
    let most = speeds.most_within(target.slo, most.min(asked), pessimism)?;
    let (replicas, concurrency) = shared(load, most)?;
    let speed = speeds.at(concurrency);
    Ok(Carried {
        replicas,
        concurrency,
        most,
        speed_unknown: speed.as_ref().err().map(ToString::to_string),
        speed: speed.ok().map(|speed| of_all(speed, replicas)),
        queue: None,
    })
}

/// Throughput of all replicas together.
fn of_all(speed: Speed, replicas: u32) -> Speed {
    let Interval { low, likely, high } = speed.output_tokens_per_second;
    let times = f64::from(replicas);
    Speed {
        output_tokens_per_second: Interval { low: low * times, likely: likely * times, high: high * times },
        ..speed
    }
}

/// Replicas among which so many requests are shared evenly, and how many each has.
fn shared(load: u64, most: u32) -> Result<(u32, f64), Reason> {
    let replicas = load.div_ceil(u64::from(most.max(1)));
    let replicas = u32::try_from(replicas).unwrap_or(u32::MAX);
    if replicas > MOST_REPLICAS {
        return Err(Reason::TooMany { replicas: MOST_REPLICAS });
    }
    Ok((replicas, load as f64 / f64::from(replicas)))
}

fn at_rate(speeds: &Speeds, target: &Target, most: u32, peak: f64, pessimism: Pessimism) -> Result<Carried, Reason> {
    let most = speeds.most_within(target.slo, most, pessimism)?;
    let full = match pessimism {
        Pessimism::Likely => speeds.likely_at(f64::from(most)),
        Pessimism::SlowEnd => speeds.at(f64::from(most)),
    }
    .map_err(unknown)?;
    let service_s = match pessimism {
        Pessimism::Likely => full.e2el_s.likely,
        Pessimism::SlowEnd => full.e2el_s.high,
    };
    let room = |limit: Option<f64>, taken: Interval| limit.map(|limit| (limit - taken.likely).max(0.0));
    let wait_s = room(target.slo.ttft_s, full.ttft_s).or_else(|| room(target.slo.e2el_s, full.e2el_s)).unwrap_or(0.0);
    let patience = Patience { wait_s, share: target.success };
    let replica = Replica { seats: most, service_s };
    let replicas = replica.needed(peak, patience, MOST_REPLICAS).ok_or(Reason::TooMany { replicas: MOST_REPLICAS })?;
    let concurrency = occupied(speeds, peak / f64::from(replicas), most);
    let speed = speeds.at(concurrency).map_err(unknown)?;
    let tokens = peak * target.osl as f64;
    Ok(Carried {
        replicas,
        concurrency,
        most,
        speed: Some(Speed {
            // What comes is what goes out.
            output_tokens_per_second: Interval::by_factor(tokens, 1.0),
            ..speed
        }),
        speed_unknown: None,
        queue: Some(Service { seats: most, service_s, wait_s }),
    })
}

/// Requests in a replica at this many a second: Little's law, n = λ · E2EL(n), by secants, since E2EL is nearly a line.
fn occupied(speeds: &Speeds, rate: f64, most: u32) -> f64 {
    let full = f64::from(most);
    let leaving = |requests: f64| {
        let speed = speeds.likely_at(requests);
        speed.map_or(full, |speed| rate * speed.e2el_s.likely)
    };
    let excess = |requests: f64| leaving(requests) - requests;
    let (mut low, mut high) = (0.0, full);
    let (mut below, mut above) = (excess(low), excess(high));
    if above >= 0.0 {
        return full;
    }
    for _ in 0..20 {
        // The chord's root, kept off the ends so that both come nearer.
        let chord = low + (high - low) * below / (below - above);
        let edge = (high - low) * 1e-3;
        let middle = chord.clamp(low + edge, high - edge);
        let at = excess(middle);
        if at >= 0.0 {
            (low, below) = (middle, at);
        } else {
            (high, above) = (middle, at);
        }
        if high - low < 1e-3 * full || at.abs() < 1e-4 * middle {
            return middle;
        }
    }
    f64::midpoint(low, high)
}

/// Replicas over the day of the choice that costs least to buy, else of the first.
pub(super) fn day(question: &Question<'_>, choices: &[Choice], recommended: Recommended) -> Option<FleetDay> {
    let target = question.target;
    let Demand::Rate(day) = &target.demand else {
        return None;
    };
    let choice = recommended.least_cost.or(recommended.cloud).unwrap_or(0);
    let replica = choices.get(choice)?.queue?;
    let of_queue = Replica { seats: replica.seats, service_s: replica.service_s };
    let patience = Patience { wait_s: replica.wait_s, share: target.success };
    let hour = |rate: &f64| {
        let rate_per_s = rate * target.growth;
        let replicas = of_queue.needed(rate_per_s, patience, MOST_REPLICAS)?;
        let queue = Queue::new(replicas.saturating_mul(replica.seats), rate_per_s, replica.service_s);
        Some(FleetHour {
            rate_per_s,
            replicas,
            waits: queue.map_or(0.0, |queue| queue.waits()),
            waits_too_long: queue.map_or(0.0, |queue| queue.waits_longer(replica.wait_s)),
        })
    };
    let hours: Vec<FleetHour> = day.rates().iter().map(hour).collect::<Option<_>>()?;
    let sum: f64 = hours.iter().map(|hour| f64::from(hour.replicas)).sum();
    Some(FleetDay { choice, replica, mean_replicas: sum / hours.len().max(1) as f64, hours })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(requests: f64) -> u64 {
    requests.ceil() as u64
}
