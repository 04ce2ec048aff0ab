//! How many replicas a stream of requests needs: Erlang's formulas over the hours of a day.
//!
//! A replica that may answer `seats` requests at once, each for a service time, is so many servers of a queue; requests
//! that find all seats of the fleet taken wait for one. With Poisson arrivals and exponential service times that is the
//! M/M/c queue, whose waiting probability is Erlang's formula C (Erlang 1917). Three things are not as it assumes. Service
//! times of equal requests scatter less, so real waiting is shorter (half as long for none, by the Pollaczek–Khinchine
//! factor). A replica serves faster when it is not full, so taking the service time of a full one errs on the safe side.
//! And it takes one queue for the whole fleet: a router that does not know which replica is free makes requests wait longer.

mod day;
mod erlang;

pub use day::Day;
pub use erlang::Queue;
use erlang::Recursion;

/// What is asked of a fleet, and what one replica of it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replica {
    /// Requests that it answers at once.
    pub seats: u32,
    /// Time that it takes over one when all seats are taken, in seconds.
    pub service_s: f64,
}

/// How long a request may wait for a seat.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Patience {
    /// Longest wait, in seconds.
    pub wait_s: f64,
    /// Share of the requests that wait no longer, 0 to 1.
    pub share: f64,
}

impl Replica {
    /// The fewest of these, at most `most`, with which so many requests a second wait no longer than they may; `None` when
    /// `most` do not suffice or the figures are none.
    pub fn needed(&self, rate_per_s: f64, patience: Patience, most: u32) -> Option<u32> {
        let valid = self.seats > 0
            && self.service_s.is_finite()
            && self.service_s > 0.0
            && rate_per_s.is_finite()
            && rate_per_s >= 0.0;
        if !valid {
            return None;
        }
        if rate_per_s == 0.0 {
            return Some(0);
        }
        let offered = rate_per_s * self.service_s;
        let mut recursion = Recursion::new(offered);
        let least = offered / f64::from(self.seats);
        // One recursion serves all numbers of replicas, from the first that is not overrun.
        (1..=most).filter(|replicas| f64::from(*replicas) > least).find(|replicas| {
            recursion.grow_to(replicas.saturating_mul(self.seats));
            let late = recursion.waits_longer(patience.wait_s / self.service_s);
            1.0 - late >= patience.share
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The textbook call centre: 200 calls in an hour of three minutes each, 80 % answered within 20 seconds, needs 14 agents
    /// (published with its waiting probability of 17.4 % and service level of 88.8 %); 13 reach 79.6 %.
    #[test]
    fn the_textbook_call_centre_needs_fourteen() {
        let agent = Replica { seats: 1, service_s: 180.0 };
        let patience = Patience { wait_s: 20.0, share: 0.8 };
        assert_eq!(agent.needed(200.0 / 3600.0, patience, 64), Some(14));
        assert_eq!(agent.needed(200.0 / 3600.0, patience, 13), None);
        assert_eq!(agent.needed(0.0, patience, 64), Some(0));
        assert_eq!(agent.needed(f64::NAN, patience, 64), None);
        let none = Replica { seats: 0, ..agent };
        assert_eq!(none.needed(1.0, patience, 64), None);
    }

    /// One pool of 14 seats answers as 14 agents do, so two replicas of seven are as good and three of five are one too many.
    #[test]
    fn seats_of_replicas_are_servers_of_one_queue() {
        let patience = Patience { wait_s: 20.0, share: 0.8 };
        let of = |seats| Replica { seats, service_s: 180.0 };
        assert_eq!(of(7).needed(200.0 / 3600.0, patience, 64), Some(2));
        assert_eq!(of(5).needed(200.0 / 3600.0, patience, 64), Some(3));
    }
}
