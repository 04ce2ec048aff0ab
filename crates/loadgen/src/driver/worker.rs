//! A load thread: its event loop, its slots and its ticker.

use std::{
    io,
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, mpsc},
    time::Duration,
};

use records::{Connection, Offset, Outcome, RequestRecord, TimeoutPhase};
use tokio::{
    runtime::{Builder, Runtime},
    task::{LocalSet, spawn_local},
};
use tokio_util::sync::CancellationToken;

use super::level::Schedule;
use crate::{
    LoadPlan,
    clock::Clock,
    keep_alive::{Habit, Keeper},
    overhead::{ThreadLoad, Ticker},
    request::{Client, Job},
};

/// Pause of a slot that found no server before it tries again. Without it, refused connections would spin.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// What one load thread needs.
pub(super) struct Worker {
    pub(super) plan: Arc<LoadPlan>,
    pub(super) addresses: Arc<[SocketAddr]>,
    pub(super) clock: Clock,
    pub(super) habit: Arc<Habit>,
    pub(super) schedule: Arc<Schedule>,
    /// Ends this thread's slots; a child of the level's.
    pub(super) halt: CancellationToken,
    pub(super) slots: Vec<u32>,
    pub(super) level_start: Offset,
    pub(super) records: mpsc::Sender<RequestRecord>,
}

/// An event loop for one thread.
pub(super) fn event_loop() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

impl Worker {
    /// Runs the slots until the level is over.
    pub(super) fn run(self, runtime: &Runtime) -> Vec<ThreadLoad> {
        let this = Rc::new(self);
        let mut ticker = Ticker::new(this.schedule.phase());
        LocalSet::new().block_on(runtime, async {
            let slots: Vec<_> = this
                .slots
                .iter()
                .map(|&slot| spawn_local(Rc::clone(&this).slot(slot)))
                .collect();
            let all_stopped = async {
                for slot in slots {
                    if let Err(error) = slot.await {
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

    async fn slot(self: Rc<Self>, slot: u32) {
        // A slot ends when there is nothing left to take. Should it end otherwise, by a fault of ours, the level must not go on
        // with one slot less.
        let level_ends_with_slot = self.schedule.over.clone().drop_guard();
        let spec = self.plan.spec();
        let client = Client {
            target: &spec.target,
            addresses: &self.addresses,
            timeouts: spec.timeouts,
            clock: self.clock,
            halt: self.halt.clone(),
        };
        let mut keeper = Keeper::new(&self.habit);
        let mut free = self.level_start;
        while !self.halt.is_cancelled() {
            let Some(place) = self.schedule.take() else {
                level_ends_with_slot.disarm();
                return;
            };
            let job = Job {
                request: place.request,
                level: self.schedule.index(),
                stage: place.stage,
                slot,
                intended: free,
                asked_output_tokens: place.output_tokens,
                body: place.body,
            };
            let record = client.attempt(&mut keeper, job).await;
            let no_server = found_no_server(&record);
            if no_server && record.connection == Connection::Reused {
                self.habit.closes();
            }
            free = record.finished_ns;
            self.schedule.ended(place.stage);
            if self.records.send(record).is_err() {
                return;
            }
            if no_server {
                self.halt
                    .run_until_cancelled(tokio::time::sleep(PAUSE))
                    .await;
                free = self.clock.now();
            }
        }
    }
}

fn found_no_server(record: &RequestRecord) -> bool {
    match record.outcome {
        Outcome::ConnectFailed { .. }
        | Outcome::TimedOut {
            phase: TimeoutPhase::Connect,
        } => true,
        Outcome::Cut { .. } => record.head_ns.is_none(),
        _ => false,
    }
}
