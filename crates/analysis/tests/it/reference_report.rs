//! The reference report's own table, replayed: the truth is what it prints, and arithmetic by hand on it.
//!
//! 101 output tokens a request give the report's per-request speed at every level to its last digit (101 / 1.818 s =
//! 55.6 tok/s, 101 / 10.459 s = 9.7 tok/s).

use analysis::{FindingKind, ServerCapacity, SloStatistic, Summary, summarise};
use records::{GpuDevice, GpuLine, GpuSample, RunData};
use serde_json::Value;

use crate::build::{Level, MS, closed_loop};

const TOKENS: u64 = 101;

fn report() -> Value {
    let json = include_str!("../../../../fixtures/reference/rtx3090_gemma3_12b_bnb4.json");
    serde_json::from_str(json).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Half of the last digit that the report prints: 0.05.
#[track_caller]
fn assert_prints(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= 0.05, "ours {ours}, the report's {theirs}");
}

fn nanoseconds(ms: &Value) -> u64 {
    // Tenths of a millisecond are whole hundreds of microseconds.
    let tenths = format!("{:.0}", 10.0 * number(ms));
    tenths.parse::<u64>().unwrap() * MS / 10
}

fn replayed(rounds: u64) -> RunData {
    let level = |row: &Value| Level {
        concurrency: u32::try_from(row["concurrency"].as_u64().unwrap()).unwrap(),
        rounds,
        ttft_ns: nanoseconds(&row["ttft_ms"]),
        e2el_ns: nanoseconds(&row["latency_ms"]),
        tokens: TOKENS,
    };
    let report = report();
    let levels: Vec<Level> = report["levels"].as_array().unwrap().iter().map(level).collect();
    closed_loop(&levels)
}

fn capacity() -> ServerCapacity {
    let report = report();
    ServerCapacity {
        source: "start-up log".to_owned(),
        max_model_len: report["max_model_len"].as_u64(),
        gpu_blocks: None,
        block_size: None,
        kv_cache_bytes: None,
        kv_cache_tokens: report["kv_cache_tokens"].as_u64(),
        max_concurrency: report["max_concurrency"].as_f64(),
        slots: None,
    }
}

fn summary() -> Summary {
    summarise(&replayed(1), Some(capacity()), None)
}

fn findings(summary: &Summary) -> Vec<&FindingKind> {
    summary.findings.iter().map(|finding| &finding.what).collect()
}

#[test]
fn every_row_of_the_table_comes_back() {
    let summary = summary();
    let report = report();
    assert_eq!(summary.levels.len(), 8);
    for (level, row) in summary.levels.iter().zip(report["levels"].as_array().unwrap()) {
        assert_eq!(u64::from(level.concurrency), row["concurrency"].as_u64().unwrap());
        assert!(level.complete && level.invalid.is_empty());
        assert_prints(100.0 * level.success_rate.unwrap().value, number(&row["success_percent"]));
        assert_prints(level.ttft_ms.unwrap().mean.value, number(&row["ttft_ms"]));
        assert_prints(level.e2el_ms.unwrap().mean.value, number(&row["latency_ms"]));
        let per_request = level.per_request_tok_s.unwrap().mean.value;
        assert_prints(per_request, number(&row["per_request_tok_s"]));
        // A closed loop keeps its concurrency, so the aggregate is that many times one request's speed.
        let concurrency = f64::from(level.concurrency);
        assert!((level.in_flight_mean - concurrency).abs() < 1e-9);
        let aggregate = level.output_tok_s.unwrap();
        assert!((aggregate - concurrency * per_request).abs() < 1e-6, "{aggregate}");
        assert!((level.requests_per_s - aggregate / 101.0).abs() < 1e-9);
    }
}

#[test]
fn the_limits_are_the_reports() {
    let limits = summary().limits;
    let report = report();
    assert_eq!(limits.largest_stable, Some(64));
    assert_eq!(limits.largest_tested, Some(64));
    assert_prints(limits.ttft_growth.unwrap(), number(&report["limits"]["ttft_growth"]));
    assert_prints(limits.e2el_growth.unwrap(), number(&report["limits"]["latency_growth"]));
    let single = limits.peak_per_request.unwrap();
    assert_eq!(single.concurrency, 1);
    assert_prints(single.tok_s, 55.6);
}

#[test]
fn the_whole_server_gives_most_at_64_not_at_1() {
    let summary = summary();
    let peak = summary.limits.peak_output.unwrap();
    assert_eq!(peak.concurrency, 64);
    // 64 × 9.7 = 620.8, where 9.7 is rounded to 0.05.
    assert!((peak.tok_s - 620.8).abs() <= 64.0 * 0.05, "{}", peak.tok_s);
    // 620.8 / 55.6 = 11.17; with the rounding of both between 11.10 and 11.24.
    let growth = summary.limits.output_growth.unwrap();
    assert!((11.10..11.24).contains(&growth), "{growth}");
    let versus = findings(&summary).into_iter().find_map(|what| match what {
        FindingKind::AggregateVersusPerRequest { aggregate_at, per_request_at, aggregate_there_tok_s, .. } => {
            Some((*aggregate_at, *per_request_at, *aggregate_there_tok_s))
        }
        _ => None,
    });
    let (aggregate_at, per_request_at, there) = versus.unwrap();
    assert_eq!((aggregate_at, per_request_at), (64, 1));
    assert_prints(there, 55.6);
}

#[test]
fn the_only_cliff_is_from_1_to_2() {
    let summary = summary();
    let cliffs: Vec<(u32, u32, f64, f64)> = findings(&summary)
        .into_iter()
        .filter_map(|what| match what {
            FindingKind::ThroughputCliff { from, to, from_tok_s, to_tok_s } => {
                Some((*from, *to, *from_tok_s, *to_tok_s))
            }
            _ => None,
        })
        .collect();
    let [(1, 2, from, to)] = cliffs[..] else {
        panic!("{cliffs:?}");
    };
    assert_prints(from, 55.6);
    // 2 × 14.2, twice the rounding.
    assert!((to - 28.4).abs() <= 0.1, "{to}");
}

#[test]
fn throughput_still_grew_at_64() {
    let summary = summary();
    assert_eq!(summary.limits.saturation, None);
    let growing = findings(&summary).into_iter().find_map(|what| match what {
        FindingKind::StillGrowing { concurrency, growth_percent } => Some((*concurrency, *growth_percent)),
        _ => None,
    });
    let (concurrency, percent) = growing.unwrap();
    assert_eq!(concurrency, 64);
    // (64 × 9.7) / (48 × 10.2) = 1.268; with the rounding of both between 1.255 and 1.281.
    assert!((25.5..28.1).contains(&percent), "{percent}");
}

#[test]
fn the_sla_table_is_the_reports() {
    // One round of requests: too few for percentiles. 72 rounds: enough at every level.
    for (rounds, statistic) in [(1, SloStatistic::Mean), (72, SloStatistic::P95)] {
        let summary = summarise(&replayed(rounds), None, None);
        let report = report();
        let rows = report["slo"].as_array().unwrap();
        assert_eq!(summary.slo.len(), rows.len());
        for (ours, theirs) in summary.slo.iter().zip(rows) {
            assert!((ours.e2el_below_ms - 1e3 * number(&theirs["latency_below_s"])).abs() < 1e-9);
            assert_eq!(ours.statistic, statistic);
            assert_eq!(ours.concurrency.map(u64::from), theirs["concurrency"].as_u64());
            assert_prints(ours.e2el_ms.unwrap() / 1e3, number(&theirs["latency_s"]));
            // The report tested nothing beyond 64.
            assert_eq!(ours.bounded, ours.concurrency != Some(64));
        }
    }
}

#[test]
fn the_printed_concurrency_was_exceeded_by_shorter_requests() {
    let summary = summary();
    let beyond = findings(&summary).into_iter().find_map(|what| match what {
        FindingKind::BeyondPrintedConcurrency { concurrency, printed, assumed_tokens, actual_tokens } => {
            Some((*concurrency, *printed, *assumed_tokens, *actual_tokens))
        }
        _ => None,
    });
    // 60 prompt tokens and 101 output tokens.
    assert_eq!(beyond, Some((64, 8.62, 4096, 161.0)));
}

#[test]
fn one_request_a_slot_is_too_few_for_percentiles() {
    let summary = summary();
    let few = findings(&summary).into_iter().find_map(|what| match what {
        FindingKind::FewSamples { concurrencies, n } => Some((concurrencies.clone(), *n)),
        _ => None,
    });
    // p95 needs 72 requests; the largest level has 64.
    assert_eq!(few, Some((vec![1, 2, 4, 8, 16, 32, 48, 64], 1)));
    let of_64 = summary.levels[7].e2el_ms.unwrap();
    assert!(of_64.p90.is_some() && of_64.p95.is_none() && of_64.p99.is_none());
}

#[test]
fn memory_is_the_samples_in_the_window() {
    let mut run = replayed(1);
    let memory = report()["levels"][0]["memory_mb"].as_u64().unwrap() * 1_000_000;
    let window = run.phases[1].clone();
    let uuid = "GPU-0".to_owned();
    run.gpu.push(GpuLine::Device(GpuDevice {
        uuid: uuid.clone(),
        name: "NVIDIA GeForce RTX 3090".to_owned(),
        ..GpuDevice::default()
    }));
    for (t_ns, used) in [(window.start_ns, memory), (window.end_ns, memory + 1)] {
        run.gpu.push(GpuLine::Sample(GpuSample {
            t_ns,
            uuid: uuid.clone(),
            memory_used_bytes: Some(used),
            ..GpuSample::default()
        }));
    }
    let summary = summarise(&run, None, None);
    assert_eq!(summary.run.gpus, ["NVIDIA GeForce RTX 3090"]);
    let gpu = summary.levels[0].gpu.unwrap();
    assert_eq!((gpu.gpus, gpu.samples, gpu.memory_used_bytes_max), (1, 1, Some(memory)));
    assert_eq!(summary.levels[1].gpu, None);
}

#[test]
fn one_request_at_a_time_is_another_regime() {
    let summary = summary();
    let regime = findings(&summary).into_iter().find_map(|what| match what {
        FindingKind::RegimeChange { before, from, measured_tok_s, law_tok_s } => {
            Some((before.clone(), *from, *measured_tok_s, *law_tok_s))
        }
        _ => None,
    });
    let (before, from, measured, law) = regime.unwrap();
    assert_eq!((before, from), (vec![1], 2));
    assert_prints(measured, 55.6);
    // From 2 on the table gives 14 tok/s for each request: so would the law give a single one.
    assert!((13.5..15.0).contains(&law), "{law}");
    let scaling = summary.scaling.unwrap();
    assert_eq!((scaling.from, scaling.levels_before), (2, 1));
}
