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
//! such steps. What the terms are: [`Performance`]'s law in `step.rs`; how well it does on published sweeps: `docs/sizing.md`.
//!
//! ```
//! use sizing::catalogue;
//! use sizing::performance::{EngineFamily, Load, Observation, Performance, System};
//! use sizing::weights::WeightFormat;
//!
//! let system = System {
//!     model: catalogue::model("Llama-3.3-70B-Instruct")?,
//!     gpu: Some(catalogue::gpu("H200")?),
//!     tensor_parallel: 4,
//!     weights: WeightFormat::Fp8,
//!     kv_element_bytes: 2,
//!     engine: EngineFamily::Vllm,
//!     kv_cache: None,
//!     max_num_seqs: None,
//! };
//! let at = |concurrency| Load { concurrency, isl: 1000.0, osl: 1000.0 };
//! // From the catalogue alone, then from two measured levels.
//! let guess = Performance::of(&system)?.predict(at(16.0))?;
//! let level = |concurrency, tpot_ms| Observation {
//!     load: at(concurrency),
//!     ttft_s: None,
//!     tpot_s: Some(tpot_ms / 1e3),
//!     output_tokens_per_second: None,
//! };
//! let levels = [level(8.0, 10.1), level(64.0, 16.1)];
//! let known = Performance::calibrated(&system, &levels)?.predict(at(16.0))?;
//! let width = |of: sizing::performance::Interval| of.high / of.low;
//! assert!(width(known.tpot_s) < width(guess.tpot_s));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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

pub use crate::model::Work;
pub use free::FreeLaw;
pub use load::{Load, Observation};
pub use model::Performance;
pub use prediction::{Bound, Interval, Prediction, Refusal};
pub use prior::{Priors, PriorsError};
pub use system::{EngineFamily, System};
