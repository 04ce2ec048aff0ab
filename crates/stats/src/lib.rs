//! Given numbers: what can honestly be said of them.
//!
//! Exact quantiles of a [`Sample`] and the intervals they support, intervals for rates and means, and how many intervals
//! of time overlapped. Unit-free: the caller names the unit. Deterministic: no clock, no files, no random numbers.
//!
//! Every interval here takes observations as independent. Requests that a server ran in one batch are not quite that, so
//! an interval is the least uncertainty that the sample admits, not the most.
#![warn(
    clippy::disallowed_methods,
    reason = "pure crate: no files, clock, environment or network"
)]

mod concurrency;
mod interval;
mod quantile;
mod sample;

pub use concurrency::{Occupancy, Span, occupancy};
pub use interval::{Confidence, Interval, mean_interval, wilson};
pub use quantile::{Quantile, order_statistic_ranks, quantile, quantile_interval};
pub use sample::{MAX_MAGNITUDE, Sample, SampleError};
