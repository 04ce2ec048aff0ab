//! How long a cool-down request should take: as long as the measured requests that it keeps company.
//!
//! Cool-down keeps the load as it was until the last measured request has ended. Requests of the whole length would, and
//! then outlast it by up to their whole time; short ones make the server prefill more often than it would under the
//! level's own load. So each asks for the share of the whole length that the last measured request has still before it,
//! by the mean time that measured requests took.

use std::time::Duration;

use records::Offset;

/// What is known of the level's measured requests.
#[derive(Debug, Default)]
pub(super) struct Pace {
    took: Duration,
    ended: u32,
    last_taken: Offset,
}

impl Pace {
    /// A measured request is being sent.
    pub(super) fn taken(&mut self, now: Offset) {
        self.last_taken = self.last_taken.max(now);
    }

    /// A measured request has ended.
    pub(super) fn ended(&mut self, took: Duration) {
        self.took = self.took.saturating_add(took);
        self.ended = self.ended.saturating_add(1);
    }

    /// The share of its time that the measured request which was sent last has still before it, 0 to 1. All of it while
    /// none has ended.
    pub(super) fn left(&self, now: Offset) -> f64 {
        if self.ended == 0 {
            return 1.0;
        }
        let mean = self.took.as_secs_f64() / f64::from(self.ended);
        let since = (now - self.last_taken).as_secs_f64();
        if since >= mean {
            return 0.0;
        }
        1.0 - since / mean
    }
}

/// That share of `whole` tokens, but at least `least`, unless that is more than the whole.
pub(super) fn part(whole: u32, share: f64, least: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32 is one")]
    let part = (f64::from(whole) * share.clamp(0.0, 1.0)).ceil() as u32;
    part.max(least).min(whole.max(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[track_caller]
    fn left(pace: &Pace, seconds: u64, expected: f64) {
        let left = pace.left(Offset(seconds * SECOND));
        assert!((left - expected).abs() < 1e-12, "{left} at {seconds} s");
    }

    #[test]
    fn what_is_left_is_that_of_the_last_by_the_mean_of_those_before() {
        let mut pace = Pace::default();
        pace.taken(Offset(5 * SECOND));
        left(&pace, 9, 1.0); // nothing is known yet
        pace.ended(Duration::from_secs(3));
        pace.ended(Duration::from_secs(5));
        // Taken at 5 s, expected to end at 9 s.
        left(&pace, 5, 1.0);
        left(&pace, 8, 0.25);
        left(&pace, 9, 0.0);
        left(&pace, 20, 0.0); // later than expected
        pace.taken(Offset(7 * SECOND));
        left(&pace, 9, 0.5);
    }

    #[test]
    fn a_part_is_rounded_up_and_never_less_than_the_least() {
        assert_eq!(part(100, 0.251, 10), 26);
        assert_eq!(part(100, 0.01, 10), 10);
        assert_eq!(part(100, 1.0, 10), 100);
        assert_eq!(part(100, 7.0, 10), 100);
        assert_eq!(part(1, 0.5, 1), 1);
    }
}
