//! Something per second, with an interval: good requests, output tokens.
//!
//! Waves of requests in the order of sending, each with the time until the next one was sent, are pairs; the ratio of their
//! sums has a t-interval from its linearisation (Cochran, Sampling Techniques, 1977, section 6.4), here over batches of
//! waves. Slices of the window would do as well, were it not that waves do not end where slices do.

use std::num::NonZeroUsize;

use records::RequestRecord;
use stats::{Interval, Span};

use crate::{
    Estimate,
    distribution::{Reading, estimate},
};

/// What the measured requests gave, by `amount`, per second of the window.
pub(crate) fn per_second(
    requests: &[&RequestRecord],
    amount: impl Fn(&RequestRecord) -> f64,
    window: Span,
    reading: Reading,
) -> Estimate {
    let seconds = window.ticks() as f64 / 1e9;
    let value = requests.iter().map(|record| amount(record)).sum::<f64>() / seconds;
    let wave = reading.wave.get();
    let starts = requests.iter().map(|record| record.sent_ns.0);
    let mut starts: Vec<u64> = starts.step_by(wave).collect();
    if requests.len().is_multiple_of(wave) {
        starts.push(window.end());
    }
    // Of each wave: what it gave beyond what the rate gives for its time.
    let excess: Vec<f64> = requests
        .chunks_exact(wave)
        .zip(starts.windows(2))
        .map(|(wave, ends)| {
            let time = ends[1].saturating_sub(ends[0]) as f64 / 1e9;
            wave.iter().map(|record| amount(record)).sum::<f64>() - value * time
        })
        .collect();
    let waves = Reading {
        wave: NonZeroUsize::MIN,
        ..reading
    };
    // Of nothing that happened nothing shows how it scatters.
    let batches = waves.batches(&excess).filter(|_| value > 0.0);
    let interval = batches.map(|batches| {
        let half_of_mean = batches.mean_interval(reading.confidence).high - batches.mean();
        let half = half_of_mean * excess.len() as f64 / seconds;
        Interval {
            low: (value - half).max(0.0),
            high: value + half,
        }
    });
    estimate(value, interval)
}
