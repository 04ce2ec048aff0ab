//! A token's cost in arithmetic and in weights read: what speed needs beside the shape.

use serde::{Deserialize, Serialize};

/// What a token costs a model in arithmetic and in weights read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// Layers.
    pub layers: u32,
    /// Width of the residual stream.
    pub hidden: u32,
    /// Parameters of the language model that take part in a step (all experts, no vision tower, no embedding look-up).
    pub parameters: u64,
    /// Those of them that one token goes through.
    pub active: u64,
    /// Routed experts of a layer; absent for a dense model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experts: Option<u32>,
    /// Of which a token takes so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experts_per_token: Option<u32>,
}
