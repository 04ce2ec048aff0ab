//! Given a model, a GPU and an engine: how much memory, how many tokens of KV cache, how many requests, how much money.
//!
//! Two methods stand side by side. [`engine`] is the exact one: the arithmetic with which a given version of vLLM turns
//! memory into the two figures that it prints at start-up, the size of its KV cache and its "maximum concurrency".
//! [`simple`] is the one that reports usually make: weights, a flat amount per request, a flat overhead. [`mod@reference`]
//! holds what the report stated that this project starts from, and where it departs from its own method.
//!
//! Models come from the embedded [`catalogue`], in which every value names its source and date, or from a checkpoint's own
//! `config.json` ([`config`]) and file headers ([`weights`]). [`start_log`] reads what a server printed and explains it,
//! [`mix`] counts requests of real lengths. [`performance`] predicts speed and [`planner`] what to buy, with [`fleet`] for a load that changes over the day. The crate reads no file and no
//! clock.
//!
//! ```
//! use sizing::{Bytes, Engine, EngineFlags, KvMemory, catalogue};
//!
//! let model = catalogue::model("google/gemma-3-12b-it")?;
//! let engine = Engine::vllm("0.11.2")?;
//! let memory = KvMemory::Available(Bytes::from_gib(10.28));
//! let plan = engine.kv_cache(model, &EngineFlags::new(4096), memory)?;
//!
//! assert_eq!(plan.blocks().get(), 10_526);
//! assert_eq!(plan.kv_cache_tokens().get(), 28_064);
//! assert_eq!(
//!     plan.to_string(),
//!     "GPU KV cache size: 28,064 tokens\nMaximum concurrency for 4,096 tokens per request: 8.62x"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(clippy::disallowed_methods, reason = "pure crate: no files, clock, environment or network")]

pub mod units;

pub mod config;
pub mod gpu;
pub mod model;
pub mod prices;
mod source;

pub mod catalogue;
pub mod engine;
pub mod fleet;
pub mod mix;
pub mod performance;
pub mod planner;

pub mod weights;

pub mod reference;
pub mod simple;
pub mod start_log;

pub use config::Checkpoint;
pub use engine::{Engine, EngineFlags, KvCachePlan, KvDtype, KvMemory};
pub use gpu::GpuSpec;
pub use model::{ModelSpec, Shape};
pub use prices::Prices;
pub use simple::SimpleMethod;
pub use source::Sourced;
pub use start_log::StartLog;
pub use units::{Blocks, Bytes, BytesPerSecond, PrintedGib, Tokens, Usd, UsdPerHour};

/// The README's examples, so that they run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
