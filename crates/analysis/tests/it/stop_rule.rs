//! Stopping on a narrow interval: the rule's text, its order, and how often the interval at the stop holds the truth.

use std::time::Duration;

use analysis::{StopRule, StopWatch};
use rand_pcg::{Pcg64, rand_core::Rng};
use records::{Outcome, RequestRecord, Stage};

use crate::build::{failed, request};

fn rule(text: &str) -> StopRule {
    text.parse().expect("a rule")
}

fn of(number: u64, ttft_ms: f64) -> RequestRecord {
    let ttft = u64::try_from(Duration::from_secs_f64(ttft_ms / 1e3).as_nanos()).expect("some seconds");
    RequestRecord { request: number, ..request(number * 1000, ttft, ttft + 1000, 2) }
}

#[test]
fn a_rule_says_figure_and_width() {
    for (text, canonical) in
        [("ttft_p95:5%", "ttft_p95:5%"), (" e2el:2.5 % ", "e2el_mean:2.5%"), ("tpot_p50:10", "tpot_p50:10%")]
    {
        assert_eq!(rule(text).to_string(), canonical);
    }
    for wrong in ["", "ttft", "itl:5%", "ttft_p42:5%", "ttft:0%", "ttft:x", "ttft:100%"] {
        assert!(wrong.parse::<StopRule>().is_err(), "{wrong}");
    }
}

#[test]
fn nothing_is_decided_before_the_fewest_requests() {
    // All alike but for a hair: tight at the first look.
    let mut watch = StopWatch::new(rule("ttft:5%"), 1, Some(40), None);
    let decided = (0..200).find(|&n| watch.observe(&of(n, 100.0 + (n % 3) as f64 * 0.01)));
    assert_eq!(decided, Some(39));
    assert!(watch.width().unwrap() < 0.001);
}

#[test]
fn requests_under_way_hold_back_what_came_after_them() {
    let mut watch = StopWatch::new(rule("ttft:5%"), 1, Some(10), None);
    watch.observe(&of(0, 100.0));
    // Number 1 takes long: the others end before it, but do not count without it.
    for n in 2..100 {
        assert!(!watch.observe(&of(n, 100.0)), "{n}");
    }
    assert_eq!(watch.width(), None);
    watch.observe(&of(1, 100.0));
    assert!((100..130).any(|n| watch.observe(&of(n, 100.0))));
}

#[test]
fn failed_requests_and_warm_up_have_no_latency() {
    let mut watch = StopWatch::new(rule("ttft:5%"), 1, Some(10), None);
    for n in 0..60 {
        let record = RequestRecord { request: n, ..failed(n, n + 1, Outcome::NoTokens) };
        assert!(!watch.observe(&record));
        let warm = RequestRecord { stage: Stage::Warmup, ..of(n, 100.0) };
        assert!(!watch.observe(&warm));
    }
    assert_eq!(watch.width(), None);
}

/// Exponential, mean 1.
fn exponential(draw: &mut Pcg64) -> f64 {
    -(((draw.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64).ln()
}

/// What a rule did over many levels.
#[derive(Debug, Default)]
struct Outcomes {
    stopped: u32,
    held: u32,
    /// Mean of the estimate over the truth.
    ratio: f64,
    requests: f64,
}

/// Levels of eight slots whose requests share half of their TTFT with their wave: the sum of two exponentials, so gamma of
/// shape 2, whose mean is 2 and whose 95th percentile is 4.743865 (any table).
fn levels(text: &str, truth: f64, runs: u64, cap: u64) -> Outcomes {
    const SLOTS: u64 = 8;
    let mut outcomes = Outcomes::default();
    for seed in 0..runs {
        let mut draw = Pcg64::new(u128::from(seed), 77);
        let mut watch = StopWatch::new(rule(text), 8, None, None);
        let mut records = Vec::new();
        let mut wave = 0.0;
        for n in 0..cap {
            if n % SLOTS == 0 {
                wave = exponential(&mut draw);
            }
            let record = of(n, 100.0 * (wave + exponential(&mut draw)));
            let tight = watch.observe(&record);
            records.push(record);
            if tight {
                break;
            }
        }
        if !watch.is_tight() {
            continue;
        }
        let n = records.len() as u64;
        let mut run = crate::build::one_level(records, (0, n * 1_000_000_000));
        run.manifest.plan.levels = vec![8];
        let level = analysis::summarise(&run, None, None).levels.remove(0);
        let ttft = level.ttft_ms.unwrap();
        let figure = if text.contains("p95") { ttft.p95.unwrap() } else { ttft.mean };
        let truth = 100.0 * truth;
        outcomes.stopped += 1;
        outcomes.held += u32::from(figure.low.unwrap() <= truth && truth <= figure.high.unwrap());
        outcomes.ratio += figure.value / truth;
        outcomes.requests += n as f64;
    }
    outcomes.ratio /= f64::from(outcomes.stopped);
    outcomes.requests /= f64::from(outcomes.stopped);
    outcomes
}

/// Two of the figures that `docs/methodology.md` quotes; the others take minutes.
#[test]
fn an_interval_at_which_a_level_stops_holds_the_truth_nearly_as_often_as_it_says() {
    for (text, truth, cap) in [("ttft:10%", 2.0, 20_000), ("ttft_p95:20%", 4.743_864_518, 20_000)] {
        let outcomes = levels(text, truth, 200, cap);
        let share = f64::from(outcomes.held) / f64::from(outcomes.stopped);
        assert!(outcomes.stopped >= 195, "{text}: {outcomes:?}");
        assert!(share > 0.88, "{text}: {share} {outcomes:?}");
        assert!((outcomes.ratio - 1.0).abs() < 0.03, "{text}: {outcomes:?}");
    }
}
