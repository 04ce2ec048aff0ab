//! What the wrapper has no safe way for: GPM samples and event sets that outlive the call that made them, fields of all
//! links together, and the number of a GPU instance.
//!
//! The wrapper ties a sample and an event set to a borrow of the library, and the library lives in the same struct as
//! they would. They are kept here as numbers instead, each with the number of the session in which it was made, and come
//! back to life only in that session: so no handle is ever used after the library was opened anew. A handle of a session
//! that is over is forgotten; the driver let go of it when the session ended.
#![expect(unsafe_code, reason = "handles cross the wrapper's lifetimes; each is checked against its session first")]

use std::{
    mem, ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use nvml_wrapper::{
    Device, Nvml,
    error::{NvmlError, nvml_sym, nvml_try},
    event::EventSet,
    gpm::GpmSample,
    sys_exports::field_id::{
        NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, NVML_FI_DEV_PCIE_COUNT_RX_BYTES,
        NVML_FI_DEV_PCIE_COUNT_TX_BYTES,
    },
};
use nvml_wrapper_sys::bindings::{nvmlFieldValue_t, nvmlValue_t};

static SESSIONS: AtomicU64 = AtomicU64::new(0);

/// The library, from one opening to the next.
#[derive(Debug)]
pub(super) struct Session {
    nvml: Nvml,
    number: u64,
}

impl Session {
    pub(super) fn new(nvml: Nvml) -> Self {
        Self { nvml, number: SESSIONS.fetch_add(1, Ordering::Relaxed) }
    }

    pub(super) fn nvml(&self) -> &Nvml {
        &self.nvml
    }

    /// Keeps a sample for a later reading of this session.
    pub(super) fn keep_sample(&self, sample: GpmSample<'_>) -> KeptSample {
        KeptSample(Kept { session: self.number, address: sample.into_handle().expose_provenance() })
    }

    /// The sample again; `None` when it is of another session.
    pub(super) fn sample(&self, kept: KeptSample) -> Option<GpmSample<'_>> {
        let address = kept.0.address_in(self)?;
        // SAFETY: the handle came from `into_handle` in this session, which the library still serves, and `kept` is gone
        // now, so nothing else frees it.
        Some(unsafe { GpmSample::from_handle(&self.nvml, ptr::with_exposed_provenance_mut(address)) })
    }

    /// Keeps an event set for later readings of this session.
    pub(super) fn keep_events(&self, set: EventSet<'_>) -> KeptEvents {
        // SAFETY: the handle is only stored; the set is forgotten, so that it is not freed.
        let address = unsafe { set.handle() }.expose_provenance();
        mem::forget(set);
        KeptEvents(Kept { session: self.number, address })
    }

    /// The event set again; `None` when it is of another session.
    pub(super) fn events(&self, kept: KeptEvents) -> Option<EventSet<'_>> {
        let address = kept.0.address_in(self)?;
        // SAFETY: as for samples.
        Some(unsafe { EventSet::new(ptr::with_exposed_provenance_mut(address), &self.nvml) })
    }
}

/// A handle and the session that it belongs to.
#[derive(Debug)]
struct Kept {
    session: u64,
    address: usize,
}

impl Kept {
    fn address_in(self, session: &Session) -> Option<usize> {
        (self.session == session.number).then_some(self.address)
    }
}

/// A GPM sample between two readings.
#[derive(Debug)]
pub(super) struct KeptSample(Kept);

/// An event set between two readings.
#[derive(Debug)]
pub(super) struct KeptEvents(Kept);

/// Data sent and received over all links (NVLink) of a device together, in KiB since the counters began (fields 138 and 139).
/// The wrapper asks with scope 0, which means the first link only.
pub(super) fn nvlink_kib(device: &Device<'_>) -> Result<(u64, u64), NvmlError> {
    let fields = [NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX];
    two_counters(device, fields, u32::MAX)
}

/// Bytes sent and received over PCIe since the counters began (fields 197 and 198). A call each for throughput would take
/// 20 ms, and the wrapper cuts these counters to 32 bits.
pub(super) fn pcie_bytes(device: &Device<'_>) -> Result<(u64, u64), NvmlError> {
    let fields = [NVML_FI_DEV_PCIE_COUNT_TX_BYTES, NVML_FI_DEV_PCIE_COUNT_RX_BYTES];
    two_counters(device, fields, 0)
}

/// Two fields that NVML gives as 64-bit numbers.
fn two_counters(device: &Device<'_>, fields: [u32; 2], scope: u32) -> Result<(u64, u64), NvmlError> {
    let get = nvml_sym(device.nvml().lib().nvmlDeviceGetFieldValues.as_ref())?;
    let mut fields = fields.map(|field_id| nvmlFieldValue_t {
        fieldId: field_id,
        scopeId: scope,
        timestamp: 0,
        latencyUsec: 0,
        valueType: 0,
        nvmlReturn: 0,
        value: nvmlValue_t { ullVal: 0 },
    });
    // SAFETY: the device is one of a living library; the array holds as many fields as are said.
    nvml_try(unsafe { get(device.handle(), 2, fields.as_mut_ptr()) })?;
    let value = |field: &nvmlFieldValue_t| -> Result<u64, NvmlError> {
        nvml_try(field.nvmlReturn)?;
        // SAFETY: every part of the union is plain numbers, and all of it was initialised above.
        Ok(unsafe { field.value.ullVal })
    };
    Ok((value(&fields[0])?, value(&fields[1])?))
}

/// Number of the GPU instance that a MIG device is.
pub(super) fn gpu_instance(device: &Device<'_>) -> Result<u32, NvmlError> {
    let get = nvml_sym(device.nvml().lib().nvmlDeviceGetGpuInstanceId.as_ref())?;
    let mut number = 0;
    // SAFETY: the device is one of a living library, and `number` is valid for writes.
    nvml_try(unsafe { get(device.handle(), &raw mut number) })?;
    Ok(number)
}
