//! Units: nanoseconds of the records as milliseconds and seconds.

use std::time::Duration;

use stats::Span;

/// Converts a duration to milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}

/// Returns the length of a span in seconds.
pub(crate) fn seconds(span: Span) -> f64 {
    span.ticks() as f64 / 1e9
}
