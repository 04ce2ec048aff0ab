//! The GPUs of this machine as a [`Source`], through NVIDIA's management library (NVML).
//!
//! All GPUs that the driver shows are read, whatever `CUDA_VISIBLE_DEVICES` says: NVML does not know it. The library is
//! loaded when a source is opened, so nothing of it is needed to build or to run without GPUs. A GPU that is lost leaves
//! one gap; when all are lost (as after a reload of the container's configuration) the library is opened anew.
//!
//! There are two rates: power, energy, activity, memory and clocks at every tick, and limits, links and errors every five
//! seconds. Fan, encoder and process lists are not asked for: they cost milliseconds and say nothing of a language model.
//! A GPU divided by MIG is read as a whole, for power and energy, and in its instances, for memory and activity.

mod events;
mod gpu;
mod instance;
mod profile;
mod raw;
mod reading;
mod state;

use std::time::Instant;

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

use nvml_wrapper::{Nvml, error::NvmlError};
use records::{Clock, GpuLine, Offset};
use thiserror::Error;

use self::{events::Events, gpu::Gpu, raw::Session};
use crate::{Line, Occasion, Selection, Source};

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
    #[error("the NVIDIA driver and its library differ in version (reboot after an upgrade); GPU telemetry is off")]
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
    session: Option<Session>,
    events: Events,
    gpus: Vec<Gpu>,
}

impl NvmlSource {
    fn open(library: Option<OsString>) -> Result<Self, NvmlAbsent> {
        let session = Session::new(init(library.as_deref())?);
        let nvml = session.nvml();
        let driver = nvml.sys_driver_version().ok();
        let count = nvml.device_count()?;
        // A GPU that cannot even be named is broken or not ours; the others still count.
        let gpus: Vec<_> = (0..count)
            .filter_map(|index| Gpu::probe(index, &nvml.device_by_index(index).ok()?, driver.as_deref()).ok())
            .collect();
        if gpus.is_empty() {
            return Err(NvmlAbsent::NoGpu);
        }
        let events = Events::watch(&session, gpus.iter().filter_map(|gpu| gpu.index));
        Ok(Self { library, session: Some(session), events, gpus })
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
        let all_lost = self.gpus.iter().all(|gpu| gpu.backoff.is_on());
        let due = self.gpus.iter().any(|gpu| gpu.backoff.may_try(now, occasion));
        if !(all_lost && due) {
            return;
        }
        // Before the library closes, whatever was kept of it is of no use any more.
        self.events = Events::default();
        self.session = None;
        for gpu in &mut self.gpus {
            gpu.index = None;
        }
        let Ok(nvml) = init(self.library.as_deref()) else {
            return;
        };
        let session = Session::new(nvml);
        let nvml = session.nvml();
        for index in 0..nvml.device_count().unwrap_or(0) {
            let uuid = nvml.device_by_index(index).and_then(|device| device.uuid());
            let Ok(uuid) = uuid else { continue };
            if let Some(gpu) = self.gpus.iter_mut().find(|gpu| gpu.device.uuid == uuid) {
                gpu.index = Some(index);
            }
        }
        self.events = Events::watch(&session, self.gpus.iter().filter_map(|gpu| gpu.index));
        self.session = Some(session);
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
        let devices = self.gpus.iter().flat_map(Gpu::devices);
        devices.map(|device| Line::Gpu(GpuLine::Device(device.clone()))).collect()
    }

    fn sample(&mut self, clock: Clock, occasion: Occasion, out: &mut Vec<Line>) {
        self.reopen_if_all_are_lost(clock.at(Instant::now()), occasion);
        for gpu in &mut self.gpus {
            gpu.sample(self.session.as_ref(), clock, occasion, out);
        }
        if let Some(session) = &self.session {
            self.events.read(session, clock.at(Instant::now()), out);
        }
    }

    fn finish(&mut self) -> Vec<Line> {
        let dropped: u64 = self.gpus.iter().map(|gpu| gpu.implausible).sum();
        if dropped == 0 {
            return Vec::new();
        }
        vec![Line::Note(format!("nvml: {dropped} values that cannot be were left out"))]
    }
}
