//! Statistics of a sample, each as far as the sample supports it.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::Estimate;

/// Statistics of a sample of latencies. Percentiles that `n` cannot support are absent.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Sample size.
    pub n: u64,
    /// Independent observations that would say as much of the mean: requests that share the server's steps are not
    /// independent. Absent when fewer than two waves were measured.
    pub effective: Option<f64>,
    /// Mean with a t-interval of batch means (absent for fewer than two waves).
    pub mean: Estimate,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Median.
    pub p50: Option<Estimate>,
    /// 90th percentile.
    pub p90: Option<Estimate>,
    /// 95th percentile.
    pub p95: Option<Estimate>,
    /// 99th percentile.
    pub p99: Option<Estimate>,
}
