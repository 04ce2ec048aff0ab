//! One line on stderr while something runs, with the time that is left. Hidden where stderr is no terminal; there a
//! plain line appears now and then.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use records::Plan;
use stats::{Histogram, Quantile};

/// How often a plain line is printed where no line can be redrawn.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Progress of a sweep over levels.
#[derive(Debug)]
pub(crate) struct Progress {
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

impl Progress {
    /// Progress over the levels of `plan`.
    pub(crate) fn start(plan: &Plan) -> Self {
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

    /// A level begins.
    pub(crate) fn level(&mut self, level: usize) {
        self.current = level;
        self.level_started = Instant::now();
        self.ttft = Histogram::default();
    }

    /// A measured request has ended; `ttft` where a token came.
    pub(crate) fn measured(&mut self, took: Duration, ttft: Option<Duration>) {
        self.wave = Some((took, Instant::now()));
        if let Some(ttft) = ttft {
            self.ttft.record(u64::try_from(ttft.as_nanos()).unwrap_or(u64::MAX));
        }
        if let Some(level) = self.levels.get_mut(self.current) {
            level.finished += 1;
        }
    }

    /// Shows how far the current level is.
    pub(crate) fn update(&mut self, in_flight: u64, output_tokens: u64) {
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

    /// Something else that takes a while.
    pub(crate) fn note(&mut self, message: impl Into<String>) {
        self.show(message.into());
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

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        self.line.finish_and_clear();
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
#[expect(clippy::print_stderr, reason = "the terminal is xtask's")]
pub fn log(message: &str) {
    eprintln!("{message}");
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
