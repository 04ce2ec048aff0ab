//! One reading of one GPU: NVML's calls, each with its own refusal. Nothing here decides what a refusal means for the run.

use nvml_wrapper::{
    Device,
    enum_wrappers::device::{Clock, TemperatureSensor},
    enums::device::SampleValue,
    error::{Bits, NvmlError},
    struct_wrappers::device::MemoryInfo,
    structs::device::FieldId,
    sys_exports::field_id::{NVML_FI_DEV_POWER_AVERAGE, NVML_FI_DEV_POWER_INSTANT},
};
use records::GpuSample;

/// What `nvmlDeviceGetPowerUsage` means on a device. Its documentation: averaged over one second on Ampere (except GA100)
/// or newer, instantaneous on GA100 and older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlainPower {
    Average,
    Instant,
    Unknown,
}

impl PlainPower {
    /// GA100 has compute capability 8.0, the rest of Ampere 8.6 or above.
    pub(super) fn of(device: &Device<'_>) -> Self {
        match device.cuda_compute_capability() {
            Ok(capability) if (capability.major, capability.minor) > (8, 0) => Self::Average,
            Ok(_) => Self::Instant,
            Err(_) => Self::Unknown,
        }
    }
}

/// What one round of calls gave. The sample has no time and no device yet.
pub(super) struct Reading {
    pub(super) sample: GpuSample,
    /// Metrics that were not had, by the name of their field in [`GpuSample`].
    pub(super) refusals: Vec<(&'static str, Refusal)>,
}

/// Why a metric was not had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// This device or driver does not have it, and will not.
    Unsupported,
    /// The device or the driver is gone.
    Lost(String),
    /// It failed this time.
    Failed(String),
}

impl From<NvmlError> for Refusal {
    fn from(error: NvmlError) -> Self {
        match error {
            NvmlError::NotSupported
            | NvmlError::NoPermission
            | NvmlError::FunctionNotFound
            | NvmlError::FailedToLoadSymbol(_) => Self::Unsupported,
            NvmlError::GpuLost
            | NvmlError::ResetRequired
            | NvmlError::Uninitialized
            | NvmlError::DriverNotLoaded
            | NvmlError::LibRmVersionMismatch => Self::Lost(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl Reading {
    /// The metrics that there is no use in waiting for.
    pub(super) fn refused_for_good(&self) -> Vec<String> {
        let for_good = |(metric, refusal): &(&str, Refusal)| {
            (*refusal == Refusal::Unsupported).then(|| (*metric).to_owned())
        };
        self.refusals.iter().filter_map(for_good).collect()
    }

    fn value<T>(
        &mut self,
        metric: &'static str,
        result: Result<T, impl Into<Refusal>>,
    ) -> Option<T> {
        result
            .map_err(|refusal| self.refusals.push((metric, refusal.into())))
            .ok()
    }
}

/// Asks for every metric once.
pub(super) fn read(device: &Device<'_>, plain_power: PlainPower) -> Reading {
    let mut r = Reading {
        sample: GpuSample::default(),
        refusals: Vec::new(),
    };
    let (gpu, bus) = both(device.utilization_rates(), |u| (u.gpu, u.memory));
    r.sample.gpu_util_percent = r.value("gpu_util_percent", gpu);
    r.sample.memory_util_percent = r.value("memory_util_percent", bus);

    let (used, reserved) = both(memory(device), |m| (m.used, m.reserved));
    r.sample.memory_used_bytes = r.value("memory_used_bytes", used);
    r.sample.memory_reserved_bytes = r.value("memory_reserved_bytes", reserved);

    let (average, instant) = power(device, plain_power);
    r.sample.power_average_mw = r.value("power_average_mw", average);
    r.sample.power_instant_mw = r.value("power_instant_mw", instant);
    r.sample.energy_mj = r.value("energy_mj", device.total_energy_consumption());

    // NVML gives degrees in an unsigned type; what does not fit is dropped as implausible later.
    let celsius = device.temperature(TemperatureSensor::Gpu);
    let celsius = celsius.map(|c| i32::try_from(c).unwrap_or(i32::MAX));
    r.sample.temperature_c = r.value("temperature_c", celsius);
    r.sample.sm_clock_mhz = r.value("sm_clock_mhz", device.clock_info(Clock::SM));
    r.sample.memory_clock_mhz = r.value("memory_clock_mhz", device.clock_info(Clock::Memory));
    r.sample.throttle_bits = r.value("throttle_bits", throttle_bits(device));
    r
}

/// Memory of the device. One that shares the host's memory either refuses or claims to have none at all: both mean that
/// NVML does not know.
pub(super) fn memory(device: &Device<'_>) -> Result<MemoryInfo, NvmlError> {
    match device.memory_info()? {
        MemoryInfo { total: 0, .. } => Err(NvmlError::NotSupported),
        memory => Ok(memory),
    }
}

/// Splits a call that gives two metrics.
fn both<S, T>(
    result: Result<S, NvmlError>,
    split: impl Fn(S) -> (T, T),
) -> (Result<T, Refusal>, Result<T, Refusal>) {
    match result {
        Ok(value) => {
            let (first, second) = split(value);
            (Ok(first), Ok(second))
        }
        Err(error) => {
            let refusal = Refusal::from(error);
            (Err(refusal.clone()), Err(refusal))
        }
    }
}

/// Average and instantaneous power: the two fields, or in place of a missing one the plain call where it means the same.
fn power(device: &Device<'_>, plain: PlainPower) -> (Result<u64, Refusal>, Result<u64, Refusal>) {
    let (average, instant) = power_fields(device);
    let plain_call = |meaning, field: Result<u64, Refusal>| match field {
        Err(Refusal::Unsupported | Refusal::Failed(_)) if plain == meaning => {
            device.power_usage().map(u64::from).map_err(Refusal::from)
        }
        other => other,
    };
    (
        plain_call(PlainPower::Average, average),
        plain_call(PlainPower::Instant, instant),
    )
}

fn power_fields(device: &Device<'_>) -> (Result<u64, Refusal>, Result<u64, Refusal>) {
    let ids = [NVML_FI_DEV_POWER_AVERAGE, NVML_FI_DEV_POWER_INSTANT].map(FieldId);
    let (average, instant) = both(device.field_values_for(&ids), |fields| {
        let mut milliwatts = fields.into_iter().map(|field| match field?.value? {
            SampleValue::U32(mw) => Ok(u64::from(mw)),
            SampleValue::U64(mw) => Ok(mw),
            // Power has neither sign nor fraction; anything else is a field that we misunderstand.
            _ => Err(NvmlError::NotSupported),
        });
        let mut next = || {
            let field = milliwatts.next().unwrap_or(Err(NvmlError::NotSupported));
            field.map_err(Refusal::from)
        };
        (next(), next())
    });
    (average.flatten(), instant.flatten())
}

/// All bits, also those that the wrapper has no name for.
fn throttle_bits(device: &Device<'_>) -> Result<u64, NvmlError> {
    match device.current_throttle_reasons_strict() {
        Ok(reasons) => Ok(reasons.bits()),
        Err(NvmlError::IncorrectBits(Bits::U64(bits))) => Ok(bits),
        Err(error) => Err(error),
    }
}
