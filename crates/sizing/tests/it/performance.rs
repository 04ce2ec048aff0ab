//! Speed: the reference report's cliff, calibration on levels of a known law, refusals.

use serde::Deserialize;
use sizing::performance::{EngineFamily, Load, Observation, Performance, Refusal, System};
use sizing::weights::WeightFormat;
use sizing::{Bytes, catalogue};

#[derive(Deserialize)]
struct Reference {
    levels: Vec<Level>,
}

#[derive(Deserialize)]
struct Level {
    concurrency: f64,
    ttft_ms: f64,
    latency_ms: f64,
    per_request_tok_s: f64,
}

/// The reference report's rows: about 100 output tokens a request (tokens per second of a request × its latency).
fn reference() -> Vec<Observation> {
    let file = include_str!("../../../../fixtures/reference/rtx3090_gemma3_12b_bnb4.json");
    let reference: Reference = serde_json::from_str(file).unwrap();
    let levels = reference.levels.iter();
    levels
        .map(|level| {
            let osl = level.per_request_tok_s * level.latency_ms / 1e3;
            Observation {
                load: Load { concurrency: level.concurrency, isl: 100.0, osl },
                ttft_s: Some(level.ttft_ms / 1e3),
                tpot_s: Some((level.latency_ms - level.ttft_ms) / 1e3 / (osl - 1.0)),
                output_tokens_per_second: None,
            }
        })
        .collect()
}

fn gemma(weights: WeightFormat) -> System<'static> {
    System {
        model: catalogue::model("google/gemma-3-12b-it").unwrap(),
        gpu: Some(catalogue::gpu("RTX 3090").unwrap()),
        tensor_parallel: 1,
        weights,
        kv_element_bytes: 2,
        engine: EngineFamily::Vllm,
        kv_cache: None,
        max_num_seqs: None,
    }
}

/// bitsandbytes writes the matrix out from two rows on: a request alone is served about four times as fast as with another.
/// Measured: 17.5 against 70 ms for a token.
#[test]
fn the_cliff_of_the_reference_follows_from_the_kernel() {
    let levels = reference();
    let tpot = |level: usize| levels[level].tpot_s.unwrap();
    let ratio = tpot(1) / tpot(0);
    assert!((3.9..4.2).contains(&ratio), "{ratio}");
    let old = Performance::of(&gemma(WeightFormat::Bnb4)).unwrap();
    let at = |model: &Performance, concurrency: f64| {
        let load = Load { concurrency, isl: 100.0, osl: 100.0 };
        model.predict(load).unwrap().tpot_s
    };
    let (one, two) = (at(&old, 1.0), at(&old, 2.0));
    assert!((3.0..5.5).contains(&(two.likely / one.likely)), "{one:?} {two:?}");
    for (interval, measured) in [(one, tpot(0)), (two, tpot(1))] {
        assert!(interval.low < measured && measured < interval.high, "{interval:?} {measured}");
    }
    let new = old.with_bitsandbytes((0, 50));
    assert!(at(&new, 2.0).likely < 1.1 * at(&new, 1.0).likely);
}

/// Where the format hides the kernel, level 1 is another regime than 2 to 64: no law of the model joins them.
#[test]
fn a_level_that_no_law_explains_is_refused_with_the_reason() {
    let model = Performance::calibrated(&gemma(WeightFormat::Awq), &reference()).unwrap();
    let load = |concurrency| Load { concurrency, isl: 100.0, osl: 100.0 };
    let refused = model.predict(load(1.0)).unwrap_err();
    assert!(matches!(&refused, Refusal::OtherRegime { reason } if reason.starts_with("1 at once")), "{refused}");
    let measured = reference()[3].tpot_s.unwrap();
    let seen = model.predict(load(8.0)).unwrap().tpot_s;
    assert!((seen.likely / measured - 1.0).abs() < 0.1, "{seen:?}");
}

#[test]
fn one_level_is_too_few_and_no_load_is_none() {
    let system = gemma(WeightFormat::Bnb4);
    let few = Performance::calibrated(&system, &reference()[..1]).unwrap_err();
    assert_eq!(few, Refusal::TooFew { observations: 1 });
    let none = Load { concurrency: 0.0, isl: 100.0, osl: 100.0 };
    let model = Performance::of(&system).unwrap();
    assert_eq!(model.predict(none), Err(Refusal::NoLoad));
}

/// Closed forms: Llama 3.1 8B in bf16 moves 2 B for each of 7.5e9 parameters and 131,072 B of KV cache a token; at 3,350 GB/s.
/// Of Mixtral's 8 experts, 2 a token, one token touches a quarter and two `1 − (3/4)²`; 33.8e9 of its parameters are routed.
#[test]
fn the_floor_is_what_bandwidth_and_arithmetic_allow() {
    let system = |model, weights| System {
        model: catalogue::model(model).unwrap(),
        gpu: Some(catalogue::gpu("H100 80GB").unwrap()),
        weights,
        ..gemma(WeightFormat::Bits16)
    };
    let load = |concurrency| Load { concurrency, isl: 1000.0, osl: 1000.0 };
    let dense = Performance::of(&system("Llama-3.1-8B-Instruct", WeightFormat::Bits16)).unwrap();
    let expected = (15.0e9 + 4.0 * 131_072.0 * 1500.0) / 3.35e12;
    assert!((dense.roofline_s(load(4.0)) / expected - 1.0).abs() < 0.01);

    let mixture = Performance::of(&system("Mixtral-8x7B-v0.1", WeightFormat::Bits16)).unwrap();
    let routed = (46.57e9 - 12.75e9) / 0.75;
    let bytes =
        |touched: f64, requests: f64| 2.0 * (46.57e9 - routed + routed * touched) + requests * 131_072.0 * 1500.0;
    for (requests, touched) in [(1.0, 0.25), (2.0, 1.0 - 0.75 * 0.75)] {
        let expected = bytes(touched, requests) / 3.35e12;
        let floor = mixture.roofline_s(load(requests));
        assert!((floor / expected - 1.0).abs() < 0.01, "{floor} {expected}");
    }
}

/// What was learnt stays when a system is said of itself, and an interval from two levels is narrower than from none.
#[test]
fn carrying_over_to_the_same_system_changes_nothing() {
    let system = gemma(WeightFormat::Bnb4);
    let levels = reference();
    let before = Performance::of(&system).unwrap();
    let known = Performance::calibrated(&system, &[levels[1], levels[5]]).unwrap();
    let carried = known.transferred(&system).unwrap();
    for level in &levels {
        let (one, other) = (known.predict(level.load).unwrap(), carried.predict(level.load).unwrap());
        assert!((one.tpot_s.likely / other.tpot_s.likely - 1.0).abs() < 1e-9);
        let blind = before.predict(level.load).unwrap();
        assert!(one.tpot_s.high / one.tpot_s.low < blind.tpot_s.high / blind.tpot_s.low);
    }
}

/// The reference's levels from two of them, on both sides of the cliff: levels 2 and 32 say what 1 and 48 take.
#[test]
fn two_levels_of_the_reference_tell_the_others() {
    let levels = reference();
    let system = gemma(WeightFormat::Bnb4);
    let model = Performance::calibrated(&system, &[levels[1], levels[5]]).unwrap();
    for level in &levels {
        let said = model.predict(level.load).unwrap().tpot_s.likely;
        let error = (said / level.tpot_s.unwrap() - 1.0).abs();
        assert!(error < 0.12, "{:?}: {error}", level.load);
    }
}

/// A closed loop at or below its seats has no queue, and beyond them one that follows from Little's law: throughput stays
/// that of the full server, and a request waits `c / seats − 1` cycles for its seat.
#[test]
fn seats_are_a_hard_limit() {
    let (isl, osl) = (1000.0, 500.0);
    let at = |max_num_seqs, concurrency| {
        let system = System { max_num_seqs, kv_cache: Some(Bytes::from_gib(400.0)), ..gemma(WeightFormat::Bits16) };
        let model = Performance::of(&system).unwrap();
        model.likely(Load { concurrency, isl, osl }).unwrap()
    };
    for concurrency in [1.0, 17.0, 63.0, 64.0] {
        assert_eq!(at(Some(64), concurrency), at(None, concurrency), "{concurrency}");
    }
    let full = at(Some(64), 64.0);
    let cycle = full.ttft_s.likely + (osl - 1.0) * full.tpot_s.likely;
    for concurrency in [65.0, 96.0, 640.0] {
        let over = at(Some(64), concurrency);
        let rate = over.output_tokens_per_second.likely;
        assert!((rate / full.output_tokens_per_second.likely - 1.0).abs() < 1e-9, "{concurrency}");
        let waited = over.ttft_s.likely - full.ttft_s.likely;
        assert!((waited / ((concurrency / 64.0 - 1.0) * cycle) - 1.0).abs() < 1e-9, "{concurrency}: {waited}");
        let in_flight = rate / osl * (over.ttft_s.likely + (osl - 1.0) * over.tpot_s.likely);
        assert!((in_flight / concurrency - 1.0).abs() < 1e-9, "{concurrency}: {in_flight}");
    }
}
