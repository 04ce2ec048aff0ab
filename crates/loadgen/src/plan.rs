//! What a run is to do, validated once. Counts and deadlines only: where their defaults come from is the caller's affair.

use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    time::Duration,
};

use serde_json::{Map, Value};

use crate::{
    PlanError, Target,
    openai::{BodyTemplate, LengthControl},
    workload,
};

/// One step of a sweep: a fixed number of slots, each with one request in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Slots.
    pub concurrency: NonZeroU32,
    /// Requests measured.
    pub requests: NonZeroU64,
    /// Requests sent before them. Fewer than `concurrency` leave connections to be made while measuring.
    pub warmup_requests: u64,
}

/// Deadlines of one request, by what is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A connection.
    pub connect: Duration,
    /// The first token after sending. Engines send the response head before they have looked at the request, so that
    /// time in the server's queue lies here and not between tokens.
    pub first_byte: Duration,
    /// The next token after one, and the end of the response after the last.
    pub between_tokens: Duration,
    /// The whole response after sending.
    pub total: Duration,
}

/// Threads that drive the load. Each has its own event loop; slots are dealt out to them in turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// One thread for every 256 slots begun, but no more than the processors that the client may use.
    #[default]
    Auto,
    /// This many, at most one per slot.
    Exactly(NonZeroUsize),
}

const SLOTS_PER_THREAD: usize = 256;

impl Threads {
    /// Threads for a level of `slots` on a machine with `processors`.
    pub fn count(self, slots: NonZeroU32, processors: NonZeroUsize) -> usize {
        let slots = usize::try_from(slots.get()).unwrap_or(usize::MAX);
        match self {
            Self::Auto => slots.div_ceil(SLOTS_PER_THREAD).min(processors.get()),
            Self::Exactly(threads) => threads.get().min(slots),
        }
    }
}

/// A plan as it is asked for; [`LoadPlan::new`] checks it.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// Where requests go.
    pub target: Target,
    /// The sweep, in the order in which it runs.
    pub levels: Vec<Level>,
    /// Output tokens asked of measured requests.
    pub osl: NonZeroU32,
    /// Output tokens asked of warm-up and cool-down requests.
    pub warmup_osl: NonZeroU32,
    /// How the server is told to generate exactly that many.
    pub length_control: LengthControl,
    /// Fields merged into every request body; they win over the plan's own where they are allowed at all.
    pub extra_body: Map<String, Value>,
    /// Seed of the prompts. Runs with different seeds share no prompt, and so no cached prefix.
    pub seed: u64,
    /// Deadlines of one request.
    pub timeouts: Timeouts,
    /// How long cool-down requests may take to end after the last measured one; then they are cancelled. As long again
    /// until the slots have stopped, then the run is given up.
    pub drain: Duration,
    /// Threads that drive the load.
    pub threads: Threads,
}

/// A checked plan.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    spec: LoadSpec,
    template: BodyTemplate,
}

impl LoadPlan {
    /// Checks `spec`.
    ///
    /// # Errors
    /// [`PlanError`] says what to change.
    pub fn new(spec: LoadSpec) -> Result<Self, PlanError> {
        if spec.levels.is_empty() {
            return Err(PlanError::NoLevels);
        }
        let Timeouts {
            connect,
            first_byte,
            between_tokens,
            total,
        } = spec.timeouts;
        for (which, deadline) in [
            ("connect", connect),
            ("first byte", first_byte),
            ("between tokens", between_tokens),
            ("total", total),
            ("drain", spec.drain),
        ] {
            if deadline.is_zero() {
                return Err(PlanError::ZeroDeadline { which });
            }
        }
        let template = BodyTemplate::new(
            spec.target.model(),
            spec.length_control,
            spec.extra_body.clone(),
        )?;
        Ok(Self { spec, template })
    }

    /// What was asked for.
    pub fn spec(&self) -> &LoadSpec {
        &self.spec
    }

    /// The plan as the run folder's manifest holds it.
    pub fn to_record(&self) -> records::Plan {
        let spec = &self.spec;
        records::Plan {
            levels: spec.levels.iter().map(|l| l.concurrency.get()).collect(),
            requests: spec.levels.iter().map(|l| l.requests.get()).collect(),
            warmup_requests: spec.levels.iter().map(|l| l.warmup_requests).collect(),
            endpoint: spec.target.endpoint().to_owned(),
            model: spec.target.model().to_owned(),
            stream: true,
            workload: workload::NAME.to_owned(),
            osl: spec.osl.get(),
            ignore_eos: self.template.ignores_eos(),
            extra_body: spec.extra_body.clone(),
            seed: spec.seed,
            request_timeout_ns: u64::try_from(spec.timeouts.total.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    pub(crate) fn template(&self) -> &BodyTemplate {
        &self.template
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> LoadSpec {
        let second = Duration::from_secs(1);
        LoadSpec {
            target: Target::new("http://h:1", "m", None, &[]).unwrap(),
            levels: vec![Level {
                concurrency: NonZeroU32::MIN,
                requests: NonZeroU64::MIN,
                warmup_requests: 3,
            }],
            osl: NonZeroU32::new(200).unwrap(),
            warmup_osl: NonZeroU32::new(16).unwrap(),
            length_control: LengthControl::IgnoreEosAndMinTokens,
            extra_body: Map::new(),
            seed: 7,
            timeouts: Timeouts {
                connect: second,
                first_byte: second,
                between_tokens: second,
                total: 2 * second,
            },
            drain: second,
            threads: Threads::Auto,
        }
    }

    #[test]
    fn the_manifest_says_what_is_sent() {
        let record = LoadPlan::new(spec()).unwrap().to_record();
        assert_eq!((record.levels, record.requests), (vec![1], vec![1]));
        assert_eq!(record.warmup_requests, [3]);
        assert_eq!(record.endpoint, "/v1/chat/completions");
        assert!(record.ignore_eos && record.stream);
        assert_eq!(record.request_timeout_ns, 2_000_000_000);

        let mut overruled = spec();
        overruled
            .extra_body
            .insert("ignore_eos".to_owned(), Value::Bool(false));
        assert!(!LoadPlan::new(overruled).unwrap().to_record().ignore_eos);
    }

    #[test]
    fn plans_that_cannot_run_are_refused() {
        let mut empty = spec();
        empty.levels.clear();
        assert_eq!(LoadPlan::new(empty).unwrap_err(), PlanError::NoLevels);

        let mut hasty = spec();
        hasty.timeouts.between_tokens = Duration::ZERO;
        let error = LoadPlan::new(hasty).unwrap_err();
        assert_eq!(
            error,
            PlanError::ZeroDeadline {
                which: "between tokens"
            }
        );
    }

    #[test]
    fn threads_grow_with_slots_up_to_the_processors() {
        let count = |threads: Threads, slots, processors| {
            threads.count(
                NonZeroU32::new(slots).unwrap(),
                NonZeroUsize::new(processors).unwrap(),
            )
        };
        let auto = |slots, processors| count(Threads::Auto, slots, processors);
        assert_eq!(
            [auto(1, 8), auto(256, 8), auto(257, 8), auto(4096, 8)],
            [1, 1, 2, 8]
        );
        let four = Threads::Exactly(NonZeroUsize::new(4).unwrap());
        assert_eq!([count(four, 8, 2), count(four, 3, 2)], [4, 3]);
    }
}
