//! One line on stderr while something runs, with the time that is left. Hidden where stderr is no terminal; there a
//! plain line appears now and then.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use bench::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use records::{Plan, Stage};
use stats::{Histogram, Quantile};

/// How often a plain line is printed where no line can be redrawn.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Shows a measurement on stderr, event by event.
#[derive(Debug, Default)]
pub(crate) struct Progress(Option<Sweep>);

impl Progress {
    /// Shows one event.
    pub(crate) fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::RunStarted { plan, .. } => self.0 = Some(Sweep::start(plan)),
            Event::LoadEnded => {
                if let Some(sweep) = self.0.take() {
                    sweep.line.finish_and_clear();
                }
            }
            Event::IdleBaseline { left } => {
                if let Some(sweep) = &mut self.0 {
                    sweep.show(format!("idle baseline, {} s left", left.as_secs() + 1));
                }
            }
            Event::Load(event) => {
                if let Some(sweep) = &mut self.0 {
                    sweep.observe(event);
                }
            }
            Event::SeriesRun { number, runs } => log(&format!("run {number} of {runs}")),
            Event::SearchEstimate { capacity, levels, requests } => {
                let text = |value: Option<f64>| value.map_or_else(|| "…".to_owned(), |v| format!("{v:.3}"));
                let (load, low, high) = (text(capacity.load), text(capacity.low), text(capacity.high));
                log(&format!("find capacity: {load} ({low} to {high}) after {levels} levels and {requests} requests"));
            }
            Event::SearchProbe { load, volumes } => {
                log(&format!("find capacity: next level, {load}, {volumes} times the least"));
            }
            Event::SearchEnded { note } => log(note),
            _ => {}
        }
    }
}

/// Progress of a sweep over levels.
#[derive(Debug)]
struct Sweep {
    line: ProgressBar,
    started: Instant,
    plain_due: Option<Instant>,
    levels: Vec<Level>,
    current: usize,
    level_started: Instant,
    /// TTFT of the level's measured requests so far, in nanoseconds.
    ttft: Histogram,
    /// Length of the last measured request, which is what a wave takes, and when it ended.
    wave: Option<(Duration, Instant)>,
}

/// One level's share of the work. A wave is one request in each slot.
#[derive(Clone, Copy, Debug)]
struct Level {
    concurrency: u32,
    planned: u64,
    finished: u64,
}

impl Level {
    fn waves_left(&self) -> f64 {
        self.planned.saturating_sub(self.finished) as f64 / f64::from(self.concurrency)
    }
}

impl Sweep {
    /// Progress over the levels of `plan`.
    fn start(plan: &Plan) -> Self {
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            line.set_style(style);
        }
        let now = Instant::now();
        let levels = plan.levels.iter().zip(&plan.requests);
        Self {
            plain_due: line.is_hidden().then_some(now + PLAIN_EVERY),
            line,
            started: now,
            levels: levels.map(|(&concurrency, &planned)| Level { concurrency, planned, finished: 0 }).collect(),
            current: 0,
            level_started: now,
            ttft: Histogram::default(),
            wave: None,
        }
    }

    fn observe(&mut self, event: &loadgen::Event) {
        match event {
            loadgen::Event::LevelStarted { level, .. } => {
                self.current = *level as usize;
                self.level_started = Instant::now();
                self.ttft = Histogram::default();
            }
            loadgen::Event::Request(request) if request.stage == Stage::Measured => {
                self.measured(request.finished_ns - request.sent_ns, request.ttft());
            }
            loadgen::Event::Progress(progress) => self.update(progress.in_flight, progress.output_tokens),
            _ => {}
        }
    }

    /// A measured request has ended; `ttft` where a token came.
    fn measured(&mut self, took: Duration, ttft: Option<Duration>) {
        self.wave = Some((took, Instant::now()));
        if let Some(ttft) = ttft {
            self.ttft.record(u64::try_from(ttft.as_nanos()).unwrap_or(u64::MAX));
        }
        if let Some(level) = self.levels.get_mut(self.current) {
            level.finished += 1;
        }
    }

    /// Shows how far the current level is.
    fn update(&mut self, in_flight: u64, output_tokens: u64) {
        let Some(level) = self.levels.get(self.current) else {
            return;
        };
        let seconds = self.level_started.elapsed().as_secs_f64().max(1e-3);
        let message = format!(
            "level {}/{}, concurrency {} | {}/{} requests | {in_flight} in flight | {:.0} output tok/s{} | {}",
            self.current + 1,
            self.levels.len(),
            level.concurrency,
            level.finished,
            level.planned,
            output_tokens as f64 / seconds,
            ttft_so_far(&self.ttft),
            self.eta().map_or_else(|| "ETA …".into(), |eta| format!("ETA {} s", eta.as_secs())),
        );
        self.show(message);
    }

    fn show(&mut self, message: String) {
        match &mut self.plain_due {
            None => {
                self.line.set_message(message);
                self.line.tick();
            }
            Some(due) if Instant::now() >= *due => {
                *due = Instant::now() + PLAIN_EVERY;
                log(&format!("{:>4.0} s: {message}", self.started.elapsed().as_secs_f64()));
            }
            Some(_) => {}
        }
    }

    /// Time left if every wave to come takes as long as the last one did: too short while levels get slower.
    fn eta(&self) -> Option<Duration> {
        let waves: f64 = self.levels.iter().skip(self.current).map(Level::waves_left).sum();
        let (wave, ended) = self.wave?;
        let left = Duration::try_from_secs_f64(wave.as_secs_f64() * waves).ok()?;
        Some(left.saturating_sub(ended.elapsed()))
    }
}

/// Median and 95th percentile, to three digits; nothing before the first token.
fn ttft_so_far(ttft: &Histogram) -> String {
    let ms = |q| ttft.quantile(q).map(|between| between.high / 1e6);
    let text = |ms: f64| {
        if ms < 10.0 {
            format!("{ms:.2}")
        } else if ms < 100.0 {
            format!("{ms:.1}")
        } else {
            format!("{ms:.0}")
        }
    };
    match (ms(Quantile::P50), ms(Quantile::P95)) {
        (Some(p50), Some(p95)) => format!(" | TTFT p50 {} p95 {} ms", text(p50), text(p95)),
        _ => String::new(),
    }
}

/// A line for people, on stderr: stdout belongs to results.
///
/// Never fails: a terminal that is gone must not end what is running.
pub fn log(message: &str) {
    drop(writeln!(io::stderr().lock(), "{message}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_shows_the_levels_own_quantiles_of_ttft() {
        let mut ttft = Histogram::default();
        assert_eq!(ttft_so_far(&ttft), "");
        // 1 to 100 ms: by nearest rank the median is the 50th, the 95th percentile the 95th; three digits are kept.
        for ms in 1..=100 {
            ttft.record(ms * 1_000_000);
        }
        assert_eq!(ttft_so_far(&ttft), " | TTFT p50 50.0 p95 95.0 ms");
        let mut slow = Histogram::default();
        slow.record(2_345_000_000);
        let shown = ttft_so_far(&slow);
        let p50: f64 = shown.split(' ').nth(4).unwrap().parse().unwrap();
        assert!((p50 / 2345.0 - 1.0).abs() <= 1e-3, "{shown}");
    }
}
