//! The scenario file: which GPUs there are and what they answer.
//!
//! ```toml
//! driver = "570.86.15"
//! # init = "DRIVER_NOT_LOADED"       # what nvmlInit_v2 answers instead of success
//!
//! [[devices]]
//! uuid = "GPU-1"
//! name = "NVIDIA H100 80GB HBM3"
//! compute_capability = [9, 0]
//! lost_after_calls = 20              # further values answer GPU_IS_LOST
//!
//! [devices.values]
//! gpu_util = 97                                   # always the same
//! energy = { start = 1000, per_call = 50 }        # 1000, 1050, 1100, …
//! temperature = { error = "NOT_SUPPORTED" }
//! ```
//!
//! A value that is not listed answers `NOT_SUPPORTED`. Time plays no part: values move by the call, so a test that counts
//! its samples knows what it must read.

use std::collections::BTreeMap;

use nvml_wrapper_sys::bindings::{
    nvmlReturn_enum_NVML_ERROR_DRIVER_NOT_LOADED as DRIVER_NOT_LOADED,
    nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST as GPU_IS_LOST,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT,
    nvmlReturn_enum_NVML_ERROR_LIB_RM_VERSION_MISMATCH as LIB_RM_VERSION_MISMATCH,
    nvmlReturn_enum_NVML_ERROR_NO_PERMISSION as NO_PERMISSION,
    nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED as NOT_SUPPORTED,
    nvmlReturn_enum_NVML_ERROR_UNKNOWN as UNKNOWN, nvmlReturn_t,
};
use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    driver: String,
    init: Option<ErrorCode>,
    #[serde(default)]
    devices: Vec<Device>,
}

/// A GPU.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Unique id.
    pub uuid: String,
    /// Product name.
    pub name: String,
    /// Major and minor number.
    pub compute_capability: [i32; 2],
    lost_after_calls: Option<u64>,
    #[serde(default)]
    values: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Value {
    Constant(i64),
    Ramp { start: i64, per_call: i64 },
    Error { error: ErrorCode },
}

/// NVML's error codes, by the end of their names.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ErrorCode {
    NotSupported,
    NoPermission,
    DriverNotLoaded,
    GpuIsLost,
    LibRmVersionMismatch,
    Unknown,
}

impl ErrorCode {
    fn code(self) -> nvmlReturn_t {
        match self {
            Self::NotSupported => NOT_SUPPORTED,
            Self::NoPermission => NO_PERMISSION,
            Self::DriverNotLoaded => DRIVER_NOT_LOADED,
            Self::GpuIsLost => GPU_IS_LOST,
            Self::LibRmVersionMismatch => LIB_RM_VERSION_MISMATCH,
            Self::Unknown => UNKNOWN,
        }
    }
}

/// A scenario being played: it and the calls so far. Errors are NVML's codes.
#[derive(Debug)]
pub struct Player {
    scenario: Scenario,
    /// Values asked of each device.
    calls: Vec<u64>,
    /// Times that each value of each device was asked for.
    calls_of_value: BTreeMap<(usize, String), i64>,
}

impl Player {
    /// Begins the scenario written in `text`. One that cannot be read answers `INVALID_ARGUMENT`.
    pub fn open(text: &str) -> Result<Self, nvmlReturn_t> {
        let scenario: Scenario = toml::from_str(text).map_err(|_| INVALID_ARGUMENT)?;
        match scenario.init {
            Some(error) => Err(error.code()),
            None => Ok(Self {
                calls: vec![0; scenario.devices.len()],
                calls_of_value: BTreeMap::new(),
                scenario,
            }),
        }
    }

    /// Driver version.
    pub fn driver(&self) -> &str {
        &self.scenario.driver
    }

    /// Number of GPUs.
    pub fn devices(&self) -> usize {
        self.scenario.devices.len()
    }

    /// The GPU at `index`, if it is there and not lost.
    pub fn device(&self, index: usize) -> Result<&Device, nvmlReturn_t> {
        let device = self.scenario.devices.get(index).ok_or(INVALID_ARGUMENT)?;
        match device.lost_after_calls {
            Some(calls) if self.calls[index] >= calls => Err(GPU_IS_LOST),
            _ => Ok(device),
        }
    }

    /// The value called `name` of the GPU at `index`, at this call.
    pub fn value(&mut self, index: usize, name: &str) -> Result<i64, nvmlReturn_t> {
        self.device(index)?;
        self.calls[index] += 1;
        let calls = self
            .calls_of_value
            .entry((index, name.to_owned()))
            .or_default();
        let earlier_calls = *calls;
        *calls += 1;
        match self.scenario.devices[index].values.get(name) {
            Some(Value::Constant(value)) => Ok(*value),
            Some(Value::Ramp { start, per_call }) => Ok(start + per_call * earlier_calls),
            Some(Value::Error { error }) => Err(error.code()),
            None => Err(NOT_SUPPORTED),
        }
    }
}
