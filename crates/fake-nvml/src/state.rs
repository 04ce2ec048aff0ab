//! What changes rarely: limits, links, errors, and the time for which clocks were held back.

use std::ffi::{c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::{
    nvmlClockType_t, nvmlDevice_t, nvmlEccCounterType_t, nvmlMemoryErrorType_t,
    nvmlPerfPolicyType_enum_NVML_PERF_POLICY_POWER, nvmlPerfPolicyType_enum_NVML_PERF_POLICY_THERMAL,
    nvmlPerfPolicyType_t, nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT, nvmlReturn_t,
    nvmlViolationTime_t,
};

use crate::{answer, put, value};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetViolationStatus(
    device: nvmlDevice_t,
    policy: nvmlPerfPolicyType_t,
    time: *mut nvmlViolationTime_t,
) -> nvmlReturn_t {
    #[expect(non_upper_case_globals, reason = "the names are NVML's")]
    let name = match policy {
        nvmlPerfPolicyType_enum_NVML_PERF_POLICY_POWER => "power_violation",
        nvmlPerfPolicyType_enum_NVML_PERF_POLICY_THERMAL => "thermal_violation",
        _ => return INVALID_ARGUMENT,
    };
    answer(|player| {
        let violation = value(player, device, name)?;
        // SAFETY: by the contract of nvml.h.
        unsafe {
            time.write(nvmlViolationTime_t { referenceTime: 0, violationTime: violation });
        };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetPowerManagementDefaultLimit(
    device: nvmlDevice_t,
    milliwatts: *mut c_uint,
) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    unsafe { put(device, "power_limit_default", milliwatts) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMaxClockInfo(
    device: nvmlDevice_t,
    _clock: nvmlClockType_t,
    mhz: *mut c_uint,
) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    unsafe { put(device, "sm_clock_max", mhz) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCurrPcieLinkGeneration(
    device: nvmlDevice_t,
    generation: *mut c_uint,
) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    unsafe { put(device, "pcie_generation", generation) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCurrPcieLinkWidth(device: nvmlDevice_t, width: *mut c_uint) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    unsafe { put(device, "pcie_width", width) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetPcieReplayCounter(device: nvmlDevice_t, count: *mut c_uint) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    unsafe { put(device, "pcie_replays", count) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: nvmlDevice_t,
    _error: nvmlMemoryErrorType_t,
    _counter: nvmlEccCounterType_t,
    count: *mut c_ulonglong,
) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    unsafe { put(device, "ecc_uncorrected", count) }
}
