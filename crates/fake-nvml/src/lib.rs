//! A library with NVML's symbols that plays a scenario, so that GPU telemetry is tested without a GPU through the same
//! loader and wrapper that meet the real one.
//!
//! The scenario is the file beside the library with the extension `.toml` (so `libfake_nvml.so` plays
//! `libfake_nvml.toml`), or else the one named by the environment variable `FAKE_NVML_SCENARIO`. A test copies the
//! library into a directory of its own and writes the scenario beside it: the loader keeps each copy's state apart, so
//! parallel tests share nothing. See [`scenario`] for the format. `nvmlInit_v2` reads the file anew and forgets every
//! count; without a scenario it answers `NVML_ERROR_LIBRARY_NOT_FOUND`.
//!
//! Values of GPM metrics are called `gpm_<id>`, those of fields `field_<id>`, or `field_<id>_all` where all links are
//! asked for. Layouts, constants and signatures are those of `nvml-wrapper-sys`, generated from NVIDIA's `nvml.h`. Only
//! what `gpumon` calls is here: any other symbol is missing, as in a driver that is too old for it.

#![expect(unsafe_code, reason = "exports NVML's C functions, which take raw pointers and are found by unmangled names")]
#![expect(
    clippy::missing_safety_doc,
    reason = "the contract of each function is that of the same name in nvml.h: pointers are valid for writes"
)]
#![expect(missing_docs, reason = "the functions are documented by nvml.h")]

pub mod scenario;

pub mod events;
pub mod gpm;
pub mod instances;
pub mod state;

use std::{
    ffi::{CStr, OsStr, c_char, c_int, c_uint, c_ulonglong},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use nvml_wrapper_sys::bindings::{
    nvmlClockType_enum_NVML_CLOCK_MEM, nvmlClockType_enum_NVML_CLOCK_SM, nvmlClockType_t, nvmlDevice_t,
    nvmlFieldValue_t, nvmlMemory_v2_t, nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH as VERSION_MISMATCH,
    nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE as INSUFFICIENT_SIZE,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT,
    nvmlReturn_enum_NVML_ERROR_LIBRARY_NOT_FOUND as LIBRARY_NOT_FOUND,
    nvmlReturn_enum_NVML_ERROR_UNINITIALIZED as UNINITIALIZED, nvmlReturn_enum_NVML_SUCCESS as SUCCESS, nvmlReturn_t,
    nvmlTemperatureSensors_t, nvmlUtilization_t, nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG,
};

use scenario::Player;

static PLAYER: Mutex<Option<Player>> = Mutex::new(None);

fn player() -> MutexGuard<'static, Option<Player>> {
    PLAYER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The scenario file beside this library, or the one that the environment names.
fn scenario_path() -> Option<PathBuf> {
    let mut info = libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    // SAFETY: the address is one of this library, and `info` is valid for writes.
    let found = unsafe { libc::dladdr((&raw const PLAYER).cast(), &raw mut info) } != 0;
    let beside = (found && !info.dli_fname.is_null()).then(|| {
        // SAFETY: `dladdr` succeeded, so this is the library's path, a C string that lives as long as the library.
        let path = unsafe { CStr::from_ptr(info.dli_fname) };
        PathBuf::from(OsStr::from_bytes(path.to_bytes())).with_extension("toml")
    });
    let named = || std::env::var_os("FAKE_NVML_SCENARIO").map(PathBuf::from);
    beside.filter(|path| path.exists()).or_else(named)
}

/// Runs `answer` on the player and turns its result into NVML's code.
fn answer(answer: impl FnOnce(&mut Player) -> Result<(), nvmlReturn_t>) -> nvmlReturn_t {
    let result = player().as_mut().ok_or(UNINITIALIZED).and_then(answer);
    result.err().unwrap_or(SUCCESS)
}

/// A handle is the device's index plus one: it is never dereferenced, and never null.
fn index(device: nvmlDevice_t) -> Result<usize, nvmlReturn_t> {
    device.addr().checked_sub(1).ok_or(INVALID_ARGUMENT)
}

/// The value called `name` of `device`, in the type that the caller wants.
fn value<T: TryFrom<i64>>(player: &mut Player, device: nvmlDevice_t, name: &str) -> Result<T, nvmlReturn_t> {
    let value = player.value(index(device)?, name)?;
    T::try_from(value).map_err(|_| INVALID_ARGUMENT)
}

/// Writes the value called `name` to `out`.
///
/// # Safety
/// `out` is valid for writes.
unsafe fn put<T: TryFrom<i64>>(device: nvmlDevice_t, name: &str, out: *mut T) -> nvmlReturn_t {
    answer(|player| {
        let value = value(player, device, name)?;
        // SAFETY: by the contract of this function.
        unsafe { out.write(value) };
        Ok(())
    })
}

/// Writes `text` and its end to the buffer.
///
/// # Safety
/// `buffer` is valid for writes of `length` bytes.
unsafe fn put_text(text: &str, buffer: *mut c_char, length: c_uint) -> Result<(), nvmlReturn_t> {
    if text.len() >= length as usize {
        return Err(INSUFFICIENT_SIZE);
    }
    // SAFETY: the text and one byte more fit, as checked; the buffer is not part of the text.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, text.len());
        buffer.add(text.len()).write(0);
    }
    Ok(())
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> nvmlReturn_t {
    let text = scenario_path().and_then(|path| std::fs::read_to_string(path).ok());
    let opened = text.ok_or(LIBRARY_NOT_FOUND).and_then(|text| Player::open(&text));
    match opened {
        Ok(opened) => {
            *player() = Some(opened);
            SUCCESS
        }
        Err(code) => code,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> nvmlReturn_t {
    match player().take() {
        Some(_) => SUCCESS,
        None => UNINITIALIZED,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetDriverVersion(buffer: *mut c_char, length: c_uint) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    answer(|player| unsafe { put_text(player.driver(), buffer, length) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> nvmlReturn_t {
    answer(|player| {
        let devices = c_uint::try_from(player.devices()).map_err(|_| INVALID_ARGUMENT)?;
        // SAFETY: by the contract of nvml.h.
        unsafe { count.write(devices) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, handle: *mut nvmlDevice_t) -> nvmlReturn_t {
    answer(|player| {
        player.device(index as usize)?;
        // SAFETY: by the contract of nvml.h.
        unsafe { handle.write(ptr::without_provenance_mut(index as usize + 1)) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUUID(device: nvmlDevice_t, buffer: *mut c_char, length: c_uint) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    answer(|player| unsafe { put_text(&player.device(index(device)?)?.uuid, buffer, length) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetName(device: nvmlDevice_t, buffer: *mut c_char, length: c_uint) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    answer(|player| unsafe { put_text(&player.device(index(device)?)?.name, buffer, length) })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCudaComputeCapability(
    device: nvmlDevice_t,
    major: *mut c_int,
    minor: *mut c_int,
) -> nvmlReturn_t {
    answer(|player| {
        let capability = player.device(index(device)?)?.compute_capability;
        // SAFETY: by the contract of nvml.h.
        unsafe {
            major.write(capability[0]);
            minor.write(capability[1]);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUtilizationRates(
    device: nvmlDevice_t,
    rates: *mut nvmlUtilization_t,
) -> nvmlReturn_t {
    answer(|player| {
        let gpu = value(player, device, "gpu_util")?;
        let memory = value(player, device, "memory_util")?;
        // SAFETY: by the contract of nvml.h.
        unsafe { rates.write(nvmlUtilization_t { gpu, memory }) };
        Ok(())
    })
}

/// `NVML_STRUCT_VERSION(Memory, 2)` of nvml.h: the size of the struct, and 2 in the top byte.
const MEMORY_V2: usize = size_of::<nvmlMemory_v2_t>() | 2 << 24;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(
    device: nvmlDevice_t,
    memory: *mut nvmlMemory_v2_t,
) -> nvmlReturn_t {
    answer(|player| {
        // SAFETY: by the contract of nvml.h, which has the caller write the version.
        let memory = unsafe { &mut *memory };
        if memory.version as usize != MEMORY_V2 {
            return Err(VERSION_MISMATCH);
        }
        memory.total = value(player, device, "memory_total")?;
        memory.reserved = value(player, device, "memory_reserved")?;
        memory.used = value(player, device, "memory_used")?;
        memory.free = memory.total.saturating_sub(memory.reserved + memory.used);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTemperature(
    device: nvmlDevice_t,
    _sensor: nvmlTemperatureSensors_t,
    celsius: *mut c_uint,
) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    unsafe { put(device, "temperature", celsius) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetClockInfo(
    device: nvmlDevice_t,
    clock: nvmlClockType_t,
    mhz: *mut c_uint,
) -> nvmlReturn_t {
    #[expect(non_upper_case_globals, reason = "the names are NVML's")]
    let name = match clock {
        nvmlClockType_enum_NVML_CLOCK_SM => "sm_clock",
        nvmlClockType_enum_NVML_CLOCK_MEM => "memory_clock",
        _ => return INVALID_ARGUMENT,
    };
    // SAFETY: by the contract of nvml.h.
    unsafe { put(device, name, mhz) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCurrentClocksThrottleReasons(
    device: nvmlDevice_t,
    bits: *mut c_ulonglong,
) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    unsafe { put(device, "throttle", bits) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetPowerUsage(device: nvmlDevice_t, milliwatts: *mut c_uint) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    unsafe { put(device, "power_usage", milliwatts) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetEnforcedPowerLimit(
    device: nvmlDevice_t,
    milliwatts: *mut c_uint,
) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    unsafe { put(device, "power_limit", milliwatts) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTotalEnergyConsumption(
    device: nvmlDevice_t,
    millijoules: *mut c_ulonglong,
) -> nvmlReturn_t {
    // SAFETY: by the contract of nvml.h.
    unsafe { put(device, "energy", millijoules) }
}

/// Moment of every field's value: 2026-11-24 00:00 UTC, in microseconds.
const FIELD_UNIX_US: i64 = 1_795_478_400_000_000;

/// Each field has a return code of its own, and its value is called `field_<id>`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetFieldValues(
    device: nvmlDevice_t,
    count: c_int,
    fields: *mut nvmlFieldValue_t,
) -> nvmlReturn_t {
    answer(|player| {
        player.device(index(device)?)?;
        let count = usize::try_from(count).map_err(|_| INVALID_ARGUMENT)?;
        // SAFETY: by the contract of nvml.h, which has the caller write the ids.
        let fields = unsafe { std::slice::from_raw_parts_mut(fields, count) };
        for field in fields {
            let all = if field.scopeId == c_uint::MAX { "_all" } else { "" };
            match value(player, device, &format!("field_{}{all}", field.fieldId)) {
                Ok(value) => {
                    field.nvmlReturn = SUCCESS;
                    field.timestamp = FIELD_UNIX_US;
                    field.valueType = nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
                    field.value.ullVal = value;
                }
                Err(code) => field.nvmlReturn = code,
            }
        }
        Ok(())
    })
}
