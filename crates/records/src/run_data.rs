//! A run folder read back into memory: where everything that is said about a run begins.

use crate::{
    GpuLine, Manifest, Phase, RecordError, RequestRecord, RunDir, ServerSample,
    run_dir::{GPU, PHASES, REQUESTS, SERVER},
};

/// All raw records of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunData {
    /// Who measured what, how, where and when.
    pub manifest: Manifest,
    /// Every request attempt, in the order of their ends.
    pub requests: Vec<RequestRecord>,
    /// Every phase that ended, in order.
    pub phases: Vec<Phase>,
    /// GPU devices and samples.
    pub gpu: Vec<GpuLine>,
    /// Scrapes of the engine's `/metrics`.
    pub server: Vec<ServerSample>,
    /// Lines that could not be read, such as the torn last line of a killed run.
    pub skipped: Vec<Skipped>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// File name within the run folder.
    pub file: &'static str,
    /// Line number, from 1.
    pub line: usize,
    /// Why it is no record.
    pub reason: String,
}

impl RunData {
    /// Reads a run folder, finished or killed, on any machine.
    ///
    /// # Errors
    /// [`RecordError`] when the manifest is missing, damaged or too new, or a file cannot be read. Damaged lines are
    /// listed in `skipped`.
    pub fn load(dir: &RunDir) -> Result<Self, RecordError> {
        let mut skipped = Vec::new();
        let mut keep = |file: &'static str, lines: Vec<(usize, String)>| {
            skipped.extend(lines.into_iter().map(|(line, reason)| Skipped { file, line, reason }));
        };
        let manifest = dir.read_manifest()?;
        let requests = dir.read(REQUESTS)?;
        keep(REQUESTS, requests.skipped);
        let phases = dir.read(PHASES)?;
        keep(PHASES, phases.skipped);
        let gpu = dir.read(GPU)?;
        keep(GPU, gpu.skipped);
        let server = dir.read(SERVER)?;
        keep(SERVER, server.skipped);
        Ok(Self {
            manifest,
            requests: requests.records,
            phases: phases.records,
            gpu: gpu.records,
            server: server.records,
            skipped,
        })
    }
}
