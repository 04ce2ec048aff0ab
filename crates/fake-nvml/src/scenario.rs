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
//! power_usage = { start = 300_000, per_second = 50 }             # grows with the time since nvmlInit_v2
//! field_186 = { start = 4_294_967_000, per_call = 100, wrap = 4_294_967_296 }
//!
//! [devices.delay_ms]
//! temperature = 300                  # this call takes so long
//!
//! [[devices.xids]]                   # an event, once so many values of the device have been asked for
//! after_calls = 40
//! code = 79
//!
//! [[devices.mig]]                    # an instance of a GPU that has been divided
//! uuid = "MIG-1"
//! gpu_instance = 3
//! [devices.mig.values]
//! memory_total = 20_000
//! ```
//!
//! A value that is not listed answers `NOT_SUPPORTED`. Unless a scenario says `per_second` or `lost_after_ms`, time plays no
//! part: values move by the call, so a test that counts its samples knows what it must read.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use nvml_wrapper_sys::bindings::{
    nvmlReturn_enum_NVML_ERROR_DRIVER_NOT_LOADED as DRIVER_NOT_LOADED,
    nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST as GPU_IS_LOST,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT,
    nvmlReturn_enum_NVML_ERROR_LIB_RM_VERSION_MISMATCH as LIB_RM_VERSION_MISMATCH,
    nvmlReturn_enum_NVML_ERROR_NO_PERMISSION as NO_PERMISSION,
    nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED as NOT_SUPPORTED, nvmlReturn_enum_NVML_ERROR_UNKNOWN as UNKNOWN,
    nvmlReturn_t,
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
    lost_after_ms: Option<u64>,
    #[serde(default)]
    values: BTreeMap<String, Value>,
    #[serde(default)]
    delay_ms: BTreeMap<String, u64>,
    #[serde(default)]
    xids: Vec<Xid>,
    #[serde(default)]
    mig: Vec<Part>,
}

/// An instance of a divided GPU.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    uuid: String,
    gpu_instance: u32,
    #[serde(default)]
    values: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Xid {
    after_calls: u64,
    code: u64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Value {
    Constant(i64),
    Error { error: ErrorCode },
    Ramp(Ramp),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ramp {
    start: i64,
    #[serde(default)]
    per_call: i64,
    #[serde(default)]
    per_second: i64,
    /// The value begins at 0 again when it reaches this.
    wrap: Option<i64>,
}

impl Ramp {
    fn at(self, calls: i64, since: Duration) -> i64 {
        let millis = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let grown = self.start + self.per_call * calls + self.per_second.saturating_mul(millis) / 1_000;
        self.wrap.map_or(grown, |wrap| grown.rem_euclid(wrap))
    }
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
    driver: String,
    /// The GPUs, and behind them their instances.
    devices: Vec<Device>,
    gpus: usize,
    /// GPU and instance number of each instance, from `gpus` on.
    instances: Vec<(usize, u32)>,
    /// Values asked of each device.
    calls: Vec<u64>,
    /// Times that each value of each device was asked for.
    calls_of_value: BTreeMap<(usize, String), i64>,
    began: Instant,
    /// GPM samples that were allocated, and the device that each was filled from.
    gpm_samples: BTreeMap<usize, Option<usize>>,
    last_gpm_sample: usize,
    /// Devices whose events are wanted.
    watched: Vec<usize>,
}

impl Player {
    /// Begins the scenario written in `text`. One that cannot be read answers `INVALID_ARGUMENT`.
    pub fn open(text: &str) -> Result<Self, nvmlReturn_t> {
        let scenario: Scenario = toml::from_str(text).map_err(|_| INVALID_ARGUMENT)?;
        if let Some(error) = scenario.init {
            return Err(error.code());
        }
        let mut devices = scenario.devices;
        let gpus = devices.len();
        let mut instances = Vec::new();
        for gpu in 0..gpus {
            let capability = devices[gpu].compute_capability;
            for instance in std::mem::take(&mut devices[gpu].mig) {
                instances.push((gpu, instance.gpu_instance));
                devices.push(Device {
                    name: format!("{} MIG", devices[gpu].name),
                    uuid: instance.uuid,
                    compute_capability: capability,
                    lost_after_calls: None,
                    lost_after_ms: None,
                    values: instance.values,
                    delay_ms: BTreeMap::new(),
                    xids: Vec::new(),
                    mig: Vec::new(),
                });
            }
        }
        Ok(Self {
            driver: scenario.driver,
            calls: vec![0; devices.len()],
            devices,
            gpus,
            instances,
            calls_of_value: BTreeMap::new(),
            began: Instant::now(),
            gpm_samples: BTreeMap::new(),
            last_gpm_sample: 0,
            watched: Vec::new(),
        })
    }

    /// Driver version.
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// Number of GPUs.
    pub fn devices(&self) -> usize {
        self.gpus
    }

    /// The GPU or instance at `index`, if it is there and not lost.
    pub fn device(&self, index: usize) -> Result<&Device, nvmlReturn_t> {
        let device = self.devices.get(index).ok_or(INVALID_ARGUMENT)?;
        let by_calls = device.lost_after_calls.is_some_and(|calls| self.calls[index] >= calls);
        let by_time = device.lost_after_ms.is_some_and(|ms| self.began.elapsed() >= Duration::from_millis(ms));
        if by_calls || by_time { Err(GPU_IS_LOST) } else { Ok(device) }
    }

    /// The value called `name` of the device at `index`, at this call.
    pub fn value(&mut self, index: usize, name: &str) -> Result<i64, nvmlReturn_t> {
        self.device(index)?;
        self.calls[index] += 1;
        let calls = self.calls_of_value.entry((index, name.to_owned())).or_default();
        let earlier_calls = *calls;
        *calls += 1;
        if let Some(ms) = self.devices[index].delay_ms.get(name) {
            thread::sleep(Duration::from_millis(*ms));
        }
        match self.devices[index].values.get(name) {
            Some(Value::Constant(value)) => Ok(*value),
            Some(Value::Ramp(ramp)) => Ok(ramp.at(earlier_calls, self.began.elapsed())),
            Some(Value::Error { error }) => Err(error.code()),
            None => Err(NOT_SUPPORTED),
        }
    }

    /// Instances of the GPU at `index`: how many, and where the `number`th lies.
    pub fn instances(&self, index: usize) -> impl Iterator<Item = usize> {
        let of_gpu = move |(at, &(gpu, _)): (usize, &(usize, u32))| (gpu == index).then_some(self.gpus + at);
        self.instances.iter().enumerate().filter_map(of_gpu)
    }

    /// Number of the GPU instance that the device at `index` is.
    pub fn gpu_instance(&self, index: usize) -> Result<u32, nvmlReturn_t> {
        let at = index.checked_sub(self.gpus).ok_or(INVALID_ARGUMENT)?;
        self.instances.get(at).map(|(_, number)| *number).ok_or(INVALID_ARGUMENT)
    }

    /// A new GPM sample, never 0.
    pub fn allocate_gpm_sample(&mut self) -> usize {
        self.last_gpm_sample += 1;
        self.gpm_samples.insert(self.last_gpm_sample, None);
        self.last_gpm_sample
    }

    /// Forgets a GPM sample.
    pub fn free_gpm_sample(&mut self, sample: usize) -> Result<(), nvmlReturn_t> {
        self.gpm_samples.remove(&sample).map(|_| ()).ok_or(INVALID_ARGUMENT)
    }

    /// Fills a GPM sample from the device at `index`, or from one of its instances.
    pub fn fill_gpm_sample(&mut self, sample: usize, index: usize, instance: Option<u32>) -> Result<(), nvmlReturn_t> {
        let index = match instance {
            None => index,
            Some(number) => {
                self.instances(index).find(|at| self.gpu_instance(*at) == Ok(number)).ok_or(INVALID_ARGUMENT)?
            }
        };
        self.device(index)?;
        *self.gpm_samples.get_mut(&sample).ok_or(INVALID_ARGUMENT)? = Some(index);
        Ok(())
    }

    /// The device that both samples were filled from.
    pub fn device_of_gpm_samples(&self, first: usize, second: usize) -> Result<usize, nvmlReturn_t> {
        let filled = |sample| self.gpm_samples.get(&sample).copied().flatten().ok_or(INVALID_ARGUMENT);
        let (first, second) = (filled(first)?, filled(second)?);
        if first == second { Ok(first) } else { Err(INVALID_ARGUMENT) }
    }

    /// From now on events of the device at `index` are told.
    pub fn watch(&mut self, index: usize) -> Result<(), nvmlReturn_t> {
        self.device(index)?;
        self.watched.push(index);
        Ok(())
    }

    /// The next event that is due and was not told yet: a device and an XID.
    pub fn next_xid(&mut self) -> Option<(usize, u64)> {
        let calls = &self.calls;
        self.watched
            .iter()
            .find_map(|&index| {
                let due = self.devices[index].xids.iter().position(|xid| calls[index] >= xid.after_calls)?;
                Some((index, due))
            })
            .map(|(index, due)| (index, self.devices[index].xids.remove(due).code))
    }
}
