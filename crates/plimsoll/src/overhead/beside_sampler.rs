//! Whether sampling GPUs disturbs the client: its error without and with a sampler in the same process, in turn, so that
//! what else the machine does falls on both. The sampler is a run's own, at its fastest: ten readings a second.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use gpumon::{Line, Period, Sampler, Selection, Source as _, nvml};
use loadgen::StopHandle;
use records::GpuLine;
use serde::Serialize;

use super::{OverheadArgs, Row, Server, measure};
use crate::{
    exit::{self, Exit},
    output,
    progress::log,
};

/// The shortest time between two readings that can be asked for.
const PERIOD: Duration = Duration::from_millis(100);

/// The errors at one number of streams.
#[derive(Debug, Serialize)]
struct Effect {
    streams: u32,
    rounds: u32,
    gpus: usize,
    /// Readings of single GPUs while there was load, and ticks that were missed.
    samples: u64,
    missed: u64,
    without: Errors,
    with: Errors,
    /// With over without.
    ratio: Errors,
}

/// Medians over the rounds; in `ratio`, ratios of them.
#[derive(Clone, Copy, Debug, Serialize)]
struct Errors {
    ttft_error_p50_ms: f64,
    ttft_error_p99_ms: f64,
    gap_error_p99_ms: f64,
    /// Of the whole process, the sampler among it.
    cpu_us_per_event: f64,
}

#[derive(Debug, Serialize)]
struct Effects {
    beside_sampler: Vec<Effect>,
}

pub(super) fn run(args: &OverheadArgs, rounds: u32, server: &Server, stop: &StopHandle) -> anyhow::Result<Exit> {
    let effects =
        args.streams.iter().map(|streams| effect(*streams, rounds, server, stop)).collect::<anyhow::Result<_>>()?;
    let effects = Effects { beside_sampler: effects };
    output::emit(args.json, &effects, |effects| table(&effects.beside_sampler))?;
    Ok(Exit::Ok)
}

fn effect(streams: u32, rounds: u32, server: &Server, stop: &StopHandle) -> anyhow::Result<Effect> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let (mut gpus, mut samples, mut missed) = (0, 0, 0);
    for round in 0..rounds {
        log(&format!("{streams} streams, round {} of {rounds} …", round + 1));
        // Whoever goes second finds a warmer machine, so they take turns at that too.
        let order = if round % 2 == 0 { [false, true] } else { [true, false] };
        for sampled in order {
            let sampling = sampled.then(Sampling::start).transpose()?;
            let row = measure(server, streams, stop)?;
            if let Some(seen) = sampling.map(Sampling::stop) {
                gpus = seen.gpus;
                samples += seen.samples;
                missed += seen.missed;
                with.push(row);
            } else {
                without.push(row);
            }
        }
    }
    let (without, with) = (Errors::medians(&without), Errors::medians(&with));
    Ok(Effect { streams, rounds, gpus, samples, missed, without, with, ratio: with.over(without) })
}

/// A sampler of this machine's GPUs at work.
struct Sampling {
    sampler: Sampler,
    gpus: usize,
}

/// What it did.
struct Seen {
    gpus: usize,
    samples: u64,
    missed: u64,
}

impl Sampling {
    fn start() -> anyhow::Result<Self> {
        let all = nvml::open().and_then(|gpus| gpus.choosing(&Selection::of(&[])));
        let mut source = all.map_err(|absent| {
            exit::error(
                Exit::Usage,
                format!("{absent}\nhint: take fake ones: cargo run --release -p xtask --example sampler_effect"),
            )
        })?;
        let gpus = source.describe().len();
        let period = Period::try_from(PERIOD).context("set the period")?;
        let sampler = Sampler::start(vec![Box::new(source)], period, Instant::now());
        Ok(Self { sampler: sampler.context("start the telemetry thread")?, gpus })
    }

    fn stop(self) -> Seen {
        let mut lines = self.sampler.drain();
        let report = self.sampler.stop();
        lines.extend(report.lines);
        let is_sample = |line: &&Line| matches!(line, Line::Gpu(GpuLine::Sample(_)));
        Seen { gpus: self.gpus, samples: lines.iter().filter(is_sample).count() as u64, missed: report.missed }
    }
}

impl Errors {
    fn medians(rows: &[Row]) -> Self {
        let of = |figure: fn(&Row) -> f64| median(rows.iter().map(figure).collect());
        Self {
            ttft_error_p50_ms: of(|row| row.ttft_error_p50_ms),
            ttft_error_p99_ms: of(|row| row.ttft_error_p99_ms),
            gap_error_p99_ms: of(|row| row.gap_error_p99_ms),
            cpu_us_per_event: of(|row| row.cpu_us_per_event),
        }
    }

    fn over(self, other: Self) -> Self {
        Self {
            ttft_error_p50_ms: self.ttft_error_p50_ms / other.ttft_error_p50_ms,
            ttft_error_p99_ms: self.ttft_error_p99_ms / other.ttft_error_p99_ms,
            gap_error_p99_ms: self.gap_error_p99_ms / other.gap_error_p99_ms,
            cpu_us_per_event: self.cpu_us_per_event / other.cpu_us_per_event,
        }
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

fn table(effects: &[Effect]) -> String {
    let mut lines = vec![
        "error of the client without and with a sampler that reads all GPUs every 100 ms (medians over the rounds)\n"
            .to_owned(),
        format!(
            "{:>8} {:>8} {:>12} {:>12} {:>12} {:>14}",
            "streams", "sampler", "TTFT p50 ms", "TTFT p99 ms", "gap p99 ms", "CPU/event µs"
        ),
    ];
    for effect in effects {
        let row = |name: &str, errors: Errors| {
            format!(
                "{:>8} {name:>8} {:>12.3} {:>12.3} {:>12.3} {:>14.3}",
                effect.streams,
                errors.ttft_error_p50_ms,
                errors.ttft_error_p99_ms,
                errors.gap_error_p99_ms,
                errors.cpu_us_per_event
            )
        };
        lines.push(row("without", effect.without));
        lines.push(row("with", effect.with));
        lines.push(row("ratio", effect.ratio));
        lines.push(format!(
            "{:>8} {} rounds, {} GPUs, {} samples, {} missed ticks",
            "", effect.rounds, effect.gpus, effect.samples, effect.missed
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(vec![]).is_nan());
    }
}
