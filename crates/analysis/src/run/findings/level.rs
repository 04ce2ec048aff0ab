//! What stands out at single levels.

use records::Plan;

use crate::{
    Finding, FindingKind, Invalid, LevelSummary, ServerLevel, ServerSource, Severity, SideBySide, WindowIssue,
    level::failures::is_measured, run::bottleneck::QUEUE_MEAN,
};

/// Deviation of the mean output length from the one asked, as a share of it, from which on it is told. Throughput and
/// E2EL go with the length, so this is the error that comparing them with another run would make.
pub(crate) const OUTPUT_LENGTH_TOLERANCE: f64 = 0.01;

/// Share of prompt tokens from the prefix cache from which on TTFT is that much too good. The first blocks of a chat
/// template are below it for prompts of ordinary length.
pub(crate) const PREFIX_HIT_TOLERANCE: f64 = 0.05;

/// Relative difference of token counts that is accepted. Both sides count the same tokens; the rest is for engines that
/// leave the end-of-sequence token out of one of the counts.
pub(crate) const TOKEN_TOLERANCE: f64 = 0.01;

/// Relative difference of mean times that is accepted.
pub(crate) const TIME_TOLERANCE: f64 = 0.1;

/// Difference of mean times that is accepted in any case, in milliseconds: the network, the HTTP server and
/// tokenisation are in the client's account only; 8 to 12 ms of TTFT were seen on one
/// machine (vllm-project/vllm, pull request 54628).
pub(crate) const TIME_TOLERANCE_MS: f64 = 15.0;

/// All findings about levels, by kind and then by level, in the order of the levels.
pub(crate) fn findings(levels: &[LevelSummary], plan: &Plan) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    findings.extend(levels.iter().filter_map(client_limited));
    findings.extend(levels.iter().filter_map(failed));
    findings.extend(levels.iter().flat_map(disagreements));
    findings.extend(levels.iter().filter_map(|level| output_length(level, plan)));
    if !repeats_itself(plan) {
        findings.extend(levels.iter().filter_map(prefix_cache_hits));
    }
    findings.extend(levels.iter().filter_map(preemptions));
    findings.extend(levels.iter().filter_map(energy_mismatch));
    findings.extend(few_samples(levels));
    findings.extend(levels.iter().filter_map(queueing));
    findings
}

fn client_limited(level: &LevelSummary) -> Option<Finding> {
    let concurrency = level.concurrency;
    let by_client = |reason: &Invalid| matches!(reason, Invalid::ClientBusy { .. } | Invalid::ClientLate { .. });
    let limited = level.invalid.iter().any(by_client);
    limited.then(|| Finding::new(Severity::Problem, FindingKind::ClientLimited { concurrency }))
}

/// Requests that fail unload the server, so that the latencies of the others look too good.
fn failed(level: &LevelSummary) -> Option<Finding> {
    let most_frequent = level.failures.iter().find(|failure| is_measured(failure))?;
    let failures = FindingKind::Failures {
        concurrency: level.concurrency,
        failed: level.requests.failed,
        measured: level.requests.measured,
        failure: most_frequent.kind.clone(),
        example: most_frequent.example.clone(),
    };
    Some(Finding::new(Severity::Problem, failures))
}

fn disagreements(level: &LevelSummary) -> Vec<Finding> {
    let server = level.server.unwrap_or_default();
    let metrics = [
        ("ttft", server.ttft.filter(times_disagree)),
        ("e2el", server.e2el.filter(times_disagree)),
        ("output_tokens", server.output_tokens.filter(tokens_disagree)),
        ("prompt_tokens", server.prompt_tokens.filter(tokens_disagree)),
    ];
    let disagreeing = metrics.into_iter();
    disagreeing
        .filter_map(|(metric, both)| Some((metric, both?)))
        .map(|(metric, SideBySide { client, server, .. })| {
            let disagreement =
                FindingKind::Disagreement { concurrency: level.concurrency, metric: metric.to_owned(), client, server };
            Finding::new(Severity::Problem, disagreement)
        })
        .collect()
}

fn tokens_disagree(both: &SideBySide) -> bool {
    (both.client - both.server).abs() > TOKEN_TOLERANCE * both.client.max(both.server)
}

/// The server's `timings` leave out the queue, so there the client's time may be longer by any length.
fn times_disagree(both: &SideBySide) -> bool {
    let accepted = TIME_TOLERANCE_MS.max(TIME_TOLERANCE * both.client.max(both.server));
    let difference = both.client - both.server;
    match both.source {
        ServerSource::Metrics => difference.abs() > accepted,
        ServerSource::Timings => -difference > accepted,
    }
}

/// Where the server was told to ignore the end of text, another length means that it did not.
fn output_length(level: &LevelSummary, plan: &Plan) -> Option<Finding> {
    let mean = level.output_tokens?.mean.value;
    let asked = f64::from(plan.osl);
    let severity = if plan.ignore_eos { Severity::Problem } else { Severity::Warning };
    let other = (mean - asked).abs() > OUTPUT_LENGTH_TOLERANCE * asked;
    other.then(|| {
        let length = FindingKind::OutputLength {
            concurrency: level.concurrency,
            asked: plan.osl,
            mean,
            short: level.short_outputs,
            completed: level.requests.completed,
        };
        Finding::new(severity, length)
    })
}

/// Whether prompts begin alike because that was asked for.
fn repeats_itself(plan: &Plan) -> bool {
    let figure = |name: &str| plan.workload_options.get(name)?.as_f64();
    figure("session_turns").is_some() || figure("shared_prefix_tokens").unwrap_or(0.0) > 0.0
}

fn prefix_cache_hits(level: &LevelSummary) -> Option<Finding> {
    let concurrency = level.concurrency;
    let hit_rate = server_figure(level, |server| server.prefix_hit_rate, PREFIX_HIT_TOLERANCE)?;
    let hits = FindingKind::PrefixCacheHits { concurrency, hit_rate };
    Some(Finding::new(Severity::Warning, hits))
}

fn preemptions(level: &LevelSummary) -> Option<Finding> {
    let concurrency = level.concurrency;
    let count = server_figure(level, |server| server.preemptions, 1.0)?;
    let preemptions = FindingKind::Preemptions { concurrency, count };
    Some(Finding::new(Severity::Warning, preemptions))
}

/// The GPU whose counter and power are furthest apart, if any are further than accepted.
fn energy_mismatch(level: &LevelSummary) -> Option<Finding> {
    let issues = level.energy.as_ref()?.issues.iter();
    let apart = |(counter, integral): &(f64, f64)| (counter - integral).abs() / counter.max(*integral);
    let (counter_j, integral_j) = issues
        .filter_map(|issue| match *issue {
            WindowIssue::EnergyMismatch { counter_j, integral_j } => Some((counter_j, integral_j)),
            _ => None,
        })
        .max_by(|a, b| apart(a).total_cmp(&apart(b)))?;
    let mismatch = FindingKind::EnergyMismatch { concurrency: level.concurrency, counter_j, integral_j };
    Some(Finding::new(Severity::Warning, mismatch))
}

fn queueing(level: &LevelSummary) -> Option<Finding> {
    let concurrency = level.concurrency;
    let waiting_mean = server_figure(level, |server| server.waiting_mean, QUEUE_MEAN)?;
    let queueing = FindingKind::Queueing { concurrency, waiting_mean };
    Some(Finding::new(Severity::Insight, queueing))
}

/// A figure of the engine, if it reaches `from`.
fn server_figure(level: &LevelSummary, figure: impl Fn(&ServerLevel) -> Option<f64>, from: f64) -> Option<f64> {
    figure(level.server.as_ref()?).filter(|value| *value >= from)
}

/// Levels whose E2EL has no 95th percentile, the one that objectives are held against.
fn few_samples(levels: &[LevelSummary]) -> Option<Finding> {
    let few = || {
        levels.iter().filter_map(|level| {
            let e2el = level.e2el_ms.filter(|e2el| e2el.p95.is_none())?;
            Some((level.concurrency, e2el.n))
        })
    };
    let n = few().map(|(_, n)| n).min()?;
    let concurrencies = few().map(|(concurrency, _)| concurrency).collect();
    Some(Finding::new(Severity::Note, FindingKind::FewSamples { concurrencies, n }))
}
