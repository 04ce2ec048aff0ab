//! What the load costs the client itself: processor time of its threads and delay of their event loops. It is the
//! evidence that a level shows the server's limit and not ours.
//!
//! Every load thread runs one ticker. A tick that fires late says that the event loop was busy, and that requests of the
//! same moment, and stamps that are not the kernel's, may be late by as much; up to 1 ms of it is the timer's own
//! granularity. Processor time is the kernel's
//! (`/proc/thread-self/schedstat`, Linux), exact to a scheduler tick. Phases are told apart at the first tick after they
//! change.

use std::{fs, time::Duration};

use records::{ClientLoad, PhaseKind};
use tokio::time::Instant;

use crate::kernel_stamp;

/// Time between two readings of the delay.
const LAG_PROBE_INTERVAL: Duration = Duration::from_millis(10);

/// What one thread spent during one phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ThreadLoad {
    pub(crate) phase: PhaseKind,
    /// `None` where the kernel does not say.
    pub(crate) cpu_ns: Option<u64>,
    pub(crate) lags_ns: Vec<u64>,
    pub(crate) unstamped_reads: u64,
}

/// Measures the thread that runs it.
pub(crate) struct Ticker {
    done: Vec<ThreadLoad>,
    phase: PhaseKind,
    cpu_before: Option<u64>,
    lags_ns: Vec<u64>,
}

impl Ticker {
    pub(crate) fn new(phase: PhaseKind) -> Self {
        kernel_stamp::take_unstamped();
        Self { done: Vec::new(), phase, cpu_before: thread_cpu_ns(), lags_ns: Vec::new() }
    }

    /// Ticks until dropped; `phase` says which phase it is.
    pub(crate) async fn run(&mut self, phase: impl Fn() -> PhaseKind) {
        let mut due = Instant::now();
        loop {
            due += LAG_PROBE_INTERVAL;
            tokio::time::sleep_until(due).await;
            let lag = due.elapsed();
            self.enter(phase());
            self.lags_ns.push(u64::try_from(lag.as_nanos()).unwrap_or(u64::MAX));
            // Ticks that were missed are one long delay, not many short ones.
            due += lag;
        }
    }

    /// Ends the last phase.
    pub(crate) fn finish(mut self) -> Vec<ThreadLoad> {
        self.close();
        self.done
    }

    fn enter(&mut self, phase: PhaseKind) {
        if phase != self.phase {
            self.close();
            self.phase = phase;
        }
    }

    fn close(&mut self) {
        let cpu = thread_cpu_ns();
        let spent = cpu.zip(self.cpu_before).map(|(now, before)| now.saturating_sub(before));
        self.done.push(ThreadLoad {
            phase: self.phase,
            cpu_ns: spent,
            lags_ns: std::mem::take(&mut self.lags_ns),
            unstamped_reads: kernel_stamp::take_unstamped(),
        });
        self.cpu_before = cpu;
    }
}

/// What all threads together spent during `phase`; `None` when that was too short for a reading of the delay on any
/// thread, or the kernel does not say.
pub(crate) fn client_load(threads: &[Vec<ThreadLoad>], phase: PhaseKind) -> Option<ClientLoad> {
    let mut cpu_ns = 0;
    let mut lags = Vec::new();
    let mut unstamped_reads = 0;
    for load in threads.iter().flatten().filter(|l| l.phase == phase) {
        cpu_ns += load.cpu_ns?;
        lags.extend_from_slice(&load.lags_ns);
        unstamped_reads += load.unstamped_reads;
    }
    lags.sort_unstable();
    // The smallest reading that is not exceeded by 99 % of them.
    let rank = (lags.len() * 99).div_ceil(100);
    Some(ClientLoad {
        cpu_ns,
        threads: u32::try_from(threads.len()).unwrap_or(u32::MAX),
        lag_max_ns: *lags.last()?,
        lag_p99_ns: *lags.get(rank.checked_sub(1)?)?,
        lag_samples: lags.len() as u64,
        unstamped_reads: Some(unstamped_reads),
    })
}

fn thread_cpu_ns() -> Option<u64> {
    parse_schedstat(&fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// The first of three numbers: time on a processor, time waiting for one, time slices.
fn parse_schedstat(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(phase: PhaseKind, cpu_ns: Option<u64>, lags_ns: Vec<u64>) -> ThreadLoad {
        ThreadLoad { phase, cpu_ns, lags_ns, unstamped_reads: 2 }
    }

    #[test]
    fn threads_are_added_up_phase_by_phase() {
        use PhaseKind::{Drain, Measure, Warmup};
        let threads = [
            vec![load(Warmup, Some(5), vec![900]), load(Measure, Some(7), (1..=150).collect())],
            vec![load(Measure, Some(3), (151..=200).rev().collect()), load(Drain, Some(1), vec![])],
        ];
        let expected = ClientLoad {
            cpu_ns: 10,
            threads: 2,
            lag_max_ns: 200,
            lag_p99_ns: 198,
            lag_samples: 200,
            unstamped_reads: Some(4),
        };
        assert_eq!(client_load(&threads, Measure), Some(expected));
        assert_eq!(client_load(&threads, Warmup).map(|l| l.lag_p99_ns), Some(900));
        assert_eq!(client_load(&threads, Drain), None, "no reading");
        let silent = [vec![load(Measure, None, vec![1])]];
        assert_eq!(client_load(&silent, Measure), None, "no processor time");
    }

    #[test]
    fn schedstat_is_read_as_the_kernel_writes_it() {
        // A line of /proc/thread-self/schedstat, Linux 6.1.
        assert_eq!(parse_schedstat("2871432 105732 14\n"), Some(2_871_432));
        assert_eq!(parse_schedstat(""), None);
    }
}
