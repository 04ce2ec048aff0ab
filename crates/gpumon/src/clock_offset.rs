//! How another machine's clock lies to ours, from exchanges of messages. Pure.
//!
//! Each exchange asks the other side for its time; ours at that moment is taken to be the middle between sending and
//! receiving. The estimate is the median over several exchanges (as in ml-energy/zeus, `_estimate_clock_offset`), which a
//! few slow ones do not move, kept within what the shortest exchange leaves possible: so it is sure to half the shortest
//! round trip. Monotonic clocks drift against each other by
//! some microseconds a second, so exchanges go on and old ones are forgotten.

use std::collections::VecDeque;

use records::Offset;

use crate::http::midpoint;

/// Exchanges that are kept.
const EXCHANGES_MAX: usize = 31;

/// Exchanges so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClockOffset {
    exchanges: VecDeque<Exchange>,
}

#[derive(Clone, Copy, Debug)]
struct Exchange {
    add_ns: i64,
    rtt_ns: u64,
}

/// What is to be added to the other side's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Estimate {
    pub(crate) add_ns: i64,
    pub(crate) rtt_min_ns: u64,
    pub(crate) exchanges: u32,
}

impl ClockOffset {
    /// Takes note that the other clock said `theirs_ns` between `sent` and `received` of ours.
    pub(crate) fn exchange(&mut self, sent: Offset, received: Offset, theirs_ns: u64) {
        let (middle, rtt) = midpoint(sent, received);
        self.exchanges.push_back(Exchange {
            add_ns: middle.0.cast_signed().wrapping_sub(theirs_ns.cast_signed()),
            rtt_ns: Offset::from_duration(rtt).0,
        });
        if self.exchanges.len() > EXCHANGES_MAX {
            self.exchanges.pop_front();
        }
    }

    /// The median of the exchanges (of an even number, the lower one in the middle), or what is nearest to it within half
    /// the round trip of the shortest exchange.
    pub(crate) fn estimate(&self) -> Option<Estimate> {
        let mut adds: Vec<i64> = self.exchanges.iter().map(|e| e.add_ns).collect();
        adds.sort_unstable();
        let median = *adds.get(adds.len().checked_sub(1)? / 2)?;
        let shortest = self.exchanges.iter();
        let shortest = shortest.min_by_key(|e| (e.rtt_ns, e.add_ns.abs_diff(median)))?;
        let half = shortest.rtt_ns.div_ceil(2).cast_signed();
        let possible = (shortest.add_ns.saturating_sub(half), shortest.add_ns.saturating_add(half));
        Some(Estimate {
            add_ns: median.max(possible.0).min(possible.1),
            rtt_min_ns: shortest.rtt_ns,
            exchanges: u32::try_from(adds.len()).unwrap_or(u32::MAX),
        })
    }
}

impl Estimate {
    /// The other side's time as ours; one before our epoch counts as the epoch.
    pub(crate) fn ours(self, theirs: Offset) -> Offset {
        Offset(theirs.0.saturating_add_signed(self.add_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn the_median_is_not_moved_by_slow_exchanges() {
        // The other clock is 5 s ahead of ours. Two answers of seven were held up on one way by 80 ms.
        let mut offset = ClockOffset::default();
        for (i, (there, back)) in [(1, 1), (1, 1), (81, 1), (1, 1), (1, 81), (1, 1), (1, 1)].into_iter().enumerate() {
            let sent = Offset(1_000 * MS * (i as u64 + 1));
            let at_server = sent.0 + there * MS;
            let received = Offset(at_server + back * MS);
            offset.exchange(sent, received, at_server + 5_000 * MS);
        }
        let estimate = offset.estimate().unwrap();
        let expected = Estimate { add_ns: -5_000_000_000, rtt_min_ns: 2 * MS, exchanges: 7 };
        assert_eq!(estimate, expected);
        assert_eq!(estimate.ours(Offset(5_003 * MS)), Offset(3 * MS));
        assert_eq!(estimate.ours(Offset(4_000 * MS)), Offset::ZERO);
    }

    #[test]
    fn one_short_exchange_bounds_what_many_lopsided_ones_say() {
        let mut offset = ClockOffset::default();
        for (there, back) in [(200, 10), (200, 10), (10, 10), (200, 10), (200, 10)] {
            let at_server = 1_000 + there;
            offset.exchange(Offset(1_000), Offset(at_server + back), at_server);
        }
        // The clocks are one; the median would be 95 off, and the shortest exchange took 20.
        assert_eq!(offset.estimate().unwrap().add_ns, -10);
    }

    #[test]
    fn a_clock_that_drifts_is_followed() {
        let mut offset = ClockOffset::default();
        for second in 0..200_u64 {
            let ours = second * 1_000 * MS;
            // It gains a millisecond a second.
            offset.exchange(Offset(ours), Offset(ours), ours + second * MS);
        }
        // The last 31 exchanges are those of second 169 to 199; the one in the middle is 184.
        assert_eq!(offset.estimate().unwrap().add_ns, -184_000_000);
    }

    #[test]
    fn without_an_exchange_there_is_no_estimate() {
        assert_eq!(ClockOffset::default().estimate(), None);
    }
}
