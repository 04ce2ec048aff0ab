//! A load thread: its event loop, its slots and its ticker.

use std::time::Instant;

use std::{
    cell::RefCell,
    io,
    rc::Rc,
    sync::{Arc, mpsc},
    time::Duration,
};

use records::{Clock, Connection, Offset, Outcome, RequestRecord, TimeoutPhase};
use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinSet, LocalSet, spawn_local},
};
use tokio_util::sync::CancellationToken;

use super::{
    Route, retry,
    schedule::{Place, Schedule},
};
use crate::{
    LoadPlan,
    keep_alive::{KeepAliveSupport, SlotConnection},
    level::Load,
    overhead::{ThreadLoad, Ticker},
    request::{Client, Job},
};

/// Pause of a slot that found no server before it tries again. Without it, refused connections would spin.
pub(super) const FAILURE_PAUSE: Duration = Duration::from_millis(50);

/// What one load thread needs.
pub(super) struct Worker {
    pub(super) plan: Arc<LoadPlan>,
    pub(super) routes: Arc<[Route]>,
    pub(super) clock: Clock,
    pub(super) habit: Arc<KeepAliveSupport>,
    pub(super) schedule: Arc<Schedule>,
    /// Ends this thread's slots; a child of the level's.
    pub(super) halt: CancellationToken,
    pub(super) slots: Vec<u32>,
    pub(super) level_start: Offset,
    pub(super) records: mpsc::Sender<RequestRecord>,
}

/// An event loop for one thread.
pub(crate) fn event_loop() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

impl Worker {
    /// Runs the slots until the level is over.
    pub(super) fn run(self, runtime: &Runtime) -> Vec<ThreadLoad> {
        let this = Rc::new(self);
        let mut ticker = Ticker::new(this.schedule.phase());
        LocalSet::new().block_on(runtime, async {
            let tasks: Vec<_> = match &this.schedule.level.load {
                Load::Closed { .. } if this.plan.spec().work.conversations.is_some() => {
                    (this.slots.iter()).map(|&slot| spawn_local(Rc::clone(&this).user(slot))).collect()
                }
                Load::Closed { .. } => {
                    (this.slots.iter()).map(|&slot| spawn_local(Rc::clone(&this).slot(slot))).collect()
                }
                Load::Open { .. } => vec![spawn_local(Rc::clone(&this).arrivals())],
            };
            let all_stopped = async {
                for task in tasks {
                    if let Err(error) = task.await {
                        std::panic::resume_unwind(error.into_panic());
                    }
                }
            };
            tokio::select! {
                () = all_stopped => {}
                () = ticker.run(|| this.schedule.phase()) => {}
            }
        });
        ticker.finish()
    }

    /// Closed loop: one request after the other.
    async fn slot(self: Rc<Self>, slot: u32) {
        // A slot ends when there is nothing left to take. Should it end otherwise, by a fault of ours, the level must not go on
        // with one slot less.
        let level_ends_with_slot = self.schedule.over.clone().drop_guard();
        let mut keeper = SlotConnection::new(&self.habit);
        let mut free = self.level_start;
        while !self.halt.is_cancelled() {
            let Some(place) = self.schedule.take(self.clock.at(Instant::now())) else {
                level_ends_with_slot.disarm();
                return;
            };
            let Some(sent) = self.send(&mut keeper, slot, place, free).await else {
                return;
            };
            free = self.free_after(&sent).await;
        }
    }

    /// When a slot that has sent a request may send the next.
    async fn free_after(&self, sent: &Sent) -> Offset {
        if !sent.no_server {
            return sent.finished;
        }
        self.halt.run_until_cancelled(tokio::time::sleep(FAILURE_PAUSE)).await;
        self.clock.at(Instant::now())
    }

    /// Closed loop of conversations: the slot is a user who waits for the answer, thinks, and goes on.
    async fn user(self: Rc<Self>, slot: u32) {
        let level_ends_with_user = self.schedule.over.clone().drop_guard();
        let mut keeper = SlotConnection::new(&self.habit);
        let mut free = self.level_start;
        while !self.halt.is_cancelled() {
            let Some(mut conversation) = self.schedule.begin(self.clock.at(Instant::now())) else {
                level_ends_with_user.disarm();
                return;
            };
            while !self.halt.is_cancelled()
                && let Some(place) = self.schedule.take_turn(&mut conversation)
            {
                let Some(sent) = self.send(&mut keeper, slot, place, free).await else {
                    return;
                };
                free = self.free_after(&sent).await;
                conversation.heard(sent.completed, sent.answer);
                if conversation.goes_on() {
                    free = free + self.schedule.think(&conversation);
                    self.wait_for(free).await;
                }
            }
        }
    }

    /// Open loop: every request when it is due, as long as a slot is free. Slots only keep connections here; the one
    /// that became free last is taken first, so that no more connections are open than were ever in flight.
    async fn arrivals(self: Rc<Self>) {
        let level_ends_with_arrivals = self.schedule.over.clone().drop_guard();
        let mut fresh = self.slots.iter().copied();
        let mut idle: Vec<(u32, SlotConnection)> = Vec::new();
        let mut running: JoinSet<(u32, SlotConnection)> = JoinSet::new();
        while !self.halt.is_cancelled() {
            while let Some(freed) = running.try_join_next() {
                idle.push(freed.unwrap_or_else(|fault| std::panic::resume_unwind(fault.into_panic())));
            }
            let slot = idle.pop().or_else(|| Some((fresh.next()?, SlotConnection::new(&self.habit))));
            let Some((slot, mut keeper)) = slot else {
                let freed = running.join_next().await;
                idle.extend(freed.and_then(Result::ok));
                continue;
            };
            let Some(place) = self.schedule.take(self.clock.at(Instant::now())) else {
                break;
            };
            let due = place.due.unwrap_or_else(|| self.clock.at(Instant::now()));
            if !self.wait_for(due).await {
                break;
            }
            self.schedule.sending();
            let this = Rc::clone(&self);
            running.spawn_local(async move {
                this.send(&mut keeper, slot, place, due).await;
                (slot, keeper)
            });
            tokio::task::yield_now().await;
        }
        while running.join_next().await.is_some() {}
        level_ends_with_arrivals.disarm();
    }

    /// Whether `due` came before the level needed no further request.
    async fn wait_for(&self, due: Offset) -> bool {
        let due = tokio::time::Instant::from_std(self.clock.instant(due));
        tokio::select! {
            biased;
            () = self.halt.cancelled() => false,
            () = self.schedule.measured_ended.cancelled() => false,
            () = tokio::time::sleep_until(due) => true,
        }
    }

    /// Sends one request, again if it fails and that is asked for, and hands the record of every attempt over; `None` when
    /// nobody takes records any more.
    async fn send(&self, keeper: &mut SlotConnection, slot: u32, place: Place, intended: Offset) -> Option<Sent> {
        let spec = self.plan.spec();
        let route = &self.routes[slot as usize % self.routes.len()];
        let answer: Option<Rc<RefCell<String>>> = place.turn.map(|_| Rc::default());
        let client = Client {
            target: &route.target,
            connector: &route.connector,
            timeouts: spec.timeouts,
            stream: spec.work.stream,
            endpoint: spec.work.endpoint,
            answer: answer.clone(),
            clock: self.clock,
            halt: self.halt.clone(),
        };
        let mut job = Job {
            request: place.request,
            level: self.schedule.index(),
            stage: place.stage,
            slot,
            turn: place.turn,
            retry: 0,
            intended,
            asked_output_tokens: place.output_tokens,
            body: place.body,
        };
        loop {
            let record = client.attempt(keeper, job.clone()).await;
            let no_server = found_no_server(&record);
            if no_server && record.connection == Connection::Reused {
                self.habit.closes();
            }
            let finished = record.finished_ns;
            let took = finished - record.sent_ns;
            let completed = matches!(record.outcome, Outcome::Completed { .. });
            let again = job.retry < spec.work.retries && retry::may_help(&record.outcome);
            if !again {
                self.schedule.ended(place.stage, took);
            }
            self.records.send(record).ok()?;
            if again {
                job.intended = finished + retry::pause(job.request, job.retry);
                job.retry += 1;
                if self.wait_for(job.intended).await {
                    continue;
                }
                self.schedule.ended(place.stage, took);
            }
            return Some(Sent {
                finished,
                no_server,
                completed,
                answer: answer.map(|text| text.take()).unwrap_or_default(),
            });
        }
    }
}

/// What a slot needs to know of the request that it has sent.
struct Sent {
    finished: Offset,
    no_server: bool,
    completed: bool,
    /// What the assistant said, where a conversation goes on with it.
    answer: String,
}

fn found_no_server(record: &RequestRecord) -> bool {
    match record.outcome {
        Outcome::ConnectFailed { .. } | Outcome::TimedOut { phase: TimeoutPhase::Connect } => true,
        Outcome::Cut { .. } => record.head_ns.is_none(),
        _ => false,
    }
}
