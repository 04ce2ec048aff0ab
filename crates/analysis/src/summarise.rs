//! From the raw records of a run to its summary.

use records::RunData;

use crate::{
    LevelSummary, SUMMARY_VERSION, ServerCapacity, SizingSection, Summary, bottleneck,
    findings::{self, Evidence},
    level::{self, LevelFigures},
    limits, run_facts, slo, window,
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
    let records = window::levels(run);
    let figures: Vec<LevelFigures> = records
        .iter()
        .map(|level| level::figures(level, &records, run))
        .collect();
    let slo = slo::rows(&figures);
    let mut levels: Vec<LevelSummary> = figures.into_iter().map(|level| level.summary).collect();
    bottleneck::judge_all(&mut levels, &records, run);
    let limits = limits::limits(&levels);
    let facts = run_facts::run_facts(run, &levels);
    let findings = findings::findings(&Evidence {
        run,
        facts: &facts,
        levels: &levels,
        limits: &limits,
        capacity: capacity.as_ref(),
    });
    Summary {
        summary_version: SUMMARY_VERSION,
        run: facts,
        capacity,
        levels,
        limits,
        slo,
        findings,
        sizing,
    }
}
