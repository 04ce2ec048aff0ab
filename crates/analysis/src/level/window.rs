//! Which records belong to a level, and when it was measured.
//!
//! The measuring window is the level's `Measure` phase. When that line is missing because the run was killed, it
//! reaches from the first measured request to the end of the last one that was recorded.

use std::collections::BTreeMap;

use records::{MeasureEnd, Metric, Outcome, Phase, PhaseKind, RequestRecord, RunData, Stage};
use stats::Span;

use crate::MetricRow;

/// The records of one level that was begun. Times are nanoseconds on the run's clock.
#[derive(Debug)]
pub(crate) struct LevelRecords<'a> {
    /// Index into the plan's levels.
    pub(crate) index: u32,
    /// Requests kept in flight.
    pub(crate) concurrency: u32,
    /// Whether the level ran to its planned end.
    pub(crate) complete: bool,
    /// Every request of the level, of all stages, as recorded.
    pub(crate) requests: Vec<&'a RequestRecord>,
    /// The `Measure` phase.
    pub(crate) measure: Option<&'a Phase>,
    /// The measuring window; `None` when nothing was measured or all of it happened at one instant.
    pub(crate) window: Option<Span>,
    /// From the first request to the last sign of the level.
    pub(crate) active: Option<Span>,
    /// When it began, for the order of levels.
    begun_ns: u64,
    /// Whether the server is known to have had nothing of the level any more when `active` ended.
    pub(crate) drained: bool,
}

impl<'a> LevelRecords<'a> {
    /// The requests that count.
    pub(crate) fn measured(&self) -> impl Iterator<Item = &'a RequestRecord> {
        let requests = self.requests.iter().copied();
        requests.filter(|record| record.stage == Stage::Measured)
    }

    /// The measured requests in the order in which they were sent.
    pub(crate) fn in_order(&self) -> Vec<&'a RequestRecord> {
        let mut measured: Vec<&RequestRecord> = self.measured().collect();
        measured.sort_by_key(|record| (record.sent_ns, record.request));
        measured
    }

    /// The measured requests that completed.
    pub(crate) fn completed(&self) -> impl Iterator<Item = &'a RequestRecord> {
        self.measured().filter(|record| is_completed(record))
    }
}

/// Whether the response came whole.
pub(crate) fn is_completed(record: &RequestRecord) -> bool {
    matches!(record.outcome, Outcome::Completed { .. })
}

/// Returns a metric of the completed requests that have it, in their order; times in milliseconds.
pub(crate) fn series(ordered: &[&RequestRecord], metric: Metric) -> Vec<f64> {
    let row = MetricRow::new(metric);
    let completed = ordered.iter().filter(|record| is_completed(record));
    completed.filter_map(|record| row.of_request(record)).collect()
}

/// The levels that were begun, in the order in which they ran.
pub(crate) fn levels(run: &RunData) -> Vec<LevelRecords<'_>> {
    let mut by_index: BTreeMap<u32, (Vec<&RequestRecord>, Vec<&Phase>)> = BTreeMap::new();
    for record in &run.requests {
        by_index.entry(record.level).or_default().0.push(record);
    }
    for phase in &run.phases {
        if let Some(level) = phase.level {
            by_index.entry(level).or_default().1.push(phase);
        }
    }
    let mut levels: Vec<LevelRecords> =
        by_index.into_iter().map(|(index, (requests, phases))| level(run, index, requests, &phases)).collect();
    levels.sort_by_key(|level| level.begun_ns);
    levels
}

fn level<'a>(run: &RunData, index: u32, requests: Vec<&'a RequestRecord>, phases: &[&'a Phase]) -> LevelRecords<'a> {
    let of_kind = |kind| phases.iter().copied().find(|phase| phase.kind == kind);
    let measure = of_kind(PhaseKind::Measure);
    let complete = measure.is_some_and(|phase| match phase.ended_by {
        Some(MeasureEnd::Tight | MeasureEnd::Time) => none_cancelled(&requests),
        _ => reached_plan(run, index, &requests),
    });
    let measured = |record: &&&RequestRecord| record.stage == Stage::Measured;
    let window = measure
        .and_then(|phase| Span::new(phase.start_ns.0, phase.end_ns.0))
        .or_else(|| extent(requests.iter().filter(measured).map(|record| ends(record))));
    let of_requests = requests.iter().map(|record| ends(record));
    let of_phases = phases.iter().map(|phase| (phase.start_ns.0, phase.end_ns.0));
    LevelRecords {
        index,
        concurrency: concurrency(run, index, &requests),
        complete,
        measure,
        window,
        begun_ns: of_requests.clone().chain(of_phases.clone()).map(|(start, _)| start).min().unwrap_or(0),
        active: extent(of_requests.chain(of_phases)),
        drained: complete || of_kind(PhaseKind::Drain).is_some(),
        requests,
    }
}

/// Whether every measured request came to an end of its own.
fn none_cancelled(requests: &[&RequestRecord]) -> bool {
    let mut measured = requests.iter().filter(|record| record.stage == Stage::Measured);
    measured.all(|record| record.outcome != Outcome::Cancelled)
}

/// Whether as many measured requests as planned came to an end of their own; where time decides how many, whether all
/// did.
fn reached_plan(run: &RunData, index: u32, requests: &[&RequestRecord]) -> bool {
    let plan = &run.manifest.plan;
    let of_level = |values: &[u64]| usize::try_from(index).ok().and_then(|i| values.get(i).copied());
    if of_level(&plan.requests) == Some(0) && of_level(&plan.durations_ns).is_some_and(|ns| ns > 0) {
        return none_cancelled(requests);
    }
    let ended = requests
        .iter()
        .filter(|record| record.stage == Stage::Measured && record.outcome != Outcome::Cancelled)
        .count() as u64;
    let planned = usize::try_from(index).ok().and_then(|i| run.manifest.plan.requests.get(i));
    planned.is_none_or(|&planned| ended >= planned)
}

/// The plan's figure; for an open loop and a level that the plan does not know, as many as there were slots: the most
/// that was in flight.
fn concurrency(run: &RunData, index: u32, requests: &[&RequestRecord]) -> u32 {
    let slots = || requests.iter().map(|record| record.slot.saturating_add(1)).max();
    usize::try_from(index)
        .ok()
        .and_then(|i| run.manifest.plan.levels.get(i).copied())
        .filter(|&concurrency| concurrency > 0)
        .or_else(slots)
        .unwrap_or(0)
}

fn ends(record: &RequestRecord) -> (u64, u64) {
    (record.sent_ns.0, record.finished_ns.0)
}

fn extent(ends: impl Iterator<Item = (u64, u64)>) -> Option<Span> {
    let (start, end) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    Span::new(start, end)
}
