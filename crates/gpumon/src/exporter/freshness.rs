//! Whether an exporter still has something new to say. Pure: times are arguments.
//!
//! dcgm-exporter collects every 30 s unless told otherwise, and answers the same text in between. Such answers are no
//! readings: a mean over them would weigh one moment many times, and a counter would stand still and then jump.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use records::Offset;

/// From this long between changes on it is said: longer than any period of ours.
const SLOW: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub(super) struct Freshness {
    last: Option<(u64, Offset)>,
    /// Answers that were equal to the one before.
    pub(super) repeated: u64,
    said: bool,
}

/// What an answer is worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It differs from the one before.
    New,
    /// It differs, and the time since the last change tells how slowly the exporter collects. Said once.
    NewAfter(Duration),
    /// It is the one before.
    Repeated,
}

impl Freshness {
    pub(super) fn judge(&mut self, body: &str, now: Offset) -> Answer {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let hash = hasher.finish();
        match self.last {
            Some((last, _)) if last == hash => {
                self.repeated += 1;
                Answer::Repeated
            }
            Some((_, since)) => {
                self.last = Some((hash, now));
                let took = now - since;
                if took >= SLOW && !std::mem::replace(&mut self.said, true) {
                    Answer::NewAfter(took)
                } else {
                    Answer::New
                }
            }
            None => {
                self.last = Some((hash, now));
                Answer::New
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exporter_that_collects_every_thirty_seconds_is_found_out_once() {
        let mut freshness = Freshness::default();
        let mut slow = Vec::new();
        for half_second in 0..200_u64 {
            let now = Offset(half_second * 500_000_000);
            let body = format!("value {}", half_second / 60);
            if let Answer::NewAfter(took) = freshness.judge(&body, now) {
                slow.push((half_second, took.as_secs()));
            }
        }
        assert_eq!(slow, [(60, 30)]);
        assert_eq!(freshness.repeated, 200 - 4);
    }

    #[test]
    fn one_that_is_always_new_is_never_slow() {
        let mut freshness = Freshness::default();
        for i in 0..10_u64 {
            assert_eq!(freshness.judge(&i.to_string(), Offset(i * 500_000_000)), Answer::New);
        }
    }
}
