//! A stand-in for vLLM: a pure continuous-batching step engine under a thin HTTP shell.

mod blocks;
pub mod engine;
mod pacer;
pub mod profile;
mod scheduler;
mod sequence;
pub mod simulate;
mod timing;

pub use profile::Profile;
