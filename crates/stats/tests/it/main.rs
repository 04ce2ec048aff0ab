//! `stats` against numpy and scipy (`fixtures/stats/*.json`), and the laws that no table of values covers.

mod dependent;

use proptest::prelude::*;
use serde_json::Value;
use stats::{
    Confidence, Quantile, Sample, SampleError, Span, mean_interval, occupancy, order_statistic_ranks, quantile,
    quantile_interval, select_quantiles, wilson,
};

pub(crate) fn cases(json: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(json).expect("the generator writes JSON");
    document["cases"].as_array().expect("a list of cases").clone()
}

pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[track_caller]
pub(crate) fn assert_close(ours: f64, theirs: f64, what: &str) {
    let tolerance = 1e-12 * theirs.abs().max(1.0);
    assert!((ours - theirs).abs() <= tolerance, "{what}: ours {ours:e}, theirs {theirs:e}");
}

#[test]
fn moments_and_quantiles_equal_numpy() {
    for case in cases(include_str!("../../../../fixtures/stats/samples.json")) {
        let name = case["name"].as_str().unwrap();
        let values = case["values"].as_array().unwrap();
        let sample = Sample::new(values.iter().map(number).collect()).unwrap();
        assert_close(sample.mean(), number(&case["mean"]), name);
        match sample.variance() {
            Some(variance) => assert_close(variance, number(&case["variance"]), name),
            None => assert!(case["variance"].is_null()),
        }
        for expected in case["quantiles"].as_array().unwrap() {
            let q = Quantile::new(number(&expected["q"])).unwrap();
            assert_close(quantile(&sample, q), number(&expected["value"]), name);
        }
        let mut unsorted: Vec<f64> = values.iter().map(number).collect();
        let expected = case["quantiles"].as_array().unwrap().iter();
        let mut expected: Vec<(f64, f64)> =
            expected.map(|expected| (number(&expected["q"]), number(&expected["value"]))).collect();
        expected.sort_by(|a, b| a.0.total_cmp(&b.0));
        let qs: Vec<Quantile> = expected.iter().map(|(q, _)| Quantile::new(*q).unwrap()).collect();
        let selected = select_quantiles(&mut unsorted, &qs);
        assert_eq!(selected.len(), expected.len());
        for (ours, (_, theirs)) in selected.iter().zip(&expected) {
            assert_close(*ours, *theirs, name);
        }
        if let Some(ends) = case["mean_95"].as_array() {
            let interval = mean_interval(&sample, Confidence::P95).unwrap();
            assert_close(interval.low, number(&ends[0]), name);
            assert_close(interval.high, number(&ends[1]), name);
        }
    }
}

#[test]
fn order_statistic_ranks_equal_scipy() {
    for case in cases(include_str!("../../../../fixtures/stats/ranks.json")) {
        let q = Quantile::new(number(&case["q"])).unwrap();
        let ours = order_statistic_ranks(case["n"].as_u64().unwrap(), q, Confidence::P95);
        let theirs = case["ranks"].as_array().map(|ranks| (ranks[0].as_u64().unwrap(), ranks[1].as_u64().unwrap()));
        assert_eq!(ours, theirs, "{case}");
    }
}

#[test]
fn wilson_equals_scipy() {
    for case in cases(include_str!("../../../../fixtures/stats/wilson.json")) {
        let (successes, trials) = (case["successes"].as_u64().unwrap(), case["trials"].as_u64().unwrap());
        let confidence = Confidence::new(number(&case["confidence"])).unwrap();
        let interval = wilson(successes, trials, confidence).unwrap();
        assert_close(interval.low, number(&case["low"]), &case.to_string());
        assert_close(interval.high, number(&case["high"]), &case.to_string());
    }
    assert_eq!(wilson(0, 0, Confidence::P95), None);
}

#[test]
fn student_interval_equals_scipy_from_two_to_a_hundred_thousand_observations() {
    for case in cases(include_str!("../../../../fixtures/stats/student.json")) {
        let n = usize::try_from(case["n"].as_u64().unwrap()).unwrap();
        let values = (0..n).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let sample = Sample::new(values).unwrap();
        let confidence = Confidence::new(number(&case["confidence"])).unwrap();
        let interval = mean_interval(&sample, confidence).unwrap();
        assert_close(interval.high, number(&case["half"]), &case.to_string());
        assert_close(interval.low, -number(&case["half"]), &case.to_string());
    }
}

#[test]
fn a_sample_holds_finite_numbers_only() {
    assert_eq!(Sample::new(Vec::new()), Err(SampleError::Empty));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e141, -f64::MAX] {
        match Sample::new(vec![1.0, bad]) {
            Err(SampleError::NotFinite { index: 1, .. }) => {}
            other => panic!("{bad}: {other:?}"),
        }
    }
    let message = SampleError::Empty.to_string();
    assert!(message.contains("hint:"), "{message}");
}

#[test]
fn levels_and_shares_outside_their_range_are_refused() {
    for bad in [-0.1, 1.1, f64::NAN] {
        assert_eq!(Quantile::new(bad), None);
        assert_eq!(Confidence::new(bad), None);
    }
    assert_eq!(Confidence::new(0.0), None);
    assert_eq!(Confidence::new(1.0), None);
}

#[test]
fn no_sample_supports_the_ends_of_the_distribution() {
    for q in [0.0, 1.0] {
        let q = Quantile::new(q).unwrap();
        assert_eq!(order_statistic_ranks(1000, q, Confidence::P95), None);
    }
    assert_eq!(order_statistic_ranks(0, Quantile::P50, Confidence::P95), None);
}

#[test]
fn spans_that_touch_do_not_overlap() {
    let window = Span::new(100, 200).unwrap();
    let spans = [(0, 150), (150, 300), (100, 200), (0, 100), (200, 250)];
    let in_flight = occupancy(spans.iter().filter_map(|&(a, b)| Span::new(a, b)), window);
    assert_eq!((in_flight.mean, in_flight.peak), (2.0, 2));
    assert_eq!(occupancy([], window).peak, 0);
    assert_eq!(Span::new(5, 5), None);
}

fn numbers() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(prop_oneof![-1e140..1e140, -10.0..10.0, Just(0.0)], 1..200)
}

proptest! {
    #[test]
    fn moments_stay_finite_and_ordered(values in numbers()) {
        let sample = Sample::new(values).unwrap();
        prop_assert!(sample.min() <= sample.mean() && sample.mean() <= sample.max());
        if let Some(interval) = mean_interval(&sample, Confidence::P95) {
            prop_assert!(sample.variance().unwrap().is_finite());
            prop_assert!(interval.low <= sample.mean() && sample.mean() <= interval.high);
            prop_assert!(interval.low.is_finite() && interval.high.is_finite());
        }
    }

    #[test]
    fn quantiles_grow_with_q_and_lie_in_their_interval(
        values in prop::collection::vec(-1e6..1e6, 1..500),
        q in 0.0..=1.0_f64,
        step in 0.0..0.5_f64,
        level in 0.01..0.999_f64,
    ) {
        let sample = Sample::new(values).unwrap();
        let lower = Quantile::new(q).unwrap();
        let upper = Quantile::new((q + step).min(1.0)).unwrap();
        prop_assert!(quantile(&sample, lower) <= quantile(&sample, upper));
        let confidence = Confidence::new(level).unwrap();
        if let Some(interval) = quantile_interval(&sample, lower, confidence) {
            prop_assert!(interval.low <= interval.high);
            if level >= 0.5 {
                let value = quantile(&sample, lower);
                prop_assert!(interval.low <= value && value <= interval.high);
            }
        }
    }

    #[test]
    fn mean_occupancy_is_the_sum_of_what_each_span_shares_with_the_window(
        ends in prop::collection::vec((0_u64..1000, 0_u64..1000), 0..50),
        start in 0_u64..900,
        length in 1_u64..100,
    ) {
        let window = Span::new(start, start + length).unwrap();
        let spans: Vec<Span> = ends.iter().filter_map(|&(a, b)| Span::new(a, b)).collect();
        let shared: u64 = spans
            .iter()
            .map(|s| s.end().min(start + length).saturating_sub(s.start().max(start)))
            .sum();
        let open_at = |tick: u64| spans.iter().filter(|s| s.start() <= tick && tick < s.end()).count() as u64;
        let found = occupancy(spans.iter().copied(), window);
        prop_assert!((found.mean * length as f64 - shared as f64).abs() < 1e-9);
        prop_assert_eq!(Some(found.peak), (start..start + length).map(open_at).max());
    }
}
