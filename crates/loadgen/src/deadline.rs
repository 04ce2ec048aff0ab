//! Deadlines and cancellation of one request: every wait of it ends in time.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Instant,
};

use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// Reason why a wait ended early.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interruption {
    Cancelled,
    Elapsed,
}

/// One cancellation and one timer for all waits of a request: moving the deadline costs nothing until it is reached.
pub(crate) struct Deadline<'a> {
    halt: &'a CancellationToken,
    cancelled: Pin<Box<WaitForCancellationFuture<'a>>>,
    alarm: Pin<Box<Sleep>>,
    at: Instant,
    /// The waker that both have, so that a task which waits for hundreds of tokens registers once.
    registered: Option<Waker>,
}

impl<'a> Deadline<'a> {
    pub(crate) fn new(halt: &'a CancellationToken, deadline: Instant) -> Self {
        Self {
            halt,
            cancelled: Box::pin(halt.cancelled()),
            alarm: Box::pin(tokio::time::sleep_until(deadline.into())),
            at: deadline,
            registered: None,
        }
    }

    /// Moves the deadline.
    pub(crate) fn until(&mut self, deadline: Instant) {
        self.at = deadline;
        if deadline < self.alarm.deadline().into_std() {
            self.alarm.as_mut().reset(deadline.into());
            self.registered = None;
        }
    }

    /// The latest end of the current wait.
    pub(crate) fn deadline(&self) -> Instant {
        self.at
    }

    /// The interruption, if any, that was due at `at`.
    pub(crate) fn passed(&self, at: Instant) -> Option<Interruption> {
        if self.halt.is_cancelled() {
            return Some(Interruption::Cancelled);
        }
        (at >= self.at).then_some(Interruption::Elapsed)
    }

    /// Waits for `wait`, but no longer than until the deadline or a cancellation.
    pub(crate) async fn within<T>(&mut self, wait: impl Future<Output = T>) -> Result<T, Interruption> {
        let mut wait = pin!(wait);
        poll_fn(|cx| {
            if let Poll::Ready(value) = wait.as_mut().poll(cx) {
                return Poll::Ready(Ok(value));
            }
            self.poll_interruption(cx).map(Err)
        })
        .await
    }

    fn poll_interruption(&mut self, cx: &mut Context<'_>) -> Poll<Interruption> {
        let told = self.registered.as_ref();
        if told.is_some_and(|waker| waker.will_wake(cx.waker()))
            && !self.alarm.is_elapsed()
            && !self.halt.is_cancelled()
        {
            return Poll::Pending;
        }
        if self.cancelled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Interruption::Cancelled);
        }
        while self.alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= self.at {
                return Poll::Ready(Interruption::Elapsed);
            }
            self.alarm.as_mut().reset(self.at.into());
        }
        self.registered = Some(cx.waker().clone());
        Poll::Pending
    }
}
