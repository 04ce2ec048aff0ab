//! The engine in real time: a thread that keeps the engine's schedule.
//!
//! The schedule is absolute: a step begins when the one before was to end, not when the machine got round to it, so lateness does
//! not add up. The thread sleeps in the channel of commands: a timer of the runtime would round to milliseconds.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::{Engine, Request, RequestId, StepResult};
use crate::progress::{Feed, Progress};
use crate::telemetry::Telemetry;

/// What connections tell the engine.
#[derive(Debug)]
pub(crate) enum Command {
    Submit { request: Request, arrived: Duration, feed: Arc<Feed>, siblings: Arc<Siblings> },
    Abort(RequestId),
}

/// The choices of one prompt.
#[derive(Debug)]
pub(crate) struct Siblings {
    count: u32,
    /// How many have not ended, and the tokens of the longest that has.
    left: Mutex<(u32, u32)>,
}

impl Siblings {
    pub(crate) fn new(count: u32) -> Self {
        Self { count, left: Mutex::new((count, 0)) }
    }

    /// Notes that a choice has ended; when it was the last, the tokens of the longest.
    fn end(&self, tokens: u32) -> Option<u32> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = (left.0.saturating_sub(1), left.1.max(tokens));
        (left.0 == 0).then_some(left.1)
    }
}

/// Everyone who could send a command is gone.
struct Disconnected;

/// Engine, schedule and the feeds of the requests in it.
pub(crate) struct Driver {
    engine: Engine,
    feeds: HashMap<RequestId, (Arc<Feed>, Arc<Siblings>)>,
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
        Self { engine, feeds: HashMap::new(), commands, telemetry, epoch }
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
            Command::Submit { request, arrived, feed, siblings } => {
                self.feeds.insert(request.id, (feed, siblings));
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
        // The step's own figures are those of its decision: a request aborted while it ran would stay in the gauges for ever.
        let stats = self.engine.stats();
        self.telemetry().set_stats(stats);
        for token in &step.tokens {
            let finish = token.end.map(|end| end.reason);
            let progress = Progress { tokens: token.index, cached: token.cached_tokens, due: end, finish };
            let Some((feed, siblings)) = self.feeds.get(&token.request) else {
                continue;
            };
            if finish.is_some() {
                // Before the last token is published, so that who has it finds it counted.
                if let Some(longest) = siblings.end(token.index) {
                    let count = siblings.count;
                    self.telemetry().observe_choices(count, longest);
                }
                feed.publish(progress);
                self.feeds.remove(&token.request);
            } else {
                feed.publish(progress);
            }
        }
    }

    fn telemetry(&self) -> std::sync::MutexGuard<'_, Telemetry> {
        // A count that a panic left half-done is still a count.
        self.telemetry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::engine::Eos;
    use crate::profile::Profile;

    #[test]
    fn a_request_that_is_aborted_while_its_step_runs_leaves_the_gauges() {
        let profile = Profile::builtin("rtx3090-gemma3-12b-bnb4").unwrap();
        let telemetry = Arc::new(Mutex::new(Telemetry::new(profile.max_model_len())));
        let (_commands, received) = mpsc::channel();
        let engine = Engine::new(&profile);
        let mut driver = Driver::new(engine, received, Arc::clone(&telemetry), Instant::now());
        let budget = profile.admit(40, Some(10)).unwrap();
        driver.obey(Command::Submit {
            request: Request::new(RequestId(1), budget, Eos::Ignored),
            arrived: Duration::ZERO,
            feed: Arc::new(Feed::default()),
            siblings: Arc::new(Siblings::new(1)),
        });
        let start = driver.engine.next_start().unwrap();
        let step = driver.engine.step(start);
        assert_eq!(step.stats.running, 1);
        driver.obey(Command::Abort(RequestId(1)));
        driver.deliver(&step, start + step.duration);
        let stats = telemetry.lock().unwrap().stats;
        assert_eq!((stats.running, stats.waiting), (0, 0));
        assert!(stats.kv_usage.abs() < 1e-12);
    }
}
