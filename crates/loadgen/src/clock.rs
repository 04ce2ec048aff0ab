//! The run's clock: monotonic instants as offsets from the run's epoch.

use std::time::Instant;

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

    pub(crate) fn at(self, instant: Instant) -> Offset {
        Offset::from_duration(instant.saturating_duration_since(self.epoch))
    }
}
