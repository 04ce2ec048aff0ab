//! What `stats` says of dependent observations, of scaling and of two samples, against numpy and scipy
//! (`fixtures/stats/*.json`, made by `fixtures/stats/generate.py`), and the laws that no table of values covers.

use std::num::{NonZeroU32, NonZeroUsize};

use proptest::prelude::*;
use serde_json::Value;
use stats::{
    BatchMeans, Bootstrap, Confidence, Crossing, Histogram, MeanWithError, Quantile, Sample, ScalabilityLaw, bootstrap,
    crossing, difference, draw_quantiles, effective_quantile_interval, holm, mser5, non_decreasing, quantile,
};

use crate::{assert_close, cases, number};

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

fn size(value: &Value) -> NonZeroUsize {
    let size = usize::try_from(value.as_u64().expect("a size")).expect("a small size");
    NonZeroUsize::new(size).expect("not 0")
}

#[test]
fn fractional_order_statistics_equal_scipys_beta() {
    let all = cases(include_str!("../../../../fixtures/stats/effective_quantile.json"));
    let (values, cases) = all.split_last().expect("the values come last");
    let sample = Sample::new(numbers(&values["values"])).unwrap();
    for case in cases {
        let q = Quantile::new(number(&case["q"])).unwrap();
        let confidence = Confidence::new(number(&case["confidence"])).unwrap();
        let ours = effective_quantile_interval(&sample, q, number(&case["effective"]), confidence);
        match (ours, case["ends"].as_array()) {
            (Some(ours), Some(ends)) => {
                // The end is where a rank meets the sample, a slope of some hundreds per share: 1e-12 of it remains.
                assert!((ours.low / number(&ends[0]) - 1.0).abs() < 1e-10, "{case}");
                assert!((ours.high / number(&ends[1]) - 1.0).abs() < 1e-10, "{case}");
            }
            (None, None) => {}
            other => panic!("{case}: {other:?}"),
        }
    }
}

#[test]
fn bootstrap_intervals_equal_scipys_on_its_own_resamples() {
    for case in cases(include_str!("../../../../fixtures/stats/bootstrap.json")) {
        let name = case["name"].as_str().unwrap();
        let ours = Bootstrap::new(number(&case["estimate"]), numbers(&case["replicates"]), numbers(&case["jackknife"]))
            .unwrap();
        let percentile = ours.percentile(Confidence::P95);
        let bca = ours.bca(Confidence::P95).unwrap();
        for (ours, theirs) in [
            (percentile.low, &case["percentile"][0]),
            (percentile.high, &case["percentile"][1]),
            (bca.low, &case["bca"][0]),
            (bca.high, &case["bca"][1]),
        ] {
            assert_close(ours, number(theirs), name);
        }
    }
}

#[test]
fn our_own_resamples_scatter_as_theirs_do() {
    for case in cases(include_str!("../../../../fixtures/stats/bootstrap.json")) {
        let values = numbers(&case["values"]);
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let ours = bootstrap(&values, mean, NonZeroU32::new(4000).unwrap(), 1).unwrap();
        let theirs = Bootstrap::new(number(&case["estimate"]), numbers(&case["replicates"]), Vec::new()).unwrap();
        // 999 resamples give a standard error to 2.2 % (1 standard deviation); four of them.
        let ratio = ours.standard_error().unwrap() / theirs.standard_error().unwrap();
        assert!((ratio - 1.0).abs() < 0.09, "{ratio}");
        let again = bootstrap(&values, mean, NonZeroU32::new(4000).unwrap(), 1).unwrap();
        assert_eq!(ours, again, "a function of the seed");
    }
}

#[test]
fn batch_means_equal_numpy() {
    for case in cases(include_str!("../../../../fixtures/stats/batch_means.json")) {
        let name = case["name"].as_str().unwrap();
        let ours = BatchMeans::new(&numbers(&case["values"]), size(&case["smallest"])).unwrap();
        assert_eq!(Some(ours.batches() as u64), case["batches"].as_u64(), "{name}");
        assert_close(ours.design_effect(), number(&case["design_effect"]), name);
        let interval = ours.mean_interval(Confidence::P95);
        assert_close(interval.low, number(&case["mean_95"][0]), name);
        assert_close(interval.high, number(&case["mean_95"][1]), name);
    }
}

#[test]
fn mser5_cuts_where_its_definition_does() {
    for case in cases(include_str!("../../../../fixtures/stats/mser5.json")) {
        let found = mser5(&numbers(&case["values"]), NonZeroUsize::MIN).unwrap();
        assert_eq!(Some(found.cut as u64), case["cut"].as_u64(), "{}", case["name"]);
        assert!(found.settled, "{}", case["name"]);
    }
    assert_eq!(mser5(&[1.0; 49], NonZeroUsize::MIN), None);
}

#[test]
fn monotone_regression_equals_scipy() {
    for case in cases(include_str!("../../../../fixtures/stats/isotonic.json")) {
        let fit = non_decreasing(&numbers(&case["values"]), &numbers(&case["weights"]));
        for (ours, theirs) in fit.iter().zip(numbers(&case["fit"])) {
            assert_close(*ours, theirs, "isotonic");
        }
    }
}

#[test]
fn scalability_law_equals_scipys_least_squares() {
    for case in cases(include_str!("../../../../fixtures/stats/scaling.json")) {
        let name = case["name"].as_str().unwrap();
        let levels: Vec<(f64, f64)> =
            case["levels"].as_array().unwrap().iter().map(|level| (number(&level[0]), number(&level[1]))).collect();
        let law = ScalabilityLaw::fit(&levels, Confidence::P95).unwrap();
        assert_eq!(law.levels_before, 0, "{name}");
        let intervals = law.intervals.unwrap();
        for (i, ours) in [law.lambda, law.sigma, law.kappa].into_iter().enumerate() {
            let (theirs, half) = (number(&case["parameters"][i]), number(&case["half"][i]));
            // scipy stops at a relative step of some 1e-8; the interval says how much that is.
            assert!((ours - theirs).abs() < 1e-5 * half, "{name} {i}: {ours} {theirs}");
            let ours = intervals[i].high - ours;
            assert!((ours / half - 1.0).abs() < 1e-5, "{name} {i}: {ours} {half}");
        }
    }
}

#[test]
fn the_reference_reports_drop_from_1_to_2_is_another_regime() {
    // Concurrency × per-request speed of the report's table.
    let levels = [
        (1.0, 55.6),
        (2.0, 28.4),
        (4.0, 56.0),
        (8.0, 109.6),
        (16.0, 211.2),
        (32.0, 400.0),
        (48.0, 489.6),
        (64.0, 620.8),
    ];
    let law = ScalabilityLaw::fit(&levels, Confidence::P95).unwrap();
    assert_eq!((law.levels_before, law.from), (1, 2.0));
    // Without it, a single regime is found.
    let law = ScalabilityLaw::fit(&levels[1..], Confidence::P95).unwrap();
    assert_eq!((law.levels_before, law.from), (0, 2.0));
}

#[test]
fn knee_and_peak_are_where_the_curve_says() {
    let law = |n: f64| 50.0 * n / (1.0 + 0.05 * (n - 1.0) + 0.001 * n * (n - 1.0));
    let levels: Vec<(f64, f64)> = (0..8).map(|k| (f64::from(1 << k), law(f64::from(1 << k)))).collect();
    let fitted = ScalabilityLaw::fit(&levels, Confidence::P95).unwrap();
    let best = |figure: &dyn Fn(f64) -> f64| {
        let loads = (100..10_000_u32).map(|n| f64::from(n) / 100.0);
        loads.max_by(|&a, &b| figure(a).total_cmp(&figure(b))).unwrap()
    };
    assert!((fitted.peak().unwrap() - best(&law)).abs() < 0.02);
    assert!((fitted.knee().unwrap() - best(&|n| law(n) * law(n) / n)).abs() < 0.02);
    assert_eq!(fitted.ceiling(), None);
}

#[test]
fn too_few_or_senseless_levels_have_no_law() {
    let rising = [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (4.0, 4.0), (5.0, 5.0)];
    assert!(ScalabilityLaw::fit(&rising, Confidence::P95).is_some());
    for bad in [(5.0, 0.0), (5.0, f64::NAN), (4.0, 5.0), (f64::INFINITY, 5.0)] {
        let mut levels = rising;
        levels[4] = bad;
        assert_eq!(ScalabilityLaw::fit(&levels, Confidence::P95), None, "{bad:?}");
    }
    assert_eq!(ScalabilityLaw::fit(&rising[..4], Confidence::P95), None);
}

#[test]
fn welchs_test_equals_scipy() {
    for case in cases(include_str!("../../../../fixtures/stats/welch.json")) {
        let side = |name: &str| MeanWithError {
            mean: number(&case[name]["mean"]),
            standard_error: number(&case[name]["standard_error"]),
            degrees_of_freedom: number(&case[name]["degrees_of_freedom"]),
        };
        let ours = difference(side("first"), side("second"), Confidence::P95, 0.8).unwrap();
        for (ours, theirs) in [
            (ours.p_value, "p_value"),
            (ours.interval.low, "low"),
            (ours.interval.high, "high"),
            (ours.detectable, "detectable"),
        ] {
            assert_close(ours, number(&case[theirs]), theirs);
        }
    }
}

#[test]
fn holm_follows_its_published_steps() {
    // Three tests: 3 × 0.01, then 2 × 0.03, and the last not below what came before it.
    assert_eq!(holm(&[0.04, 0.01, 0.03]), [0.06, 0.03, 0.06]);
    assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    assert_eq!(holm(&[]), [0.0; 0]);
}

#[test]
fn a_limit_outside_the_levels_is_said_to_be_so() {
    let points = [(1.0, 100.0), (2.0, 100.0), (4.0, f64::INFINITY)];
    assert_eq!(crossing(&points, 99.0), Crossing::Below);
    assert_eq!(crossing(&points, 100.0), Crossing::At(2.0));
    assert_eq!(crossing(&points[..2], 100.0), Crossing::Beyond);
    assert_eq!(crossing(&[], 1.0), Crossing::Below);
}

#[test]
fn failures_make_draws_of_a_quantile_infinite() {
    let sample = Sample::new((1..=90).map(f64::from).collect()).unwrap();
    let infinite = |failed| {
        let draws = draw_quantiles(Some(&sample), failed, Quantile::P90, 100.0, 2000, 3);
        draws.iter().flatten().filter(|x| x.is_infinite()).count()
    };
    assert_eq!(infinite(0), 0);
    // A tenth failed: the true 90th percentile is one of them about as likely as not.
    assert!((900..1400).contains(&infinite(10)), "{}", infinite(10));
    assert_eq!(infinite(90), 2000);
    assert!(draw_quantiles(None, 0, Quantile::P90, 100.0, 10, 3).is_empty());
}

#[test]
fn draws_beyond_the_sample_are_as_frequent_as_the_quantile_lies_there() {
    let sample = Sample::new((1..=50).map(f64::from).collect()).unwrap();
    let draws = draw_quantiles(Some(&sample), 0, Quantile::P95, 50.0, 20_000, 3);
    let beyond = draws.iter().filter(|draw| draw.is_none()).count() as f64 / 20_000.0;
    // scipy.stats.beta.sf(50/51, 0.95*51, 0.05*51) = 0.13535; four standard errors of 20,000 draws are 0.0097.
    assert!((beyond - 0.13535).abs() < 0.0097, "{beyond}");
}

#[test]
fn merged_histograms_hold_what_one_would() {
    let mut parts = [Histogram::default(), Histogram::default(), Histogram::default()];
    let mut whole = Histogram::default();
    let mut values = Vec::new();
    for i in 0..3000_u64 {
        let value = 1_000_000 + i * i * 1000;
        parts[usize::try_from(i % 3).unwrap()].record(value);
        whole.record(value);
        values.push(value as f64);
    }
    let [mut merged, second, third] = parts;
    merged.merge(&third);
    merged.merge(&second);
    assert_eq!(merged.n(), 3000);
    let exact = Sample::new(values).unwrap();
    for q in [Quantile::P50, Quantile::P95, Quantile::P99] {
        assert_eq!(merged.quantile(q), whole.quantile(q));
        let bin = merged.quantile(q).unwrap();
        let exact = quantile(&exact, q);
        assert!(bin.low * 0.999 <= exact && exact <= bin.high * 1.001, "{bin:?} {exact}");
    }
    assert_eq!(Histogram::default().quantile(Quantile::P50), None);
}

proptest! {
    #[test]
    fn dependence_only_takes_away(
        values in prop::collection::vec(-1e6..1e6, 2..300),
        smallest in 1_usize..20,
        level in 0.5..0.999_f64,
    ) {
        let smallest = NonZeroUsize::new(smallest).unwrap();
        if let Some(batches) = BatchMeans::new(&values, smallest) {
            let n = values.len() as f64;
            let confidence = Confidence::new(level).unwrap();
            prop_assert!(batches.effective() <= n);
            prop_assert!(batches.effective_for(confidence) <= batches.effective() * (1.0 + 1e-9));
            prop_assert!(batches.batches() * batches.size() <= values.len());
            let interval = batches.mean_interval(confidence);
            prop_assert!(interval.low <= batches.mean() && batches.mean() <= interval.high);
        }
    }

    #[test]
    fn monotone_regression_rises_and_keeps_the_weighted_mean(
        pairs in prop::collection::vec((-100.0..100.0_f64, 0.1..10.0_f64), 1..40),
    ) {
        let (values, weights): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let fit = non_decreasing(&values, &weights);
        prop_assert!(fit.windows(2).all(|pair| pair[0] <= pair[1]));
        let sum = |x: &[f64]| x.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>();
        prop_assert!((sum(&fit) - sum(&values)).abs() < 1e-6);
    }

    #[test]
    fn more_information_never_widens_a_quantiles_interval(
        values in prop::collection::vec(-1e3..1e3, 20..200),
        few in 6.0..100.0_f64,
        more in 1.0..10.0_f64,
        q in 0.1..0.9_f64,
    ) {
        let sample = Sample::new(values).unwrap();
        let q = Quantile::new(q).unwrap();
        let of = |n| effective_quantile_interval(&sample, q, n, Confidence::P95);
        if let (Some(few), Some(many)) = (of(few), of(few * more)) {
            prop_assert!(few.low <= many.low + 1e-9 && many.high <= few.high + 1e-9);
        }
    }
}
