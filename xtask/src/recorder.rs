//! Writes down what a measurement yields, as it yields it, and keeps the line on the terminal going.

use std::{
    fs::File,
    io::BufWriter,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use gpumon::{Access, BaseUrl, Line, Period, Sampler, Source, nvml, server::ServerSource};
use loadgen::Event;
use records::{JsonlWriter, Manifest, Phase, RunDir, Stage, run_dir};

use crate::progress::Progress;

/// A killed client loses at most this much of what had been measured.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// What is watched beside the load.
#[derive(Debug)]
pub(crate) struct Telemetry {
    sampler: Sampler,
    has_gpu: bool,
    notes: Vec<String>,
}

impl Telemetry {
    /// Watches the engine's `/metrics` and whatever GPU there is. What cannot be watched becomes a note.
    pub(crate) fn start(base: &BaseUrl, access: &Access, epoch: Instant) -> anyhow::Result<Self> {
        // The GPUs first: they answer at once, while a server that hangs keeps what comes after it waiting.
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        let mut notes = Vec::new();
        match nvml::open() {
            Ok(gpus) => sources.push(Box::new(gpus)),
            Err(absent) => notes.push(absent.to_string()),
        }
        let has_gpu = !sources.is_empty();
        sources.push(Box::new(ServerSource::new(base, access)));
        let sampler = Sampler::start(sources, Period::default(), epoch)
            .context("start the telemetry thread")?;
        Ok(Self {
            sampler,
            has_gpu,
            notes,
        })
    }
}

/// Appends every record to its file.
#[derive(Debug)]
pub(crate) struct Recorder {
    requests: JsonlWriter<BufWriter<File>>,
    phases: JsonlWriter<BufWriter<File>>,
    gpu: JsonlWriter<BufWriter<File>>,
    server: JsonlWriter<BufWriter<File>>,
    flushed: Instant,
    telemetry: Telemetry,
    progress: Progress,
}

impl Recorder {
    pub(crate) fn new(
        dir: &RunDir,
        manifest: &Manifest,
        telemetry: Telemetry,
    ) -> anyhow::Result<Self> {
        let plan = &manifest.plan;
        Ok(Self {
            requests: dir.append(run_dir::REQUESTS)?,
            phases: dir.append(run_dir::PHASES)?,
            gpu: dir.append(run_dir::GPU)?,
            server: dir.append(run_dir::SERVER)?,
            flushed: Instant::now(),
            telemetry,
            progress: Progress::start(plan),
        })
    }

    pub(crate) fn has_gpu(&self) -> bool {
        self.telemetry.has_gpu
    }

    /// Shows a message on the progress line.
    pub(crate) fn say(&mut self, message: &str) {
        self.progress.note(message);
    }

    /// Reads telemetry now, while the server is idle: counters on both sides of a level bound what the level did.
    pub(crate) fn idle_scrape(&mut self) -> anyhow::Result<()> {
        self.telemetry.sampler.sample_now();
        self.take_telemetry()?;
        self.flush()
    }

    pub(crate) fn phase(&mut self, phase: &Phase) -> anyhow::Result<()> {
        self.phases.append(phase).context("write phases.jsonl")
    }

    /// Writes down one event of the load.
    pub(crate) fn record(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::LevelStarted { level, .. } => self.progress.level(level as usize),
            Event::Request(request) => {
                if request.stage == Stage::Measured {
                    self.progress
                        .measured(request.finished_ns - request.sent_ns);
                }
                self.requests
                    .append(&request)
                    .context("write requests.jsonl")?;
            }
            Event::Phase(phase) => self.phase(&phase)?,
            Event::Progress(progress) => {
                self.progress
                    .update(progress.in_flight, progress.output_tokens);
                if self.flushed.elapsed() >= FLUSH_EVERY {
                    self.take_telemetry()?;
                    self.flush()?;
                }
            }
            Event::LevelDone { .. } => self.idle_scrape()?,
            _ => {}
        }
        Ok(())
    }

    /// Stops telemetry, writes the rest, and returns the notes taken.
    pub(crate) fn finish(mut self) -> anyhow::Result<Vec<String>> {
        self.progress.finish();
        self.take_telemetry()?;
        self.flush()?;
        let Telemetry {
            sampler, mut notes, ..
        } = self.telemetry;
        let report = sampler.stop();
        if report.missed > 0 {
            notes.push(format!(
                "telemetry missed {} of {} readings: they took longer than their period",
                report.missed,
                report.missed + report.ticks
            ));
        }
        Ok(notes)
    }

    fn take_telemetry(&mut self) -> anyhow::Result<()> {
        for line in self.telemetry.sampler.drain() {
            match line {
                Line::Gpu(line) => self.gpu.append(&line).context("write gpu.jsonl")?,
                Line::Server(sample) => {
                    self.server.append(&sample).context("write server.jsonl")?;
                }
                Line::Note(note) => self.telemetry.notes.push(note),
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.flushed = Instant::now();
        let files = [
            &mut self.requests,
            &mut self.phases,
            &mut self.gpu,
            &mut self.server,
        ];
        files
            .into_iter()
            .try_for_each(JsonlWriter::flush)
            .context("write the run folder")
    }
}
