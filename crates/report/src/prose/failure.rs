//! Ways in which requests fail, in words.

use analysis::LevelSummary;

use crate::language::Words;

/// The most frequent way in which measured requests failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cause<'a> {
    pub(crate) kind: &'a str,
    /// How often, over the levels asked for.
    pub(crate) count: u64,
    /// The first message seen.
    pub(crate) example: Option<&'a str>,
}

/// The most frequent one at these levels; of equally frequent ones that which was seen first.
pub(crate) fn most_frequent<'a>(levels: impl Iterator<Item = &'a LevelSummary>) -> Option<Cause<'a>> {
    let mut causes: Vec<Cause<'a>> = Vec::new();
    for failure in levels.flat_map(|level| &level.failures) {
        let beside = ["warmup/", "cooldown/"];
        if beside.iter().any(|stage| failure.kind.starts_with(stage)) {
            continue;
        }
        match causes.iter_mut().find(|cause| cause.kind == failure.kind) {
            Some(cause) => cause.count += failure.count,
            None => {
                causes.push(Cause { kind: &failure.kind, count: failure.count, example: failure.example.as_deref() });
            }
        }
    }
    causes.reverse();
    causes.into_iter().max_by_key(|cause| cause.count)
}

/// What the kind means, with the kind itself and the server's message behind it, verbatim.
pub(crate) fn described(kind: &str, example: Option<&str>, words: &Words) -> String {
    let (family, detail) = kind.split_once('/').unwrap_or((kind, ""));
    let name = match family {
        "connect_failed" => words.get("failure.connect"),
        "timed_out" if detail == "first_byte" => words.get("failure.first_byte"),
        "timed_out" => words.get("failure.timed_out"),
        "http_status" => words.get("failure.http_status"),
        "cut" => words.get("failure.cut"),
        "error_in_stream" => words.get("failure.error_in_stream"),
        "malformed" => words.get("failure.malformed"),
        "no_tokens" => words.get("failure.no_tokens"),
        _ => String::new(),
    };
    let code = match example {
        Some(example) => format!("{kind}: “{example}”"),
        None => kind.to_owned(),
    };
    if name.is_empty() { code } else { format!("{name} ({code})") }
}
