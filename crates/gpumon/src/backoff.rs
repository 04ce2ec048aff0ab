//! Whether a source answers, and when to try again if it does not. Pure: times are arguments.

use std::time::Duration;

use records::{GpuLine, Offset};

use crate::{Line, Occasion};

/// Pause after the first failure.
const RETRY_PAUSE_MIN: Duration = Duration::from_secs(1);
/// Pauses double up to this: short enough to notice a restarted server within a level.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(8);

/// Whether a source answers. The pauses keep a dead source from eating the time of the live ones: each attempt may cost
/// its whole timeout.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Backoff {
    /// It answered last time, or was never asked.
    #[default]
    None,
    /// It has not answered since.
    Since { began: Offset, retry_at: Offset, pause: Duration },
}

impl Backoff {
    /// Notes how a reading of GPUs ended. The first failure leaves a gap among the readings and a note.
    pub(crate) fn gpus_read(&mut self, read: Result<(), String>, source: &str, now: Offset, out: &mut Vec<Line>) {
        let Err(reason) = read else {
            self.answered(now);
            return;
        };
        if self.failed(now) {
            out.push(Line::Gpu(GpuLine::Gap { t_ns: now, reason: format!("{source}: {reason}") }));
            out.push(Line::Note(format!("{source} gives no GPU metrics from {now} on: {reason}")));
        }
    }

    pub(crate) fn is_on(self) -> bool {
        matches!(self, Self::Since { .. })
    }

    /// Whether to ask the source now.
    pub(crate) fn may_try(self, now: Offset, occasion: Occasion) -> bool {
        match (self, occasion) {
            (Self::None, _) | (_, Occasion::Requested) => true,
            (Self::Since { retry_at, .. }, Occasion::Scheduled) => now >= retry_at,
        }
    }

    /// Takes note of a failure; true if it is the first of this outage.
    pub(crate) fn failed(&mut self, now: Offset) -> bool {
        let first = !self.is_on();
        let (began, pause) = match *self {
            Self::None => (now, RETRY_PAUSE_MIN),
            Self::Since { began, pause, .. } => (began, (pause * 2).min(RETRY_PAUSE_MAX)),
        };
        *self = Self::Since { began, retry_at: now + pause, pause };
        first
    }

    /// Takes note of an answer; how long the outage lasted if this ends one.
    pub(crate) fn answered(&mut self, now: Offset) -> Option<Duration> {
        match std::mem::take(self) {
            Self::None => None,
            Self::Since { began, .. } => Some(now - began),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Offset {
        Offset::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn failure_is_news_once_and_pauses_double_to_the_longest() {
        let mut backoff = Backoff::default();
        let mut now = at(10);
        let mut news = Vec::new();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            news.push(backoff.failed(now));
            let Backoff::Since { retry_at, .. } = backoff else {
                panic!("a failure begins an outage");
            };
            pauses.push((retry_at - now).as_secs());
            now = retry_at;
        }
        assert_eq!(news, [true, false, false, false, false, false]);
        assert_eq!(pauses, [1, 2, 4, 8, 8, 8]);
        assert_eq!(backoff.answered(now), Some(Duration::from_secs(31)));
        assert_eq!(backoff.answered(now), None);
        assert!(backoff.failed(now), "a new outage is news again");
    }

    #[test]
    fn a_request_does_not_wait_for_the_pause() {
        let mut backoff = Backoff::default();
        backoff.failed(at(10));
        assert!(!backoff.may_try(Offset(at(11).0 - 1), Occasion::Scheduled));
        assert!(backoff.may_try(at(11), Occasion::Scheduled));
        assert!(backoff.may_try(at(10), Occasion::Requested));
    }
}
