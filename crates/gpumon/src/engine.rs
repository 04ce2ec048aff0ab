//! The serving engines: how a scrape of each is recognised, and which of its metrics fill [`records::ServerSample`]. Pure.
//!
//! Values are summed over an engine's series (vLLM labels them by `engine`), but the KV cache's usage, a share, is
//! averaged: engines of one server have caches of one size. A value that is not finite counts as absent. Histogram
//! buckets are not read: they are too coarse for quantiles.

use std::collections::BTreeMap;

use records::{Engine, EngineGauges, HistogramTotals, Offset, ServerCounters, ServerDetail, ServerSample};

use crate::prometheus::{Sample, Scrape};

/// Names of a metric, of which the first that the scrape contains is read: newer versions first.
type Names = &'static [&'static str];
/// A counter and where its sum goes.
type Sum = (fn(&mut ServerCounters) -> &mut Option<f64>, Names);
/// A histogram and where its totals go.
type Histogram = (fn(&mut ServerCounters) -> &mut Option<HistogramTotals>, Names);

/// Metrics of one engine.
struct EngineMetrics {
    engine: Engine,
    /// What precedes the colon in the names of its metrics, by which a scrape is recognised.
    prefix: &'static str,
    running: &'static str,
    waiting: &'static str,
    kv_usage: Names,
    sums: &'static [Sum],
    histograms: &'static [Histogram],
    /// Adds what needs more than a name.
    refine: fn(&Scrape<'_>, &mut ServerSample),
}

static ENGINES: [EngineMetrics; 3] = [
    // The V1 engine's names, and those of the generation before 0.9 (`gpu_` prefixes).
    EngineMetrics {
        engine: Engine::Vllm,
        prefix: "vllm",
        running: "vllm:num_requests_running",
        waiting: "vllm:num_requests_waiting",
        kv_usage: &["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"],
        sums: &[
            (|c| &mut c.prompt_tokens, &["vllm:prompt_tokens_total"]),
            (|c| &mut c.output_tokens, &["vllm:generation_tokens_total"]),
            (|c| &mut c.preemptions, &["vllm:num_preemptions_total"]),
            (|c| &mut c.prefix_queries, &["vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"]),
            (|c| &mut c.prefix_hits, &["vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"]),
            (|c| &mut c.external_prefix_queries, &["vllm:external_prefix_cache_queries_total"]),
            (|c| &mut c.external_prefix_hits, &["vllm:external_prefix_cache_hits_total"]),
            (|c| &mut c.drafts, &["vllm:spec_decode_num_drafts_total"]),
            (|c| &mut c.draft_tokens, &["vllm:spec_decode_num_draft_tokens_total"]),
            (|c| &mut c.accepted_tokens, &["vllm:spec_decode_num_accepted_tokens_total"]),
        ],
        histograms: &[
            (|c| &mut c.ttft, &["vllm:time_to_first_token_seconds"]),
            (|c| &mut c.e2el, &["vllm:e2e_request_latency_seconds"]),
            (|c| &mut c.queue_time, &["vllm:request_queue_time_seconds"]),
            (|c| &mut c.prefill_time, &["vllm:request_prefill_time_seconds"]),
            (|c| &mut c.decode_time, &["vllm:request_decode_time_seconds"]),
            (|c| &mut c.inter_token, &["vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"]),
        ],
        refine: vllm,
    },
    // Builds since 2025 give no usage of the cache. No ended requests are counted, and there are no histograms.
    EngineMetrics {
        engine: Engine::LlamaCpp,
        prefix: "llamacpp",
        running: "llamacpp:requests_processing",
        waiting: "llamacpp:requests_deferred",
        kv_usage: &["llamacpp:kv_cache_usage_ratio"],
        sums: &[
            (|c| &mut c.prompt_tokens, &["llamacpp:prompt_tokens_total"]),
            (|c| &mut c.output_tokens, &["llamacpp:tokens_predicted_total"]),
            (|c| &mut c.prefix_hits, &["llamacpp:prompt_tokens_cached_total"]),
            (|c| &mut c.prompt_seconds, &["llamacpp:prompt_seconds_total"]),
            (|c| &mut c.output_seconds, &["llamacpp:tokens_predicted_seconds_total"]),
        ],
        histograms: &[],
        refine: llamacpp,
    },
    // Names of SGLang's "Production Metrics" page; `cached_tokens_total` and `queue_time_seconds` are defined in its
    // metrics collector. `num_requests_total` also counts requests that were aborted, so it is not read.
    EngineMetrics {
        engine: Engine::Sglang,
        prefix: "sglang",
        running: "sglang:num_running_reqs",
        waiting: "sglang:num_queue_reqs",
        kv_usage: &["sglang:token_usage"],
        sums: &[
            (|c| &mut c.prompt_tokens, &["sglang:prompt_tokens_total"]),
            (|c| &mut c.output_tokens, &["sglang:generation_tokens_total"]),
            (|c| &mut c.prefix_hits, &["sglang:cached_tokens_total"]),
        ],
        histograms: &[
            (|c| &mut c.ttft, &["sglang:time_to_first_token_seconds"]),
            (|c| &mut c.e2el, &["sglang:e2e_request_latency_seconds"]),
            (|c| &mut c.queue_time, &["sglang:queue_time_seconds"]),
            (|c| &mut c.inter_token, &["sglang:inter_token_latency_seconds", "sglang:time_per_output_token_seconds"]),
        ],
        refine: sglang,
    },
];

fn metrics_of(scrape: &Scrape<'_>) -> Option<&'static EngineMetrics> {
    let prefixes = || scrape.samples.iter().filter_map(|sample| Some(sample.name.split_once(':')?.0));
    prefixes().find_map(|prefix| ENGINES.iter().find(|engine| engine.prefix == prefix))
}

/// The engine whose metrics the scrape contains, if its metrics are known.
pub fn recognise(scrape: &Scrape<'_>) -> Option<Engine> {
    metrics_of(scrape).map(|metrics| metrics.engine.clone())
}

/// Converts a scrape to a record; `None` if its engine is not known. `t_ns` is the middle of the scrape and `rtt_ns` its
/// length.
pub fn sample(scrape: &Scrape<'_>, t_ns: Offset, rtt_ns: u64) -> Option<ServerSample> {
    let metrics = metrics_of(scrape)?;
    let mut counters = ServerCounters::default();
    for (counter, names) in metrics.sums {
        *counter(&mut counters) = names.iter().find_map(|name| sum(scrape, name));
    }
    for (totals, names) in metrics.histograms {
        *totals(&mut counters) = names.iter().find_map(|name| histogram(scrape, name));
    }
    let mut sample = ServerSample {
        t_ns,
        rtt_ns,
        engine: metrics.engine.clone(),
        running: sum(scrape, metrics.running),
        waiting: sum(scrape, metrics.waiting),
        kv_usage: metrics.kv_usage.iter().find_map(|name| mean(scrape, name)),
        counters,
        detail: ServerDetail::default(),
    };
    (metrics.refine)(scrape, &mut sample);
    Some(sample)
}

/// Labels of `vllm:cache_config_info`, verbatim; of the first engine if there are several. Empty where there is none.
pub fn cache_config(scrape: &Scrape<'_>) -> BTreeMap<String, String> {
    let info = scrape.named("vllm:cache_config_info").next();
    let labels = info.map_or(&[][..], |info| &info.labels);
    labels.iter().map(|label| (label.name.to_owned(), label.value.to_string())).collect()
}

fn vllm(scrape: &Scrape<'_>, sample: &mut ServerSample) {
    let good_ends = scrape.named("vllm:request_success_total").filter(|series| ended_well(series));
    sample.counters.requests_succeeded = total(good_ends);
    sample.detail = ServerDetail {
        waiting_by_reason: by_label(scrape, "vllm:num_requests_waiting_by_reason", "reason"),
        kv_cache_size_tokens: kv_cache_size_tokens(scrape),
        engines: engines(scrape),
    };
}

/// Newer versions give the cache's size in tokens (pull request 42206); it is the pool of each engine, all of one size.
/// Blocks times block size would be wrong for models with several cache groups, so nothing is computed here.
fn kv_cache_size_tokens(scrape: &Scrape<'_>) -> Option<u64> {
    let info = scrape.named("vllm:cache_config_info").next()?;
    info.label("kv_cache_size_tokens")?.parse().ok()
}

/// Sums of the series by one of their labels; those that are not finite are left out.
fn by_label(scrape: &Scrape<'_>, name: &str, label: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for series in scrape.named(name).filter(|series| series.value.is_finite()) {
        if let Some(key) = series.label(label) {
            *sums.entry(key.to_owned()).or_default() += series.value;
        }
    }
    sums
}

/// The gauges of each engine, if there is more than one.
fn engines(scrape: &Scrape<'_>) -> Vec<EngineGauges> {
    let mut engines: BTreeMap<&str, EngineGauges> = BTreeMap::new();
    for series in &scrape.samples {
        let Some(engine) = series.label("engine").filter(|_| series.value.is_finite()) else {
            continue;
        };
        let gauge: fn(&mut EngineGauges) -> &mut Option<f64> = match series.name {
            "vllm:num_requests_running" => |engine| &mut engine.running,
            "vllm:num_requests_waiting" => |engine| &mut engine.waiting,
            "vllm:kv_cache_usage_perc" => |engine| &mut engine.kv_usage,
            _ => continue,
        };
        *gauge(engines.entry(engine).or_default()) = Some(series.value);
    }
    if engines.len() < 2 {
        return Vec::new();
    }
    let named = |(name, gauges): (&str, EngineGauges)| EngineGauges { engine: name.to_owned(), ..gauges };
    engines.into_iter().map(named).collect()
}

/// `vllm:request_success_total` counts every end. Its reasons are stop, length and repetition, or abort and error.
fn ended_well(series: &Sample<'_>) -> bool {
    !matches!(series.label("finished_reason"), Some("abort" | "error"))
}

/// llama.cpp counts prompt tokens without those found in its cache; what was looked up is both together.
fn llamacpp(_: &Scrape<'_>, sample: &mut ServerSample) {
    let counters = &mut sample.counters;
    let both = counters.prompt_tokens.zip(counters.prefix_hits);
    counters.prefix_queries = both.map(|(computed, cached)| computed + cached);
}

/// SGLang looks every prompt token up, and counts those found in its cache only once there are any.
fn sglang(_: &Scrape<'_>, sample: &mut ServerSample) {
    let counters = &mut sample.counters;
    counters.prefix_queries = counters.prompt_tokens.filter(|_| counters.prefix_hits.is_some());
}

fn sum(scrape: &Scrape<'_>, name: &str) -> Option<f64> {
    total(scrape.named(name))
}

fn mean(scrape: &Scrape<'_>, name: &str) -> Option<f64> {
    let series = scrape.named(name).count();
    sum(scrape, name).map(|sum| sum / series as f64)
}

fn histogram(scrape: &Scrape<'_>, name: &str) -> Option<HistogramTotals> {
    Some(HistogramTotals {
        sum_seconds: sum(scrape, &format!("{name}_sum"))?,
        count: sum(scrape, &format!("{name}_count"))?,
    })
}

/// The sum of all series; `None` if there are none, or if one of them has no finite value, for then the sum is unknown.
fn total<'s, 'a: 's>(series: impl Iterator<Item = &'s Sample<'a>>) -> Option<f64> {
    series.map(|sample| sample.value).reduce(|sum, value| sum + value).filter(|sum| sum.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::parse;

    fn read(text: &str) -> Option<ServerSample> {
        sample(&parse(text), Offset(7), 9)
    }

    /// Values read from the capture with grep.
    #[test]
    fn vllm_under_load() {
        let text = include_str!("../../../fixtures/prometheus/vllm-0.11.2-load-16.txt");
        let totals = |sum_seconds, count| Some(HistogramTotals { sum_seconds, count });
        let expected = ServerSample {
            t_ns: Offset(7),
            rtt_ns: 9,
            engine: Engine::Vllm,
            running: Some(16.0),
            waiting: Some(0.0),
            kv_usage: Some(0.022_008_253_094_910_613),
            counters: ServerCounters {
                prompt_tokens: Some(16_388.0),
                output_tokens: Some(18_945.0),
                requests_succeeded: Some(330.0),
                preemptions: Some(0.0),
                prefix_queries: Some(16_388.0),
                prefix_hits: Some(0.0),
                ttft: totals(79.995_119_094_848_63, 346.0),
                e2el: totals(950.042_862_653_732_3, 330.0),
                queue_time: totals(0.009_681_223_012_194_096, 330.0),
                prefill_time: totals(63.898_623_279_993_444, 330.0),
                decode_time: totals(873.276_798_944_991_7, 330.0),
                inter_token: totals(919.460_955_915_993, 18_599.0),
                external_prefix_queries: Some(0.0),
                external_prefix_hits: Some(0.0),
                ..ServerCounters::default()
            },
            detail: ServerDetail::default(),
        };
        assert_eq!(read(text), Some(expected));
    }

    /// 24 blocks for sixteen requests; values read from the capture with grep.
    #[test]
    fn vllm_0_12_with_a_full_cache() {
        let text = include_str!("../../../fixtures/prometheus/vllm-0.12.0-full-kv.txt");
        let sample = read(text).unwrap();
        assert_eq!(sample.engine, Engine::Vllm);
        assert_eq!((sample.running, sample.waiting, sample.kv_usage), (Some(8.0), Some(8.0), Some(1.0)));
        assert_eq!(sample.counters.preemptions, Some(20.0));
        assert!(sample.counters.ttft.is_some() && sample.counters.e2el.is_some());
    }

    #[test]
    fn vllm_idle_counts_every_good_end() {
        let text = include_str!("../../../fixtures/prometheus/vllm-0.11.2-idle.txt");
        let sample = read(text).unwrap();
        assert_eq!(sample.running, Some(0.0));
        assert_eq!(sample.counters.requests_succeeded, Some(14.0)); // 2 stop + 12 length + 0 abort
        assert_eq!(sample.counters.output_tokens, Some(106.0));

        let config = cache_config(&parse(text));
        assert_eq!(config.len(), 23);
        assert_eq!(config["num_gpu_blocks"], "728");
        assert_eq!(config["block_size"], "128");
        assert_eq!(config["kv_cache_memory_bytes"], "None");
    }

    #[test]
    fn llamacpp_as_captured() {
        let text = include_str!("../../../fixtures/prometheus/llamacpp-b10434.txt");
        let expected = ServerSample {
            t_ns: Offset(7),
            rtt_ns: 9,
            engine: Engine::LlamaCpp,
            running: Some(0.0),
            waiting: Some(0.0),
            kv_usage: None,
            counters: ServerCounters {
                prompt_tokens: Some(58.0),
                output_tokens: Some(2156.0),
                prefix_queries: Some(460.0), // 58 + 402
                prefix_hits: Some(402.0),
                prompt_seconds: Some(0.527_66),
                output_seconds: Some(59.8218),
                ..ServerCounters::default()
            },
            detail: ServerDetail::default(),
        };
        assert_eq!(read(text), Some(expected));
        assert!(cache_config(&parse(text)).is_empty());
    }

    /// Constructed from documentation, not captured: names and labels of SGLang's "Production Metrics" page.
    #[test]
    fn sglang_as_documented() {
        let text = [
            ("prompt_tokens_total", "8.128902e+06"),
            ("generation_tokens_total", "7.557572e+06"),
            ("cached_tokens_total", "61000"),
            ("token_usage", "0.28"),
            ("num_running_reqs", "162.0"),
            ("num_queue_reqs", "2826.0"),
            ("time_to_first_token_seconds_sum", "2.5e+06"),
            ("time_to_first_token_seconds_count", "11008.0"),
            ("time_per_output_token_seconds_sum", "866964.5"),
            ("time_per_output_token_seconds_count", "7.400757e+06"),
        ]
        .map(|(name, value)| format!("sglang:{name}{{model_name=\"meta-llama/Llama-3.1-8B-Instruct\"}} {value}\n"))
        .concat();
        let totals = |sum_seconds, count| Some(HistogramTotals { sum_seconds, count });
        let expected = ServerSample {
            t_ns: Offset(7),
            rtt_ns: 9,
            engine: Engine::Sglang,
            running: Some(162.0),
            waiting: Some(2826.0),
            kv_usage: Some(0.28),
            counters: ServerCounters {
                prompt_tokens: Some(8_128_902.0),
                output_tokens: Some(7_557_572.0),
                prefix_queries: Some(8_128_902.0),
                prefix_hits: Some(61_000.0),
                ttft: totals(2_500_000.0, 11_008.0),
                inter_token: totals(866_964.5, 7_400_757.0),
                ..ServerCounters::default()
            },
            detail: ServerDetail::default(),
        };
        assert_eq!(read(&text), Some(expected));
    }

    #[test]
    fn engines_are_summed_and_shares_averaged() {
        let sample = read(concat!(
            "vllm:num_requests_running{engine=\"0\"} 3\nvllm:num_requests_running{engine=\"1\"} 5\n",
            "vllm:kv_cache_usage_perc{engine=\"0\"} 0.75\nvllm:kv_cache_usage_perc{engine=\"1\"} 0.25\n",
            "vllm:request_success_total{engine=\"0\",finished_reason=\"stop\"} 4\n",
            "vllm:request_success_total{engine=\"1\",finished_reason=\"length\"} 2\n",
            "vllm:request_success_total{engine=\"1\",finished_reason=\"abort\"} 8\n",
            "vllm:request_success_total{engine=\"1\",finished_reason=\"error\"} 16\n",
        ))
        .unwrap();
        assert_eq!(sample.running, Some(8.0));
        assert_eq!(sample.kv_usage, Some(0.5));
        assert_eq!(sample.counters.requests_succeeded, Some(6.0));
        let second = EngineGauges { engine: "1".to_owned(), running: Some(5.0), waiting: None, kv_usage: Some(0.25) };
        assert_eq!(sample.detail.engines.len(), 2);
        assert_eq!(sample.detail.engines[1], second);
    }

    /// Names and labels of vLLM's newer versions (pull requests 38435 and 42206).
    #[test]
    fn reasons_to_wait_and_the_size_of_the_cache_where_given() {
        let sample = read(concat!(
            "vllm:num_requests_waiting_by_reason{engine=\"0\",model_name=\"m\",reason=\"capacity\"} 3\n",
            "vllm:num_requests_waiting_by_reason{engine=\"1\",model_name=\"m\",reason=\"capacity\"} 2\n",
            "vllm:num_requests_waiting_by_reason{engine=\"0\",model_name=\"m\",reason=\"deferred\"} 1\n",
            "vllm:cache_config_info{block_size=\"16\",kv_cache_size_tokens=\"28064\",num_gpu_blocks=\"10526\"} 1\n",
        ))
        .unwrap();
        let reasons = [("capacity".to_owned(), 5.0), ("deferred".to_owned(), 1.0)];
        assert_eq!(sample.detail.waiting_by_reason, reasons.into());
        assert_eq!(sample.detail.kv_cache_size_tokens, Some(28_064));
    }

    /// Names as in vLLM's `v1/spec_decode/metrics.py`, which only a server with a drafter exports.
    #[test]
    fn drafts_are_counted() {
        let sample = read(concat!(
            "vllm:spec_decode_num_drafts_total{engine=\"0\",model_name=\"m\"} 100\n",
            "vllm:spec_decode_num_draft_tokens_total{engine=\"0\",model_name=\"m\"} 300\n",
            "vllm:spec_decode_num_accepted_tokens_total{engine=\"0\",model_name=\"m\"} 180\n",
            "vllm:spec_decode_num_accepted_tokens_per_pos_total{engine=\"0\",position=\"0\"} 90\n",
            "vllm:time_per_output_token_seconds_sum 2\nvllm:time_per_output_token_seconds_count 40\n",
        ))
        .unwrap();
        let counters = sample.counters;
        assert_eq!(counters.drafts, Some(100.0));
        assert_eq!(counters.draft_tokens, Some(300.0));
        assert_eq!(counters.accepted_tokens, Some(180.0));
        let older_name = HistogramTotals { sum_seconds: 2.0, count: 40.0 };
        assert_eq!(counters.inter_token, Some(older_name));
    }

    #[test]
    fn older_names_are_read_only_where_the_newer_are_absent() {
        let old = "vllm:gpu_cache_usage_perc 0.5\nvllm:gpu_prefix_cache_queries_total 10\nvllm:gpu_prefix_cache_hits_total 4\n";
        let sample = read(old).unwrap();
        assert_eq!(sample.kv_usage, Some(0.5));
        assert_eq!(sample.counters.prefix_queries, Some(10.0));
        assert_eq!(sample.counters.prefix_hits, Some(4.0));

        // 0.9 and 0.10 give both: they are one quantity, not two.
        let both = format!("{old}vllm:kv_cache_usage_perc 0.25\nvllm:prefix_cache_queries_total 11\n");
        let sample = read(&both).unwrap();
        assert_eq!(sample.kv_usage, Some(0.25));
        assert_eq!(sample.counters.prefix_queries, Some(11.0));
    }

    #[test]
    fn absent_is_not_zero_and_not_finite_is_absent() {
        let sample = read(concat!(
            "vllm:num_requests_running{engine=\"0\"} NaN\nvllm:num_requests_running{engine=\"1\"} 5\n",
            "vllm:prompt_tokens_total +Inf\nvllm:time_to_first_token_seconds_sum 3\n",
        ))
        .unwrap();
        assert_eq!((sample.running, sample.waiting), (None, None));
        assert_eq!(sample.counters, ServerCounters::default());
    }

    #[test]
    fn foreign_names_are_no_engine() {
        assert_eq!(read("triton:queue_size 1\nprocess_open_fds 3\n"), None);
        assert_eq!(read(""), None);
    }
}
