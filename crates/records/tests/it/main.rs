//! The wire schema changes on purpose only, and a killed run stays readable.

mod folder;
mod wire;
