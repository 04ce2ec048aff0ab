//! Two runs side by side: verdicts on differences that are known by construction.

use analysis::{CompareError, CompareOptions, Verdict, compare};
use records::RunData;

use crate::build::{MS, one_level, request};

const OPTIONS: CompareOptions = CompareOptions { confidence: 0.95, threshold: 0.05, anyway: false };

/// Two hundred requests one after the other whose TTFT scatters by ±10 % around `ttft_us`, by a fixed sequence that
/// starts elsewhere with every `seed`.
fn run(ttft_us: u64, seed: u64) -> RunData {
    let mut state = seed;
    let mut sent = 0;
    let requests = (0..200).map(|_| {
        // Knuth's linear congruential generator (MMIX); its upper bits are as good as random.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let per_mille = 900 + (state >> 33) % 201;
        let ttft = ttft_us * per_mille;
        let record = request(sent, ttft, ttft + 900 * MS, 10);
        sent += ttft + 900 * MS;
        record
    });
    let requests: Vec<_> = requests.collect();
    one_level(requests, (0, sent))
}

#[test]
fn a_slower_run_is_worse_and_a_faster_one_better() {
    let (usual, slow) = (run(100_000, 1), run(120_000, 2));
    let worse = compare(&usual, &slow, OPTIONS).unwrap();
    assert_eq!(worse.verdict, Verdict::Worse);
    let row = worse.rows.iter().find(|row| row.metric == "ttft_mean_ms").unwrap();
    assert_eq!((row.concurrency, row.verdict), (1, Verdict::Worse));
    // 20 % by construction; the scatter of 200 requests is a fraction of a percent.
    assert!((row.change - 0.2).abs() < 0.02, "{}", row.change);
    assert!(row.low.unwrap() > 0.15 && row.high.unwrap() < 0.25);
    assert!(row.p_value.unwrap() < 1e-6);
    assert_eq!(compare(&slow, &usual, OPTIONS).unwrap().verdict, Verdict::Better);
}

#[test]
fn the_same_twice_is_no_evidence_and_says_what_it_could_have_seen() {
    let comparison = compare(&run(100_000, 1), &run(100_000, 3), OPTIONS).unwrap();
    assert_eq!(comparison.verdict, Verdict::NoEvidence);
    let row = comparison.rows.iter().find(|row| row.metric == "ttft_mean_ms").unwrap();
    // Standard deviation 5.8 % of the mean, 200 requests each: (1.97 + 0.84) × 5.8 % × √(2/200) = 1.6 %.
    let detectable = row.detectable.unwrap();
    assert!((0.012..0.022).contains(&detectable), "{detectable}");
}

#[test]
fn a_sure_difference_below_the_threshold_does_not_matter() {
    let comparison = compare(&run(100_000, 1), &run(103_000, 2), OPTIONS).unwrap();
    assert_eq!(comparison.verdict, Verdict::Negligible);
    let strict = CompareOptions { threshold: 0.01, ..OPTIONS };
    let comparison = compare(&run(100_000, 1), &run(103_000, 2), strict).unwrap();
    assert_eq!(comparison.verdict, Verdict::Worse);
}

#[test]
fn runs_that_sent_different_things_are_not_compared() {
    let first = run(100_000, 1);
    let mut second = run(100_000, 2);
    second.manifest.plan.osl = 200;
    second.manifest.plan.model = "another".to_owned();
    let Err(CompareError::Differ(conditions)) = compare(&first, &second, OPTIONS) else {
        panic!("they differ");
    };
    let what: Vec<&str> = conditions.iter().map(|condition| &*condition.what).collect();
    assert_eq!(what, ["model", "osl"]);
    let anyway = CompareOptions { anyway: true, ..OPTIONS };
    assert_eq!(compare(&first, &second, anyway).unwrap().differing.len(), 2);
    // Another version of the engine is what one compares.
    let mut upgraded = run(100_000, 2);
    upgraded.manifest.engine.version = Some("2".to_owned());
    let comparison = compare(&first, &upgraded, OPTIONS).unwrap();
    assert_eq!(comparison.differing[0].what, "engine");
}

#[test]
fn prompts_of_another_length_are_another_load() {
    let first = run(100_000, 1);
    let mut second = run(100_000, 2);
    for record in &mut second.requests {
        record.prompt_tokens = Some(120);
    }
    let error = compare(&first, &second, OPTIONS).unwrap_err().to_string();
    assert!(error.contains("isl (60.0 and 120.0)") && error.contains("--anyway"), "{error}");
}

#[test]
fn levels_that_only_one_run_has_are_not_compared() {
    let mut second = run(100_000, 2);
    second.manifest.plan.levels = vec![2];
    let error = compare(&run(100_000, 1), &second, OPTIONS).unwrap_err();
    assert_eq!(error, CompareError::NothingInCommon);
}

#[test]
fn runs_that_differ_in_a_recorded_setting_are_not_compared() {
    let with_http2 = |http2: bool, seed| {
        let mut run = run(100_000, seed);
        run.manifest.settings = Some(serde_json::json!({ "connection": { "http2": http2 } }));
        run
    };
    let refused = compare(&with_http2(true, 1), &with_http2(false, 2), OPTIONS).unwrap_err();
    let CompareError::Differ(conditions) = refused else { panic!("they differ: {refused}") };
    assert_eq!(conditions.iter().map(|c| c.what.as_str()).collect::<Vec<_>>(), ["http2"]);
    assert!(compare(&with_http2(true, 1), &with_http2(true, 2), OPTIONS).is_ok());
    // A run from before the manifest contained settings differs in nothing that is not known.
    assert!(compare(&run(100_000, 1), &with_http2(false, 2), OPTIONS).is_ok());
}
