//! Events: XID errors, when the scenario has them come.

use std::{
    ffi::{c_uint, c_ulonglong},
    ptr,
};

use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlEventData_t, nvmlEventSet_t, nvmlEventTypeXidCriticalError,
    nvmlReturn_enum_NVML_ERROR_TIMEOUT as TIMEOUT, nvmlReturn_t,
};

use crate::{answer, index};

/// There is one set.
const SET: usize = 1;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetCreate(set: *mut nvmlEventSet_t) -> nvmlReturn_t {
    answer(|_| {
        // SAFETY: by the contract of nvml.h. The handle is never dereferenced.
        unsafe { set.write(ptr::without_provenance_mut(SET)) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetFree(_set: nvmlEventSet_t) -> nvmlReturn_t {
    answer(|_| Ok(()))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceRegisterEvents(
    device: nvmlDevice_t,
    _types: c_ulonglong,
    _set: nvmlEventSet_t,
) -> nvmlReturn_t {
    answer(|player| player.watch(index(device)?))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlEventSetWait_v2(
    _set: nvmlEventSet_t,
    data: *mut nvmlEventData_t,
    _timeout_ms: c_uint,
) -> nvmlReturn_t {
    answer(|player| {
        let (device, code) = player.next_xid().ok_or(TIMEOUT)?;
        let event = nvmlEventData_t {
            device: ptr::without_provenance_mut(device + 1),
            eventType: c_ulonglong::from(nvmlEventTypeXidCriticalError),
            eventData: code,
            gpuInstanceId: c_uint::MAX,
            computeInstanceId: c_uint::MAX,
        };
        // SAFETY: by the contract of nvml.h.
        unsafe { data.write(event) };
        Ok(())
    })
}
