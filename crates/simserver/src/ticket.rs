//! A request in the engine, held by its connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::driver::Command;
use crate::engine::RequestId;
use crate::progress::Feed;
use crate::telemetry::Lateness;

/// A request in the engine. Dropped before it was finished, it aborts it.
pub(crate) struct Ticket {
    id: RequestId,
    pub(crate) feed: Arc<Feed>,
    finished: AtomicBool,
    commands: Sender<Command>,
    lateness: Arc<Mutex<Lateness>>,
    epoch: Instant,
}

impl Ticket {
    pub(crate) fn new(
        id: RequestId,
        feed: Arc<Feed>,
        commands: Sender<Command>,
        lateness: Arc<Mutex<Lateness>>,
        epoch: Instant,
    ) -> Self {
        Self { id, feed, finished: AtomicBool::new(false), commands, lateness, epoch }
    }

    pub(crate) fn mark_finished(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    pub(crate) fn observe_lateness(&self, due: Duration) {
        let late = self.epoch.elapsed().saturating_sub(due);
        self.lateness.lock().unwrap_or_else(PoisonError::into_inner).observe(late);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.finished.load(Ordering::Relaxed) {
            // The engine's thread ends only when there is nobody left to serve.
            let _gone = self.commands.send(Command::Abort(self.id));
        }
    }
}
