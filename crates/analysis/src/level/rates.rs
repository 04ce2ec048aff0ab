//! Something per second, with an interval: good requests, output tokens.
//!
//! In a closed loop every slot renews itself with each request that it sends: it gives an amount and takes the time until it
//! sends the next one, the cycle. What slots give per second is the sum of their ratios of amounts to times (the renewal
//! reward theorem; Ross, Stochastic Processes, 1996, section 3.6), and what a request gave beyond what its slot gives in
//! the time that it took is its share in the error of that sum (the ratio's linearisation; Cochran, Sampling Techniques,
//! 1977, section 6.4). These residuals, in the order of sending, have the standard error of their batch means. Counting by
//! slices of the window instead would call it chance that a slice holds one end of a request more than the next.
//!
//! An open loop has no slots: all its requests follow each other like those of one.

use std::collections::HashMap;

use records::{RequestRecord, Stage};
use stats::{Interval, Span};

use crate::{
    Estimate,
    distribution::{Reading, estimate},
    level::window::LevelRecords,
};

/// A level's measured requests, and how their amounts become rates.
#[derive(Debug)]
pub(crate) struct Rates<'a> {
    /// In the order of sending.
    pub(crate) requests: &'a [&'a RequestRecord],
    /// The measuring window.
    pub(crate) window: Span,
    /// How the observations are to be read.
    pub(crate) reading: Reading,
    cycles: Cycles,
}

impl<'a> Rates<'a> {
    /// `None` where nothing was measured.
    pub(crate) fn new(
        level: &LevelRecords<'_>,
        requests: &'a [&'a RequestRecord],
        is_closed_loop: bool,
        reading: Reading,
    ) -> Option<Self> {
        Some(Self { requests, window: level.window?, reading, cycles: Cycles::new(level, requests, is_closed_loop) })
    }

    /// What the requests gave, by `amount`, per second of the window.
    pub(crate) fn per_second(&self, amount: impl Fn(&RequestRecord) -> f64) -> Estimate {
        let seconds = self.window.ticks() as f64 / 1e9;
        let amounts: Vec<f64> = self.requests.iter().map(|record| amount(record)).collect();
        let value = amounts.iter().sum::<f64>() / seconds;
        let residuals = self.cycles.residuals(&amounts);
        // Of nothing that happened nothing shows how it scatters.
        let batches = self.reading.batches(&residuals).filter(|_| value > 0.0);
        let interval = batches.map(|batches| {
            let half_of_mean = batches.mean_interval(self.reading.confidence).high - batches.mean();
            let half = half_of_mean * residuals.len() as f64 / seconds;
            Interval { low: (value - half).max(0.0), high: value + half }
        });
        estimate(value, interval)
    }
}

/// Who sent each measured request and how long until the same sent the next.
#[derive(Debug)]
struct Cycles {
    /// In the order of sending; slots are numbered anew from 0.
    of: Vec<Cycle>,
    slots: usize,
}

#[derive(Clone, Copy, Debug)]
struct Cycle {
    slot: usize,
    seconds: f64,
}

impl Cycles {
    fn new(level: &LevelRecords<'_>, measured: &[&RequestRecord], is_closed_loop: bool) -> Self {
        let slot = |record: &RequestRecord| if is_closed_loop { record.slot } else { 0 };
        let mut next_sent: HashMap<u32, u64> = HashMap::new();
        for record in &level.requests {
            if record.stage == Stage::Cooldown {
                let next = next_sent.entry(slot(record)).or_insert(u64::MAX);
                *next = record.sent_ns.0.min(*next);
            }
        }
        let mut numbers: HashMap<u32, usize> = HashMap::new();
        let mut of: Vec<Cycle> = measured
            .iter()
            .rev()
            .map(|record| {
                let sent = record.sent_ns.0;
                let next = next_sent.insert(slot(record), sent);
                let until = next.unwrap_or(record.finished_ns.0);
                let number = numbers.len();
                Cycle {
                    slot: *numbers.entry(slot(record)).or_insert(number),
                    seconds: until.saturating_sub(sent) as f64 / 1e9,
                }
            })
            .collect();
        of.reverse();
        Self { of, slots: numbers.len() }
    }

    /// Of each amount, what is more than its slot gives in the cycle's time.
    fn residuals(&self, amounts: &[f64]) -> Vec<f64> {
        let mut sums = vec![(0.0, 0.0); self.slots];
        for (cycle, amount) in self.of.iter().zip(amounts) {
            sums[cycle.slot].0 += amount;
            sums[cycle.slot].1 += cycle.seconds;
        }
        let residual = |(cycle, amount): (&Cycle, &f64)| {
            let (given, seconds) = sums[cycle.slot];
            if seconds > 0.0 { amount - given / seconds * cycle.seconds } else { 0.0 }
        };
        self.of.iter().zip(amounts).map(residual).collect()
    }
}
