//! One GPU: what it is, and a reading of it at both rates.

use std::time::Instant;

use std::collections::BTreeSet;

use nvml_wrapper::{Device, error::NvmlError};
use records::{Clock, GpuDevice, GpuLine, GpuSample, GpuState, Offset};

use super::{
    instance::Instance,
    profile::Profile,
    raw::Session,
    reading::{self, Counters, PlainPower, Reading, Refusal},
    state,
};
use crate::{
    Line, Occasion,
    backoff::Backoff,
    plausibility::{self, Bounds},
};

#[derive(Debug)]
pub(super) struct Gpu {
    /// NVML's index, valid until the library is opened anew; absent if it did not find this GPU again.
    pub(super) index: Option<u32>,
    pub(super) device: GpuDevice,
    pub(super) backoff: Backoff,
    /// Values that were left out.
    pub(super) implausible: u64,
    bounds: Bounds,
    plain_power: PlainPower,
    counters: Counters,
    profile: Profile,
    state_due: state::Due,
    instances: Vec<Instance>,
    /// Metrics of which an implausible value has been noted.
    noted: BTreeSet<&'static str>,
}

impl Gpu {
    /// Asks the GPU for everything once, to learn what it refuses.
    pub(super) fn probe(index: u32, device: &Device<'_>, driver: Option<&str>) -> Result<Self, NvmlError> {
        let plain_power = PlainPower::new(device);
        let probed = reading::read(device, plain_power);
        let mut counters = Counters::ALL;
        counters.read(device, &mut GpuSample::default());
        let power_limit_mw = device.enforced_power_limit().ok().map(u64::from).filter(|limit| *limit > 0);
        let memory_total_bytes = reading::memory(device).ok().map(|memory| memory.total);
        let described = GpuDevice {
            uuid: device.uuid()?,
            name: device.name()?,
            source: "nvml".to_owned(),
            driver: driver.map(str::to_owned),
            memory_total_bytes,
            power_limit_mw,
            unsupported: probed.refused_for_good(),
            memory_api: memory_total_bytes.map(|_| "nvml_v2".to_owned()),
            ..GpuDevice::default()
        };
        Ok(Self {
            index: Some(index),
            instances: Instance::all(device, &described),
            device: described,
            backoff: Backoff::default(),
            implausible: 0,
            bounds: Bounds { power_limit_mw, memory_total_bytes },
            plain_power,
            counters,
            profile: Profile::new(device),
            state_due: state::Due::default(),
            noted: BTreeSet::new(),
        })
    }

    /// The GPU and its instances.
    pub(super) fn devices(&self) -> impl Iterator<Item = &GpuDevice> {
        let instances = self.instances.iter().map(|instance| &instance.device);
        std::iter::once(&self.device).chain(instances)
    }

    /// Appends a reading, or notes that there is none. A GPU that is out is asked again after a while.
    pub(super) fn sample(&mut self, session: Option<&Session>, clock: Clock, occasion: Occasion, out: &mut Vec<Line>) {
        let began = clock.at(Instant::now());
        if !self.backoff.may_try(began, occasion) {
            return;
        }
        match self.read(session, clock, began, out) {
            Ok(()) => {
                self.backoff.answered(began);
            }
            Err(reason) => {
                if self.backoff.failed(began) {
                    out.push(Line::Gpu(GpuLine::Gap {
                        t_ns: began,
                        reason: format!("{}: {reason}", self.device.uuid),
                    }));
                }
            }
        }
    }

    fn read(
        &mut self,
        session: Option<&Session>,
        clock: Clock,
        began: Offset,
        out: &mut Vec<Line>,
    ) -> Result<(), String> {
        let session = session.ok_or("the NVIDIA driver does not answer")?;
        let device = session
            .nvml()
            .device_by_index(self.index.ok_or("the driver does not show it any more")?)
            .map_err(|error| error.to_string())?;
        let mut sample = self.fast(&device)?;
        self.counters.read(&device, &mut sample);
        self.profile.read(session, began, || device.gpm_sample(), &mut sample);
        sample.t_ns = began;
        sample.read_ns = Offset::from_duration(clock.at(Instant::now()) - began).0;
        self.keep_plausible(sample, out);
        for instance in &mut self.instances {
            instance.sample(session, &device, clock, out);
        }
        if self.state_due.is_now(began) {
            self.state(&device, clock, out);
        }
        Ok(())
    }

    /// What every tick asks for, or why there is none. A GPU that gives no value at all is as good as lost.
    fn fast(&self, device: &Device<'_>) -> Result<GpuSample, String> {
        let Reading { sample, refusals } = reading::read(device, self.plain_power);
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
        Ok(GpuSample { uuid: self.device.uuid.clone(), ..sample })
    }

    fn state(&mut self, device: &Device<'_>, clock: Clock, out: &mut Vec<Line>) {
        let began = clock.at(Instant::now());
        let state = GpuState { t_ns: began, uuid: self.device.uuid.clone(), ..state::read(device) };
        let read_ns = Offset::from_duration(clock.at(Instant::now()) - began).0;
        if state.has_metrics() {
            out.push(Line::Gpu(GpuLine::State(GpuState { read_ns, ..state })));
        }
    }

    /// Appends the sample without its implausible values, and a note for each metric that shows one for the first time.
    fn keep_plausible(&mut self, mut sample: GpuSample, out: &mut Vec<Line>) {
        for dropped in plausibility::strip(&mut sample, self.bounds) {
            self.implausible += 1;
            if self.noted.insert(dropped.metric) {
                out.push(Line::Note(dropped.note(&self.device.uuid)));
            }
        }
        out.push(Line::Gpu(GpuLine::Sample(sample)));
    }
}
