//! One reading of one GPU: NVML's calls, each with its own refusal. Nothing here decides what a refusal means for the run.

use nvml_wrapper::{
    Device,
    enum_wrappers::device::PerformancePolicy,
    enum_wrappers::device::{Clock, TemperatureSensor},
    enums::device::SampleValue,
    error::{Bits, NvmlError},
    struct_wrappers::device::{FieldValueSample, MemoryInfo},
    structs::device::FieldId,
    sys_exports::field_id::{NVML_FI_DEV_MEMORY_TEMP, NVML_FI_DEV_POWER_AVERAGE, NVML_FI_DEV_POWER_INSTANT},
};
use records::GpuSample;

use super::raw::{nvlink_kib, pcie_bytes};

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
    pub(super) fn new(device: &Device<'_>) -> Self {
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
        let for_good =
            |(metric, refusal): &(&str, Refusal)| (*refusal == Refusal::Unsupported).then(|| (*metric).to_owned());
        self.refusals.iter().filter_map(for_good).collect()
    }

    fn value<T>(&mut self, metric: &'static str, result: Result<T, impl Into<Refusal>>) -> Option<T> {
        result.map_err(|refusal| self.refusals.push((metric, refusal.into()))).ok()
    }
}

/// Asks for every metric once.
pub(super) fn read(device: &Device<'_>, plain_power: PlainPower) -> Reading {
    let mut r = Reading { sample: GpuSample::default(), refusals: Vec::new() };
    let (gpu, bus) = both(device.utilization_rates(), |u| (u.gpu, u.memory));
    r.sample.gpu_util_percent = r.value("gpu_util_percent", gpu);
    r.sample.memory_util_percent = r.value("memory_util_percent", bus);

    let memory = memory(device);
    r.sample.memory_free_bytes = memory.as_ref().ok().map(|memory| memory.free);
    let (used, reserved) = both(memory, |m| (m.used, m.reserved));
    r.sample.memory_used_bytes = r.value("memory_used_bytes", used);
    r.sample.memory_reserved_bytes = r.value("memory_reserved_bytes", reserved);

    let fields = fields(device);
    r.sample.power_unix_ns = fields.unix_ns;
    r.sample.memory_temperature_c = fields.memory_celsius;
    let (average, instant) = power(device, plain_power, fields);
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
fn both<S, T>(result: Result<S, NvmlError>, split: impl Fn(S) -> (T, T)) -> (Result<T, Refusal>, Result<T, Refusal>) {
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
fn power(device: &Device<'_>, plain: PlainPower, fields: Fields) -> (Result<u64, Refusal>, Result<u64, Refusal>) {
    let plain_call = |meaning, field: Result<u64, Refusal>| match field {
        Err(Refusal::Unsupported | Refusal::Failed(_)) if plain == meaning => {
            device.power_usage().map(u64::from).map_err(Refusal::from)
        }
        other => other,
    };
    (plain_call(PlainPower::Average, fields.average_mw), plain_call(PlainPower::Instant, fields.instant_mw))
}

/// What NVML gives as numbered fields: one call, and a return code for each.
struct Fields {
    average_mw: Result<u64, Refusal>,
    instant_mw: Result<u64, Refusal>,
    /// A memory without a sensor reads 0.
    memory_celsius: Option<i32>,
    /// When the driver took the power values.
    unix_ns: Option<u64>,
}

fn fields(device: &Device<'_>) -> Fields {
    let ids = [NVML_FI_DEV_POWER_AVERAGE, NVML_FI_DEV_POWER_INSTANT, NVML_FI_DEV_MEMORY_TEMP];
    let values = match device.field_values_for(&ids.map(FieldId)) {
        Ok(values) => values,
        Err(error) => {
            let refusal = Refusal::from(error);
            return Fields {
                average_mw: Err(refusal.clone()),
                instant_mw: Err(refusal),
                memory_celsius: None,
                unix_ns: None,
            };
        }
    };
    let mut values = values.into_iter();
    let mut next = || values.next().unwrap_or(Err(NvmlError::NotSupported));
    let (average, instant, memory) = (next(), next(), next());
    let taken =
        [&instant, &average].into_iter().find_map(|field| field.as_ref().ok().filter(|field| field.value.is_ok()));
    Fields {
        unix_ns: taken.and_then(|field| u64::try_from(field.timestamp).ok()?.checked_mul(1_000)),
        average_mw: whole_field(average).map_err(Refusal::from),
        instant_mw: whole_field(instant).map_err(Refusal::from),
        memory_celsius: whole_field(memory)
            .ok()
            .filter(|celsius| *celsius != 0)
            .map(|celsius| i32::try_from(celsius).unwrap_or(i32::MAX)),
    }
}

/// The value of a field that counts something: neither sign nor fraction. Anything else is a field that we misunderstand.
pub(super) fn whole_field(field: Result<FieldValueSample, NvmlError>) -> Result<u64, NvmlError> {
    match field?.value? {
        SampleValue::U32(value) => Ok(u64::from(value)),
        SampleValue::U64(value) => Ok(value),
        _ => Err(NvmlError::NotSupported),
    }
}

/// Counters that only some devices have. Those that were refused once are not asked for again.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one for each counter that a device may not have")]
pub(super) struct Counters {
    power_violation: bool,
    thermal_violation: bool,
    nvlink: bool,
    pcie: bool,
}

impl Counters {
    /// Asks for all of them, to be told which there are.
    pub(super) const ALL: Self = Self { power_violation: true, thermal_violation: true, nvlink: true, pcie: true };

    /// Adds the counters to the sample.
    pub(super) fn read(&mut self, device: &Device<'_>, sample: &mut GpuSample) {
        let violation = |policy| {
            let status = device.violation_status(policy);
            status.map(|time| time.violation_time)
        };
        sample.power_violation_ns = ask(&mut self.power_violation, || violation(PerformancePolicy::Power));
        sample.thermal_violation_ns = ask(&mut self.thermal_violation, || violation(PerformancePolicy::Thermal));
        if let Some((sent, received)) = ask(&mut self.nvlink, || nvlink_kib(device)) {
            sample.nvlink_tx_bytes = sent.checked_mul(1_024);
            sample.nvlink_rx_bytes = received.checked_mul(1_024);
        }
        if let Some((sent, received)) = ask(&mut self.pcie, || pcie_bytes(device)) {
            sample.pcie_tx_bytes = Some(sent);
            sample.pcie_rx_bytes = Some(received);
        }
    }
}

/// The value, if the device has it; whether it has is remembered.
fn ask<T>(has: &mut bool, value: impl FnOnce() -> Result<T, NvmlError>) -> Option<T> {
    if !*has {
        return None;
    }
    let value = value();
    *has = !refused(&value);
    value.ok()
}

fn refused<T>(value: &Result<T, NvmlError>) -> bool {
    matches!(
        value,
        Err(NvmlError::NotSupported
            | NvmlError::NoPermission
            | NvmlError::InvalidArg
            | NvmlError::FunctionNotFound
            | NvmlError::FailedToLoadSymbol(_))
    )
}

/// All bits, also those that the wrapper has no name for.
fn throttle_bits(device: &Device<'_>) -> Result<u64, NvmlError> {
    match device.current_throttle_reasons_strict() {
        Ok(reasons) => Ok(reasons.bits()),
        Err(NvmlError::IncorrectBits(Bits::U64(bits))) => Ok(bits),
        Err(error) => Err(error),
    }
}
