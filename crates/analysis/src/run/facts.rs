//! Whose figures these are: the manifest in the words of the report.

use std::collections::BTreeSet;

use records::{EndReason, GpuLine, Host, Offset, RunData, Tool};

use super::recorded::recorded;
use crate::{LevelSummary, RunFacts, distribution::mean, level::window::is_completed};

pub(crate) fn run_facts(run: &RunData, levels: &[LevelSummary]) -> RunFacts {
    let manifest = &run.manifest;
    let incomplete_reason = incomplete_reason(run, levels);
    let prompts = run.requests.iter().filter(|record| is_completed(record));
    let epoch_unix_ns = manifest.started.unix_ns.saturating_sub(manifest.started.offset_ns.0);
    RunFacts {
        run_id: manifest.run_id.clone(),
        started_unix_s: epoch_unix_ns / 1_000_000_000,
        duration_s: last_record(run).as_secs_f64(),
        simulated_profile: manifest.target.simulated_profile().map(str::to_owned),
        url: manifest.target.url().to_owned(),
        model: manifest.plan.model.clone(),
        engine: manifest.engine.name.as_ref().map(ToString::to_string),
        engine_version: manifest.engine.version.clone(),
        workload: manifest.plan.workload.clone(),
        osl: manifest.plan.osl,
        isl_mean: mean(prompts.filter_map(|record| record.prompt_tokens).map(|n| n as f64)),
        seed: manifest.plan.seed,
        gpus: gpus(run),
        client: client(&manifest.host),
        tool: tool(&manifest.tool),
        argv: manifest.argv.clone(),
        settings: recorded(manifest),
        complete: incomplete_reason.is_none(),
        incomplete_reason,
        skipped_lines: run.skipped.len() as u64,
        notes: manifest.notes.clone(),
    }
}

fn last_record(run: &RunData) -> Offset {
    let anchors = [Some(run.manifest.started), run.manifest.ended];
    let gpu = run.gpu.iter().filter_map(|line| match line {
        GpuLine::Sample(sample) => Some(sample.t_ns),
        GpuLine::Gap { t_ns, .. } => Some(*t_ns),
        _ => None,
    });
    let anchors = anchors.into_iter().flatten().map(|anchor| anchor.offset_ns);
    anchors
        .chain(run.requests.iter().map(|record| record.finished_ns))
        .chain(run.phases.iter().map(|phase| phase.end_ns))
        .chain(run.server.iter().map(|scrape| scrape.t_ns))
        .chain(gpu)
        .max()
        .unwrap_or_default()
}

/// Why not every planned level ran to its end; `None` when all did.
fn incomplete_reason(run: &RunData, levels: &[LevelSummary]) -> Option<String> {
    match &run.manifest.end {
        None => Some("killed".to_owned()),
        Some(EndReason::Interrupted) => Some("interrupted".to_owned()),
        Some(EndReason::ServerLost { message }) => Some(format!("server_lost: {message}")),
        Some(EndReason::Failed { message }) => Some(format!("failed: {message}")),
        // The manifest says that all went well; the records have to bear it out.
        Some(_) => {
            let complete = levels.iter().filter(|level| level.complete).count();
            let planned = run.manifest.plan.levels.len();
            (complete < planned).then(|| format!("records_missing: {complete} of {planned} levels are whole"))
        }
    }
}

/// Names of the sampled devices, each device once, in the order in which they were found.
fn gpus(run: &RunData) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let devices = run.gpu.iter().filter_map(|line| match line {
        GpuLine::Device(device) => Some(device),
        _ => None,
    });
    devices.filter(|device| seen.insert(&device.uuid)).map(|device| device.name.clone()).collect()
}

fn client(host: &Host) -> String {
    let cpus = host.cpus.map(|n| format!("{n} CPUs"));
    let memory = host.memory_bytes.map(|bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)));
    let parts = [Some(host.os.clone()), host.cpu_model.clone(), cpus, memory];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn tool(tool: &Tool) -> String {
    let revision = tool.git_revision.as_ref().map(|revision| format!(", {revision}"));
    let Tool { name, version, profile, .. } = tool;
    format!("{name} {version} ({profile}{})", revision.unwrap_or_default())
}
