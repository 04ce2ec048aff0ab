//! The engine's account beside the client's, against arithmetic by hand.

use analysis::{FindingKind, ServerLevel, ServerSource, SideBySide, summarise};
use records::{Engine, HistogramTotals, Offset, RunData, ServerCounters, ServerSample, ServerTimings};

use crate::build::{Level, MS, closed_loop, failed};

/// Two levels of one slot with two requests each, the first for warm-up: from 1 s to 3 s and from 4 s to 6 s. A request
/// has TTFT 100 ms, E2EL 1 s, 10 tokens and a prompt of 60.
fn run() -> RunData {
    let level = Level { concurrency: 1, rounds: 1, ttft_ns: 100 * MS, e2el_ns: 1000 * MS, tokens: 10 };
    closed_loop(&[level, Level { concurrency: 2, ..level }])
}

fn scrape(t_ms: u64) -> ServerSample {
    ServerSample {
        t_ns: Offset(t_ms * MS),
        rtt_ns: MS,
        engine: Engine::Vllm,
        running: None,
        waiting: None,
        kv_usage: None,
        counters: ServerCounters::default(),
        detail: records::ServerDetail::default(),
    }
}

/// Counters after `requests` requests of 90 ms TTFT and 980 ms E2EL by the server's account.
fn counted(t_ms: u64, requests: f64) -> ServerSample {
    let totals = |seconds| {
        let sum_seconds = 5.0 + seconds * requests;
        let count = 7.0 + requests;
        Some(HistogramTotals { sum_seconds, count })
    };
    ServerSample {
        counters: ServerCounters {
            prompt_tokens: Some(100.0 + 60.0 * requests),
            output_tokens: Some(100.0 + 10.0 * requests),
            preemptions: Some(3.0),
            prefix_queries: Some(60.0 * requests),
            prefix_hits: Some(15.0 * requests),
            ttft: totals(0.09),
            e2el: totals(0.98),
            ..ServerCounters::default()
        },
        ..scrape(t_ms)
    }
}

fn account(run: &RunData, level: usize) -> ServerLevel {
    summarise(run, None, None).levels[level].server.unwrap()
}

#[track_caller]
fn assert_side_by_side(found: Option<SideBySide>, client: f64, server: f64) {
    let found = found.unwrap();
    assert!((found.client - client).abs() < 1e-9, "{found:?}");
    assert!((found.server - server).abs() < 1e-9, "{found:?}");
}

#[test]
fn gauges_are_those_of_the_measuring_window() {
    let mut run = run();
    // The window of the first level is 2 s to 3 s.
    for (t_ms, running, kv_usage) in [(1500, 9.0, 0.9), (2000, 1.0, 0.2), (2500, 2.0, 0.1), (3000, 9.0, 0.9)] {
        run.server.push(ServerSample {
            running: Some(running),
            waiting: Some(2.0 * running),
            kv_usage: Some(kv_usage),
            ..scrape(t_ms)
        });
    }
    let account = account(&run, 0);
    assert_eq!(account.running_mean, Some(1.5));
    assert_eq!(account.waiting_mean, Some(3.0));
    assert_eq!(account.kv_usage_max, Some(0.2));
    let summary = summarise(&run, None, None);
    let queueing = FindingKind::Queueing { concurrency: 1, waiting_mean: 3.0 };
    assert!(summary.findings.iter().any(|finding| finding.what == queueing));
}

/// 40 drafts of 3 tokens, of which 72 were accepted: 72/120, and 1 + 72/40 tokens each.
#[test]
fn phases_and_drafts_are_differences_too() {
    let mut run = run();
    let at = |t_ms, requests: f64| {
        let totals = |each: f64| Some(HistogramTotals { sum_seconds: 3.0 + each * requests, count: 1.0 + requests });
        let mut scraped = counted(t_ms, requests);
        scraped.counters = ServerCounters {
            queue_time: totals(0.25),
            prefill_time: totals(0.5),
            decode_time: totals(1.5),
            external_prefix_queries: Some(500.0 + 100.0 * requests),
            external_prefix_hits: Some(100.0 + 30.0 * requests),
            drafts: Some(7.0 + 20.0 * requests),
            draft_tokens: Some(21.0 + 60.0 * requests),
            accepted_tokens: Some(20.0 + 36.0 * requests),
            ..scraped.counters
        };
        scraped
    };
    run.server = vec![at(500, 0.0), at(3500, 2.0)];
    let account = account(&run, 0);
    assert_eq!(account.queue_ms, Some(250.0));
    assert_eq!(account.prefill_ms, Some(500.0));
    assert_eq!(account.decode_ms, Some(1500.0));
    assert_eq!(account.external_prefix_hit_rate, Some(0.3));
    assert_eq!(account.draft_acceptance_rate, Some(0.6));
    assert_eq!(account.tokens_per_draft, Some(2.8));
}

#[test]
fn counters_are_differences_between_the_idle_moments_around_the_level() {
    let mut run = run();
    // While the first level runs the counters are not looked at; between the levels everything is still.
    run.server = vec![counted(500, 0.0), counted(1500, 1.0), counted(3500, 2.0), counted(6500, 6.0)];
    for (level, requests) in [(0, 2.0), (1, 4.0)] {
        let account = account(&run, level);
        assert_side_by_side(account.ttft, 100.0, 90.0);
        assert_side_by_side(account.e2el, 1000.0, 980.0);
        assert_side_by_side(account.output_tokens, 10.0 * requests, 10.0 * requests);
        assert_side_by_side(account.prompt_tokens, 60.0 * requests, 60.0 * requests);
        assert_eq!(account.ttft.unwrap().source, ServerSource::Metrics);
        assert_eq!(account.preemptions, Some(0.0));
        assert_eq!(account.prefix_hit_rate, Some(0.25));
    }
    let summary = summarise(&run, None, None);
    let disagreements = |finding: &&analysis::Finding| matches!(finding.what, FindingKind::Disagreement { .. });
    assert_eq!(summary.findings.iter().filter(disagreements).count(), 0);
    let hits = FindingKind::PrefixCacheHits { concurrency: 1, hit_rate: 0.25 };
    assert!(summary.findings.iter().any(|finding| finding.what == hits));
}

#[test]
fn without_a_scrape_between_levels_nothing_is_compared() {
    let mut run = run();
    run.server = vec![counted(500, 0.0), counted(2500, 2.0), counted(6500, 6.0)];
    let summary = summarise(&run, None, None);
    assert_eq!(summary.levels[0].server, None);
    assert_eq!(summary.levels[1].server, None);
}

#[test]
fn a_counter_that_was_set_back_gives_nothing() {
    let mut run = run();
    run.server = vec![counted(500, 9.0), counted(3500, 2.0)];
    assert_eq!(account(&run, 0).output_tokens, None);
    assert_eq!(account(&run, 0).ttft, None);
    assert_eq!(account(&run, 0).preemptions, Some(0.0));
}

#[test]
fn tokens_of_responses_that_were_cut_short_are_not_compared() {
    let mut run = run();
    run.server = vec![counted(500, 0.0), counted(3500, 2.0)];
    run.requests.push(failed(1000 * MS, 1100 * MS, records::Outcome::Cancelled));
    assert_eq!(account(&run, 0).output_tokens, None);
    assert_side_by_side(account(&run, 0).ttft, 100.0, 90.0);
}

#[test]
fn other_clients_show_as_a_disagreement() {
    let mut run = run();
    // The server counted the tokens of a third request that was not ours.
    run.server = vec![counted(500, 0.0), counted(3500, 3.0)];
    let summary = summarise(&run, None, None);
    let disagreement = |metric: &str, client, server| FindingKind::Disagreement {
        concurrency: 1,
        metric: metric.to_owned(),
        client,
        server,
    };
    let found: Vec<&FindingKind> = summary.findings.iter().map(|finding| &finding.what).collect();
    assert!(found.contains(&&disagreement("output_tokens", 20.0, 30.0)));
    assert!(found.contains(&&disagreement("prompt_tokens", 120.0, 180.0)));
}

#[test]
fn timings_of_llama_cpp_leave_out_the_queue() {
    let mut run = run();
    for record in run.requests.iter_mut().filter(|record| record.level == 1) {
        // 5 of the 60 prompt tokens came from the cache.
        record.cached_prompt_tokens = Some(5);
        record.server_timings =
            Some(ServerTimings { prompt_tokens: 55, prompt_ns: 40 * MS, output_tokens: 10, output_ns: 850 * MS });
    }
    let account = account(&run, 1);
    assert_side_by_side(account.ttft, 100.0, 40.0);
    assert_side_by_side(account.e2el, 1000.0, 890.0);
    assert_side_by_side(account.output_tokens, 40.0, 40.0);
    assert_side_by_side(account.prompt_tokens, 220.0, 220.0);
    assert_eq!(account.ttft.unwrap().source, ServerSource::Timings);
    let summary = summarise(&run, None, None);
    let disagrees = |finding: &analysis::Finding| matches!(finding.what, FindingKind::Disagreement { .. });
    assert!(!summary.findings.iter().any(disagrees));
}
