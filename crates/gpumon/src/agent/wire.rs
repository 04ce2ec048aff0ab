//! What agent and client say to each other, in JSON.

use records::{GpuLine, Offset};
use serde::{Deserialize, Serialize};

/// By this word an agent is known.
pub(super) const AGENT: &str = "plimsoll gpumon";

/// `GET /v1/time`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Time {
    pub(super) agent: String,
    /// Another number means that the agent was started anew, with another clock.
    pub(super) instance: u64,
    /// The agent's clock now.
    pub(super) t_ns: Offset,
    /// Wall-clock time of its host, for people.
    pub(super) unix_ns: u64,
}

/// `GET /v1/lines?after=N`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    pub(super) time: Time,
    /// What to ask for next.
    pub(super) next: u64,
    /// Batch that were asked for and are not kept any more.
    pub(super) lost: u64,
    pub(super) lines: Vec<GpuLine>,
}
