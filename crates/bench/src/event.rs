//! Events of a measurement, for whoever shows its progress.

use std::{fmt, path::Path, time::Duration};

use analysis::LoadCapacity;
use records::Plan;

/// A load that a search tries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SearchedLoad {
    /// Requests kept in flight.
    Concurrency(f64),
    /// Requests sent per second.
    Rate(f64),
}

impl fmt::Display for SearchedLoad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Concurrency(slots) => write!(f, "concurrency {slots}"),
            Self::Rate(per_second) => write!(f, "{per_second} requests per second"),
        }
    }
}

/// What happens during a measurement, in order.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A run of a series begins.
    SeriesRun {
        /// Its number, from 1.
        number: u32,
        /// Runs of the series.
        runs: u32,
    },
    /// A run begins or goes on; its folder exists. In a search, once for each level.
    RunStarted {
        /// The run folder.
        dir: &'a Path,
        /// The plan that is carried out.
        plan: &'a Plan,
    },
    /// The idle GPUs are watched before the load, several times a second.
    IdleBaseline {
        /// Time left.
        left: Duration,
    },
    /// An event of the load.
    Load(&'a loadgen::Event),
    /// The load of a run, or of a search's level, has ended.
    LoadEnded,
    /// The capacity as a search estimates it after a level.
    SearchEstimate {
        /// The capacity with its interval.
        capacity: &'a LoadCapacity,
        /// Levels run so far.
        levels: usize,
        /// Requests sent so far, warm-up included.
        requests: usize,
    },
    /// The next level of a search.
    SearchProbe {
        /// The load to try.
        load: SearchedLoad,
        /// How many times the least that a level measures.
        volumes: u32,
    },
    /// A search is over.
    SearchEnded {
        /// The sentence that the manifest's notes contain.
        note: &'a str,
    },
}
