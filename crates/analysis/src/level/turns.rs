//! The requests of a level by turn of their conversations: later turns carry more, and more of it is in the prefix cache.

use std::collections::BTreeMap;

use records::RequestRecord;

use crate::{
    TurnLevel,
    distribution::{Reading, distribution},
    level::window::is_completed,
    units::ms,
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
        let times = |of: &dyn Fn(&RequestRecord) -> Option<std::time::Duration>| {
            let times: Vec<f64> = records.iter().filter_map(|r| of(r).map(ms)).collect();
            distribution(&times, reading)
        };
        TurnLevel {
            turn,
            completed: records.len() as u64,
            ttft_ms: times(&RequestRecord::ttft),
            e2el_ms: times(&RequestRecord::e2el),
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
