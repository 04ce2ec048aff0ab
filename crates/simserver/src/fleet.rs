//! Several engines behind one queue, in virtual time.
//!
//! Requests that come when they come wait in one queue until some replica has a seat, and go to the one with the fewest
//! requests; so does a router that knows its replicas. With Poisson arrivals and service times without memory this is the
//! M/M/c queue of the textbooks, whatever the number of replicas that its seats are spread over: that is how it is tested.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use crate::engine::{Engine, PromptBlocks, Request, RequestId};
use crate::profile::{LengthError, Profile, TokenBudget};
use crate::simulate::{Arrival, Served};

/// Replicas of one profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// How many.
    pub replicas: u32,
    /// Requests that each may be given at once.
    pub seats: u32,
}

/// What can happen at an instant; at equal instants a seat is freed before a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ended { replica: usize },
    Came { index: usize },
}

/// Serves all arrivals and returns them in the order in which they stand; `slot` is the replica, `queued` the wait for a seat.
///
/// Replica `i` has the profile's seed plus `i`.
///
/// # Errors
/// [`LengthError`] for a request that is longer than the profile allows.
pub fn fleet(profile: &Profile, fleet: Fleet, arrivals: &[Arrival]) -> Result<Vec<Served>, LengthError> {
    let budgets: Vec<TokenBudget> = arrivals
        .iter()
        .map(|arrival| profile.admit(arrival.prompt_tokens, Some(arrival.max_tokens.max(1))))
        .collect::<Result<_, _>>()?;
    let mut house = House::new(profile, fleet, arrivals, &budgets);
    while house.advance() {}
    Ok(house.served)
}

struct House<'a> {
    arrivals: &'a [Arrival],
    budgets: &'a [TokenBudget],
    engines: Vec<Engine>,
    in_flight: Vec<u32>,
    seats: u32,
    waiting: VecDeque<usize>,
    events: BinaryHeap<Reverse<(Duration, Event)>>,
    served: Vec<Served>,
}

impl<'a> House<'a> {
    fn new(profile: &Profile, fleet: Fleet, arrivals: &'a [Arrival], budgets: &'a [TokenBudget]) -> Self {
        let engine = |replica: u32| {
            let mut own = profile.clone();
            own.figures.seed = own.figures.seed.wrapping_add(u64::from(replica));
            Engine::new(&own)
        };
        let came = |(index, arrival): (usize, &Arrival)| Reverse((arrival.at, Event::Came { index }));
        let unserved = |arrival: &Arrival| Served {
            slot: 0,
            sent: arrival.at,
            queued: Duration::ZERO,
            first_token: arrival.at,
            last_token: arrival.at,
            output_tokens: 0,
        };
        Self {
            arrivals,
            budgets,
            engines: (0..fleet.replicas.max(1)).map(engine).collect(),
            in_flight: vec![0; fleet.replicas.max(1) as usize],
            seats: fleet.seats.max(1),
            waiting: VecDeque::new(),
            events: arrivals.iter().enumerate().map(came).collect(),
            served: arrivals.iter().map(unserved).collect(),
        }
    }

    /// Lets the next thing happen; false when nothing is left.
    fn advance(&mut self) -> bool {
        let starts = self.engines.iter().enumerate();
        let step = starts.filter_map(|(replica, engine)| Some((engine.next_start()?, replica))).min();
        let event = self.events.peek().map(|Reverse((at, _))| *at);
        match (event, step) {
            (Some(at), Some((start, replica))) if start < at => self.step(replica, start),
            (Some(_), _) => self.happen(),
            (None, Some((start, replica))) => self.step(replica, start),
            (None, None) => return false,
        }
        true
    }

    fn happen(&mut self) {
        let Some(Reverse((at, event))) = self.events.pop() else {
            return;
        };
        match event {
            Event::Ended { replica } => self.in_flight[replica] -= 1,
            Event::Came { index } => self.waiting.push_back(index),
        }
        while let Some(&index) = self.waiting.front() {
            let freest = self.in_flight.iter().enumerate().min_by_key(|(_, busy)| **busy);
            let Some((replica, _)) = freest.filter(|(_, busy)| **busy < self.seats) else {
                return;
            };
            self.waiting.pop_front();
            self.submit(index, replica, at);
        }
    }

    fn submit(&mut self, index: usize, replica: usize, at: Duration) {
        let (arrival, budget) = (&self.arrivals[index], self.budgets[index]);
        let id = RequestId(index as u64);
        let request = Request { prompt: arrival.prompt.clone(), ..Request::new(id, budget, arrival.eos) };
        self.engines[replica].submit(&request, at);
        self.in_flight[replica] += 1;
        let served = &mut self.served[index];
        served.slot = u32::try_from(replica).unwrap_or(u32::MAX);
        served.queued = at.saturating_sub(arrival.at);
    }

    fn step(&mut self, replica: usize, start: Duration) {
        let step = self.engines[replica].step(start);
        let end = start + step.duration;
        for token in step.tokens {
            let index = usize::try_from(token.request.0).unwrap_or(usize::MAX);
            let Some(served) = self.served.get_mut(index) else {
                continue;
            };
            if token.index == 1 {
                served.first_token = end;
            }
            served.last_token = end;
            served.output_tokens = token.index;
            if token.end.is_some() {
                self.events.push(Reverse((end, Event::Ended { replica })));
            }
        }
    }
}

/// Requests without anything in common, at these instants.
pub fn alike(instants: Vec<Duration>, prompt_tokens: u32, output_tokens: u32) -> Vec<Arrival> {
    let arrival = |at| Arrival {
        at,
        prompt_tokens,
        max_tokens: output_tokens,
        eos: crate::engine::Eos::Ignored,
        prompt: PromptBlocks::unshared(),
    };
    instants.into_iter().map(arrival).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LinearProfile, simulate::poisson};

    /// One seat, one token, steps without memory of 100 ms: M/M/3 at 20 a second, of which 4/9 wait, 44 ms on average (Erlang).
    #[test]
    fn three_replicas_of_one_seat_are_the_textbook_s_queue() {
        let step =
            LinearProfile { base_ms: 100.0, noise_fraction: 1.0, is_exponential: true, ..LinearProfile::default() };
        let profile = step.build().unwrap();
        let fleet_of = Fleet { replicas: 3, seats: 1 };
        let arrivals = alike(poisson(20.0, 200_000, 3), 1, 1);
        let served = fleet(&profile, fleet_of, &arrivals).unwrap();
        let count = served.len() as f64;
        let waiting = served.iter().filter(|s| !s.queued.is_zero()).count() as f64 / count;
        let mean = served.iter().map(|s| s.queued.as_secs_f64()).sum::<f64>() / count;
        // 4/9 · 0.1 s / (3 − 2).
        assert!((waiting - 4.0 / 9.0).abs() < 0.01, "{waiting}");
        assert!((mean - 0.044_44).abs() < 0.002, "{mean}");
        let used: std::collections::BTreeSet<u32> = served.iter().map(|s| s.slot).collect();
        assert_eq!(used.len(), 3);
    }

    /// Ten requests at once on two replicas of two seats, 10 ms a token, three tokens each: waves of four, every 30 ms.
    #[test]
    fn nobody_overtakes_and_no_seat_stays_empty() {
        let profile = LinearProfile { base_ms: 10.0, ..LinearProfile::default() }.build().unwrap();
        let fleet_of = Fleet { replicas: 2, seats: 2 };
        let arrivals = alike(vec![Duration::ZERO; 10], 1, 3);
        let served = fleet(&profile, fleet_of, &arrivals).unwrap();
        let ends: Vec<u128> = served.iter().map(|s| s.last_token.as_millis()).collect();
        assert_eq!(ends, [30, 30, 30, 30, 60, 60, 60, 60, 90, 90]);
        assert!(served.iter().all(|s| s.output_tokens == 3));
    }
}
