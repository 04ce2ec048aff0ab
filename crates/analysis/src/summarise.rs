//! From the raw records of a run to its summary.

use records::RunData;
use stats::Confidence;

use crate::{
    LevelSummary, SUMMARY_VERSION, Served, ServerCapacity, SizingSection, Summary, bottleneck,
    calibration,
    findings::{self, Evidence},
    goodput,
    level::{self, LevelFigures},
    limits, run_facts, scaling, slo, window,
};

/// Everything that is said about a run, from its records alone. The same records give an equal summary.
///
/// A run that was interrupted or killed gives a summary of what was recorded. `capacity` and `sizing` come from the
/// engine's own facts and from the model catalogue; they are part of the document and evidence for findings.
pub fn summarise(
    run: &RunData,
    capacity: Option<ServerCapacity>,
    sizing: Option<SizingSection>,
) -> Summary {
    let judgement = run.manifest.judgement;
    let confidence = goodput::confidence(judgement.confidence_level);
    let seed = run.manifest.plan.seed;
    let records = window::levels(run);
    let figures: Vec<LevelFigures<'_>> = records
        .iter()
        .map(|level| level::figures(level, &records, run, confidence))
        .collect();
    let slo = slo::rows(&figures, seed);
    let capacities = judgement.objectives.map(|_| {
        let per_s = slo::capacity_per_s(&figures, seed);
        (slo::capacity(&figures, seed), per_s)
    });
    let mut levels: Vec<LevelSummary> = figures.into_iter().map(|level| level.summary).collect();
    bottleneck::judge_all(&mut levels, &records, run);
    let scaling = scaling::scaling(&limits::points(&levels), confidence);
    let limits = limits::limits(&levels);
    let facts = run_facts::run_facts(run, &levels);
    let findings = findings::findings(&Evidence {
        run,
        facts: &facts,
        levels: &levels,
        limits: &limits,
        capacity: capacity.as_ref(),
        scaling: scaling.as_ref(),
    });
    let served = Served::of(&facts, &run.manifest.engine, capacity.as_ref());
    let performance = calibration::section(&served, run, &records, &levels, scaling.as_ref());
    Summary {
        summary_version: SUMMARY_VERSION,
        run: facts,
        capacity,
        goodput: judgement
            .objectives
            .zip(capacities)
            .map(|(objectives, (slots, per_s))| {
                goodput::section(&objectives, &levels, slots, per_s)
            }),
        scaling,
        confidence_level: judgement
            .confidence_level
            .filter(|_| confidence != Confidence::P95),
        levels,
        limits,
        slo,
        findings,
        sizing,
        plan: None,
        performance,
    }
}
