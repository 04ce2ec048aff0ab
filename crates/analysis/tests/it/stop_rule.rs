//! Stopping on a narrow interval: the rule's text, its order, and how large a sample it takes. How often the interval at
//! the stop holds the truth is simulated in `xtask/examples/coverage`.

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
    for text in ["ttfo_p99:5%", "e2el_from_intended_mean:5%", "per_request_tok_s_p50:3%"] {
        assert_eq!(rule(text).to_string(), text);
    }
    assert_eq!(rule("per_request_tok_s:3%").to_string(), "per_request_tok_s_mean:3%");
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

/// Chow and Robbins: of independent normal observations the sample at the stop is near `(z·σ/(d·μ))²`. A wave of one
/// request, σ/μ = 0.5 and d = 5 % give (1.96 · 10)² = 384.
#[test]
fn a_level_stops_near_the_sample_that_its_width_needs() {
    let mut draw = Pcg64::new(7, 77);
    let mut normal = || (0..12).map(|_| (draw.next_u64() >> 11) as f64 / (1_u64 << 53) as f64).sum::<f64>() - 6.0;
    let mut stops = Vec::new();
    for _ in 0..20 {
        let mut watch = StopWatch::new(rule("ttft:5%"), 1, None, None);
        let stop = (0..3000).find(|&n| watch.observe(&of(n, 100.0 + 50.0 * normal().clamp(-1.9, 1.9))));
        stops.push(stop.unwrap() as f64);
    }
    let mean = stops.iter().sum::<f64>() / stops.len() as f64;
    assert!((250.0..480.0).contains(&mean), "{mean} {stops:?}");
}
