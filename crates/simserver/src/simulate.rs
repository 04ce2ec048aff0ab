//! Loads against the engine in virtual time: no sockets, no clock, a minute of service in milliseconds.
//!
//! They answer what a client with no error of its own would see of a profile. Closed loop: `concurrency` slots, each sends its
//! next request when its last one ended. Open loop: requests come when they come, whatever the server does; with Poisson arrivals,
//! exponential service and `max_num_seqs` slots the engine is the M/M/c queue of the textbooks, which is how its queue is tested.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::SeedableRng;

use crate::engine::{Engine, Eos, PrefixCounts, PromptBlocks, Request, RequestId, uniform};
use crate::profile::{LengthError, Profile, TokenBudget};

/// A closed loop of equal requests.
#[derive(Clone, Copy, Debug)]
pub struct ClosedLoop {
    /// Slots.
    pub concurrency: u32,
    /// Requests that each slot sends, one after the other.
    pub requests_per_slot: u32,
    /// ISL: tokens of every prompt.
    pub prompt_tokens: u32,
    /// OSL: tokens of every output; EOS is ignored.
    pub output_tokens: u32,
    /// Slot `i` of `n` begins `i/n` of this after the first.
    pub ramp: Duration,
    /// Slot `i` of `n` takes `i/n` of this to send after a response: the width of a wave.
    pub turnaround: Duration,
}

/// A request of an open loop.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// When it comes.
    pub at: Duration,
    /// ISL: tokens of its prompt.
    pub prompt_tokens: u32,
    /// OSL, or the most that it may become.
    pub max_tokens: u32,
    /// Whether its output may end before.
    pub eos: Eos,
    /// What its prompt has in common with others.
    pub prompt: PromptBlocks,
}

/// A request as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Slot that sent it; in an open loop, its place in the list of arrivals.
    pub slot: u32,
    /// When it was sent.
    pub sent: Duration,
    /// How long it waited for a place in the batch.
    pub queued: Duration,
    /// When its first token came.
    pub first_token: Duration,
    /// When its last token came.
    pub last_token: Duration,
    /// Tokens that it was given.
    pub output_tokens: u32,
}

impl Served {
    /// TTFT.
    pub fn ttft(&self) -> Duration {
        self.first_token.saturating_sub(self.sent)
    }

    /// E2EL.
    pub fn e2el(&self) -> Duration {
        self.last_token.saturating_sub(self.sent)
    }
}

/// What came of a load.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Simulation {
    /// Its requests in the order in which they were sent.
    pub served: Vec<Served>,
    /// Sequences that lost their blocks.
    pub preempted: u64,
    /// What was looked for in the prefix cache.
    pub prefix: PrefixCounts,
}

/// Runs the loop to its end and returns the requests in the order in which they were sent.
pub fn closed_loop(profile: &Profile, load: &ClosedLoop) -> Result<Vec<Served>, LengthError> {
    let budget = profile.admit(load.prompt_tokens, Some(load.output_tokens.max(1)))?;
    let share = |whole: Duration, slot: u32| whole * slot / load.concurrency.max(1);
    if load.requests_per_slot == 0 {
        return Ok(Vec::new());
    }
    let mut left = vec![load.requests_per_slot - 1; load.concurrency as usize];
    let first = (0..load.concurrency).map(|slot| (share(load.ramp, slot), slot));
    let request = |_slot| (budget, Eos::Ignored, PromptBlocks::unshared());
    let next = |served: &Served| {
        let left = left.get_mut(served.slot as usize)?;
        *left = left.checked_sub(1)?;
        Some((served.last_token + share(load.turnaround, served.slot), served.slot))
    };
    Ok(drive(profile, first, request, next).served)
}

/// Serves all arrivals, which may stand in any order.
pub fn open_loop(profile: &Profile, arrivals: &[Arrival]) -> Result<Simulation, LengthError> {
    let budgets: Vec<TokenBudget> = arrivals
        .iter()
        .map(|arrival| profile.admit(arrival.prompt_tokens, Some(arrival.max_tokens.max(1))))
        .collect::<Result<_, _>>()?;
    let coming = (0u32..).zip(arrivals).map(|(index, arrival)| (arrival.at, index));
    let request = |index: u32| {
        let arrival = &arrivals[index as usize];
        let prompt = arrival.prompt.clone();
        (budgets[index as usize], arrival.eos, prompt)
    };
    Ok(drive(profile, coming, request, |_| None))
}

/// Instants of a Poisson process of `rate` a second, from its first event on; seeded.
pub fn poisson(rate: f64, count: usize, seed: u64) -> Vec<Duration> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut at = 0.0;
    let gap = |rng: &mut Pcg64| -(1.0 - uniform(rng)).ln() / rate;
    std::iter::repeat_with(|| {
        at += gap(&mut rng);
        Duration::try_from_secs_f64(at).unwrap_or(Duration::MAX)
    })
    .take(count)
    .collect()
}

/// Submits what is coming, steps, and asks for what comes after each request that has ended.
fn drive(
    profile: &Profile,
    first: impl Iterator<Item = (Duration, u32)>,
    request: impl Fn(u32) -> (TokenBudget, Eos, PromptBlocks),
    mut next: impl FnMut(&Served) -> Option<(Duration, u32)>,
) -> Simulation {
    let mut engine = Engine::new(profile);
    let mut result = Simulation::default();
    let mut coming: BinaryHeap<Reverse<(Duration, u32)>> = first.map(Reverse).collect();
    loop {
        let start = engine.next_start();
        if let Some(&Reverse((arrival, slot))) = coming.peek()
            && start.is_none_or(|start| arrival <= start)
        {
            coming.pop();
            let (budget, eos, prompt) = request(slot);
            let id = RequestId(result.served.len() as u64);
            let request = Request { prompt, ..Request::new(id, budget, eos) };
            engine.submit(&request, arrival);
            result.served.push(Served {
                slot,
                sent: arrival,
                queued: Duration::ZERO,
                first_token: arrival,
                last_token: arrival,
                output_tokens: 0,
            });
            continue;
        }
        let Some(start) = start else {
            return result;
        };
        let step = engine.step(start);
        let end = start + step.duration;
        result.preempted += u64::from(step.preempted);
        result.prefix.queries += step.prefix.queries;
        result.prefix.hits += step.prefix.hits;
        for token in step.tokens {
            let index = usize::try_from(token.request.0).unwrap_or(usize::MAX);
            let Some(record) = result.served.get_mut(index) else {
                continue;
            };
            if token.index == 1 {
                record.first_token = end;
            }
            record.last_token = end;
            record.output_tokens = token.index;
            if let Some(completion) = token.end {
                record.queued = completion.queued;
                coming.extend(next(record).map(Reverse));
            }
        }
    }
}
