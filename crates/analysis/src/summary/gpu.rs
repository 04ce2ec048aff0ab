//! What the GPUs did during a level, and what that took in energy.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// What the GPUs did in the window, summed or averaged over GPUs.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuLevel {
    /// GPUs sampled.
    pub gpus: u32,
    /// Samples in the window.
    pub samples: u64,
    /// Largest memory in use, all GPUs together.
    pub memory_used_bytes_max: Option<u64>,
    /// Mean utilisation in percent.
    pub gpu_util_percent_mean: Option<f64>,
    /// Mean power, all GPUs together.
    pub power_w_mean: Option<f64>,
    /// Highest temperature.
    pub temperature_c_max: Option<i32>,
    /// Energy of the window by the driver's counter, all GPUs together.
    pub energy_j: Option<f64>,
    /// That energy per output token of the window.
    pub j_per_output_token: Option<f64>,
}

/// What the window cost in joules. Sums over GPUs are absent when one of them does not give the figure.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EnergyLevel {
    /// Energy of the window, all GPUs together, each by its best method.
    pub energy_j: Option<f64>,
    /// Integral of instant power over the window, all GPUs together: the cross-check.
    pub integral_j: Option<f64>,
    /// Power without load, all GPUs together, from the baseline before the first level.
    pub idle_w: Option<f64>,
    /// Energy of the window less what the GPUs would have taken idle.
    pub above_idle_j: Option<f64>,
    /// Energy per output token that arrived in the window.
    pub j_per_output_token: Option<f64>,
    /// Energy per token, output and prompt together: far smaller where prompts are long.
    pub j_per_total_token: Option<f64>,
    /// Energy above idle per output token.
    pub above_idle_j_per_output_token: Option<f64>,
    /// Energy above idle per token, output and prompt together.
    pub above_idle_j_per_total_token: Option<f64>,
    /// Output tokens of the window, and the prompt tokens of the requests whose first token arrived in it.
    pub total_tokens: Option<f64>,
    /// Power in each phase of the level and in the baseline, where it can be told.
    pub phases: Vec<PhasePower>,
    /// Each GPU's share.
    pub gpus: Vec<GpuEnergy>,
    /// Why the figures are not to be relied on; empty when they are.
    pub issues: Vec<WindowIssue>,
}

/// One GPU's energy in the window.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuEnergy {
    /// Which GPU.
    pub uuid: String,
    /// Samples in the window.
    pub samples: u64,
    /// How `energy_j` was found.
    pub method: Option<EnergyMethod>,
    /// Energy of the window.
    pub energy_j: Option<f64>,
    /// Integral of instant power over the window.
    pub integral_j: Option<f64>,
    /// Power without load.
    pub idle_w: Option<f64>,
    /// What is wrong with this GPU's window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<WindowIssue>,
}

/// How an energy was found, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EnergyMethod {
    /// Growth of the driver's counter.
    Counter,
    /// Integral of instant power.
    InstantPower,
    /// Integral of the driver's one-second average, which lags behind by up to that second.
    AveragePower,
}

/// Power of all GPUs in one phase.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhasePower {
    /// Which phase.
    pub phase: records::PhaseKind,
    /// Its length.
    pub seconds: f64,
    /// Mean power of all GPUs together.
    pub power_w: f64,
}

/// Why a window of telemetry is not to be relied on. The codes are `InferenceX`'s where it has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WindowIssue {
    /// There is no reading before its start or after its end.
    BenchmarkWindowNotBracketed,
    /// Fewer than two readings lie in it.
    TooFewSamples {
        /// How many.
        samples: u64,
    },
    /// Readings are missing within it.
    SamplingGapExceeded {
        /// Longest distance between two readings.
        gap_s: f64,
        /// What is accepted: three times the usual distance, and 3 s at most.
        allowed_s: f64,
    },
    /// GPUs are missing.
    ExpectedGpuCountMismatch {
        /// GPUs that the run knows.
        expected: u64,
        /// GPUs that were read in the window.
        seen: u64,
    },
    /// The energy counter was set back: the driver was loaded anew.
    CounterReset,
    /// Counter and integral of instant power differ by more than 5 %.
    EnergyMismatch {
        /// By the counter.
        counter_j: f64,
        /// By the integral.
        integral_j: f64,
    },
}
