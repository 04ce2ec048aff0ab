//! Sources and sampler against the outside: a loopback server that plays recorded answers, and a library with NVML's
//! symbols that plays a scenario.

#![expect(clippy::unwrap_used, reason = "the lint spares test functions, not the functions that they share")]

mod agent;
mod describe;
mod exporter;
mod gpu_library;
mod loopback;
mod nvml;
mod nvml_rare;
mod sampler;
mod server;
