//! What limited each level, with the evidence, and what the levels cost in joules. Absent where the summary has neither.

use analysis::{Bottleneck, BottleneckEvidence, BottleneckVerdict, EnergyLevel, WindowIssue};

use super::{Block, Column, Desk, Part, Table};
use crate::number::{ABSENT, count, figure, maybe, number, percent};

pub(super) fn parts(desk: &Desk<'_>) -> Vec<Part> {
    let limits = limits(desk).map(|table| ("limited.title", table));
    let energy = energy(desk).map(|table| ("joules.title", table));
    let tables = [limits, energy].into_iter().flatten();
    tables.map(|(title, table)| desk.part(title, vec![Block::Table(table)])).collect()
}

fn limits(desk: &Desk<'_>) -> Option<Table> {
    let levels = desk.summary.levels.iter();
    let judged = levels.filter_map(|level| Some((level.concurrency, level.bottleneck.as_ref()?)));
    let rows: Vec<Vec<String>> = judged
        .map(|(concurrency, bottleneck)| {
            vec![
                count(concurrency),
                desk.get(verdict(bottleneck.verdict)),
                evidence(desk, bottleneck),
                missing(desk, bottleneck),
            ]
        })
        .collect();
    let mut columns = desk.numbers(&["column.concurrency"]);
    columns.extend(desk.texts(&["limited.by", "limited.evidence", "limited.missing"]));
    let notes = vec![desk.get("limited.note")];
    (!rows.is_empty()).then(|| Table::plain(columns, rows).with_notes(notes))
}

fn verdict(verdict: BottleneckVerdict) -> &'static str {
    match verdict {
        BottleneckVerdict::Client => "limited.client",
        BottleneckVerdict::KvCache => "limited.kv_cache",
        BottleneckVerdict::Queue => "limited.queue",
        BottleneckVerdict::Nothing => "limited.nothing",
        BottleneckVerdict::Power => "limited.power",
        BottleneckVerdict::Thermal => "limited.thermal",
        BottleneckVerdict::MemoryBandwidth => "limited.memory_bandwidth",
        BottleneckVerdict::Compute => "limited.compute",
        BottleneckVerdict::EngineStep => "limited.engine_step",
        _ => "limited.unknown",
    }
}

fn evidence(desk: &Desk<'_>, bottleneck: &Bottleneck) -> String {
    let said: Vec<String> = bottleneck.evidence.iter().filter_map(|evidence| saw(desk, evidence)).collect();
    if said.is_empty() { ABSENT.into() } else { said.join("; ") }
}

fn saw(desk: &Desk<'_>, evidence: &BottleneckEvidence) -> Option<String> {
    use BottleneckEvidence as E;
    let (key, value) = match evidence {
        E::ClientBusy { cpu_percent } => ("limited.saw_client_busy", of_hundred(*cpu_percent)),
        E::ClientLate { lag_p99_ms } => ("limited.saw_client_late", desk.figures.time(*lag_p99_ms)),
        E::Preemptions { count } => ("limited.saw_preemptions", number(*count, 0)),
        E::Waiting { mean } => ("limited.saw_waiting", figure(*mean)),
        E::Running { mean } => ("limited.saw_running", figure(*mean)),
        E::PowerThrottled { share } => ("limited.saw_power", percent(*share)),
        E::ThermalThrottled { share } => ("limited.saw_thermal", percent(*share)),
        E::SmClock { percent } => ("limited.saw_clock", of_hundred(*percent)),
        E::DramActive { percent } => ("limited.saw_dram", of_hundred(*percent)),
        E::SmActive { percent } => ("limited.saw_sm", of_hundred(*percent)),
        E::TensorActive { percent } => ("limited.saw_tensor", of_hundred(*percent)),
        E::GpuUtil { percent } => ("limited.saw_util", of_hundred(*percent)),
        other => return saw_more(desk, other),
    };
    Some(desk.words.say(key, &[("value", &value)]))
}

/// Evidence of two figures.
fn saw_more(desk: &Desk<'_>, evidence: &BottleneckEvidence) -> Option<String> {
    use BottleneckEvidence as E;
    let (key, value, name, second) = match evidence {
        E::WaitingFor { reason, mean } => ("limited.saw_waiting_for", figure(*mean), "reason", reason.clone()),
        E::KvUsage { max, full_from } => ("limited.saw_kv", percent(*max), "full", percent(*full_from)),
        E::GrowthToNext { concurrency, share } => {
            ("limited.saw_growth_next", percent(*share), "concurrency", count(*concurrency))
        }
        E::GrowthFromPrevious { concurrency, share } => {
            ("limited.saw_growth_previous", percent(*share), "concurrency", count(*concurrency))
        }
        _ => return None,
    };
    Some(desk.words.say(key, &[("value", &value), (name, &second)]))
}

/// What is in percent already.
fn of_hundred(value: f64) -> String {
    percent(value / 100.0)
}

fn missing(desk: &Desk<'_>, bottleneck: &Bottleneck) -> String {
    let names: Vec<String> = bottleneck
        .missing
        .iter()
        .map(|what| match what.as_str() {
            "client" => desk.get("limited.not_client"),
            "server_metrics" => desk.get("limited.not_server_metrics"),
            "kv_usage" => desk.get("limited.not_kv_usage"),
            "gpu" => desk.get("limited.not_gpu"),
            "gpu_profiling" => desk.get("limited.not_gpu_profiling"),
            "throttle_reasons" => desk.get("limited.not_throttle_reasons"),
            other => other.to_owned(),
        })
        .collect();
    if names.is_empty() { ABSENT.into() } else { names.join(", ") }
}

fn energy(desk: &Desk<'_>) -> Option<Table> {
    let levels = desk.summary.levels.iter();
    let known = levels.filter_map(|level| Some((level.concurrency, level.energy.as_ref()?)));
    let rows: Vec<Vec<String>> = known.map(|(concurrency, energy)| energy_row(desk, concurrency, energy)).collect();
    let mut columns = desk.numbers(&[
        "column.concurrency",
        "joules.energy",
        "joules.integral",
        "joules.idle",
        "joules.above_idle",
        "joules.per_output",
        "joules.per_total",
        "joules.per_output_above",
    ]);
    columns.push(Column::text(desk.get("joules.valid")));
    let notes = vec![desk.get("joules.note")];
    (!rows.is_empty()).then(|| Table::plain(columns, rows).with_notes(notes))
}

fn energy_row(desk: &Desk<'_>, concurrency: u32, energy: &EnergyLevel) -> Vec<String> {
    let fine = |joules: Option<f64>| joules.map_or_else(|| ABSENT.into(), |j| number(j, 3));
    let codes: Vec<&str> = energy.issues.iter().map(code).collect();
    vec![
        count(concurrency),
        maybe(energy.energy_j),
        maybe(energy.integral_j),
        maybe(energy.idle_w),
        maybe(energy.above_idle_j),
        fine(energy.j_per_output_token),
        fine(energy.j_per_total_token),
        fine(energy.above_idle_j_per_output_token),
        if codes.is_empty() { desk.get("joules.is_valid") } else { codes.join(", ") },
    ]
}

/// The code as the summary writes it.
fn code(issue: &WindowIssue) -> &'static str {
    match issue {
        WindowIssue::BenchmarkWindowNotBracketed => "benchmark_window_not_bracketed",
        WindowIssue::TooFewSamples { .. } => "too_few_samples",
        WindowIssue::SamplingGapExceeded { .. } => "sampling_gap_exceeded",
        WindowIssue::ExpectedGpuCountMismatch { .. } => "expected_gpu_count_mismatch",
        WindowIssue::CounterReset => "counter_reset",
        WindowIssue::EnergyMismatch { .. } => "energy_mismatch",
        _ => "other",
    }
}
