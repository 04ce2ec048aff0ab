//! What holds for the workspace as a whole, tried on the real binary.

mod architecture;
mod bad_days;
mod command;
mod pipeline;
mod sources;
