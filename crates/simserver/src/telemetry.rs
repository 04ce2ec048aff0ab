//! What is counted while the server runs: the figures behind `/metrics`.
//!
//! Times are the engine's own, counted from the arrival of a request to the scheduled end of a step; how late the machine was in
//! keeping that schedule is counted apart. As vLLM does, an aborted request counts in no `request_success_total`. How the page
//! looks is in `metrics`; the bounds of the buckets are those of vLLM 0.11.2's `loggers.py`.

use std::time::Duration;

use crate::engine::{Completion, EngineStats, FinishReason, PrefixCounts, StepResult, Token};

const REQUEST_SECONDS: [f64; 21] = [
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
];
const TTFT_SECONDS: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
];
const ITL_SECONDS: [f64; 19] =
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
const STEP_TOKENS: [f64; 13] =
    [1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];
const CHOICES: [f64; 5] = [1.0, 2.0, 5.0, 10.0, 20.0];

/// Everything counted since the server started.
#[derive(Debug)]
pub(crate) struct Telemetry {
    pub(crate) stats: EngineStats,
    pub(crate) prompt_tokens: u64,
    pub(crate) generation_tokens: u64,
    /// As in vLLM, a preemption is counted with the next token of who was preempted.
    pub(crate) preemptions: u64,
    pub(crate) prefix: PrefixCounts,
    pub(crate) stopped: u64,
    pub(crate) cut: u64,
    pub(crate) ttft: Histogram,
    pub(crate) itl: Histogram,
    pub(crate) step_tokens: Histogram,
    pub(crate) finished: Finished,
}

/// Histograms of requests that have ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) e2e: Histogram,
    pub(crate) queue: Histogram,
    pub(crate) inference: Histogram,
    pub(crate) prefill: Histogram,
    pub(crate) decode: Histogram,
    pub(crate) tpot: Histogram,
    pub(crate) prompt_tokens: Histogram,
    pub(crate) generation_tokens: Histogram,
    pub(crate) max_tokens: Histogram,
    /// The longest of the choices of a request, and how many it had.
    pub(crate) longest_choice: Histogram,
    pub(crate) choices: Histogram,
}

impl Telemetry {
    /// `max_model_len` bounds the buckets of token counts.
    pub(crate) fn new(max_model_len: u32) -> Self {
        let seconds = || Histogram::new(REQUEST_SECONDS.to_vec());
        let tokens = || Histogram::new(one_two_five(max_model_len));
        Self {
            stats: EngineStats::default(),
            prompt_tokens: 0,
            generation_tokens: 0,
            preemptions: 0,
            prefix: PrefixCounts::default(),
            stopped: 0,
            cut: 0,
            ttft: Histogram::new(TTFT_SECONDS.to_vec()),
            itl: Histogram::new(ITL_SECONDS.to_vec()),
            step_tokens: Histogram::new(STEP_TOKENS.to_vec()),
            finished: Finished {
                e2e: seconds(),
                queue: seconds(),
                inference: seconds(),
                prefill: seconds(),
                decode: seconds(),
                tpot: Histogram::new(ITL_SECONDS.to_vec()),
                prompt_tokens: tokens(),
                generation_tokens: tokens(),
                max_tokens: tokens(),
                longest_choice: tokens(),
                choices: Histogram::new(CHOICES.to_vec()),
            },
        }
    }

    /// Counts a step that has ended.
    pub(crate) fn observe_step(&mut self, step: &StepResult) {
        self.prefix.queries += step.prefix.queries;
        self.prefix.hits += step.prefix.hits;
        let mut tokens = 0u64;
        for token in &step.tokens {
            tokens += self.observe_token(token);
        }
        if tokens > 0 {
            self.step_tokens.observe(tokens as f64);
        }
    }

    /// Sets the gauges: when a step has ended, and when requests were aborted.
    pub(crate) fn set_stats(&mut self, stats: EngineStats) {
        self.stats = stats;
    }

    /// Counts a request all of whose choices have ended.
    pub(crate) fn observe_choices(&mut self, choices: u32, longest: u32) {
        self.finished.choices.observe(choices.into());
        self.finished.longest_choice.observe(longest.into());
    }

    /// Counts a token, and says how many tokens vLLM counts for it in its step: a first token brings its prompt with it.
    fn observe_token(&mut self, token: &Token) -> u64 {
        self.generation_tokens += 1;
        self.preemptions += u64::from(token.preempted);
        if let Some(end) = token.end {
            self.observe_end(token, &end);
        }
        if token.index == 1 {
            let prompt = u64::from(token.prompt_tokens);
            self.prompt_tokens += prompt;
            self.ttft.observe(token.elapsed.as_secs_f64());
            prompt + 1
        } else {
            self.itl.observe(token.elapsed.as_secs_f64());
            1
        }
    }

    fn observe_end(&mut self, token: &Token, end: &Completion) {
        match end.reason {
            FinishReason::Stop | FinishReason::StopString => self.stopped += 1,
            FinishReason::Length => self.cut += 1,
        }
        let decode = end.e2e.saturating_sub(end.ttft);
        let gaps = token.index.saturating_sub(1).max(1);
        let finished = &mut self.finished;
        for (histogram, time) in [
            (&mut finished.e2e, end.e2e),
            (&mut finished.queue, end.queued),
            (&mut finished.inference, end.e2e.saturating_sub(end.queued)),
            (&mut finished.prefill, end.ttft.saturating_sub(end.queued)),
            (&mut finished.decode, decode),
            (&mut finished.tpot, decode / gaps),
        ] {
            histogram.observe(time.as_secs_f64());
        }
        finished.prompt_tokens.observe(token.prompt_tokens.into());
        finished.generation_tokens.observe(token.index.into());
        finished.max_tokens.observe(end.max_tokens.into());
    }
}

/// 1, 2, 5, 10, 20, 50, … up to `most`.
fn one_two_five(most: u32) -> Vec<f64> {
    let decades = (0..10).map(|exponent| 10u64.pow(exponent));
    decades
        .flat_map(|ten| [ten, 2 * ten, 5 * ten])
        .take_while(|&bound| bound <= u64::from(most))
        .map(|bound| bound as f64)
        .collect()
}

/// Counts by bucket.
#[derive(Debug)]
pub(crate) struct Histogram {
    pub(crate) bounds: Vec<f64>,
    /// One per bound and one above the last.
    pub(crate) counts: Vec<u64>,
    pub(crate) sum: f64,
}

impl Histogram {
    fn new(bounds: Vec<f64>) -> Self {
        Self { counts: vec![0; bounds.len() + 1], bounds, sum: 0.0 }
    }

    fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
    }
}

/// How late tokens were handed to their connections, over the last 4,096 of them.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    recent: Vec<Duration>,
    next: usize,
    pub(crate) max: Duration,
}

impl Lateness {
    const KEPT: usize = 4096;

    pub(crate) fn observe(&mut self, late: Duration) {
        self.max = self.max.max(late);
        if self.recent.len() < Self::KEPT {
            self.recent.push(late);
        } else {
            self.recent[self.next] = late;
        }
        self.next = (self.next + 1) % Self::KEPT;
    }

    /// Nearest-rank percentile; zero when nothing was sent.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.recent.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.wrapping_sub(1)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_percentile_is_nearest_rank_over_the_last_4096() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.percentile(99), Duration::ZERO);
        for ms in 1..=200 {
            lateness.observe(Duration::from_millis(ms));
        }
        assert_eq!(lateness.percentile(99), Duration::from_millis(198));
        for _ in 0..4096 {
            lateness.observe(Duration::from_millis(1));
        }
        assert_eq!(lateness.percentile(99), Duration::from_millis(1));
        assert_eq!(lateness.max, Duration::from_millis(200));
    }

    #[test]
    fn a_value_on_a_bound_counts_below_it() {
        let mut histogram = Histogram::new(ITL_SECONDS.to_vec());
        histogram.observe(0.025);
        histogram.observe(100.0);
        assert_eq!(histogram.counts[1], 1);
        assert_eq!(histogram.counts[19], 1);
    }

    #[test]
    fn buckets_of_token_counts_end_at_the_context() {
        // vLLM's own example: build_1_2_5_buckets(100).
        assert_eq!(one_two_five(100), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
    }
}
