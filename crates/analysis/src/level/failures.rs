//! How the requests of a level failed. Nothing that failed is left out: warm-up and cool-down are listed too.

use std::{cmp::Reverse, collections::BTreeMap};

use records::{ConnectPhase, Outcome, Stage, TimeoutPhase};

use crate::{FailureCount, level::window::LevelRecords};

/// What stands before the kind of a failure during warm-up.
const WARMUP: &str = "warmup/";
/// What stands before the kind of a failure during cool-down.
const COOLDOWN: &str = "cooldown/";

/// A way to fail that only a newer schema knows: still a failure.
const OTHER: &str = "other";

/// Whether a measured request failed so, and not one of warm-up or cool-down.
pub(crate) fn is_measured(failure: &FailureCount) -> bool {
    !failure.kind.starts_with(WARMUP) && !failure.kind.starts_with(COOLDOWN)
}

/// Failures by kind, most frequent first, then by name. Those of warm-up and cool-down carry that name in front.
pub(crate) fn failures(level: &LevelRecords<'_>) -> Vec<FailureCount> {
    let mut by_kind: BTreeMap<String, FailureCount> = BTreeMap::new();
    for record in &level.requests {
        let Some((kind, example)) = failure(&record.outcome) else {
            continue;
        };
        let kind = match record.stage {
            Stage::Measured => kind,
            Stage::Warmup => format!("{WARMUP}{kind}"),
            _ => format!("{COOLDOWN}{kind}"),
        };
        let entry = by_kind.entry(kind.clone()).or_insert(FailureCount { kind, count: 0, example });
        entry.count += 1;
    }
    let mut failures: Vec<FailureCount> = by_kind.into_values().collect();
    failures.sort_by_key(|failure| Reverse(failure.count));
    failures
}

/// Kind and message of a failure; `None` for what is none.
fn failure(outcome: &Outcome) -> Option<(String, Option<String>)> {
    let named = |kind: &str, message: &String| {
        let message = Some(message.clone()).filter(|message| !message.is_empty());
        Some((kind.to_owned(), message))
    };
    match outcome {
        Outcome::Completed { .. } | Outcome::Cancelled => None,
        Outcome::ConnectFailed { phase, message } => {
            let phase = match phase {
                ConnectPhase::Dns => "dns",
                ConnectPhase::Connect => "connect",
                ConnectPhase::Tls => "tls",
                _ => OTHER,
            };
            named(&format!("connect_failed/{phase}"), message)
        }
        Outcome::TimedOut { phase } => {
            let phase = match phase {
                TimeoutPhase::Connect => "connect",
                TimeoutPhase::FirstByte => "first_byte",
                TimeoutPhase::BetweenTokens => "between_tokens",
                TimeoutPhase::Total => "total",
                _ => OTHER,
            };
            Some((format!("timed_out/{phase}"), None))
        }
        Outcome::HttpStatus { status, body } => named(&format!("http_status/{status}"), body),
        Outcome::Cut { message } => named("cut", message),
        Outcome::ErrorInStream { message } => named("error_in_stream", message),
        Outcome::Malformed { message } => named("malformed", message),
        Outcome::NoTokens => Some(("no_tokens".to_owned(), None)),
        _ => Some((OTHER.to_owned(), None)),
    }
}
