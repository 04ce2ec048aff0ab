//! The engine of the profile kind `fixed`: every request on a schedule of its own, counted from its arrival.
//!
//! It exists to audit clients, so its truth must not depend on the load: no queue, no batch, no KV cache, no noise.

use std::time::Duration;

use crate::sequence::{RequestId, Sequence, Token};
use crate::timing::{Fixed, milliseconds};

/// Requests and when each makes its next token.
#[derive(Debug)]
pub(crate) struct Pacer {
    ttft: Duration,
    itl: Duration,
    paced: Vec<(Duration, Sequence)>,
}

impl Pacer {
    pub(crate) fn new(fixed: &Fixed) -> Self {
        Self {
            ttft: milliseconds(fixed.ttft_ms),
            itl: milliseconds(fixed.itl_ms),
            paced: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, mut sequence: Sequence, now: Duration) {
        sequence.mark_scheduled(now);
        self.paced.push((now + self.ttft, sequence));
    }

    pub(crate) fn remove(&mut self, id: RequestId) -> bool {
        let before = self.paced.len();
        self.paced.retain(|(_, sequence)| sequence.id != id);
        self.paced.len() < before
    }

    pub(crate) fn running(&self) -> usize {
        self.paced.len()
    }

    /// When the next token is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.paced.iter().map(|(due, _)| *due).min()
    }

    /// Makes the tokens that are due at the instant `at`.
    pub(crate) fn finish(&mut self, at: Duration, tokens: &mut Vec<Token>) {
        let itl = self.itl;
        self.paced.retain_mut(|(due, sequence)| {
            if *due > at {
                return true;
            }
            let token = sequence.emit(*due);
            *due += itl;
            tokens.push(token);
            token.end.is_none()
        });
    }
}
