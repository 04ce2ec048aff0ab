//! MIG: GPUs that have been divided.

use std::{ffi::c_uint, ptr};

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlReturn_enum_NVML_ERROR_NOT_FOUND as NOT_FOUND, nvmlReturn_t};

use crate::{answer, index, value};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigMode(
    device: nvmlDevice_t,
    current: *mut c_uint,
    pending: *mut c_uint,
) -> nvmlReturn_t {
    answer(|player| {
        let mode = value(player, device, "mig_mode")?;
        // SAFETY: by the contract of nvml.h.
        unsafe {
            current.write(mode);
            pending.write(mode);
        }
        Ok(())
    })
}

/// One more than there are, as on a GPU that is not divided to the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMaxMigDeviceCount(device: nvmlDevice_t, count: *mut c_uint) -> nvmlReturn_t {
    answer(|player| {
        let instances = player.instances(index(device)?).count();
        // SAFETY: by the contract of nvml.h.
        unsafe { count.write(c_uint::try_from(instances).unwrap_or(c_uint::MAX - 1) + 1) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigDeviceHandleByIndex(
    device: nvmlDevice_t,
    number: c_uint,
    handle: *mut nvmlDevice_t,
) -> nvmlReturn_t {
    answer(|player| {
        let at = player.instances(index(device)?).nth(number as usize).ok_or(NOT_FOUND)?;
        // SAFETY: by the contract of nvml.h.
        unsafe { handle.write(ptr::without_provenance_mut(at + 1)) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetGpuInstanceId(device: nvmlDevice_t, id: *mut c_uint) -> nvmlReturn_t {
    answer(|player| {
        let number = player.gpu_instance(index(device)?)?;
        // SAFETY: by the contract of nvml.h.
        unsafe { id.write(number) };
        Ok(())
    })
}
