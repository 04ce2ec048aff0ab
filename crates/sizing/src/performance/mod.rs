//! How fast a model is served: TTFT, TPOT and throughput of a [`System`] under a [`Load`], each as an interval.
//!
//! A [`Performance`] is a model of one system. [`Performance::of`] knows nothing but the catalogue and says so with wide
//! intervals; [`Performance::calibrated`] has seen measured levels; [`Performance::transferred`] takes what was learnt on
//! one system to another. All three answer the same question with [`Performance::predict`].
//!
//! [`FreeLaw`] needs no system at all: it is a law of measured levels alone.
//!
//! One forward step takes the longer of moving bytes (weights and KV cache over the effective bandwidth, the roofline of
//! Williams, Waterman, Patterson 2009) and computing, and an overhead besides; a closed loop of equal requests is a cycle of
//! such steps.

mod calibrate;
mod demand;
mod free;
mod linear;
mod load;
mod model;
mod prediction;
mod prior;
mod regime;
mod step;
mod system;

pub use free::FreeLaw;
pub use load::{Load, Observation};
pub use model::Performance;
pub use prediction::{Bound, Interval, Prediction, Refusal};
pub use system::{EngineFamily, System, Work};
