//! The run's clock: monotonic instants as offsets from the run's epoch.

use std::time::{Duration, Instant};

use records::Offset;

/// Reads the monotonic clock relative to the epoch that all of a run's records share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self { epoch }
    }

    pub(crate) fn now(self) -> Offset {
        self.at(Instant::now())
    }

    /// The moment that lies `offset` after the epoch; one that no clock can show is as good as never.
    pub(crate) fn instant(self, offset: Offset) -> Instant {
        const NEVER: Duration = Duration::from_hours(365 * 24);
        let after = Duration::from_nanos(offset.0);
        self.epoch.checked_add(after).unwrap_or(self.epoch + NEVER)
    }

    pub(crate) fn at(self, instant: Instant) -> Offset {
        Offset::from_duration(instant.saturating_duration_since(self.epoch))
    }
}
