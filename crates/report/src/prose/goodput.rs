//! What `--goodput` asked, answered: up to how many concurrent requests, or up to which rate of an open loop, the
//! objectives hold, and which fails first.

use analysis::{GoodputSection, LoadCapacity, Summary};

use crate::{
    language::Words,
    number::{Figures, number, per_second, percent},
};

/// Nothing without objectives.
pub(crate) fn sentences(summary: &Summary, words: &Words, figures: Figures) -> Vec<String> {
    let Some(section) = &summary.goodput else {
        return Vec::new();
    };
    let objectives = objectives(section, words, figures);
    let share = percent(section.attainment);
    let capacity = section.capacity_per_s.unwrap_or_else(|| LoadCapacity::from(section.capacity));
    let of_rate = section.capacity_per_s.is_some();
    let text = |load: f64| {
        if of_rate { per_second(load) } else { number(load.floor(), 0) }
    };
    let held = capacity.held_at.map(text).unwrap_or_default();
    let failed = capacity.failed_at.map(text).unwrap_or_default();
    let values = |c: &str, low: &str, high: &str| {
        let filled = [
            ("objectives", &*objectives),
            ("share", &*share),
            ("c", c),
            ("low", low),
            ("high", high),
            ("held", &*held),
            ("failed", &*failed),
        ];
        filled.map(|(name, value)| (name, value.to_owned()))
    };
    let say = |key: &str, c: &str, low: &str, high: &str| {
        let values = values(c, low, high);
        let borrowed: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, &**value)).collect();
        words.say(key, &borrowed)
    };
    let [between, at_least, about, beyond, below] = keys(of_rate);
    let mut sentences = vec![match (capacity.load, capacity.low, capacity.high) {
        (Some(c), Some(low), Some(high)) => say(between, &text(c), &text(low), &text(high)),
        (Some(c), Some(low), None) => say(at_least, &text(c), &text(low), ""),
        (Some(c), ..) => say(about, &text(c), "", ""),
        (None, ..) if capacity.failed_at.is_none() => say(beyond, "", "", ""),
        (None, ..) => say(below, "", "", ""),
    }];
    if let (Some(missed), true) = (&section.missed_first, capacity.failed_at.is_some()) {
        let missed = missed.parse().map_or_else(|_| words.get("goodput.failures"), |metric| words.metric(metric));
        let first = [("missed", &*missed), ("failed", &*failed)];
        let key = if of_rate { "goodput_rate.missed_first" } else { "goodput.missed_first" };
        sentences.push(words.say(key, &first));
    }
    sentences
}

/// Keys of what can be said: of requests in flight, or of a rate.
fn keys(of_rate: bool) -> [&'static str; 5] {
    if of_rate {
        [
            "goodput_rate.between",
            "goodput_rate.at_least",
            "goodput_rate.about",
            "goodput_rate.beyond",
            "goodput_rate.below",
        ]
    } else {
        ["goodput.between", "goodput.at_least", "goodput.about", "goodput.beyond", "goodput.below"]
    }
}

/// `TTFT ≤ 500 ms, TPOT ≤ 50 ms`.
pub(crate) fn objectives(section: &GoodputSection, words: &Words, figures: Figures) -> String {
    let part = |(metric, ms)| format!("{} ≤ {}", words.metric(metric), figures.limit(ms));
    section.limits_ms.iter().map(part).collect::<Vec<_>>().join(", ")
}
