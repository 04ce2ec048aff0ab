//! Speed: the reference report's cliff, calibration on levels of a known law, refusals.

use serde::Deserialize;
use sizing::catalogue;
use sizing::performance::{EngineFamily, Load, Observation, Performance, Refusal, System};
use sizing::weights::WeightFormat;

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
                load: Load {
                    concurrency: level.concurrency,
                    isl: 100.0,
                    osl,
                },
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
        let load = Load {
            concurrency,
            isl: 100.0,
            osl: 100.0,
        };
        model.predict(load).unwrap().tpot_s
    };
    let (one, two) = (at(&old, 1.0), at(&old, 2.0));
    assert!(
        (3.0..5.5).contains(&(two.likely / one.likely)),
        "{one:?} {two:?}"
    );
    for (interval, measured) in [(one, tpot(0)), (two, tpot(1))] {
        assert!(
            interval.low < measured && measured < interval.high,
            "{interval:?} {measured}"
        );
    }
    let new = old.with_bitsandbytes((0, 50));
    assert!(at(&new, 2.0).likely < 1.1 * at(&new, 1.0).likely);
}

/// Where the format hides the kernel, level 1 is another regime than 2 to 64: no law of the model joins them.
#[test]
fn a_level_that_no_law_explains_is_refused_with_the_reason() {
    let model = Performance::calibrated(&gemma(WeightFormat::Awq), &reference()).unwrap();
    let load = |concurrency| Load {
        concurrency,
        isl: 100.0,
        osl: 100.0,
    };
    let refused = model.predict(load(1.0)).unwrap_err();
    assert!(
        matches!(&refused, Refusal::OtherRegime { reason } if reason.starts_with("1 at once")),
        "{refused}"
    );
    let measured = reference()[3].tpot_s.unwrap();
    let seen = model.predict(load(8.0)).unwrap().tpot_s;
    assert!((seen.likely / measured - 1.0).abs() < 0.1, "{seen:?}");
}

#[test]
fn one_level_is_too_few_and_no_load_is_none() {
    let system = gemma(WeightFormat::Bnb4);
    let few = Performance::calibrated(&system, &reference()[..1]).unwrap_err();
    assert_eq!(few, Refusal::TooFew { observations: 1 });
    let none = Load {
        concurrency: 0.0,
        isl: 100.0,
        osl: 100.0,
    };
    let model = Performance::of(&system).unwrap();
    assert_eq!(model.predict(none), Err(Refusal::NoLoad));
}
