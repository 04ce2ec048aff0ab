//! What holds for the command, tried on the real binary.

mod binary;

mod access;
mod bad_days;
mod command;
mod endpoints;
mod find_capacity;
mod fleet;
mod gpumon;
mod judging;
mod overhead;
mod pipeline;
mod plan;
mod plan_from;
mod resume;
mod series;
mod signals;
mod size;
mod telemetry_access;
mod tls;
mod workloads;
