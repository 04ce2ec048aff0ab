//! What stands out, most severe first: findings about the run as a whole and across its levels. Those about single
//! levels are in `level`, `sample` and `resource`.
//!
//! A `Problem` means that figures are not what they seem, a `Warning` is worth knowing before acting on them, an
//! `Insight` is what they say, a `Note` what could not be told. Among equally severe ones those come first that say what
//! the server does, then those on how far to trust the figures.

mod level;
mod resource;
mod sample;

use records::{GpuLine, RunData};

use crate::{
    Finding, FindingKind, LevelSummary, Limits, RunFacts, Scaling, ServerCapacity, Severity,
    run::limits::{FLAT_SHARE_OF_PROPORTIONAL, Point, points},
};

/// Share by which throughput has to fall from one level to the next to be called a cliff. A choice: an aggregate has no
/// interval yet, and a tenth is more than the few percent by which a level measured twice differs from itself.
pub(crate) const CLIFF_SHARE: f64 = 0.1;

/// What findings are drawn from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) run: &'a RunData,
    pub(crate) facts: &'a RunFacts,
    pub(crate) levels: &'a [LevelSummary],
    pub(crate) limits: &'a Limits,
    pub(crate) capacity: Option<&'a ServerCapacity>,
    pub(crate) scaling: Option<&'a Scaling>,
}

/// All findings, by severity, then by kind and then by level.
pub(crate) fn findings(evidence: &Evidence<'_>) -> Vec<Finding> {
    let points = points(evidence.levels);
    let mut findings: Vec<Finding> = Vec::new();
    findings.extend(about_the_run(evidence));
    findings.extend(level::findings(evidence.levels, &evidence.run.manifest.plan));
    findings.extend(sample::findings(evidence.levels));
    findings.extend(resource::findings(evidence.levels));
    findings.extend(cliffs(&points));
    findings.extend(regime_change(&points, evidence.scaling));
    findings.extend(still_growing(&points));
    findings.extend(aggregate_versus_per_request(evidence.limits, &points));
    findings.extend(beyond_printed_concurrency(evidence));
    findings.sort_by_key(|finding| (finding.severity, rank(&finding.what)));
    findings
}

/// Place of a kind among equally severe ones.
fn rank(what: &FindingKind) -> u8 {
    match what {
        FindingKind::ThroughputCliff { .. } => 0,
        FindingKind::AggregateVersusPerRequest { .. } => 1,
        FindingKind::StillGrowing { .. } => 2,
        FindingKind::Failures { .. } => 3,
        FindingKind::Preemptions { .. } => 4,
        FindingKind::Queueing { .. } => 5,
        FindingKind::BeyondPrintedConcurrency { .. } => 6,
        FindingKind::ClientLimited { .. } => 7,
        FindingKind::DebugBuild => 8,
        FindingKind::Incomplete { .. } => 9,
        FindingKind::OutputLength { .. } => 10,
        FindingKind::Disagreement { .. } => 11,
        FindingKind::PrefixCacheHits { .. } => 12,
        FindingKind::FewSamples { .. } => 13,
        FindingKind::NoServerMetrics => 14,
        FindingKind::NoGpuTelemetry => 15,
        FindingKind::RegimeChange { .. } => 16,
        FindingKind::NotSettled { .. } => 17,
        FindingKind::LongTail { .. } => 18,
        FindingKind::InStep { .. } => 19,
        FindingKind::EnergyMismatch { .. } => 20,
        FindingKind::TtftQueued { .. } => 21,
        FindingKind::KvPressure { .. } => 22,
        FindingKind::Throttled { .. } => 23,
    }
}

fn about_the_run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let Evidence { run, facts, .. } = evidence;
    let debug = run.manifest.tool.profile == "debug";
    let no_gpu = !run.gpu.iter().any(|line| matches!(line, GpuLine::Sample(_)));
    let incomplete = facts.incomplete_reason.clone();
    let incomplete = incomplete.map(|reason| FindingKind::Incomplete { reason });
    let of_run = [
        (Severity::Problem, debug.then_some(FindingKind::DebugBuild)),
        (Severity::Warning, incomplete),
        (Severity::Note, no_gpu.then_some(FindingKind::NoGpuTelemetry)),
        (Severity::Note, run.server.is_empty().then_some(FindingKind::NoServerMetrics)),
    ];
    let present = of_run.into_iter();
    present.filter_map(|(severity, what)| Some(Finding::new(severity, what?))).collect()
}

fn cliffs(points: &[Point]) -> impl Iterator<Item = Finding> {
    points.windows(2).filter_map(|pair| {
        let (from, to) = (pair[0], pair[1]);
        let fell = to.output_tok_s < (1.0 - CLIFF_SHARE) * from.output_tok_s;
        (fell && from.concurrency < to.concurrency).then(|| {
            let cliff = FindingKind::ThroughputCliff {
                from: from.concurrency,
                to: to.concurrency,
                from_tok_s: from.output_tok_s,
                to_tok_s: to.output_tok_s,
            };
            Finding::new(Severity::Warning, cliff)
        })
    })
}

/// Growth over the last step that is more than the flat share of proportional growth.
fn still_growing(points: &[Point]) -> Option<Finding> {
    let [.., before, last] = points else {
        return None;
    };
    let share = before.growth_share(*last)?;
    (share >= FLAT_SHARE_OF_PROPORTIONAL).then(|| {
        let growing = FindingKind::StillGrowing {
            concurrency: last.concurrency,
            growth_percent: 100.0 * (last.output_tok_s / before.output_tok_s - 1.0),
        };
        Finding::new(Severity::Warning, growing)
    })
}

/// How many times the server must give at its best what it gives at the fastest single request, for the difference to be
/// worth a word: the share from which on a fall counts as a cliff.
const TELLING_RATIO: f64 = 1.1;

fn aggregate_versus_per_request(limits: &Limits, points: &[Point]) -> Option<Finding> {
    let (aggregate, single) = (limits.peak_output?, limits.peak_per_request?);
    let there = points.iter().find(|point| point.concurrency == single.concurrency)?;
    (aggregate.tok_s >= TELLING_RATIO * there.output_tok_s).then(|| {
        let versus = FindingKind::AggregateVersusPerRequest {
            aggregate_at: aggregate.concurrency,
            aggregate_tok_s: aggregate.tok_s,
            per_request_at: single.concurrency,
            aggregate_there_tok_s: there.output_tok_s,
        };
        Finding::new(Severity::Insight, versus)
    })
}

fn beyond_printed_concurrency(evidence: &Evidence<'_>) -> Option<Finding> {
    let capacity = evidence.capacity?;
    let (printed, assumed_tokens) = (capacity.max_concurrency?, capacity.max_model_len?);
    let concurrency = evidence.limits.largest_stable?;
    let held = |level: &&LevelSummary| level.concurrency == concurrency;
    let level = evidence.levels.iter().find(held)?;
    let actual_tokens = level.prompt_tokens?.mean.value + level.output_tokens?.mean.value;
    // Users who think are not together in the server.
    let together = f64::from(concurrency).min(level.in_flight_mean.ceil());
    (together > printed).then(|| {
        let beyond = FindingKind::BeyondPrintedConcurrency { concurrency, printed, assumed_tokens, actual_tokens };
        Finding::new(Severity::Insight, beyond)
    })
}

/// The finding that the smallest levels follow another law.
fn regime_change(points: &[Point], scaling: Option<&Scaling>) -> Option<Finding> {
    let scaling = scaling?;
    let before = &points[..usize::try_from(scaling.levels_before).ok()?];
    let last = before.last()?;
    let n = f64::from(last.concurrency);
    let shared = 1.0 + scaling.sigma.value * (n - 1.0) + scaling.kappa.value * n * (n - 1.0);
    let change = FindingKind::RegimeChange {
        before: before.iter().map(|point| point.concurrency).collect(),
        from: scaling.from,
        measured_tok_s: last.output_tok_s,
        law_tok_s: scaling.lambda_tok_s.value * n / shared,
    };
    Some(Finding::new(Severity::Warning, change))
}
