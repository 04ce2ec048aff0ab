//! A part of a GPU that was divided by MIG. It has memory and activity of its own; power, energy and clocks belong to the
//! whole, and NVML refuses its utilisation.

use std::time::Instant;

use nvml_wrapper::Device;
use records::{Clock, GpuDevice, GpuLine, GpuSample, Offset};

use super::{
    profile::Profile,
    raw::{Session, gpu_instance},
    reading,
};
use crate::Line;

/// `NVML_DEVICE_MIG_ENABLE` of `nvml.h`.
const ENABLED: u32 = 1;

#[derive(Debug)]
pub(super) struct Instance {
    /// Number of the device below its GPU.
    number: u32,
    /// Number of the GPU instance, by which GPM knows it.
    part: u32,
    pub(super) device: GpuDevice,
    profile: Profile,
}

impl Instance {
    /// The instances of `gpu`; none if it is not divided.
    pub(super) fn all(gpu: &Device<'_>, whole: &GpuDevice) -> Vec<Self> {
        let divided = gpu.mig_mode().is_ok_and(|mode| mode.current == ENABLED);
        if !divided {
            return Vec::new();
        }
        // The count is of the most that there can be; some of the numbers may be free.
        (0..gpu.mig_device_count().unwrap_or(0))
            .filter_map(|number| Self::probe(number, &gpu.mig_device_by_index(number).ok()?, whole))
            .collect()
    }

    fn probe(number: u32, device: &Device<'_>, whole: &GpuDevice) -> Option<Self> {
        Some(Self {
            number,
            part: gpu_instance(device).ok()?,
            device: GpuDevice {
                uuid: device.uuid().ok()?,
                name: device.name().unwrap_or_else(|_| format!("{} MIG", whole.name)),
                source: whole.source.clone(),
                driver: whole.driver.clone(),
                memory_total_bytes: reading::memory(device).ok().map(|memory| memory.total),
                parent: Some(whole.uuid.clone()),
                memory_api: whole.memory_api.clone(),
                ..GpuDevice::default()
            },
            profile: Profile::Fresh,
        })
    }

    /// Appends a reading. One that cannot be had is left out: the GPU as a whole says when it is lost.
    pub(super) fn sample(&mut self, session: &Session, gpu: &Device<'_>, clock: Clock, out: &mut Vec<Line>) {
        let began = clock.at(Instant::now());
        let mut sample = GpuSample { t_ns: began, uuid: self.device.uuid.clone(), ..GpuSample::default() };
        let memory = gpu.mig_device_by_index(self.number).and_then(|device| reading::memory(&device));
        if let Ok(memory) = memory {
            sample.memory_used_bytes = Some(memory.used);
            sample.memory_reserved_bytes = Some(memory.reserved);
            sample.memory_free_bytes = Some(memory.free);
        }
        let part = self.part;
        self.profile.read(session, began, || gpu.gpm_mig_sample(part), &mut sample);
        sample.read_ns = Offset::from_duration(clock.at(Instant::now()) - began).0;
        out.push(Line::Gpu(GpuLine::Sample(sample)));
    }
}
