//! One sentence under each chart: what to see in it, with figures from the data.

use analysis::{FindingKind, LevelSummary, SizingSection, Summary};

use super::{level_at, list, mean_of, sizing::holds, usable_levels};
use crate::{
    language::Words,
    number::{ABSENT, Figures, count, figure, number, percent},
};

/// What hollow points and daggers stand for, where there are any.
fn doubtful(summary: &Summary, words: &Words) -> String {
    if summary.levels.iter().any(|level| !level.invalid.is_empty()) {
        format!(" {}", words.get("reading.doubtful"))
    } else {
        String::new()
    }
}

/// Throughput of the server and of one request.
pub(crate) fn throughput(summary: &Summary, words: &Words) -> String {
    let (Some(total), Some(single)) = (summary.limits.peak_output, summary.limits.peak_per_request) else {
        return words.get("reading.throughput_plain");
    };
    let mut text = words.say(
        "reading.throughput",
        &[
            ("total_at", &count(total.concurrency)),
            ("total", &figure(total.tok_s)),
            ("single_at", &count(single.concurrency)),
            ("single", &figure(single.tok_s)),
        ],
    );
    let falls = summary.findings.iter().filter_map(|finding| match &finding.what {
        FindingKind::ThroughputCliff { from, to, from_tok_s, to_tok_s } => Some(words.say(
            "reading.fall",
            &[
                ("from", &count(*from)),
                ("to", &count(*to)),
                ("from_tok_s", &figure(*from_tok_s)),
                ("to_tok_s", &figure(*to_tok_s)),
            ],
        )),
        _ => None,
    });
    for fall in falls {
        text.push(' ');
        text.push_str(&fall);
    }
    text + &doubtful(summary, words)
}

/// Growth of latency from the smallest to the largest level.
pub(crate) fn latency(summary: &Summary, words: &Words, figures: Figures) -> String {
    let levels = usable_levels(summary);
    let (Some(first), Some(last)) = (levels.first(), levels.last()) else {
        return words.get("reading.latency_plain");
    };
    let time = |value: Option<f64>| value.map_or_else(|| ABSENT.into(), |ms| figures.time(ms));
    let ratio = |value: Option<f64>| value.map_or_else(|| ABSENT.into(), |r| number(r, 1));
    words.say(
        "reading.latency",
        &[
            ("first", &count(first.concurrency)),
            ("last", &count(last.concurrency)),
            ("ttft_first", &time(mean_of(first.ttft_ms))),
            ("ttft_last", &time(mean_of(last.ttft_ms))),
            ("ttft_growth", &ratio(summary.limits.ttft_growth)),
            ("e2el_first", &time(mean_of(first.e2el_ms))),
            ("e2el_last", &time(mean_of(last.e2el_ms))),
            ("e2el_growth", &ratio(summary.limits.e2el_growth)),
        ],
    ) + &doubtful(summary, words)
}

/// Which levels are beaten in both respects.
pub(crate) fn frontier(dominated: &[u32], words: &Words) -> String {
    if dominated.is_empty() {
        words.get("reading.frontier_clean")
    } else {
        words.say("reading.frontier", &[("levels", &list(dominated, words))])
    }
}

/// What the server held at the largest level.
pub(crate) fn timeline(summary: &Summary, words: &Words) -> String {
    let Some(level) = summary.levels.iter().max_by_key(|level| level.concurrency) else {
        return words.get("reading.timeline_plain");
    };
    let server = level.server.unwrap_or_default();
    let (Some(running), Some(waiting)) = (server.running_mean, server.waiting_mean) else {
        return words.get("reading.timeline_plain");
    };
    let mut text = words.say(
        "reading.timeline",
        &[("c", &count(level.concurrency)), ("running", &figure(running)), ("waiting", &figure(waiting))],
    );
    if let Some(usage) = server.kv_usage_max {
        text.push(' ');
        text.push_str(&words.say("reading.kv", &[("usage", &percent(usage))]));
    }
    text
}

/// Spread of E2EL at the drawn levels.
pub(crate) fn distribution(levels: &[&LevelSummary], words: &Words, figures: Figures) -> String {
    let widest = levels
        .iter()
        .filter_map(|level| Some((level.concurrency, level.e2el_ms?)))
        .max_by(|a, b| (a.1.max / a.1.min).total_cmp(&(b.1.max / b.1.min)));
    let Some((concurrency, e2el)) = widest else {
        return words.get("reading.distribution_plain");
    };
    words.say(
        "reading.distribution",
        &[("c", &count(concurrency)), ("min", &figures.time(e2el.min)), ("max", &figures.time(e2el.max))],
    )
}

/// Which options hold the target.
pub(crate) fn capacity(sizing: &SizingSection, words: &Words) -> String {
    let exact = sizing.options.iter().filter(|option| holds(sizing, option));
    let simple =
        sizing.options.iter().filter(|option| option.simple_max_requests >= sizing.target_concurrency).count() as u64;
    let values = [
        ("target", &*count(sizing.target_concurrency)),
        ("exact", &*count(exact.count() as u64)),
        ("simple", &*count(simple)),
        ("all", &*count(sizing.options.len() as u64)),
    ];
    words.say("reading.capacity", &values)
}

/// What the cards did at the level of the largest throughput.
pub(crate) fn gpu(summary: &Summary, words: &Words) -> String {
    let at_peak = summary
        .limits
        .peak_output
        .and_then(|peak| level_at(summary, peak.concurrency))
        .and_then(|level| Some((level.concurrency, level.gpu?)));
    let Some((concurrency, gpu)) = at_peak else {
        return words.get("reading.gpu_plain");
    };
    words.say(
        "reading.gpu",
        &[
            ("c", &count(concurrency)),
            ("util", &gpu.gpu_util_percent_mean.map_or_else(|| ABSENT.into(), |u| percent(u / 100.0))),
            ("power", &gpu.power_w_mean.map_or_else(|| ABSENT.into(), |w| format!("{} W", figure(w)))),
        ],
    )
}
