//! Given numbers: what can honestly be said of them.
//!
//! Exact quantiles of a [`Sample`] and the intervals they support; intervals for rates and means; how much a series says
//! whose observations depend on each other ([`BatchMeans`]), and what that leaves of an interval; the [`bootstrap()`];
//! where a start ends ([`mser5`]); how throughput scales ([`ScalabilityLaw`]); where a figure that rises with the load
//! passes a limit ([`crossing`]); two samples side by side ([`difference`], [`holm`]); a mergeable [`Histogram`].
//!
//! Unit-free: the caller names the unit. Deterministic: no clock, no files; what is random is a function of a seed.
#![warn(clippy::disallowed_methods, reason = "pure crate: no files, clock, environment or network")]

mod quantile;
mod sample;

mod interval;

mod dependence;
mod effective_quantile;

mod bootstrap;
mod comparison;

mod monotone;
mod scaling;
mod steady_state;

mod concurrency;
mod histogram;

pub use bootstrap::{Bootstrap, bootstrap};
pub use comparison::{Difference, MeanWithError, difference, holm};
pub use concurrency::{Occupancy, Span, occupancy};
pub use dependence::BatchMeans;
pub use effective_quantile::{draw_quantiles, effective_quantile_interval};
pub use histogram::Histogram;
pub use interval::{Confidence, Interval, mean_interval, student_quantile, wilson, wilson_effective};
pub use monotone::{Crossing, crossing, non_decreasing};
pub use quantile::{Quantile, order_statistic_ranks, quantile, quantile_interval, select_quantiles};
pub use sample::{MAX_MAGNITUDE, Sample, SampleError, mean};
pub use scaling::ScalabilityLaw;
pub use steady_state::{SteadyState, mser5};

pub(crate) use sample::compensated_sum;
