//! Conversations: how a level's requests fared by turn, and what the conversations were.

use super::{Desk, Table};
use crate::number::{ABSENT, count, figure, maybe, mean_only, number, percent};

/// Turns of one level that are shown.
const SHOWN: u32 = 12;

/// Latency by turn; `None` where requests stand for themselves.
pub(super) fn table(desk: &Desk<'_>) -> Option<Table> {
    let levels = desk.summary.levels.iter();
    let turns = levels.flat_map(|level| level.turns.iter().map(move |turn| (level, turn)));
    let (shown, more): (Vec<_>, Vec<_>) = turns.partition(|(_, turn)| turn.turn < SHOWN);
    let rows: Vec<Vec<String>> = shown
        .into_iter()
        .map(|(level, turn)| {
            let cached = turn.cached_prompt_tokens_mean.zip(turn.prompt_tokens_mean);
            let p90 = turn.ttft_ms.and_then(|ttft| ttft.p90);
            vec![
                count(level.concurrency),
                count(turn.turn + 1),
                count(turn.completed),
                turn.prompt_tokens_mean.map_or_else(|| ABSENT.into(), |tokens| number(tokens, 0)),
                cached.map_or_else(|| ABSENT.into(), |(cached, all)| percent(cached / all)),
                mean_only(turn.ttft_ms),
                p90.map_or_else(|| ABSENT.into(), |p90| figure(p90.value)),
                mean_only(turn.e2el_ms),
            ]
        })
        .collect();
    let columns = desk.numbers(&[
        "column.concurrency",
        "column.turn",
        "column.n",
        "column.isl",
        "column.cached",
        "column.ttft_mean",
        "column.ttft_p90",
        "column.e2el_mean",
    ]);
    let more =
        if more.is_empty() { String::new() } else { desk.words.say("note.more_turns", &[("shown", &count(SHOWN))]) };
    let note = desk.words.say("note.turns", &[("more", &more)]);
    (!rows.is_empty()).then(|| Table::plain(columns, rows).without_empty_columns().with_notes(vec![note]))
}

/// Rows of the set-up.
pub(super) fn setup(desk: &Desk<'_>) -> Vec<(&'static str, String)> {
    let options = &desk.run.manifest.plan.workload_options;
    let figure = |name: &str| options.get(name)?.as_f64();
    let spread = |mean: f64, stddev: Option<f64>| match stddev {
        Some(stddev) if stddev > 0.0 => format!("{} ± {}", maybe(Some(mean)), maybe(Some(stddev))),
        _ => maybe(Some(mean)),
    };
    let Some(turns) = figure("session_turns") else {
        return Vec::new();
    };
    let think = figure("think_time_ms").unwrap_or(0.0);
    vec![
        ("setup.session_turns", spread(turns, figure("session_turns_stddev"))),
        ("setup.think_time", format!("{} ms", spread(think, figure("think_time_stddev_ms")))),
    ]
}
