//! GPU performance monitoring: metrics from two samples, with a return code for each metric.

use std::{ffi::c_uint, ptr};

use nvml_wrapper_sys::bindings::{
    NVML_GPM_METRICS_GET_VERSION, NVML_GPM_SUPPORT_VERSION, nvmlDevice_t, nvmlGpmMetricsGet_t, nvmlGpmSample_t,
    nvmlGpmSupport_t, nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH as VERSION_MISMATCH,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT, nvmlReturn_enum_NVML_SUCCESS as SUCCESS,
    nvmlReturn_t,
};

use crate::{answer, index};

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlGpmQueryDeviceSupport(
    device: nvmlDevice_t,
    support: *mut nvmlGpmSupport_t,
) -> nvmlReturn_t {
    answer(|player| {
        // SAFETY: by the contract of nvml.h, which has the caller write the version.
        let support = unsafe { &mut *support };
        if support.version != NVML_GPM_SUPPORT_VERSION {
            return Err(VERSION_MISMATCH);
        }
        let supported = player.value(index(device)?, "gpm_support")?;
        support.isSupportedDevice = c_uint::from(supported != 0);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlGpmSampleAlloc(sample: *mut nvmlGpmSample_t) -> nvmlReturn_t {
    answer(|player| {
        let number = player.allocate_gpm_sample();
        // SAFETY: by the contract of nvml.h. The handle is never dereferenced.
        unsafe { sample.write(ptr::without_provenance_mut(number)) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlGpmSampleFree(sample: nvmlGpmSample_t) -> nvmlReturn_t {
    answer(|player| player.free_gpm_sample(sample.addr()))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlGpmSampleGet(device: nvmlDevice_t, sample: nvmlGpmSample_t) -> nvmlReturn_t {
    answer(|player| player.fill_gpm_sample(sample.addr(), index(device)?, None))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlGpmMigSampleGet(
    device: nvmlDevice_t,
    gpu_instance: c_uint,
    sample: nvmlGpmSample_t,
) -> nvmlReturn_t {
    answer(|player| player.fill_gpm_sample(sample.addr(), index(device)?, Some(gpu_instance)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlGpmMetricsGet(request: *mut nvmlGpmMetricsGet_t) -> nvmlReturn_t {
    answer(|player| {
        // SAFETY: by the contract of nvml.h, which has the caller write version, samples and ids.
        let request = unsafe { &mut *request };
        if request.version != NVML_GPM_METRICS_GET_VERSION {
            return Err(VERSION_MISMATCH);
        }
        let device = player.device_of_gpm_samples(request.sample1.addr(), request.sample2.addr())?;
        let asked = request.metrics.get_mut(..request.numMetrics as usize).ok_or(INVALID_ARGUMENT)?;
        for metric in asked {
            match player.value(device, &format!("gpm_{}", metric.metricId)) {
                Ok(value) => {
                    metric.nvmlReturn = SUCCESS;
                    #[expect(clippy::cast_precision_loss, reason = "scenarios hold small numbers")]
                    let value = value as f64;
                    metric.value = value;
                }
                Err(code) => metric.nvmlReturn = code,
            }
        }
        Ok(())
    })
}
