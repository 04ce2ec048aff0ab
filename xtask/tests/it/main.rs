//! What holds for the workspace as a whole, tried on the real binary.

mod binary;

mod architecture;
mod sources;

#[cfg(test)]
mod access;
mod bad_days;
mod command;
mod gpumon;
mod overhead;
#[cfg(test)]
mod pipeline;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod workloads;
