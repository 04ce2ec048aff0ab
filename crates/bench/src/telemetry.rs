//! Readings taken beside the load: GPUs of this machine or elsewhere, and the engine's metrics.

use std::{
    collections::BTreeMap,
    fmt, thread,
    time::{Duration, Instant},
};

use gpumon::{
    Access, AgentSource, ExporterSource, Line, Period, Sampler, Selection, Source, capabilities, is_agent, nvml,
    server::ServerSource, telemetry_url,
};
use records::{GpuLine, Offset, ServerUrl};

use crate::{
    BenchError,
    access::{Credentials, Secrets},
    settings::TelemetrySettings,
};

/// Words of `telemetry.gpus` for the GPUs of this machine and for none.
const LOCAL: &str = "local";
const NONE: &str = "none";

/// Longest time to wait for readings of GPUs elsewhere that are later than the last level.
const SETTLE_MAX: Duration = Duration::from_secs(2);
/// Time between two looks for them.
const SETTLE_POLL: Duration = Duration::from_millis(100);

/// Samplers at work beside the load.
#[derive(Debug)]
pub(crate) struct Telemetry {
    /// GPUs and engine each have a thread: a server that hangs must not leave a hole in the GPUs' readings.
    samplers: Vec<Sampler>,
    has_gpu: bool,
    notes: Vec<String>,
    epoch: Instant,
    /// Time of the latest reading of each GPU.
    latest: BTreeMap<String, Offset>,
}

/// The sources of GPU readings, and sentences about those that are not there.
#[derive(Default)]
pub struct GpuSources {
    /// What can be read.
    pub sources: Vec<Box<dyn Source>>,
    /// Sentences about what cannot.
    pub notes: Vec<String>,
}

impl fmt::Debug for GpuSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.sources.iter().map(|source| source.name()).collect();
        f.debug_struct("GpuSources").field("sources", &names).field("notes", &self.notes).finish()
    }
}

/// Checks the addresses, keys and headers of the settings before anything is begun.
pub(crate) fn check(settings: &TelemetrySettings, secrets: &Secrets) -> Result<(), BenchError> {
    settings
        .gpus
        .iter()
        .filter(|place| ![LOCAL, NONE].contains(&place.as_str()))
        .try_for_each(|url| gpu_url(url).map(drop))?;
    settings.server_metrics.as_deref().map(server_url).transpose()?;
    Credentials::for_telemetry(settings, secrets)?.access().map(drop)
}

fn gpu_url(url: &str) -> Result<ServerUrl, BenchError> {
    telemetry_url(url).map_err(|reason| BenchError::Address { setting: "--gpu-telemetry", reason })
}

fn server_url(url: &str) -> Result<ServerUrl, BenchError> {
    telemetry_url(url).map_err(|reason| BenchError::Address { setting: "--server-metrics", reason })
}

/// Opens the GPU sources of the settings. What is not there becomes a note: telemetry never fails a run.
///
/// # Errors
/// An address, a key or a header that cannot be used.
pub fn gpu_sources(settings: &TelemetrySettings, secrets: &Secrets) -> Result<GpuSources, BenchError> {
    let selection = Selection::of(&settings.gpu_uuids);
    let access = Credentials::for_telemetry(settings, secrets)?.access()?;
    let mut found = GpuSources::default();
    let local = [LOCAL.to_owned()];
    let named = if settings.gpus.is_empty() { &local[..] } else { &settings.gpus };
    for place in named {
        match place.as_str() {
            NONE => {}
            LOCAL => match nvml::open().and_then(|gpus| gpus.choosing(&selection)) {
                Ok(gpus) => found.sources.push(Box::new(gpus)),
                Err(absent) => found.notes.push(absent.to_string()),
            },
            url => found.sources.push(remote(&gpu_url(url)?, &access, &selection)),
        }
    }
    Ok(found)
}

/// An agent of ours, or an exporter.
fn remote(base: &ServerUrl, access: &Access, selection: &Selection) -> Box<dyn Source> {
    if is_agent(base, access) {
        Box::new(AgentSource::new(base, access, selection.clone()))
    } else {
        Box::new(ExporterSource::new(base, access, selection.clone()))
    }
}

/// The engine's metrics: at `server_metrics`, else at the server itself. The server's key goes to its own host only, and
/// not where telemetry has a key or headers of its own.
///
/// # Errors
/// An address, a key or a header that cannot be used.
pub fn server_source(
    settings: &TelemetrySettings,
    secrets: &Secrets,
    server: Option<(&ServerUrl, &Access)>,
) -> Result<Option<ServerSource>, BenchError> {
    let Some(url) = &settings.server_metrics else {
        return Ok(server.map(|(base, access)| ServerSource::new(base, access)));
    };
    let base = server_url(url)?;
    let own = Credentials::for_telemetry(settings, secrets)?;
    let access = match server.filter(|(server, _)| own.is_empty() && server.host() == base.host()) {
        Some((_, access)) => access.clone(),
        None => own.access()?,
    };
    Ok(Some(ServerSource::new(&base, &access)))
}

impl Telemetry {
    /// Watches the engine's `/metrics` and the GPUs. What cannot be watched becomes a note.
    pub(crate) fn start(
        settings: &TelemetrySettings,
        secrets: &Secrets,
        base: &ServerUrl,
        access: &Access,
        epoch: Instant,
    ) -> Result<Self, BenchError> {
        let GpuSources { sources: gpus, notes } = gpu_sources(settings, secrets)?;
        let has_gpu = !gpus.is_empty();
        let server: Vec<Box<dyn Source>> = server_source(settings, secrets, Some((base, access)))?
            .into_iter()
            .map(|source| Box::new(source) as Box<dyn Source>)
            .collect();
        let samplers = [gpus, server].into_iter().filter(|sources| !sources.is_empty());
        let samplers = samplers
            .map(|sources| Sampler::start(sources, Period::default(), epoch))
            .collect::<Result<_, _>>()
            .map_err(BenchError::Thread)?;
        Ok(Self { samplers, has_gpu, notes, epoch, latest: BTreeMap::new() })
    }

    pub(crate) fn has_gpu(&self) -> bool {
        self.has_gpu
    }

    /// Reads everything now and returns when that is done.
    pub(crate) fn sample_now(&self) {
        self.samplers.iter().for_each(Sampler::sample_now);
    }

    /// Takes the GPUs' and the engine's lines collected so far. Notes are kept for the end.
    pub(crate) fn drain(&mut self) -> Vec<Line> {
        let lines: Vec<Line> = self.samplers.iter().flat_map(Sampler::drain).collect();
        self.keep_notes(lines)
    }

    /// Reads on until there is a reading of every GPU that is later than this call: the last level's window needs one on its
    /// far side, and GPUs elsewhere are read when their agent reads them. Gives up after two seconds.
    pub(crate) fn settle(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        if !self.has_gpu {
            return lines;
        }
        let asked = Offset::from_duration(self.epoch.elapsed());
        let until = Instant::now() + SETTLE_MAX;
        loop {
            self.sample_now();
            lines.extend(self.drain());
            let settled = !self.latest.is_empty() && self.latest.values().all(|t| *t >= asked);
            if settled || Instant::now() >= until {
                return lines;
            }
            thread::sleep(SETTLE_POLL);
        }
    }

    /// Stops watching; the last lines, and the notes of the whole run.
    pub(crate) fn stop(mut self) -> (Vec<Line>, Vec<String>) {
        let mut last = Vec::new();
        for sampler in std::mem::take(&mut self.samplers) {
            let report = sampler.stop();
            if report.missed > 0 {
                self.notes.push(format!(
                    "telemetry missed {} of {} readings: they took longer than their period",
                    report.missed,
                    report.missed + report.ticks
                ));
            }
            last.extend(self.keep_notes(report.lines));
        }
        (last, self.notes)
    }

    fn keep_notes(&mut self, lines: Vec<Line>) -> Vec<Line> {
        let mut others = Vec::new();
        for line in lines {
            match line {
                Line::Note(note) => self.notes.push(note),
                Line::Gpu(GpuLine::Device(device)) => {
                    if !device.unsupported.is_empty() {
                        self.notes.push(capabilities(&device));
                    }
                    others.push(Line::Gpu(GpuLine::Device(device)));
                }
                other => {
                    if let Line::Gpu(GpuLine::Sample(sample)) = &other {
                        self.latest.insert(sample.uuid.clone(), sample.t_ns);
                    }
                    others.push(other);
                }
            }
        }
        others
    }
}
