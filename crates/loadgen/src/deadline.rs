//! Deadlines and cancellation of one request: every wait of it ends in time.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Instant,
};

use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// What ended a wait early.
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
    deadline: Instant,
    /// Whom both will wake; a task that waits for hundreds of tokens need not tell them hundreds of times.
    told: Option<Waker>,
}

impl<'a> Deadline<'a> {
    pub(crate) fn new(halt: &'a CancellationToken, deadline: Instant) -> Self {
        Self {
            halt,
            cancelled: Box::pin(halt.cancelled()),
            alarm: Box::pin(tokio::time::sleep_until(deadline.into())),
            deadline,
            told: None,
        }
    }

    /// Moves the deadline.
    pub(crate) fn until(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if deadline < self.alarm.deadline().into_std() {
            self.alarm.as_mut().reset(deadline.into());
            self.told = None;
        }
    }

    /// When the present wait ends at the latest.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What should have ended the wait that ended at `at`.
    pub(crate) fn passed(&self, at: Instant) -> Option<Interruption> {
        if self.halt.is_cancelled() {
            return Some(Interruption::Cancelled);
        }
        (at >= self.deadline).then_some(Interruption::Elapsed)
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
        let told = self.told.as_ref();
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
            if Instant::now() >= self.deadline {
                return Poll::Ready(Interruption::Elapsed);
            }
            self.alarm.as_mut().reset(self.deadline.into());
        }
        self.told = Some(cx.waker().clone());
        Poll::Pending
    }
}
