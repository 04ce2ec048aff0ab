//! Sends the planned requests, stamps every token as it arrives, and yields one record per request.
//!
//! The client of a load test, closed or open loop, against an OpenAI-compatible server: chat and text completions,
//! streamed or not, over HTTP/1.1 and HTTP/2.
//! [`run`] blocks its caller, who gets every event through a sink and keeps the records; this crate writes no file,
//! prints nothing and computes no metric.
//!
//! Pure: [`LoadPlan`], [`arrival`], [`workload`], [`openai`], [`sse`], [`timeline`]. With network and clock: the connection, one
//! request, the driver, and what the load costs the client itself.

mod error;
mod target;

pub mod arrival;
mod level;
mod load_plan;
mod protocol;

pub mod openai;
pub mod sse;
pub mod timeline;
pub mod workload;

mod chunked;
mod connection;
mod connector;
mod deadline;
mod driver;
mod http1;
mod http2;
mod keep_alive;
mod kernel_stamp;
mod overhead;
mod request;
mod socket;
#[cfg(feature = "tls")]
mod tls;
mod tunnel;
mod wire;

pub use driver::{Done, Event, Progress, RunEnd, StopHandle, calibrate, probe, resume, run};
pub use error::{LoadError, PlanError, SinkError};
pub use level::{Level, Load, Volume};
pub use load_plan::{LoadPlan, LoadSpec, Threads, Timeouts, Work};
pub use openai::{Endpoint, LengthControl};
pub use target::{Secret, Target, Trust};
pub use tunnel::Tunnel;

/// Compiles and runs the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
