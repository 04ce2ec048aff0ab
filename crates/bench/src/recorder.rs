//! Appends the records of a measurement to the run folder, as they come.

use std::{
    fs::File,
    io::BufWriter,
    time::{Duration, Instant},
};

use gpumon::Line;
use loadgen::Event;
use records::{JsonlWriter, Phase, RunDir, run_dir};

use crate::{BenchError, telemetry::Telemetry};

/// A killed client loses at most this much of what had been measured.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// Name of all four files in an error.
const FOLDER: &str = "the run folder";

/// Appends every record to its file.
#[derive(Debug)]
pub(crate) struct Recorder {
    requests: JsonlWriter<BufWriter<File>>,
    phases: JsonlWriter<BufWriter<File>>,
    gpu: JsonlWriter<BufWriter<File>>,
    server: JsonlWriter<BufWriter<File>>,
    flushed: Instant,
    telemetry: Telemetry,
}

impl Recorder {
    pub(crate) fn new(dir: &RunDir, telemetry: Telemetry) -> Result<Self, BenchError> {
        Ok(Self {
            requests: dir.append(run_dir::REQUESTS)?,
            phases: dir.append(run_dir::PHASES)?,
            gpu: dir.append(run_dir::GPU)?,
            server: dir.append(run_dir::SERVER)?,
            flushed: Instant::now(),
            telemetry,
        })
    }

    pub(crate) fn has_gpu(&self) -> bool {
        self.telemetry.has_gpu()
    }

    /// Reads telemetry now, while the server is idle: counters on both sides of a level bound what the level did.
    pub(crate) fn idle_scrape(&mut self) -> Result<(), BenchError> {
        self.telemetry.sample_now();
        self.take_telemetry()?;
        self.flush()
    }

    pub(crate) fn phase(&mut self, phase: &Phase) -> Result<(), BenchError> {
        self.phases.append(phase).map_err(BenchError::write(run_dir::PHASES))
    }

    /// Writes down one event of the load.
    pub(crate) fn record(&mut self, event: &Event) -> Result<(), BenchError> {
        match event {
            Event::Request(request) => {
                self.requests.append(request).map_err(BenchError::write(run_dir::REQUESTS))?;
            }
            Event::Phase(phase) => self.phase(phase)?,
            Event::Progress(_) if self.flushed.elapsed() >= FLUSH_EVERY => {
                self.take_telemetry()?;
                self.flush()?;
            }
            Event::LevelDone { .. } => self.idle_scrape()?,
            _ => {}
        }
        Ok(())
    }

    /// Stops telemetry, writes the rest, and returns the notes taken.
    pub(crate) fn finish(mut self) -> Result<Vec<String>, BenchError> {
        let settled = self.telemetry.settle();
        write_lines(settled, &mut self.gpu, &mut self.server)?;
        self.take_telemetry()?;
        self.flush()?;
        let (last, notes) = self.telemetry.stop();
        let gpu = &mut self.gpu;
        let server = &mut self.server;
        write_lines(last, gpu, server)?;
        gpu.flush().and_then(|()| server.flush()).map_err(BenchError::write(FOLDER))?;
        Ok(notes)
    }

    fn take_telemetry(&mut self) -> Result<(), BenchError> {
        let lines = self.telemetry.drain();
        write_lines(lines, &mut self.gpu, &mut self.server)
    }

    fn flush(&mut self) -> Result<(), BenchError> {
        self.flushed = Instant::now();
        let files = [&mut self.requests, &mut self.phases, &mut self.gpu, &mut self.server];
        files.into_iter().try_for_each(JsonlWriter::flush).map_err(BenchError::write(FOLDER))
    }
}

fn write_lines<W: std::io::Write>(
    lines: Vec<Line>,
    gpu: &mut JsonlWriter<W>,
    server: &mut JsonlWriter<W>,
) -> Result<(), BenchError> {
    for line in lines {
        match line {
            Line::Gpu(line) => gpu.append(&line).map_err(BenchError::write(run_dir::GPU))?,
            Line::Server(sample) => server.append(&sample).map_err(BenchError::write(run_dir::SERVER))?,
            Line::Note(_) => {}
        }
    }
    Ok(())
}
