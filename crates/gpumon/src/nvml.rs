//! The GPUs of this machine as a [`Source`], through NVIDIA's management library (NVML).
//!
//! All GPUs that the driver shows are read, whatever `CUDA_VISIBLE_DEVICES` says: NVML does not know it. The library is
//! loaded when a source is opened, so nothing of it is needed to build or to run without GPUs. A GPU that is lost leaves
//! one gap; when all are lost (as after a reload of the container's configuration) the library is opened anew.

mod reading;

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    path::Path,
};

use nvml_wrapper::{Device, Nvml, error::NvmlError};
use records::{GpuDevice, GpuLine, GpuSample, Offset};
use thiserror::Error;

use self::reading::{PlainPower, Reading, Refusal};
use crate::{
    Clock, Line, Occasion, Selection, Source,
    outage::Outage,
    plausible::{self, Bounds},
};

/// Opens the driver's own library.
pub fn open() -> Result<NvmlSource, NvmlAbsent> {
    NvmlSource::open(None)
}

/// Opens the library at `path`, such as a driver's in an unusual place, or a stand-in.
pub fn open_library(path: &Path) -> Result<NvmlSource, NvmlAbsent> {
    NvmlSource::open(Some(path.as_os_str().to_owned()))
}

/// Why there is no GPU telemetry. Each message is one sentence for the run's notes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NvmlAbsent {
    /// The library could not be loaded.
    #[error("no NVIDIA driver library found; GPU telemetry is off")]
    NoLibrary,
    /// The library is there, the driver is not.
    #[error("the NVIDIA driver is not loaded; GPU telemetry is off")]
    DriverNotLoaded,
    /// The driver may not be asked.
    #[error("no permission to ask the NVIDIA driver; GPU telemetry is off")]
    NoPermission,
    /// Library and driver are of different versions.
    #[error(
        "the NVIDIA driver and its library differ in version (reboot after an upgrade); GPU telemetry is off"
    )]
    VersionMismatch,
    /// The driver shows no GPU.
    #[error("the NVIDIA driver shows no GPU; GPU telemetry is off")]
    NoGpu,
    /// None of its GPUs is among those asked for.
    #[error(
        "none of this machine's GPUs is among those asked for; GPU telemetry is off\nhint: nvidia-smi -L lists their ids"
    )]
    NotChosen,
    /// Anything else.
    #[error("NVIDIA's management library does not start ({0}); GPU telemetry is off")]
    Other(String),
}

impl From<NvmlError> for NvmlAbsent {
    fn from(error: NvmlError) -> Self {
        match error {
            NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound => Self::NoLibrary,
            NvmlError::DriverNotLoaded => Self::DriverNotLoaded,
            NvmlError::NoPermission => Self::NoPermission,
            NvmlError::LibRmVersionMismatch => Self::VersionMismatch,
            other => Self::Other(other.to_string()),
        }
    }
}

/// Reads every GPU of this machine.
#[derive(Debug)]
pub struct NvmlSource {
    library: Option<OsString>,
    /// Absent while the library could not be opened again.
    nvml: Option<Nvml>,
    gpus: Vec<Gpu>,
}

#[derive(Debug)]
struct Gpu {
    /// NVML's index, valid until the library is opened anew; absent if it did not find this GPU again.
    index: Option<u32>,
    device: GpuDevice,
    bounds: Bounds,
    plain_power: PlainPower,
    outage: Outage,
    /// Metrics of which an implausible value has been noted.
    noted: BTreeSet<&'static str>,
}

impl NvmlSource {
    fn open(library: Option<OsString>) -> Result<Self, NvmlAbsent> {
        let nvml = init(library.as_deref())?;
        let driver = nvml.sys_driver_version().ok();
        let count = nvml.device_count()?;
        // A GPU that cannot even be named is broken or not ours; the others still count.
        let gpus: Vec<_> = (0..count)
            .filter_map(|index| {
                Gpu::probe(index, &nvml.device_by_index(index).ok()?, driver.as_deref()).ok()
            })
            .collect();
        if gpus.is_empty() {
            return Err(NvmlAbsent::NoGpu);
        }
        Ok(Self {
            library,
            nvml: Some(nvml),
            gpus,
        })
    }

    /// The same, with only the GPUs of `selection`.
    ///
    /// # Errors
    /// [`NvmlAbsent::NotChosen`] if none is left.
    pub fn choosing(mut self, selection: &Selection) -> Result<Self, NvmlAbsent> {
        self.gpus.retain(|gpu| selection.includes(&gpu.device));
        if self.gpus.is_empty() {
            return Err(NvmlAbsent::NotChosen);
        }
        Ok(self)
    }

    /// Opens the library anew if no GPU answers any more and the next attempt is due. Indices may have changed since.
    fn reopen_if_all_are_lost(&mut self, now: Offset, occasion: Occasion) {
        let all_lost = self.gpus.iter().all(|gpu| gpu.outage.is_on());
        let due = self
            .gpus
            .iter()
            .any(|gpu| gpu.outage.may_try(now, occasion));
        if !(all_lost && due) {
            return;
        }
        self.nvml = None;
        for gpu in &mut self.gpus {
            gpu.index = None;
        }
        let Ok(nvml) = init(self.library.as_deref()) else {
            return;
        };
        for index in 0..nvml.device_count().unwrap_or(0) {
            let uuid = nvml.device_by_index(index).and_then(|device| device.uuid());
            let Ok(uuid) = uuid else { continue };
            if let Some(gpu) = self.gpus.iter_mut().find(|gpu| gpu.device.uuid == uuid) {
                gpu.index = Some(index);
            }
        }
        self.nvml = Some(nvml);
    }
}

fn init(library: Option<&OsStr>) -> Result<Nvml, NvmlError> {
    match library {
        Some(path) => Nvml::builder().lib_path(path).init(),
        None => Nvml::init(),
    }
}

impl Source for NvmlSource {
    fn name(&self) -> &'static str {
        "nvml"
    }

    fn describe(&mut self) -> Vec<Line> {
        self.gpus
            .iter()
            .map(|gpu| Line::Gpu(GpuLine::Device(gpu.device.clone())))
            .collect()
    }

    fn sample(&mut self, clock: Clock, occasion: Occasion, out: &mut Vec<Line>) {
        self.reopen_if_all_are_lost(clock.now(), occasion);
        for gpu in &mut self.gpus {
            let began = clock.now();
            if !gpu.outage.may_try(began, occasion) {
                continue;
            }
            match gpu.read(self.nvml.as_ref()) {
                Ok(sample) => {
                    gpu.outage.answered(began);
                    let sample = GpuSample {
                        t_ns: began,
                        read_ns: Offset::from_duration(clock.now() - began).0,
                        ..sample
                    };
                    gpu.keep_plausible(sample, out);
                }
                Err(reason) => {
                    if gpu.outage.failed(began) {
                        out.push(Line::Gpu(GpuLine::Gap {
                            t_ns: began,
                            reason: format!("{}: {reason}", gpu.device.uuid),
                        }));
                    }
                }
            }
        }
    }
}

impl Gpu {
    /// Asks the GPU for everything once, to learn what it refuses.
    fn probe(index: u32, device: &Device<'_>, driver: Option<&str>) -> Result<Self, NvmlError> {
        let plain_power = PlainPower::of(device);
        let probed = reading::read(device, plain_power);
        let power_limit_mw = device
            .enforced_power_limit()
            .ok()
            .map(u64::from)
            .filter(|limit| *limit > 0);
        let memory_total_bytes = reading::memory(device).ok().map(|memory| memory.total);
        Ok(Self {
            index: Some(index),
            device: GpuDevice {
                uuid: device.uuid()?,
                name: device.name()?,
                source: "nvml".to_owned(),
                driver: driver.map(str::to_owned),
                memory_total_bytes,
                power_limit_mw,
                unsupported: probed.refused_for_good(),
                memory_api: memory_total_bytes.map(|_| "nvml_v2".to_owned()),
                ..GpuDevice::default()
            },
            bounds: Bounds {
                power_limit_mw,
                memory_total_bytes,
            },
            plain_power,
            outage: Outage::default(),
            noted: BTreeSet::new(),
        })
    }

    /// One reading, or why there is none. A GPU that gives no value at all is as good as lost.
    fn read(&self, nvml: Option<&Nvml>) -> Result<GpuSample, String> {
        let nvml = nvml.ok_or("the NVIDIA driver does not answer")?;
        let device = nvml
            .device_by_index(self.index.ok_or("the driver does not show it any more")?)
            .map_err(|error| error.to_string())?;
        let Reading { sample, refusals } = reading::read(&device, self.plain_power);
        let lost = refusals.iter().find_map(|(_, refusal)| match refusal {
            Refusal::Lost(reason) => Some(reason.clone()),
            Refusal::Unsupported | Refusal::Failed(_) => None,
        });
        if let Some(reason) = lost {
            return Err(reason);
        }
        if sample == GpuSample::default() {
            return Err("no metric can be read".to_owned());
        }
        Ok(GpuSample {
            uuid: self.device.uuid.clone(),
            ..sample
        })
    }

    /// Appends the sample without its implausible values, and a note for each metric that shows one for the first time.
    fn keep_plausible(&mut self, mut sample: GpuSample, out: &mut Vec<Line>) {
        for dropped in plausible::strip(&mut sample, self.bounds) {
            if self.noted.insert(dropped.metric) {
                out.push(Line::Note(dropped.note(&self.device.uuid)));
            }
        }
        out.push(Line::Gpu(GpuLine::Sample(sample)));
    }
}
