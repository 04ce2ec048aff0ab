//! One line on stderr while something runs, with the time that is left. Hidden where stderr is no terminal; there a
//! plain line appears now and then.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use records::Plan;

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
}

/// What is known of a level's length.
#[derive(Clone, Copy, Debug)]
struct Level {
    concurrency: u32,
    planned: u64,
    finished: u64,
}

impl Level {
    /// Waves of requests still to come: a wave is one request in each slot.
    fn waves_left(&self) -> f64 {
        (self.planned.saturating_sub(self.finished)) as f64 / f64::from(self.concurrency)
    }
}

impl Progress {
    /// Progress over the levels of `plan`.
    pub(crate) fn start(plan: &Plan) -> Self {
        let requests = plan
            .requests
            .iter()
            .zip(&plan.warmup_requests)
            .map(|(measured, warmup)| measured + warmup);
        let levels = plan.levels.iter().zip(requests);
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        line.set_style(
            ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        let now = Instant::now();
        Self {
            plain_due: line.is_hidden().then_some(now),
            line,
            started: now,
            levels: levels
                .map(|(&concurrency, planned)| Level {
                    concurrency,
                    planned,
                    finished: 0,
                })
                .collect(),
            current: 0,
            level_started: now,
        }
    }

    /// A level begins.
    pub(crate) fn level(&mut self, level: usize) {
        self.current = level;
        self.level_started = Instant::now();
    }

    /// How far the current level is.
    pub(crate) fn update(&mut self, finished: u64, in_flight: u64, output_tokens: u64) {
        let Some(level) = self.levels.get_mut(self.current) else {
            return;
        };
        level.finished = finished;
        let Level {
            concurrency,
            planned,
            ..
        } = *level;
        let seconds = self.level_started.elapsed().as_secs_f64().max(1e-3);
        let message = format!(
            "level {}/{} c={} | {}/{} requests | {in_flight} in flight | {:.0} output tok/s | {}",
            self.current + 1,
            self.levels.len(),
            concurrency,
            finished.min(planned),
            planned,
            output_tokens as f64 / seconds,
            self.eta()
                .map_or_else(|| "ETA …".into(), |eta| format!("ETA {} s", eta.as_secs())),
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
                log(&format!(
                    "{:>4.0} s {message}",
                    self.started.elapsed().as_secs_f64()
                ));
            }
            Some(_) => {}
        }
    }

    /// Time left, if every wave to come takes as long as one of this level: the waves of higher levels are slower.
    fn eta(&self) -> Option<Duration> {
        let level = self.levels.get(self.current)?;
        let waves_done = level.finished as f64 / f64::from(level.concurrency);
        if waves_done <= 0.0 {
            return None;
        }
        let seconds_per_wave = self.level_started.elapsed().as_secs_f64() / waves_done;
        let waves_left: f64 = self
            .levels
            .iter()
            .skip(self.current)
            .map(Level::waves_left)
            .sum();
        Duration::try_from_secs_f64(waves_left * seconds_per_wave).ok()
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        self.line.finish_and_clear();
    }
}

/// A line for people, on stderr: stdout belongs to results.
#[expect(clippy::print_stderr, reason = "the terminal is xtask's")]
pub(crate) fn log(message: &str) {
    eprintln!("{message}");
}
