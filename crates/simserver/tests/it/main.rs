//! Integration tests: the engine in virtual time, and the server over loopback against captured bytes of vLLM 0.11.2.

mod client;

mod batching;
mod queueing;
mod reference;
mod schedule;

mod faults;
mod faults_on_order;
mod telemetry;
mod wire;
