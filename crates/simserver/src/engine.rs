//! The engine: requests in, steps out, in virtual time.
//!
//! Pure and deterministic. The caller owns the clock: it submits what arrived, asks when the next step begins, and is told how
//! long the step takes and which tokens exist when it is over. The same calls give the same answers, in real time (the
//! server) and without (the module [`simulate`](crate::simulate)). Instants are `Duration`s since an epoch of the caller's choice.
//!
//! The length of an output that may end at EOS is drawn when the request arrives: after `min_tokens` tokens every further
//! token is EOS with probability 1/`eos_mean_tokens`, so lengths are geometric; the draw depends on the profile's seed and on how
//! many requests came before.

use std::time::Duration;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::fixed::FixedEngine;
use crate::profile::Profile;
pub use crate::scheduler::PrefixCounts;
use crate::scheduler::{Batch, Scheduler};
use crate::sequence::Sequence;
pub use crate::sequence::{Completion, Eos, FinishReason, PromptBlocks, Request, RequestId, Token};
use crate::step::NoiseShape;
use crate::timing::{Batched, Timing, milliseconds};

/// A simulated engine.
#[derive(Debug)]
pub struct Engine {
    core: Core,
    lengths: OutputLengths,
    /// End of the step in hand or, when idle, of the last one.
    busy_until: Duration,
    /// When the next step begins; `None` when there is nothing to do.
    next_start: Option<Duration>,
}

#[derive(Debug)]
enum Core {
    Batched { scheduler: Box<Scheduler>, timing: Batched, noise: Pcg64 },
    Paced(FixedEngine),
}

/// One step, decided when it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// How long it takes.
    pub duration: Duration,
    /// Tokens that exist when it ends, in the order of admission.
    pub tokens: Vec<Token>,
    /// Sequences that generate their next token.
    pub decodes: u32,
    /// Prompt tokens that it computes, recomputed ones included.
    pub prefill_tokens: u32,
    /// Sequences preempted when it began.
    pub preempted: u32,
    /// What was looked for in the prefix cache.
    pub prefix: PrefixCounts,
    /// The engine after it.
    pub stats: EngineStats,
}

/// How full the engine is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EngineStats {
    /// Sequences in the batch.
    pub running: usize,
    /// Requests in the queue.
    pub waiting: usize,
    /// Share of the KV cache in use, 0 to 1.
    pub kv_usage: f64,
}

impl Engine {
    /// An idle engine.
    pub fn new(profile: &Profile) -> Self {
        let batched = |timing| Core::Batched {
            scheduler: Box::new(Scheduler::new(profile)),
            timing,
            noise: Pcg64::seed_from_u64(profile.figures.seed),
        };
        Self {
            core: match &profile.figures.timing {
                Timing::Tables(tables) => batched(Batched::from_tables(tables)),
                Timing::Linear(linear) => batched(Batched::from_linear(linear)),
                Timing::Padded(padded) => batched(Batched::from_padded(padded)),
                Timing::Fixed(fixed) => Core::Paced(FixedEngine::new(fixed)),
            },
            lengths: OutputLengths::new(profile),
            busy_until: Duration::ZERO,
            next_start: None,
        }
    }

    /// Takes a request that arrived at `now`.
    pub fn submit(&mut self, request: &Request, now: Duration) {
        let sequence = Sequence::new(request, self.lengths.draw(request), now);
        let admission = match &mut self.core {
            Core::Batched { scheduler, timing, .. } => {
                scheduler.add(sequence);
                timing.admission
            }
            Core::Paced(fixed) => {
                fixed.add(sequence, now);
                Duration::ZERO
            }
        };
        self.next_start.get_or_insert(self.busy_until.max(now + admission));
    }

    /// Drops a request, whatever it is doing; false when it is not here (any more).
    pub fn abort(&mut self, id: RequestId) -> bool {
        let found = match &mut self.core {
            Core::Batched { scheduler, .. } => scheduler.remove(id),
            Core::Paced(fixed) => fixed.remove(id),
        };
        if self.is_empty() {
            self.next_start = None;
        }
        found
    }

    /// When the next step begins, given what has been submitted; `None` when there is nothing to do.
    pub fn next_start(&self) -> Option<Duration> {
        self.next_start
    }

    /// How full the engine is.
    pub fn stats(&self) -> EngineStats {
        match &self.core {
            Core::Batched { scheduler, .. } => EngineStats {
                running: scheduler.running(),
                waiting: scheduler.waiting(),
                kv_usage: scheduler.kv_usage(),
            },
            Core::Paced(fixed) => EngineStats { running: fixed.running(), waiting: 0, kv_usage: 0.0 },
        }
    }

    /// Runs the step that begins at `now`, which should be [`Engine::next_start`]. Its tokens exist at `now + duration`.
    pub fn step(&mut self, now: Duration) -> StepResult {
        let mut tokens = Vec::new();
        let (duration, batch) = match &mut self.core {
            Core::Batched { scheduler, timing, noise } => {
                let batch = scheduler.schedule(now);
                let u = uniform(noise);
                let factor = match timing.noise_shape {
                    // Uniform noise of standard deviation s reaches s·√3 to either side.
                    NoiseShape::Uniform => 1.0 + (2.0 * u - 1.0) * 3f64.sqrt() * timing.noise_fraction,
                    NoiseShape::Exponential => -(1.0 - u).ln(),
                };
                let duration = milliseconds(timing.step_ms(batch.load) * factor);
                scheduler.finish(now + duration, &mut tokens);
                (duration, batch)
            }
            Core::Paced(fixed) => {
                let due = fixed.next_due().unwrap_or(now);
                fixed.finish(due, &mut tokens);
                (due.saturating_sub(now), Batch::default())
            }
        };
        self.busy_until = now + duration;
        self.next_start = (!self.is_empty()).then_some(self.busy_until);
        StepResult {
            duration,
            tokens,
            decodes: batch.load.decodes,
            prefill_tokens: batch.load.prefill_tokens,
            preempted: batch.preempted,
            prefix: batch.prefix,
            stats: self.stats(),
        }
    }

    fn is_empty(&self) -> bool {
        let stats = self.stats();
        stats.running + stats.waiting == 0
    }
}

/// Draws how long outputs become.
#[derive(Debug)]
struct OutputLengths {
    rng: Pcg64,
    eos_mean_tokens: f64,
}

impl OutputLengths {
    fn new(profile: &Profile) -> Self {
        Self {
            // Apart from the noise of the step times: a server with other step times still gives the same lengths.
            rng: Pcg64::seed_from_u64(profile.figures.seed ^ 0x454f_5300),
            eos_mean_tokens: profile.figures.eos_mean_tokens,
        }
    }

    fn draw(&mut self, request: &Request) -> (u32, FinishReason) {
        // Drawn for every request, so that one that ignores EOS does not change those after it.
        let u = uniform(&mut self.rng);
        let stop_at = request.stop_at.filter(|&at| at <= request.budget.max_tokens);
        let (max_tokens, cut) = match stop_at {
            Some(at) => (at, FinishReason::StopString),
            None => (request.budget.max_tokens, FinishReason::Length),
        };
        let Eos::Allowed { min_tokens } = request.eos else {
            return (max_tokens, cut);
        };
        // Inverse of the geometric distribution on 1, 2, …; at a mean of 1 the quotient is 0.
        let further = ((1.0 - u).ln() / (1.0 - 1.0 / self.eos_mean_tokens).ln()).floor() + 1.0;
        let eos_at = f64::from(min_tokens) + further;
        if eos_at > f64::from(max_tokens) {
            return (max_tokens, cut);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 <= eos_at <= max_tokens, a u32")]
        (eos_at as u32, FinishReason::Stop)
    }
}

/// Uniform on [0, 1), 53 bits.
pub(crate) fn uniform(rng: &mut Pcg64) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}
