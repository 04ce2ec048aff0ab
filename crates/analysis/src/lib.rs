//! What a run means: summary per level, limits, findings, capacity.
//!
//! Pure: raw records in, a [`Summary`] out. It reads no file and no clock, and never mixes what was measured with what
//! was derived: everything here can be computed again from the run folder.
#![warn(
    clippy::disallowed_methods,
    reason = "pure crate: no files, clock, environment or network"
)]

pub mod server_capacity;
pub mod sizing_section;
mod summary;

pub use summary::*;
