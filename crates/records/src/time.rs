//! A run's clock: its epoch and the offsets from it. Callers read the monotonic clock and pass the instants.

use std::{
    fmt,
    ops::{Add, Sub},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// Time since the run's epoch, in nanoseconds, on the client's monotonic clock.
///
/// `u64` nanoseconds reach 584 years. Subtraction saturates at zero: two stamps of one event may arrive in either order
/// by a few nanoseconds, and a negative duration means nothing here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The epoch itself.
    pub const ZERO: Self = Self(0);

    /// The offset of an instant that lies `since_epoch` after the epoch.
    pub fn from_duration(since_epoch: Duration) -> Self {
        Self(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Seconds since the epoch.
    pub fn as_secs_f64(self) -> f64 {
        Duration::from_nanos(self.0).as_secs_f64()
    }
}

impl Sub for Offset {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Offset {
    type Output = Self;
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(Self::from_duration(later).0))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.as_secs_f64())
    }
}

/// The clock of a run: the monotonic clock, read as an [`Offset`] from the run's epoch.
///
/// Every producer of a run's records is given the same epoch, so their stamps compare.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
}

impl Clock {
    /// Largest offset that [`instant`](Self::instant) converts: one year.
    const OFFSET_MAX: Duration = Duration::from_hours(365 * 24);

    /// The clock that starts at `epoch`.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch }
    }

    /// The offset of `instant`; zero for an instant before the epoch.
    pub fn at(self, instant: Instant) -> Offset {
        Offset::from_duration(instant.saturating_duration_since(self.epoch))
    }

    /// The instant at `offset` after the epoch; saturates at one year.
    pub fn instant(self, offset: Offset) -> Instant {
        self.epoch + Duration::from_nanos(offset.0).min(Self::OFFSET_MAX)
    }
}
