//! What a run means, with the GPUs that would hold what it measured.

use analysis::Summary;
use records::RunData;

/// vLLM's default on every card of less than 70 GiB and on any A100; a server does not tell its own.
const ASSUMED_MAX_NUM_BATCHED_TOKENS: u64 = 2048;

/// What the run means.
pub(crate) fn summarise(run: &RunData) -> Summary {
    let engine = &run.manifest.engine;
    let capacity = analysis::server_capacity(engine, ASSUMED_MAX_NUM_BATCHED_TOKENS);
    let mut summary = analysis::summarise(run, capacity, None);
    let measured = analysis::measured_target(&summary);
    summary.sizing = measured
        .and_then(|target| analysis::sizing_section(&run.manifest.plan.model, engine.version.as_deref(), &target));
    summary
}
