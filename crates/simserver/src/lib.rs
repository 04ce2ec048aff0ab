//! A stand-in for vLLM: a pure continuous-batching step engine under a thin HTTP shell.
//!
//! `SimServer` answers like vLLM 0.11.2 and takes the time that a [`Profile`] says, so that clients, monitors and reports can be
//! tried and audited without a GPU. Nothing is computed: the text is neutral words, and every response says that it is simulated.
//!
//! The engine is pure and runs in virtual time: see [`engine`] for what it is told and tells, and [`simulate`] for loads
//! without sockets. Its scheduling follows vLLM V1; its bytes are pinned to captures in `fixtures/vllm-0.11.2/`. What can go wrong is in
//! [`fault`]. It shares no type with the client that it tests and takes no timing from the sizing model.
//!
//! Left out: speculation, asynchronous scheduling, log probabilities, tools, images.

pub mod profile;

pub mod engine;
pub mod fault;
pub mod fleet;
pub mod simulate;

mod scheduler;
mod sequence;

mod block_table;
mod blocks;
mod fixed;
mod linear_profile;
mod padded_graphs;
mod step;
mod timing;

mod server;
mod start_log;
mod ticket;

mod api;
mod app;
mod body;
mod connection;
mod generate;
mod http;
mod stream_events;

mod body_faults;
mod faulty_body;
mod stream;

mod driver;
mod progress;

mod embeddings;
mod frames;
mod metrics;
mod openai;
mod prompt;
mod responses;
mod telemetry;
mod text;

pub use fault::{Fault, FaultRule};
pub use linear_profile::LinearProfile;
pub use metrics::MetricNames;
pub use profile::{Profile, profile_names};
pub use server::{SimConfig, SimError, SimServer};
pub use start_log::{LogWording, start_log};
