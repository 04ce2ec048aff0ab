//! What holds for the workspace as a whole, tried on the real binary.

mod binary;

mod architecture;
mod sources;

mod bad_days;
mod command;
mod judging;
mod pipeline;
