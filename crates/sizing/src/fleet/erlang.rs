//! Erlang's formulas B and C, in the form that neither overflows nor cancels.
//!
//! B by its recursion in reciprocals, 1/B(n) = 1 + n/a · 1/B(n − 1), all of whose terms are positive; C from B. Factorials and
//! powers, as textbooks print them, leave the range of an f64 at 171 servers.

/// Requests that come as a Poisson process to `servers` equal servers, with exponential service times and one queue: M/M/c.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Queue {
    servers: u32,
    offered: f64,
    service_s: f64,
}

impl Queue {
    /// So many servers, arrivals a second, and seconds of service each; `None` when one of them is not positive and finite.
    pub fn new(servers: u32, rate_per_s: f64, service_s: f64) -> Option<Self> {
        let offered = rate_per_s * service_s;
        let valid = servers > 0 && rate_per_s > 0.0 && service_s > 0.0 && service_s.is_finite() && offered.is_finite();
        valid.then_some(Self { servers, offered, service_s })
    }

    /// Erlang C: share of the arrivals that wait; 1 when the queue grows for ever.
    pub fn waits(&self) -> f64 {
        self.recursion().waits()
    }

    fn recursion(&self) -> Recursion {
        let mut recursion = Recursion::new(self.offered);
        recursion.grow_to(self.servers);
        recursion
    }

    /// Share that waits longer than `wait_s` seconds, served in the order of arrival.
    pub fn waits_longer(&self, wait_s: f64) -> f64 {
        self.recursion().waits_longer(wait_s / self.service_s)
    }
}

/// The recursion for B in reciprocals, as far as some number of servers: more may be added.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recursion {
    offered: f64,
    servers: u32,
    reciprocal: f64,
}

impl Recursion {
    /// Without any server everything is lost.
    pub(super) const fn new(offered: f64) -> Self {
        Self { offered, servers: 0, reciprocal: 1.0 }
    }

    pub(super) fn grow_to(&mut self, servers: u32) {
        for n in self.servers + 1..=servers {
            self.reciprocal = 1.0 + f64::from(n) / self.offered * self.reciprocal;
        }
        self.servers = self.servers.max(servers);
    }

    /// Erlang C.
    fn waits(&self) -> f64 {
        let busy = self.offered / f64::from(self.servers);
        if busy >= 1.0 {
            return 1.0;
        }
        // C = B / (1 − ρ (1 − B)), times 1/B above and below; 0 where 1/B has left the range of an f64.
        1.0 / (self.reciprocal * (1.0 - busy) + busy)
    }

    /// Share that waits longer than so many service times.
    pub(super) fn waits_longer(&self, service_times: f64) -> f64 {
        let free = f64::from(self.servers) - self.offered;
        if free <= 0.0 {
            return 1.0;
        }
        self.waits() * (-free * service_times.max(0.0)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(servers: u32, offered: f64) -> Queue {
        Queue::new(servers, offered, 1.0).unwrap()
    }

    fn close(left: f64, right: f64, tolerance: f64) {
        assert!((left - right).abs() <= tolerance * right.abs(), "{left} against {right}");
    }

    /// One server: C = ρ. Two: C = 2ρ²/(1 + ρ).
    #[test]
    fn one_and_two_servers_have_a_closed_form() {
        for busy in [0.05, 0.3, 0.5, 0.9, 0.999] {
            close(queue(1, busy).waits(), busy, 1e-12);
            close(queue(2, 2.0 * busy).waits(), 2.0 * busy * busy / (1.0 + busy), 1e-12);
        }
    }

    /// Formula B as every table of it has it: 20 Erlangs on 30 trunks lose 0.85 %; 1 % is reached by 0.01 Erlang on 1 trunk,
    /// 4.46 on 10, 12.03 on 20 and 84.06 on 100.
    #[test]
    fn blocking_is_that_of_the_published_tables() {
        for (servers, offered) in [(1, 0.0101), (10, 4.461), (20, 12.03), (100, 84.06)] {
            close(1.0 / queue(servers, offered).recursion().reciprocal, 0.01, 5e-3);
        }
        close(1.0 / queue(30, 20.0).recursion().reciprocal, 0.008_457, 1e-3);
    }

    /// Poisson probabilities with mpmath at 50 digits: B = pmf(c; a)/cdf(c; a), C = B/(1 − ρ(1 − B)).
    #[test]
    fn waiting_is_what_fifty_digits_give() {
        for (servers, offered, waits) in WAITS {
            close(queue(servers, offered).waits(), waits, 1e-10);
        }
    }

    const WAITS: [(u32, f64, f64); 7] = [
        (3, 2.0, 0.444_444_444_444_444),
        (11, 10.0, 0.682_118_204_689_332),
        (14, 10.0, 0.174_131_933_595_05),
        (50, 45.0, 0.363_864_467_206_988),
        (200, 180.0, 0.094_471_218_177_590_8),
        (1000, 950.0, 0.068_253_415_377_141_4),
        (5000, 4900.0, 0.099_937_877_234_487_7),
    ];

    /// The call centre of the textbooks: 10 Erlangs, 14 agents, 180 s: 17.4 % wait, 88.8 % are answered within 20 s.
    #[test]
    fn the_call_centre_answers_as_published() {
        let centre = Queue::new(14, 200.0 / 3600.0, 180.0).unwrap();
        close(centre.waits(), 0.174, 2e-3);
        close(1.0 - centre.waits_longer(20.0), 0.888, 1e-3);
    }

    #[test]
    fn too_much_waits_for_ever_and_nonsense_is_no_queue() {
        let over = queue(3, 3.0);
        assert_eq!((over.waits(), over.waits_longer(1e9)), (1.0, 1.0));
        for (servers, rate, service) in
            [(0, 1.0, 1.0), (1, 0.0, 1.0), (1, 1.0, f64::NAN), (1, f64::INFINITY, 1.0), (1, -1.0, -1.0)]
        {
            assert_eq!(Queue::new(servers, rate, service), None);
        }
        let huge = queue(100_000, 99_000.0);
        assert!(huge.waits() > 0.0 && huge.waits() < 0.01, "{}", huge.waits());
    }
}
