//! The figures of one level. Definitions: `docs/methodology.md`; every request counts somewhere.
//!
//! Latencies are those of measured requests that completed. Failed ones are in the counts, the success rate and the
//! list of failures. The server's output is that of all requests of the level, since the server served them all.

use std::time::Duration;

use records::{Outcome, Phase, RequestRecord, RunData, Stage, TokenSource};
use stats::{Sample, Span, occupancy};

use crate::{
    ClientLevel, Distribution, Invalid, LevelSummary, RequestCounts,
    arrivals::tokens_within,
    distribution::{Observations, distribution, per_request, rate, ratio},
    energy::{LevelTokens, energy_level, prompt_tokens_within},
    failures::failures,
    gpu_level::gpu_level,
    server_level::server_level,
    window::LevelRecords,
};

/// Utilisation of the client's threads from which on the client may be the limit. Work at a single server waits on
/// average `ρ/(1 − ρ)` times its own length (M/M/1): four times at 80 %, and steeply more beyond.
pub(crate) const CLIENT_BUSY_PERCENT: f64 = 80.0;

/// Share of the mean TTFT that the 99th percentile of the client's lag may reach. A lag adds to a stamp at most its own
/// length, so up to here 99 of 100 stamps are right to a twentieth, less than a level's own spread.
pub(crate) const CLIENT_LATE_SHARE_OF_TTFT: f64 = 0.05;

/// A level's summary, and the sample that objectives are held against.
#[derive(Debug)]
pub(crate) struct LevelFigures {
    /// What is printed.
    pub(crate) summary: LevelSummary,
    /// E2EL of the completed requests in milliseconds.
    pub(crate) e2el_ms: Option<Sample>,
}

/// The figures of `level`; `all` are the levels of the run, itself among them.
pub(crate) fn figures(
    level: &LevelRecords<'_>,
    all: &[LevelRecords<'_>],
    run: &RunData,
) -> LevelFigures {
    let requests = counts(level);
    let seconds = level
        .window
        .map_or(0.0, |window| window.ticks() as f64 / 1e9);
    let tokens = level.window.map(|window| {
        let within = level
            .requests
            .iter()
            .map(|record| tokens_within(record, window));
        within.sum::<f64>()
    });
    let completed = || level.completed();
    let ttft_ms = per_request(completed().filter_map(|record| record.ttft().map(ms)));
    let e2el_ms = Sample::new(
        completed()
            .filter_map(|record| record.e2el().map(ms))
            .collect(),
    )
    .ok();
    let client = level.measure.and_then(client_level);
    let summary = LevelSummary {
        level: level.index,
        concurrency: level.concurrency,
        complete: level.complete,
        invalid: invalid(level, &requests, client.as_ref(), ttft_ms.as_ref()),
        requests,
        success_rate: rate(requests.completed, requests.measured - requests.cancelled),
        window_s: seconds,
        in_flight_mean: level.window.map_or(0.0, |window| in_flight(level, window)),
        output_tok_s: tokens.map(|tokens| tokens / seconds),
        requests_per_s: if seconds > 0.0 {
            requests.completed as f64 / seconds
        } else {
            0.0
        },
        ttft_ms,
        e2el_ms: e2el_ms
            .as_ref()
            .map(|sample| distribution(sample, Observations::Independent)),
        e2el_from_intended_ms: per_request(completed().filter_map(e2el_from_intended).map(ms)),
        tpot_ms: per_request(completed().filter_map(|record| record.tpot().map(ms))),
        icl_ms: Sample::new(completed().flat_map(gaps).map(ms).collect())
            .ok()
            .map(|sample| distribution(&sample, Observations::Pooled)),
        tokens_per_chunk: tokens_per_chunk(completed()),
        per_request_tok_s: per_request(completed().filter_map(tokens_per_second)),
        output_tokens: per_request(completed().filter_map(output_tokens).map(|n| n as f64)),
        prompt_tokens: per_request(
            completed()
                .filter_map(|r| r.prompt_tokens)
                .map(|n| n as f64),
        ),
        short_outputs: completed().filter(|record| is_short(record)).count() as u64,
        failures: failures(level),
        server: server_level(level, all, &run.server),
        gpu: level
            .window
            .and_then(|window| gpu_level(window, tokens, &run.gpu)),
        client,
        energy: level.window.and_then(|window| {
            let tokens = LevelTokens {
                output: tokens,
                prompt: prompt_tokens_within(&level.requests, window),
            };
            energy_level(window, level.index, tokens, &run.gpu, &run.phases)
        }),
        bottleneck: None,
    };
    LevelFigures { summary, e2el_ms }
}

fn ms(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}

fn counts(level: &LevelRecords<'_>) -> RequestCounts {
    let mut counts = RequestCounts::default();
    for record in &level.requests {
        match (record.stage, &record.outcome) {
            (Stage::Measured, outcome) => {
                counts.measured += 1;
                match outcome {
                    Outcome::Completed { .. } => counts.completed += 1,
                    Outcome::Cancelled => counts.cancelled += 1,
                    _ => counts.failed += 1,
                }
            }
            (Stage::Warmup, _) => counts.warmup += 1,
            _ => counts.cooldown += 1,
        }
    }
    counts
}

fn invalid(
    level: &LevelRecords<'_>,
    requests: &RequestCounts,
    client: Option<&ClientLevel>,
    ttft_ms: Option<&Distribution>,
) -> Vec<Invalid> {
    let mut reasons = Vec::new();
    if requests.completed == 0 {
        reasons.push(Invalid::NothingCompleted);
    }
    if let Some(client) = client {
        if client.cpu_percent >= CLIENT_BUSY_PERCENT {
            let cpu_percent = client.cpu_percent;
            reasons.push(Invalid::ClientBusy { cpu_percent });
        }
        let lag_p99_ms = client.lag_p99_ms;
        if ttft_ms.is_some_and(|ttft| lag_p99_ms > CLIENT_LATE_SHARE_OF_TTFT * ttft.mean.value) {
            reasons.push(Invalid::ClientLate { lag_p99_ms });
        }
    }
    if !level.complete {
        reasons.push(Invalid::Stopped);
    }
    reasons
}

fn in_flight(level: &LevelRecords<'_>, window: Span) -> f64 {
    let spans = level.requests.iter();
    let spans = spans.filter_map(|record| Span::new(record.sent_ns.0, record.finished_ns.0));
    occupancy(spans, window).mean
}

fn e2el_from_intended(record: &RequestRecord) -> Option<Duration> {
    Some(record.e2el()?.saturating_add(record.send_lag()))
}

/// Gaps between chunks. Where stamps were not kept, the gap before the last one is no gap between neighbours.
fn gaps(record: &RequestRecord) -> impl Iterator<Item = Duration> {
    let arrivals = &record.chunks.since_sent_ns;
    let all_kept = record.chunks.count <= arrivals.len() as u64;
    let neighbours = arrivals.len() - usize::from(!all_kept && !arrivals.is_empty());
    arrivals[..neighbours]
        .windows(2)
        .map(|pair| Duration::from_nanos(pair[1].saturating_sub(pair[0])))
}

fn output_tokens(record: &RequestRecord) -> Option<u64> {
    record.output_tokens.map(|tokens| tokens.count)
}

/// Over requests whose tokens were not counted by their chunks: one a chunk would be no finding there.
fn tokens_per_chunk<'a>(records: impl Iterator<Item = &'a RequestRecord>) -> Option<f64> {
    let (mut tokens, mut chunks) = (0.0, 0.0);
    for record in records {
        let counted = record.output_tokens;
        if let Some(counted) = counted.filter(|counted| counted.source == TokenSource::Usage) {
            tokens += counted.count as f64;
            chunks += record.chunks.count as f64;
        }
    }
    ratio(tokens, chunks)
}

/// Output tokens / E2EL.
fn tokens_per_second(record: &RequestRecord) -> Option<f64> {
    let e2el = record.e2el().filter(|e2el| !e2el.is_zero())?;
    Some(output_tokens(record)? as f64 / e2el.as_secs_f64())
}

fn is_short(record: &RequestRecord) -> bool {
    output_tokens(record).is_some_and(|n| n < u64::from(record.asked_output_tokens))
}

fn client_level(measure: &Phase) -> Option<ClientLevel> {
    let load = measure.client?;
    let available_ns =
        f64::from(load.threads) * (measure.end_ns - measure.start_ns).as_nanos() as f64;
    (available_ns > 0.0).then(|| ClientLevel {
        cpu_percent: 100.0 * load.cpu_ns as f64 / available_ns,
        lag_p99_ms: load.lag_p99_ns as f64 / 1e6,
        lag_max_ms: load.lag_max_ns as f64 / 1e6,
    })
}
