//! The run's clock: the client's monotonic clock, read as an offset from the run's epoch.

use std::time::Instant;

use records::Offset;

/// The run's clock. Every producer of a run is given the same epoch, so their stamps compare.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
}

impl Clock {
    /// The clock that starts at `epoch`.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch }
    }

    /// The time now.
    pub fn now(self) -> Offset {
        self.at(Instant::now())
    }

    /// The time at `instant`; an instant before the epoch counts as the epoch.
    pub fn at(self, instant: Instant) -> Offset {
        Offset::from_duration(instant.saturating_duration_since(self.epoch))
    }
}
