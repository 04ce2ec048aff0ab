//! From the raw records of a run to its summary.

pub(crate) mod bottleneck;
pub(crate) mod capacity;
pub(crate) mod facts;
pub(crate) mod findings;
pub(crate) mod goodput;
pub(crate) mod limits;
pub(crate) mod recorded;
pub(crate) mod scaling;
pub(crate) mod server_capacity;
pub(crate) mod slo;

use std::{panic::resume_unwind, thread};

use records::RunData;
use stats::Confidence;

use crate::{
    LevelSummary, SUMMARY_VERSION, Served, ServerCapacity, SizingSection, Summary,
    distribution::confidence,
    level::window::{self, LevelRecords},
    level::{self, LevelFigures},
    predict,
    run::findings::Evidence,
};

/// Everything that is said about a run, from its records alone. The same records give an equal summary.
///
/// A run that was interrupted or killed gives a summary of what was recorded. `capacity` and `sizing` come from the
/// engine's own facts and from the model catalogue; they are part of the document and evidence for findings.
pub fn summarise(run: &RunData, capacity: Option<ServerCapacity>, sizing: Option<SizingSection>) -> Summary {
    let judgement = run.manifest.judgement;
    let confidence = confidence(judgement.confidence_level);
    let seed = run.manifest.plan.seed;
    let records = window::levels(run);
    let figures = figures(&records, run, confidence);
    let slo = slo::rows(&figures, seed);
    let capacities = judgement.objectives.map(|_| {
        let per_s = slo::capacity_per_s(&figures, seed);
        (slo::capacity(&figures, seed), per_s)
    });
    let mut levels: Vec<LevelSummary> = figures.into_iter().map(|level| level.summary).collect();
    bottleneck::judge_all(&mut levels, &records, run);
    let scaling = scaling::scaling(&limits::points(&levels), confidence);
    let limits = limits::limits(&levels);
    let facts = facts::run_facts(run, &levels);
    let findings = findings::findings(&Evidence {
        run,
        facts: &facts,
        levels: &levels,
        limits: &limits,
        capacity: capacity.as_ref(),
        scaling: scaling.as_ref(),
    });
    let served = Served::of(&facts, &run.manifest.engine, capacity.as_ref());
    let performance = predict::section(&served, run, &records, &levels, scaling.as_ref());
    Summary {
        summary_version: SUMMARY_VERSION,
        run: facts,
        capacity,
        goodput: judgement
            .objectives
            .zip(capacities)
            .map(|(objectives, (slots, per_s))| goodput::section(&objectives, &levels, slots, per_s)),
        scaling,
        confidence_level: judgement.confidence_level.filter(|_| confidence != Confidence::P95),
        levels,
        limits,
        slo,
        findings,
        sizing,
        plan: None,
        performance,
    }
}

/// Requests from which a run is worth more than one thread: some tenths of a second.
const MANY: usize = 50_000;

/// The figures of all levels, in their order. Levels do not depend on each other, so those of a long run are worked out
/// side by side.
fn figures<'a>(records: &[LevelRecords<'a>], run: &RunData, confidence: Confidence) -> Vec<LevelFigures<'a>> {
    let of = |level: &LevelRecords<'a>| level::figures(level, records, run, confidence);
    if run.requests.len() < MANY {
        return records.iter().map(of).collect();
    }
    thread::scope(|scope| {
        let threads: Vec<_> = records.iter().map(|level| scope.spawn(move || of(level))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|fault| resume_unwind(fault))).collect()
    })
}
