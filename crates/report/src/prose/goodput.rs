//! What `--goodput` asked, answered: up to how many concurrent requests the objectives hold, and which fails first.

use analysis::{GoodputSection, Summary};

use crate::{
    language::Words,
    number::{Figures, count, number, percent},
};

/// Nothing without objectives.
pub(crate) fn sentences(summary: &Summary, words: &Words, figures: Figures) -> Vec<String> {
    let Some(section) = &summary.goodput else {
        return Vec::new();
    };
    let objectives = objectives(section, figures);
    let share = percent(section.attainment);
    let capacity = section.capacity;
    let whole = |load: f64| number(load.floor(), 0);
    let held = capacity.held_at.map(count).unwrap_or_default();
    let failed = capacity.failed_at.map(count).unwrap_or_default();
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
        let borrowed: Vec<(&str, &str)> = values
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        words.say(key, &borrowed)
    };
    let mut sentences = vec![match (capacity.concurrency, capacity.low, capacity.high) {
        (Some(c), Some(low), Some(high)) => {
            say("goodput.between", &whole(c), &whole(low), &whole(high))
        }
        (Some(c), Some(low), None) => say("goodput.at_least", &whole(c), &whole(low), ""),
        (Some(c), ..) => say("goodput.about", &whole(c), "", ""),
        (None, ..) if capacity.failed_at.is_none() => say("goodput.beyond", "", "", ""),
        (None, ..) => say("goodput.below", "", "", ""),
    }];
    if let (Some(missed), true) = (&section.missed_first, capacity.failed_at.is_some()) {
        let missed = match &**missed {
            "ttft" => words.get("word.ttft"),
            "tpot" => words.get("goodput.tpot"),
            "e2el" => words.get("word.e2el"),
            _ => words.get("goodput.failures"),
        };
        let first = [("missed", &*missed), ("failed", &*failed)];
        sentences.push(words.say("goodput.missed_first", &first));
    }
    sentences
}

/// `TTFT ≤ 500 ms, TPOT ≤ 50 ms`.
pub(crate) fn objectives(section: &GoodputSection, figures: Figures) -> String {
    let parts = [
        ("TTFT", section.ttft_ms),
        ("TPOT", section.tpot_ms),
        ("E2EL", section.e2el_ms),
    ];
    let parts = parts
        .into_iter()
        .filter_map(|(name, ms)| Some(format!("{name} ≤ {}", figures.limit(ms?))));
    parts.collect::<Vec<_>>().join(", ")
}
