//! How the tokens of one request get from the engine's thread to its connection.
//!
//! A feed holds how far the request has come, not what was said: its size does not depend on how slowly a client reads.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::engine::FinishReason;

/// How far a request has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Tokens made.
    pub(crate) tokens: u32,
    /// Prompt tokens that were found in the prefix cache.
    pub(crate) cached: u32,
    /// When the last of them was due, since the server's epoch.
    pub(crate) due: Duration,
    /// Set with the last token of all.
    pub(crate) finish: Option<FinishReason>,
}

/// One writer, one reader.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    inner: Mutex<(Progress, Option<Waker>)>,
}

impl Feed {
    /// Tells the reader about a token.
    pub(crate) fn publish(&self, progress: Progress) {
        let waker = {
            let mut inner = self.lock();
            inner.0 = progress;
            inner.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits for more than `seen` tokens, or for the end.
    pub(crate) fn poll_beyond(&self, seen: u32, context: &mut Context<'_>) -> Poll<Progress> {
        let mut inner = self.lock();
        if inner.0.tokens > seen || inner.0.finish.is_some() {
            return Poll::Ready(inner.0);
        }
        inner.1 = Some(context.waker().clone());
        Poll::Pending
    }

    /// Waits for the end.
    pub(crate) async fn finished(&self) -> (Progress, FinishReason) {
        let mut seen = 0;
        loop {
            let progress = std::future::poll_fn(|context| self.poll_beyond(seen, context)).await;
            if let Some(reason) = progress.finish {
                return (progress, reason);
            }
            seen = progress.tokens;
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Progress, Option<Waker>)> {
        // Nothing panics while it holds the lock, and the pair is valid at every moment.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
