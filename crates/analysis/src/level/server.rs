//! What the engine said during a level, beside what the client saw.
//!
//! Gauges are means over the scrapes in the measuring window. Counters and histogram sums are differences between two
//! idle moments: the last scrape before the level's first request and the first one after the server had drained. They
//! cover all requests of the level, warm-up and cool-down among them, so the client's side does too. Without such a pair
//! of scrapes, or when another level ran between them, there is no difference and nothing is compared.
//!
//! llama.cpp has no such histograms but gives its times with each response; they leave out the time in the queue.

use records::{HistogramTotals, Outcome, RequestRecord, ServerCounters, ServerSample, TimeoutPhase};
use stats::Span;

use crate::{
    ServerLevel, ServerSource, SideBySide,
    distribution::{mean, ratio},
    level::tokens::tokens,
    level::window::{LevelRecords, is_completed},
};

/// The engine's account of `level`; `None` when it gave none. `all` are the levels of the run.
pub(crate) fn server_level(
    level: &LevelRecords<'_>,
    all: &[LevelRecords<'_>],
    scrapes: &[ServerSample],
) -> Option<ServerLevel> {
    let mut account = gauges(level, scrapes);
    if let Some((before, after)) = idle_scrapes(level, all, scrapes) {
        counters(&mut account, &before.counters, &after.counters, level);
    }
    if level.requests.iter().any(|record| record.server_timings.is_some()) {
        timings(&mut account, level);
    }
    (account != ServerLevel::default()).then_some(account)
}

fn gauges(level: &LevelRecords<'_>, scrapes: &[ServerSample]) -> ServerLevel {
    let Some(window) = level.window else {
        return ServerLevel::default();
    };
    let inside = || scrapes.iter().filter(|scrape| (window.start()..window.end()).contains(&scrape.t_ns.0));
    let finite = |usage: &f64| usage.is_finite();
    ServerLevel {
        running_mean: mean(inside().filter_map(|scrape| scrape.running)),
        waiting_mean: mean(inside().filter_map(|scrape| scrape.waiting)),
        kv_usage_max: inside().filter_map(|scrape| scrape.kv_usage).filter(finite).max_by(f64::total_cmp),
        ..ServerLevel::default()
    }
}

/// The scrapes at the idle moments around the level.
fn idle_scrapes<'a>(
    level: &LevelRecords<'_>,
    all: &[LevelRecords<'_>],
    scrapes: &'a [ServerSample],
) -> Option<(&'a ServerSample, &'a ServerSample)> {
    let active = level.active.filter(|_| level.drained)?;
    let earlier = scrapes.iter().filter(|scrape| scrape.t_ns.0 <= active.start());
    let later = scrapes.iter().filter(|scrape| scrape.t_ns.0 >= active.end());
    let before = earlier.max_by_key(|scrape| scrape.t_ns)?;
    let after = later.min_by_key(|scrape| scrape.t_ns)?;
    let between = Span::new(before.t_ns.0, after.t_ns.0)?;
    let alone = all
        .iter()
        .filter(|other| other.index != level.index)
        .filter_map(|other| other.active)
        .all(|other| between.intersection(other).is_none());
    alone.then_some((before, after))
}

/// What happened between two readings of a counter; `None` when it was set back, as by a restart.
fn growth(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    Some(after? - before?).filter(|growth| growth.is_finite() && *growth >= 0.0)
}

/// Mean in milliseconds of what a histogram took in between two readings.
fn histogram_mean_ms(before: Option<HistogramTotals>, after: Option<HistogramTotals>) -> Option<f64> {
    let (before, after) = (before?, after?);
    let count = growth(Some(before.count), Some(after.count)).filter(|count| *count > 0.0)?;
    let seconds = growth(Some(before.sum_seconds), Some(after.sum_seconds))?;
    ratio(1e3 * seconds, count)
}

fn counters(account: &mut ServerLevel, before: &ServerCounters, after: &ServerCounters, level: &LevelRecords<'_>) {
    account.preemptions = growth(before.preemptions, after.preemptions);
    account.queue_ms = histogram_mean_ms(before.queue_time, after.queue_time);
    account.prefix_hit_rate = growth(before.prefix_hits, after.prefix_hits)
        .zip(growth(before.prefix_queries, after.prefix_queries))
        .and_then(|(hits, queries)| ratio(hits, queries));
    phases_and_drafts(account, before, after);
    let beside = |client: Option<f64>, server: Option<f64>| side_by_side(client?, server?, ServerSource::Metrics);
    let requests = || level.requests.iter();
    account.ttft = beside(
        mean(requests().filter_map(|record| record.ttft()).map(|ttft| 1e3 * ttft.as_secs_f64())),
        histogram_mean_ms(before.ttft, after.ttft),
    );
    account.e2el = beside(
        mean(requests().filter_map(|record| record.e2el()).map(|e2el| 1e3 * e2el.as_secs_f64())),
        histogram_mean_ms(before.e2el, after.e2el),
    );
    account.output_tokens = beside(
        sum_if_all_known(&level.requests, |record| {
            // An embedding has no output, whatever the engine counts.
            (record.asked_output_tokens > 0).then(|| tokens(record))
        }),
        growth(before.output_tokens, after.output_tokens),
    );
    account.prompt_tokens = beside(
        sum_if_all_known(&level.requests, |record| record.prompt_tokens),
        growth(before.prompt_tokens, after.prompt_tokens),
    );
}

/// Where the engine says that the time went, and what its caches elsewhere and its drafts were good for.
fn phases_and_drafts(account: &mut ServerLevel, before: &ServerCounters, after: &ServerCounters) {
    account.prefill_ms = histogram_mean_ms(before.prefill_time, after.prefill_time);
    account.decode_ms = histogram_mean_ms(before.decode_time, after.decode_time);
    account.external_prefix_hit_rate = growth(before.external_prefix_hits, after.external_prefix_hits)
        .zip(growth(before.external_prefix_queries, after.external_prefix_queries))
        .and_then(|(hits, queries)| ratio(hits, queries));
    let accepted = growth(before.accepted_tokens, after.accepted_tokens);
    account.draft_acceptance_rate = accepted
        .zip(growth(before.draft_tokens, after.draft_tokens))
        .and_then(|(accepted, drafted)| ratio(accepted, drafted));
    account.tokens_per_draft = accepted
        .zip(growth(before.drafts, after.drafts))
        .and_then(|(accepted, drafts)| ratio(accepted, drafts))
        .map(|accepted| 1.0 + accepted);
}

/// Sum over the requests that the server worked on; `None` when the client cannot know it, because a response was cut
/// short by either side or carried no count.
fn sum_if_all_known(requests: &[&RequestRecord], count: impl Fn(&RequestRecord) -> Option<u64>) -> Option<f64> {
    let mut sum = 0.0;
    for record in requests {
        match record.outcome {
            Outcome::Completed { .. } => sum += count(record)? as f64,
            Outcome::ConnectFailed { .. }
            | Outcome::HttpStatus { .. }
            | Outcome::TimedOut { phase: TimeoutPhase::Connect } => {}
            _ => return None,
        }
    }
    Some(sum)
}

/// The server's times as given with each response, over the completed requests that carry them.
fn timings(account: &mut ServerLevel, level: &LevelRecords<'_>) {
    let both = || {
        let completed = level.requests.iter().filter(|record| is_completed(record));
        completed.filter_map(|record| Some((*record, record.server_timings?)))
    };
    let beside = |client: Option<f64>, server: Option<f64>| side_by_side(client?, server?, ServerSource::Timings);
    account.ttft = beside(
        mean(both().filter_map(|(record, _)| record.ttft()).map(|ttft| 1e3 * ttft.as_secs_f64())),
        mean(both().map(|(_, timings)| timings.prompt_ns as f64 / 1e6)),
    );
    account.e2el = beside(
        mean(both().filter_map(|(record, _)| record.e2el()).map(|e2el| 1e3 * e2el.as_secs_f64())),
        mean(both().map(|(_, timings)| (timings.prompt_ns as f64 + timings.output_ns as f64) / 1e6)),
    );
    account.output_tokens = beside(
        Some(both().map(|(record, _)| tokens(record) as f64).sum()),
        Some(both().map(|(_, timings)| timings.output_tokens as f64).sum()),
    );
    // The server counts the prompt tokens that it processed, so the client must know how many came from the cache.
    let processed = |record: &RequestRecord| {
        let cached = record.cached_prompt_tokens?;
        Some(record.prompt_tokens?.saturating_sub(cached) as f64)
    };
    account.prompt_tokens = beside(
        both().map(|(record, _)| processed(record)).sum(),
        Some(both().map(|(_, timings)| timings.prompt_tokens as f64).sum()),
    );
}

fn side_by_side(client: f64, server: f64, source: ServerSource) -> Option<SideBySide> {
    (client.is_finite() && server.is_finite()).then_some(SideBySide { client, server, source })
}
