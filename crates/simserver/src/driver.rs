//! The engine in real time: a thread that keeps the engine's schedule.
//!
//! The schedule is absolute: a step begins when the one before was to end, not when the machine got round to it, so lateness does
//! not add up. The thread sleeps in the channel of commands: a timer of the runtime would round to milliseconds.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::{Engine, Request, RequestId, StepResult};
use crate::feed::{Feed, Progress};
use crate::metrics::Telemetry;

/// What connections tell the engine.
#[derive(Debug)]
pub(crate) enum Command {
    Submit {
        request: Request,
        arrived: Duration,
        feed: Arc<Feed>,
    },
    Abort(RequestId),
}

/// Everyone who could send a command is gone.
struct Disconnected;

/// Engine, schedule and the feeds of the requests in it.
pub(crate) struct Driver {
    engine: Engine,
    feeds: HashMap<RequestId, Arc<Feed>>,
    commands: Receiver<Command>,
    telemetry: Arc<Mutex<Telemetry>>,
    epoch: Instant,
}

impl Driver {
    pub(crate) fn new(
        engine: Engine,
        commands: Receiver<Command>,
        telemetry: Arc<Mutex<Telemetry>>,
        epoch: Instant,
    ) -> Self {
        Self {
            engine,
            feeds: HashMap::new(),
            commands,
            telemetry,
            epoch,
        }
    }

    /// Serves until every sender of commands is gone.
    pub(crate) fn run(mut self) {
        while let Ok(start) = self.wait_for_work() {
            let step = self.engine.step(start);
            let end = start + step.duration;
            if self.obey_until(end).is_err() {
                return;
            }
            self.deliver(&step, end);
        }
    }

    /// Sleeps until the next step begins; an idle engine waits for a request.
    fn wait_for_work(&mut self) -> Result<Duration, Disconnected> {
        loop {
            if let Some(start) = self.engine.next_start() {
                if self.obey_once(start)? {
                    return Ok(start);
                }
            } else {
                let command = self.commands.recv().map_err(|_| Disconnected)?;
                self.obey(command);
            }
        }
    }

    fn obey_until(&mut self, deadline: Duration) -> Result<(), Disconnected> {
        while !self.obey_once(deadline)? {}
        Ok(())
    }

    /// Waits for one command; true when the deadline has come and no command is left.
    fn obey_once(&mut self, deadline: Duration) -> Result<bool, Disconnected> {
        let left = deadline.saturating_sub(self.epoch.elapsed());
        match self.commands.recv_timeout(left) {
            Ok(command) => {
                self.obey(command);
                Ok(false)
            }
            Err(RecvTimeoutError::Timeout) => Ok(self.epoch.elapsed() >= deadline),
            Err(RecvTimeoutError::Disconnected) => Err(Disconnected),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Submit {
                request,
                arrived,
                feed,
            } => {
                self.feeds.insert(request.id, feed);
                self.engine.submit(&request, arrived);
            }
            Command::Abort(id) => {
                self.feeds.remove(&id);
                if self.engine.abort(id) {
                    let stats = self.engine.stats();
                    self.telemetry().set_stats(stats);
                }
            }
        }
    }

    fn deliver(&mut self, step: &StepResult, end: Duration) {
        // First, so that a client that has its last token finds it counted.
        self.telemetry().observe_step(step);
        for token in &step.tokens {
            let finish = token.end.map(|end| end.reason);
            let progress = Progress {
                tokens: token.index,
                due: end,
                finish,
            };
            if let Some(feed) = self.feeds.get(&token.request) {
                feed.publish(progress);
            }
            if finish.is_some() {
                self.feeds.remove(&token.request);
            }
        }
    }

    fn telemetry(&self) -> std::sync::MutexGuard<'_, Telemetry> {
        // A count that a panic left half-done is still a count.
        self.telemetry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
