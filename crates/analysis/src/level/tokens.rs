//! How many output tokens reached the client within a window.
//!
//! A chunk is stamped, a token is not: a request's tokens are spread over its chunks, by the server's count per chunk
//! where it gave one, else evenly.

use records::RequestRecord;
use stats::Span;

/// Output tokens of one request, failed or not, that arrived after the window's start and not after its end. (A level's
/// last token may arrive exactly at the end; what arrives exactly at the start was sent before.)
pub(crate) fn tokens_within(record: &RequestRecord, window: Span) -> f64 {
    let chunks = &record.chunks;
    let arrivals = &chunks.since_sent_ns;
    let Some((&last, before_last)) = arrivals.split_last() else {
        return 0.0;
    };
    let kept = arrivals.len() as u64;
    let count = chunks.count.max(kept);
    let total = tokens(record) as f64;
    let per_chunk: Vec<f64> = if chunks.tokens.len() == arrivals.len() {
        chunks.tokens.iter().copied().map(f64::from).collect()
    } else {
        vec![total / count as f64; arrivals.len()]
    };
    let at = |since_sent: u64| record.sent_ns.0.saturating_add(since_sent);
    let inside = |since_sent: u64| window.start() < at(since_sent) && at(since_sent) <= window.end();
    let stamped: f64 =
        arrivals.iter().zip(&per_chunk).filter_map(|(&since_sent, tokens)| inside(since_sent).then_some(tokens)).sum();
    // Chunks whose stamps were not kept came between the last two stamps; without such chunks, tokens that no chunk
    // accounts for (an end-of-sequence token) came with the last one.
    let rest = (total - per_chunk.iter().sum::<f64>()).max(0.0);
    let from = if count > kept { before_last.last().copied().unwrap_or(0) } else { last };
    match Span::new(at(from), at(last)) {
        Some(gap) => stamped + rest * share(gap, window),
        None if inside(last) => stamped + rest,
        None => stamped,
    }
}

/// Output tokens by the record's own count; without one, one a chunk. An embedding has none.
pub(crate) fn tokens(record: &RequestRecord) -> u64 {
    if record.asked_output_tokens == 0 {
        return 0;
    }
    let chunks = &record.chunks;
    let counted = chunks.count.max(chunks.since_sent_ns.len() as u64);
    record.output_tokens.map_or(counted, |tokens| tokens.count)
}

/// Share of the gap that lies in the window.
fn share(gap: Span, window: Span) -> f64 {
    let shared = gap.intersection(window);
    shared.map_or(0.0, |shared| shared.ticks() as f64 / gap.ticks() as f64)
}
