//! Writes down what a measurement yields, as it yields it, and keeps the line on the terminal going.

use std::{
    fs::File,
    io::BufWriter,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use gpumon::Line;
use loadgen::Event;
use records::{JsonlWriter, Manifest, Phase, RunDir, Stage, run_dir};

use crate::{progress::Progress, telemetry::Telemetry};

/// A killed client loses at most this much of what had been measured.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

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
    pub(crate) fn new(dir: &RunDir, manifest: &Manifest, telemetry: Telemetry) -> anyhow::Result<Self> {
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
        self.telemetry.has_gpu()
    }

    /// Shows a message on the progress line.
    pub(crate) fn say(&mut self, message: &str) {
        self.progress.note(message);
    }

    /// Reads telemetry now, while the server is idle: counters on both sides of a level bound what the level did.
    pub(crate) fn idle_scrape(&mut self) -> anyhow::Result<()> {
        self.telemetry.sample_now();
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
                    self.progress.measured(request.finished_ns - request.sent_ns, request.ttft());
                }
                self.requests.append(&request).context("write requests.jsonl")?;
            }
            Event::Phase(phase) => self.phase(&phase)?,
            Event::Progress(progress) => {
                self.progress.update(progress.in_flight, progress.output_tokens);
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
        let settled = self.telemetry.settle();
        write_lines(settled, &mut self.gpu, &mut self.server)?;
        self.take_telemetry()?;
        self.flush()?;
        let (last, notes) = self.telemetry.stop();
        let gpu = &mut self.gpu;
        let server = &mut self.server;
        write_lines(last, gpu, server)?;
        gpu.flush().and_then(|()| server.flush()).context("write the run folder")?;
        Ok(notes)
    }

    fn take_telemetry(&mut self) -> anyhow::Result<()> {
        let lines = self.telemetry.drain();
        write_lines(lines, &mut self.gpu, &mut self.server)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.flushed = Instant::now();
        let files = [&mut self.requests, &mut self.phases, &mut self.gpu, &mut self.server];
        files.into_iter().try_for_each(JsonlWriter::flush).context("write the run folder")
    }
}

fn write_lines<W: std::io::Write>(
    lines: Vec<Line>,
    gpu: &mut JsonlWriter<W>,
    server: &mut JsonlWriter<W>,
) -> anyhow::Result<()> {
    for line in lines {
        match line {
            Line::Gpu(line) => gpu.append(&line).context("write gpu.jsonl")?,
            Line::Server(sample) => server.append(&sample).context("write server.jsonl")?,
            Line::Note(_) => {}
        }
    }
    Ok(())
}
