//! The figures of one level. Definitions: `docs/methodology.md`; every request counts somewhere.
//!
//! Latencies are those of measured requests that completed, in the order in which they were sent. Failed ones are in the counts, the success rate and the
//! list of failures. The server's output is that of all requests of the level, since the server served them all.

pub(crate) mod energy;
pub(crate) mod failures;
pub(crate) mod goodput;
pub(crate) mod gpu;
pub(crate) mod open_loop;
pub(crate) mod rates;
pub(crate) mod readings;
pub(crate) mod server;
pub(crate) mod tokens;
pub(crate) mod turns;
pub(crate) mod validity;
pub(crate) mod window;

use std::time::Duration;

use records::{Metric, Outcome, PerMetric, RequestRecord, RunData, Stage, TokenSource};
use stats::{Confidence, Sample, Span, mser5, occupancy};

use crate::{
    Distribution, EnergyLevel, Estimate, FailureAdjusted, LevelSummary, METRICS, RequestCounts, Steady,
    distribution::{Reading, adjusted_percentiles, distribution, pooled, ratio, share_up_to},
    level::energy::{LevelTokens, energy_level, prompt_tokens_within},
    level::failures::failures,
    level::goodput::SloRatios,
    level::gpu::gpu_level,
    level::open_loop::{request_rate, stages},
    level::rates::Rates,
    level::server::server_level,
    level::tokens::{tokens, tokens_within},
    level::turns::turns,
    level::validity::{client_level, invalid},
    level::window::{LevelRecords, is_completed, series},
    units::{ms, seconds},
};

/// A level's summary, and the requests that objectives are held against.
#[derive(Debug)]
pub(crate) struct LevelFigures<'a> {
    /// What is printed.
    pub(crate) summary: LevelSummary,
    /// Measured requests in the order in which they were sent.
    pub(crate) requests: Vec<&'a RequestRecord>,
    /// E2EL of the completed requests in milliseconds.
    pub(crate) e2el_ms: Option<Sample>,
    /// Against the objectives of the run.
    pub(crate) slo_ratios: Option<SloRatios>,
    /// How the observations are to be read.
    pub(crate) reading: Reading,
}

/// The figures of `level`; `all` are the levels of the run, itself among them.
pub(crate) fn figures<'a>(
    level: &LevelRecords<'a>,
    all: &[LevelRecords<'a>],
    run: &RunData,
    confidence: Confidence,
) -> LevelFigures<'a> {
    let reading = Reading::new(level.concurrency, confidence);
    let ordered = level.in_order();
    let request_rate = request_rate(level, run);
    let rates = Rates::new(level, &ordered, request_rate.is_none(), reading);
    let of = |metric| series(&ordered, metric);
    let per_request = |metric| distribution(&of(metric), reading);
    let requests = counts(level);
    let seconds = level.window.map_or(0.0, seconds);
    let output = output_within(level);
    let ttft = of(Metric::Ttft);
    let e2el = of(Metric::E2el);
    let ttft_ms = distribution(&ttft, reading);
    let e2el_ms = distribution(&e2el, reading);
    let e2el_sample = Sample::new(e2el.clone()).ok();
    let icl_ms = chunk_gaps(level, confidence);
    let client = level.measure.and_then(client_level);
    let objectives = run.manifest.judgement.objectives.as_ref();
    let slo_ratios = objectives.and_then(|objectives| SloRatios::new(&ordered, objectives));
    let mut summary = LevelSummary {
        level: level.index,
        concurrency: level.concurrency,
        request_rate,
        complete: level.complete,
        invalid: invalid(level, &requests, client, [&ttft_ms, &e2el_ms, &icl_ms]),
        requests,
        success_rate: success_rate(&ordered, reading),
        window_s: seconds,
        in_flight_mean: level.window.map_or(0.0, |window| in_flight(level, window)),
        output_tok_s: output.map(|tokens| tokens / seconds),
        output_tok_s_estimate: rates.as_ref().and_then(|rates| throughput(rates, output)),
        requests_per_s: ratio(requests.completed as f64, seconds).unwrap_or(0.0),
        ttft_ms,
        e2el_ms,
        e2el_from_intended_ms: per_request(Metric::E2elFromIntended),
        tpot_ms: per_request(Metric::Tpot),
        icl_ms,
        ttfo_ms: per_request(Metric::Ttfo),
        itl_ms: token_gaps(level, confidence),
        tokens_per_chunk: tokens_per_chunk(level.completed()),
        per_request_tok_s: per_request(Metric::PerRequestTokS),
        output_tokens: per_request(Metric::OutputTokens),
        prompt_tokens: per_request(Metric::PromptTokens),
        failure_adjusted: failure_adjusted(&ttft, e2el_sample.as_ref(), requests.failed, confidence),
        goodput: goodput::level(rates.as_ref(), slo_ratios.as_ref(), objectives),
        steady: steady(&ttft, &e2el, reading),
        stages: stages(level, run, reading),
        turns: turns(&ordered, reading),
        short_outputs: level.completed().filter(|record| is_short(record)).count() as u64,
        failures: failures(level),
        server: server_level(level, all, &run.server),
        gpu: level.window.and_then(|window| gpu_level(window, output, &run.gpu)),
        client,
        energy: energy(level, output, run),
        bottleneck: None,
        more_ms: PerMetric::default(),
    };
    // Metrics whose rows find nothing in the fields above are kept by name.
    let more = METRICS.iter().filter(|row| row.is_objective() && (row.of_level)(&summary).is_none());
    summary.more_ms = more.filter_map(|row| Some((row.metric, per_request(row.metric)?))).collect();
    LevelFigures { summary, requests: ordered, e2el_ms: e2el_sample, slo_ratios, reading }
}

fn energy(level: &LevelRecords<'_>, output: Option<f64>, run: &RunData) -> Option<EnergyLevel> {
    let window = level.window?;
    let tokens = LevelTokens { output, prompt: prompt_tokens_within(&level.requests, window) };
    energy_level(window, level.index, tokens, &run.gpu, &run.phases)
}

/// Output tokens of all requests that arrived in the window; `None` where no request asks for any.
fn output_within(level: &LevelRecords<'_>) -> Option<f64> {
    let window = level.window?;
    let asked = level.requests.iter().any(|r| r.asked_output_tokens > 0);
    let tokens = level.requests.iter().map(|record| tokens_within(record, window));
    asked.then(|| tokens.sum())
}

/// The server's output per second: the figure counts all requests of the level, its relative uncertainty is that of the
/// measured ones.
fn throughput(rates: &Rates<'_>, output: Option<f64>) -> Option<Estimate> {
    let value = output? / seconds(rates.window);
    let of_measured = rates.per_second(|record| tokens(record) as f64);
    let scale = value / of_measured.value;
    Some(Estimate {
        value,
        low: Some(of_measured.low? * scale),
        high: Some(of_measured.high? * scale).filter(|high| high.is_finite()),
    })
}

fn failure_adjusted(
    ttft: &[f64],
    e2el: Option<&Sample>,
    failed: u64,
    confidence: Confidence,
) -> Option<FailureAdjusted> {
    let ttft = Sample::new(ttft.to_vec()).ok();
    (failed > 0).then(|| FailureAdjusted {
        ttft_ms: adjusted_percentiles(ttft.as_ref(), failed, confidence),
        e2el_ms: adjusted_percentiles(e2el, failed, confidence),
    })
}

fn success_rate(ordered: &[&RequestRecord], reading: Reading) -> Option<Estimate> {
    let counted = ordered.iter().filter(|record| record.outcome != Outcome::Cancelled);
    // A request fails or not, and nothing else about it matters here.
    let failures: Vec<f64> = counted.map(|record| f64::from(u8::from(!is_completed(record)))).collect();
    share_up_to(&failures, 0.0, reading)
}

/// Neither failed nor cancelled requests have a latency, and what is left is taken as one series.
fn steady(ttft: &[f64], e2el: &[f64], reading: Reading) -> Option<Steady> {
    let (of_ttft, of_e2el) = (mser5(ttft, reading.wave)?, mser5(e2el, reading.wave)?);
    Some(Steady {
        n: of_e2el.n as u64,
        ttft_cut: of_ttft.cut as u64,
        e2el_cut: of_e2el.cut as u64,
        settled: of_ttft.settled && of_e2el.settled,
    })
}

fn counts(level: &LevelRecords<'_>) -> RequestCounts {
    let mut counts = RequestCounts::default();
    for record in &level.requests {
        match (record.stage, &record.outcome) {
            (Stage::Measured, outcome) => {
                counts.measured += 1;
                counts.retries += u64::from(record.retry > 0);
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

fn in_flight(level: &LevelRecords<'_>, window: Span) -> f64 {
    let spans = level.requests.iter();
    let spans = spans.filter_map(|record| Span::new(record.sent_ns.0, record.finished_ns.0));
    occupancy(spans, window).mean
}

fn chunk_gaps(level: &LevelRecords<'_>, confidence: Confidence) -> Option<Distribution> {
    let gaps = level.completed().flat_map(gaps).map(ms);
    pooled(gaps.collect(), confidence)
}

/// A chunk that brought `n` tokens ends `n` gaps of an `n`th of its own; one that brought none ends none, and its gap
/// goes to the next.
fn token_gaps(level: &LevelRecords<'_>, confidence: Confidence) -> Option<Distribution> {
    let mut all = Vec::new();
    for record in level.completed() {
        let tokens = &record.chunks.tokens;
        let mut waited = 0.0;
        for (gap, &brought) in gaps(record).zip(tokens.get(1..).unwrap_or_default()) {
            waited += ms(gap);
            if brought > 0 {
                let each = std::mem::take(&mut waited) / f64::from(brought);
                all.extend(std::iter::repeat_n(each, brought as usize));
            }
        }
    }
    pooled(all, confidence)
}

/// Gaps between chunks. Where stamps were not kept, the gap before the last one is no gap between neighbours.
fn gaps(record: &RequestRecord) -> impl Iterator<Item = Duration> {
    let arrivals = &record.chunks.since_sent_ns;
    let all_kept = record.chunks.count <= arrivals.len() as u64;
    let neighbours = arrivals.len() - usize::from(!all_kept && !arrivals.is_empty());
    arrivals[..neighbours].windows(2).map(|pair| Duration::from_nanos(pair[1].saturating_sub(pair[0])))
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

fn is_short(record: &RequestRecord) -> bool {
    record.output_tokens.is_some_and(|n| n.count < u64::from(record.asked_output_tokens))
}
