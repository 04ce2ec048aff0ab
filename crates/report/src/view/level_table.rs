//! The table of levels: what decides comes first, intervals stand small below their figures, and a column without any
//! figure is left out with a note that says why.

use analysis::{Distribution, Estimate, Invalid, LevelSummary};

use super::{Cell, Desk, Row, Table};
use crate::number::{
    ABSENT, count, figure, interval, maybe, mean_only, mib, number, percent, percent_interval, rate_planned, rate_sent,
};

pub(super) fn levels(desk: &Desk<'_>) -> Table {
    let columns = desk.numbers(&[
        "column.concurrency",
        "column.rate",
        "column.rate_sent",
        "column.n",
        "column.success",
        "column.ttft_mean",
        "column.e2el_mean",
        "column.single_tok_s",
        "column.total_tok_s",
        "column.requests_per_s",
        "column.ttft_p95",
        "column.e2el_p95",
        "column.memory",
    ]);
    let peak = desk.summary.limits.peak_output.map(|peak| peak.concurrency);
    let rows = desk
        .summary
        .levels
        .iter()
        .map(|level| Row { cells: level_row(level), strong: peak == Some(level.concurrency) })
        .collect();
    Table { columns, rows, notes: level_notes(desk) }.without_empty_columns()
}

fn level_row(level: &LevelSummary) -> Vec<Cell> {
    let with_interval = |estimate: Option<Estimate>| Cell {
        text: maybe(estimate.map(|estimate| estimate.value)),
        small: estimate.and_then(interval),
    };
    let mean = |d: Option<Distribution>| with_interval(d.map(|d| d.mean));
    let p95 = |d: Option<Distribution>| with_interval(d.and_then(|d| d.p95));
    let mark = if level.invalid.is_empty() { "" } else { " †" };
    let memory = level.gpu.and_then(|gpu| gpu.memory_used_bytes_max);
    let decimals = if level.requests_per_s < 10.0 { 2 } else { 1 };
    vec![
        format!("{}{mark}", count(level.concurrency)).into(),
        rate_planned(level.request_rate).into(),
        rate_sent(level.request_rate).into(),
        count(level.requests.measured).into(),
        Cell {
            text: level.success_rate.map_or_else(|| ABSENT.into(), |rate| percent(rate.value)),
            small: level.success_rate.and_then(percent_interval),
        },
        mean(level.ttft_ms),
        mean(level.e2el_ms),
        mean_only(level.per_request_tok_s).into(),
        maybe(level.output_tok_s).into(),
        number(level.requests_per_s, decimals).into(),
        p95(level.ttft_ms),
        p95(level.e2el_ms),
        memory.map_or_else(|| ABSENT.into(), mib).into(),
    ]
}

fn level_notes(desk: &Desk<'_>) -> Vec<String> {
    let levels = &desk.summary.levels;
    let mut notes = vec![desk.get("note.two_throughputs"), desk.get("note.intervals")];
    if levels.iter().any(|level| level.request_rate.is_some()) {
        notes.push(desk.get("note.open_loop"));
    }
    let lacks_p95 = |d: Option<Distribution>| d.is_none_or(|d| d.p95.is_none());
    let without_p95 = |level: &LevelSummary| lacks_p95(level.ttft_ms) && lacks_p95(level.e2el_ms);
    let without_memory = |level: &LevelSummary| {
        let memory = level.gpu.and_then(|gpu| gpu.memory_used_bytes_max);
        memory.is_none()
    };
    if levels.iter().all(without_p95) {
        notes.push(desk.get("note.p95_left_out"));
    } else if levels.iter().any(without_p95) {
        notes.push(desk.get("note.no_percentile"));
    }
    if levels.iter().all(without_memory) {
        notes.push(desk.get("note.memory_left_out"));
    }
    for level in levels {
        let reasons: Vec<String> = level.invalid.iter().map(|reason| invalid(desk, reason)).collect();
        if !reasons.is_empty() {
            notes.push(
                desk.words.say("note.invalid", &[("c", &count(level.concurrency)), ("reasons", &reasons.join("; "))]),
            );
        }
    }
    notes
}

fn invalid(desk: &Desk<'_>, reason: &Invalid) -> String {
    match reason {
        Invalid::NothingCompleted => desk.get("invalid.nothing_completed"),
        Invalid::ClientBusy { cpu_percent } => desk.words.say("invalid.client_busy", &[("cpu", &figure(*cpu_percent))]),
        Invalid::ClientLate { lag_p99_ms } => {
            desk.words.say("invalid.client_late", &[("lag", &number(*lag_p99_ms, 2))])
        }
        Invalid::Stopped => desk.get("invalid.stopped"),
        // A kind newer than this crate: better named by its own field names than left out.
        other => format!("{other:?}"),
    }
}
