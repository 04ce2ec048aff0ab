//! A log of nvidia-smi or amd-smi becomes part of a run's readings.

use std::{fs, path::Path};

use anyhow::Context as _;
use gpumon::smi_log;
use records::{GpuLine, RunDir, run_dir};
use serde::Serialize;

use crate::{
    exit::{self, Exit, WithExit as _},
    output,
    program::program_name,
};

/// What was added.
#[derive(Debug, Serialize)]
struct Imported {
    devices: usize,
    samples: usize,
    skipped_rows: u64,
    implausible_values: u64,
}

#[expect(clippy::cast_possible_truncation, reason = "a time zone is a few hours, and casts of floating point saturate")]
pub(super) fn run(log: &Path, run: &Path, utc_offset_hours: f64, json: bool) -> anyhow::Result<Exit> {
    let dir = RunDir::open(run).exit(Exit::Usage)?;
    let manifest = dir.read_manifest().exit(Exit::Usage)?;
    let known = dir.read::<GpuLine>(run_dir::GPU)?.records;
    let text = fs::read_to_string(log).with_context(|| format!("read {}", log.display())).exit(Exit::Usage)?;
    let read = smi_log::read(&text, manifest.started.unix_ns, (utc_offset_hours * 3600.0) as i32).exit(Exit::Usage)?;
    let mut imported =
        Imported { devices: 0, samples: 0, skipped_rows: read.skipped_rows, implausible_values: read.implausible };
    for line in &read.lines {
        match line {
            GpuLine::Device(device)
                if known.iter().any(|line| matches!(line, GpuLine::Device(k) if k.uuid == device.uuid)) =>
            {
                return Err(exit::error(
                    Exit::Usage,
                    format!("cannot import {}: the run has readings of {} already", log.display(), device.uuid),
                ));
            }
            GpuLine::Device(_) => imported.devices += 1,
            _ => imported.samples += 1,
        }
    }
    let mut file = dir.append(run_dir::GPU)?;
    for line in &read.lines {
        file.append(line).context("write gpu.jsonl")?;
    }
    file.flush().context("write gpu.jsonl")?;
    output::emit(json, &imported, |imported| {
        format!(
            "{} readings of {} GPUs added to {}; {} rows skipped, {} values that cannot be left out\nnext: {} report {}",
            imported.samples,
            imported.devices,
            run.display(),
            imported.skipped_rows,
            imported.implausible_values,
            program_name(),
            run.display()
        )
    })?;
    Ok(Exit::Ok)
}
