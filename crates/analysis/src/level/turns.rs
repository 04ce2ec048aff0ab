//! The requests of a level by turn of their conversations: later turns carry more, and more of it is in the prefix cache.

use std::collections::BTreeMap;

use records::{Metric, RequestRecord};

use crate::{
    TurnLevel,
    distribution::{Reading, distribution},
    level::window::{is_completed, series},
};

/// Of measured requests in the order in which they were sent; empty where there are no conversations.
pub(crate) fn turns(ordered: &[&RequestRecord], reading: Reading) -> Vec<TurnLevel> {
    let mut by_turn: BTreeMap<u32, Vec<&RequestRecord>> = BTreeMap::new();
    for record in ordered.iter().filter(|record| is_completed(record)) {
        if let Some(turn) = record.turn {
            by_turn.entry(turn.number).or_default().push(record);
        }
    }
    let of_turn = |(turn, records): (u32, Vec<&RequestRecord>)| {
        let times = |metric| distribution(&series(&records, metric), reading);
        TurnLevel {
            turn,
            completed: records.len() as u64,
            ttft_ms: times(Metric::Ttft),
            e2el_ms: times(Metric::E2el),
            prompt_tokens_mean: mean(records.iter().map(|r| r.prompt_tokens)),
            cached_prompt_tokens_mean: mean(records.iter().map(|r| r.cached_prompt_tokens)),
        }
    };
    by_turn.into_iter().map(of_turn).collect()
}

/// Over those that have it.
fn mean(counts: impl Iterator<Item = Option<u64>>) -> Option<f64> {
    let counts: Vec<u64> = counts.flatten().collect();
    let sum: u64 = counts.iter().sum();
    (!counts.is_empty()).then(|| sum as f64 / counts.len() as f64)
}
