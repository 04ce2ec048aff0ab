//! The thread that keeps time: reads every source at a steady period, and at once when asked.
//!
//! Ticks are absolute: tick `k` is due `k` periods after the start, whatever the readings cost. A tick that has passed
//! before its turn is skipped and counted, never made up for. Sources are read one after the other, in the order given:
//! put local ones first, so that a slow server delays only itself and the next tick.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use thiserror::Error;

use records::Clock;

use crate::{Line, Occasion, Source};

/// Time between ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(Duration);

impl Period {
    /// Faster than this, drivers answer with the value of last time and their locks begin to cost the workload.
    pub const SHORTEST: Duration = Duration::from_millis(100);
    /// Slower than this is no sampling.
    pub const LONGEST: Duration = Duration::from_hours(1);
}

impl Default for Period {
    /// 500 ms.
    fn default() -> Self {
        Self(Duration::from_millis(500))
    }
}

impl TryFrom<Duration> for Period {
    type Error = PeriodOutOfRange;

    fn try_from(period: Duration) -> Result<Self, PeriodOutOfRange> {
        if !(Self::SHORTEST..=Self::LONGEST).contains(&period) {
            return Err(PeriodOutOfRange { asked: period });
        }
        Ok(Self(period))
    }
}

/// A period below [`Period::SHORTEST`] or above [`Period::LONGEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a sampling period of {asked:?} is out of range\nhint: it may be from 100 ms to 1 h; 500 ms is usual")]
pub struct PeriodOutOfRange {
    /// What was asked for.
    pub asked: Duration,
}

/// A running sampler. Dropping it ends its thread after the reading in hand; [`Sampler::stop`] also says what it did.
#[derive(Debug)]
pub struct Sampler {
    requests: mpsc::Sender<Request>,
    collected: Arc<Mutex<Vec<Line>>>,
    thread: JoinHandle<Tally>,
}

/// What a sampler did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplerReport {
    /// Lines collected since the last [`Sampler::drain`].
    pub lines: Vec<Line>,
    /// Ticks at which the sources were read.
    pub ticks: u64,
    /// Ticks that passed while a reading was going on.
    pub missed: u64,
    /// Time spent reading, all in all, in nanoseconds: what sampling itself cost.
    pub read_ns: u64,
}

enum Request {
    /// Read now, then drop the sender.
    Sample(mpsc::Sender<()>),
    Stop,
}

impl Sampler {
    /// Starts the thread, which describes every source and then reads it, for the first time at once. Lines stay in memory
    /// until [`Sampler::drain`], so call that at least once per level. An error means that no thread could be started.
    pub fn start(sources: Vec<Box<dyn Source>>, period: Period, epoch: Instant) -> io::Result<Self> {
        let (requests, inbox) = mpsc::channel();
        let collected = Arc::new(Mutex::new(Vec::new()));
        let worker =
            Worker { sources, clock: Clock::new(epoch), collected: Arc::clone(&collected), tally: Tally::default() };
        let thread = thread::Builder::new().name("telemetry".to_owned()).spawn(move || worker.run(period, &inbox))?;
        Ok(Self { requests, collected, thread })
    }

    /// Reads every source once more and returns when that is done. The reading begins after this call, even if a tick is in
    /// progress, and does not spare sources that are out. It is not a tick.
    pub fn sample_now(&self) {
        let (done, finished) = mpsc::channel();
        if self.requests.send(Request::Sample(done)).is_ok() {
            // Nothing is ever sent: the sender is dropped when the reading is done, or the thread is gone.
            finished.recv().unwrap_or_default();
        }
    }

    /// Takes what has been collected so far. Never waits for a reading.
    pub fn drain(&self) -> Vec<Line> {
        take(&self.collected)
    }

    /// Ends the thread, after the reading in hand if there is one, and says what it did.
    pub fn stop(self) -> SamplerReport {
        // If it cannot be sent, the thread has ended already.
        self.requests.send(Request::Stop).unwrap_or_default();
        let joined = self.thread.join();
        let mut lines = take(&self.collected);
        let tally = joined.unwrap_or_else(|_| {
            lines.push(Line::Note(
                "the telemetry thread failed: what it collected ends early\nhint: this is a fault of this program, please report it".to_owned(),
            ));
            Tally::default()
        });
        SamplerReport {
            lines,
            ticks: tally.ticks,
            missed: tally.missed,
            read_ns: u64::try_from(tally.reading.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

fn take(collected: &Mutex<Vec<Line>>) -> Vec<Line> {
    // Lines are appended whole, so what a failed thread left behind is sound.
    std::mem::take(&mut *collected.lock().unwrap_or_else(PoisonError::into_inner))
}

#[derive(Debug, Default)]
struct Tally {
    ticks: u64,
    missed: u64,
    reading: Duration,
}

struct Worker {
    sources: Vec<Box<dyn Source>>,
    clock: Clock,
    collected: Arc<Mutex<Vec<Line>>>,
    tally: Tally,
}

impl Worker {
    fn run(mut self, period: Period, inbox: &mpsc::Receiver<Request>) -> Tally {
        let described = self.sources.iter_mut().flat_map(|s| s.describe()).collect();
        self.collect(described);
        let mut ticks = Ticks::starting(Instant::now(), period);
        loop {
            let pause = ticks.due.saturating_duration_since(Instant::now());
            match inbox.recv_timeout(pause) {
                Ok(Request::Sample(_done)) => self.read(Occasion::Requested),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.read(Occasion::Scheduled);
                    self.tally.ticks += 1;
                    self.tally.missed += ticks.advance(Instant::now());
                }
                Ok(Request::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let last = self.sources.iter_mut().flat_map(|s| s.finish()).collect();
                    self.collect(last);
                    return self.tally;
                }
            }
        }
    }

    fn read(&mut self, occasion: Occasion) {
        let began = Instant::now();
        let mut lines = Vec::new();
        for source in &mut self.sources {
            source.sample(self.clock, occasion, &mut lines);
        }
        self.tally.reading += began.elapsed();
        self.collect(lines);
    }

    fn collect(&self, mut lines: Vec<Line>) {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner).append(&mut lines);
    }
}

/// When the next tick is due. Pure: times are arguments.
struct Ticks {
    due: Instant,
    period: Duration,
}

impl Ticks {
    fn starting(start: Instant, Period(period): Period) -> Self {
        Self { due: start, period }
    }

    /// Moves to the first tick after `now`; how many were passed over.
    fn advance(&mut self, now: Instant) -> u64 {
        let late = now.saturating_duration_since(self.due);
        let passed = late.as_nanos() / self.period.as_nanos();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX - 1);
        self.due += self.period * (passed + 1);
        u64::from(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stay_on_their_grid_and_count_what_they_pass_over() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut ticks = Ticks::starting(start, Period::try_from(ms(100)).unwrap());
        // (time after reading the tick that was due, ticks passed over, next tick due)
        for (now, missed, due) in [(0, 0, 100), (199, 0, 200), (200, 0, 300), (400, 1, 500), (2_549, 20, 2_600)] {
            assert_eq!(ticks.advance(start + ms(now)), missed, "at {now} ms");
            assert_eq!(ticks.due, start + ms(due), "at {now} ms");
        }
    }

    #[test]
    fn a_period_out_of_range_is_refused() {
        for asked in [Duration::ZERO, Duration::from_millis(99), Duration::MAX] {
            assert_eq!(Period::try_from(asked), Err(PeriodOutOfRange { asked }));
        }
        assert_eq!(Period::try_from(Duration::from_millis(500)), Ok(Period::default()));
    }
}
