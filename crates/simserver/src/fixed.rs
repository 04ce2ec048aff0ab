//! The engine of the profile kind `fixed`: every request on a schedule of its own, counted from its arrival.
//!
//! It exists to audit clients, so its truth must not depend on the load: no queue, no batch, no KV cache, no noise.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sequence::{RequestId, Sequence, Token};
use crate::timing::{Fixed, milliseconds};

/// Requests by when each makes its next token.
#[derive(Debug)]
pub(crate) struct FixedEngine {
    ttft: Duration,
    itl: Duration,
    paced: BTreeMap<(Duration, RequestId), Sequence>,
}

impl FixedEngine {
    pub(crate) fn new(fixed: &Fixed) -> Self {
        Self { ttft: milliseconds(fixed.ttft_ms), itl: milliseconds(fixed.itl_ms), paced: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, mut sequence: Sequence, now: Duration) {
        sequence.mark_scheduled(now, 0);
        self.paced.insert((now + self.ttft, sequence.id), sequence);
    }

    pub(crate) fn remove(&mut self, id: RequestId) -> bool {
        let before = self.paced.len();
        self.paced.retain(|(_, paced), _| *paced != id);
        self.paced.len() < before
    }

    pub(crate) fn running(&self) -> usize {
        self.paced.len()
    }

    /// When the next token is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.paced.keys().next().map(|(due, _)| *due)
    }

    /// Makes the tokens that are due at the instant `at`.
    pub(crate) fn finish(&mut self, at: Duration, tokens: &mut Vec<Token>) {
        while let Some(first) = self.paced.first_entry()
            && first.key().0 <= at
        {
            let ((due, id), mut sequence) = first.remove_entry();
            let token = sequence.emit(due);
            tokens.push(token);
            if token.end.is_none() {
                self.paced.insert((due + self.itl, id), sequence);
            }
        }
    }
}
