//! A closed loop against the engine in virtual time: no sockets, no clock, a minute of service in milliseconds.
//!
//! It answers what a client with no error of its own would see of a profile. Closed loop: `concurrency` slots, each sends its
//! next request when its last one ended.

use std::time::Duration;

use crate::engine::{Engine, Eos, Request, RequestId};
use crate::profile::{LengthError, Profile};

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

/// A request as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Slot that sent it.
    pub slot: u32,
    /// When it was sent.
    pub sent: Duration,
    /// When its first token came.
    pub first_token: Duration,
    /// When its last token came.
    pub last_token: Duration,
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

/// Runs the loop to its end and returns the requests in the order in which they were sent.
pub fn closed_loop(profile: &Profile, load: &ClosedLoop) -> Result<Vec<Served>, LengthError> {
    let budget = profile.admit(load.prompt_tokens, Some(load.output_tokens.max(1)))?;
    let share = |whole: Duration, slot: u32| whole * slot / load.concurrency.max(1);
    let total = load.concurrency as usize * load.requests_per_slot as usize;
    let mut served: Vec<Served> = Vec::with_capacity(total);
    let mut engine = Engine::new(profile);
    // Requests on their way, the latest first: (arrival, slot).
    let mut coming: Vec<(Duration, u32)> = (0..load.concurrency)
        .map(|slot| (share(load.ramp, slot), slot))
        .collect();
    coming.sort_unstable_by(|a, b| b.cmp(a));
    let mut sent_by = vec![0; load.concurrency as usize];
    if load.requests_per_slot == 0 {
        return Ok(served);
    }
    loop {
        let start = engine.next_start();
        if let Some(&(arrival, slot)) = coming.last()
            && start.is_none_or(|start| arrival <= start)
        {
            coming.pop();
            let id = RequestId(served.len() as u64);
            let request = Request {
                id,
                budget,
                eos: Eos::Ignored,
            };
            engine.submit(&request, arrival);
            sent_by[slot as usize] += 1;
            served.push(Served {
                slot,
                sent: arrival,
                first_token: arrival,
                last_token: arrival,
            });
            continue;
        }
        let Some(start) = start else {
            return Ok(served);
        };
        let step = engine.step(start);
        let end = start + step.duration;
        for token in step.tokens {
            let Some(record) = usize::try_from(token.request.0)
                .ok()
                .and_then(|i| served.get_mut(i))
            else {
                continue;
            };
            if token.index == 1 {
                record.first_token = end;
            }
            record.last_token = end;
            if token.end.is_some() && sent_by[record.slot as usize] < load.requests_per_slot {
                coming.push((end + share(load.turnaround, record.slot), record.slot));
            }
        }
        coming.sort_unstable_by(|a, b| b.cmp(a));
    }
}
