//! What a run is to do, validated once. Counts and deadlines only: where their defaults come from is the caller's affair.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use serde_json::{Map, Value};

use crate::{
    PlanError, Target,
    level::{Level, duration_ns},
    openai::{BodyTemplate, Endpoint, LengthControl},
    workload::{self, Calibration, Conversations, Workload},
};

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

impl Default for Timeouts {
    /// 10 seconds to connect, 5 minutes for the first token and between tokens, 10 minutes in all.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_mins(5),
            between_tokens: Duration::from_mins(5),
            total: Duration::from_mins(10),
        }
    }
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

/// What is asked of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Through which API.
    pub endpoint: Endpoint,
    /// Whether tokens are sent as they are made. Without, there is no TTFT and no TPOT.
    pub stream: bool,
    /// Where prompts come from.
    pub workload: Workload,
    /// Standard deviation of the output length around [`LoadSpec::osl`], in tokens.
    pub osl_stddev: f64,
    /// How often a request that failed is sent again.
    pub retries: u32,
    /// Conversations in place of requests that stand for themselves.
    pub conversations: Option<Conversations>,
    /// What the caller stops levels early by ([`crate::StopHandle::enough`]); for the records only.
    pub stop_when: Option<String>,
}

impl Default for Work {
    /// Translations through the chat API, streamed, all of one length.
    fn default() -> Self {
        Self {
            endpoint: Endpoint::Chat,
            stream: true,
            workload: Workload::Translation,
            osl_stddev: 0.0,
            retries: 0,
            conversations: None,
            stop_when: None,
        }
    }
}

/// A plan as it is asked for; [`LoadPlan::new`] checks it.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// Where requests go.
    pub target: Target,
    /// Further servers that share the load: slot `k` sends to server `k` modulo their number, the target being the first.
    pub replicas: Vec<Target>,
    /// The sweep, in the order in which it runs.
    pub levels: Vec<Level>,
    /// What is asked of the server.
    pub work: Work,
    /// Output tokens asked of measured requests, on average.
    pub osl: NonZeroU32,
    /// Output tokens asked of warm-up requests, and the least asked of cool-down requests.
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

impl LoadSpec {
    /// Translations of `osl` output tokens, sent to `target` at `levels`, with these defaults:
    ///
    /// * `warmup_osl` is `osl`, and no length control: an unknown server is sent no field that it could refuse.
    /// * deadlines as in [`Timeouts::default`], 30 seconds to drain, seed 0.
    ///
    /// Other fields are set with `LoadSpec { seed: 7, ..LoadSpec::new(…) }`.
    pub fn new(target: Target, levels: Vec<Level>, osl: NonZeroU32) -> Self {
        Self {
            target,
            replicas: Vec::new(),
            levels,
            work: Work::default(),
            osl,
            warmup_osl: osl,
            length_control: LengthControl::MaxTokensOnly,
            extra_body: Map::new(),
            seed: 0,
            timeouts: Timeouts::default(),
            drain: Duration::from_secs(30),
            threads: Threads::Auto,
        }
    }
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
    pub fn new(mut spec: LoadSpec) -> Result<Self, PlanError> {
        if spec.levels.is_empty() {
            return Err(PlanError::NoLevels);
        }
        spec.levels.iter().try_for_each(Level::check)?;
        let Timeouts { connect, first_byte, between_tokens, total } = spec.timeouts;
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
        if let (Workload::Dataset(own), Endpoint::Completions | Endpoint::Embeddings) =
            (&spec.work.workload, spec.work.endpoint)
            && own.has_messages()
        {
            return Err(PlanError::MessagesForCompletions);
        }
        if spec.work.endpoint == Endpoint::Embeddings {
            spec.work.stream = false;
        }
        if spec.work.conversations.is_some() {
            conversations_fit(&spec)?;
        }
        spec.target = spec.target.with_endpoint(spec.work.endpoint)?;
        for replica in &mut spec.replicas {
            *replica = replica.clone().with_endpoint(spec.work.endpoint)?;
        }
        let template = BodyTemplate::new(
            spec.target.model(),
            spec.work.endpoint,
            spec.work.stream,
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
            levels: spec.levels.iter().map(Level::closed_slots).collect(),
            requests: (0..)
                .zip(&spec.levels)
                .map(|(index, level)| level.planned_requests(self.level_seed(index)).unwrap_or(0))
                .collect(),
            arrivals: self.arrivals_record(),
            durations_ns: self.durations_record(),
            warmup_requests: spec.levels.iter().map(|l| l.warmup_requests).collect(),
            endpoint: spec.target.endpoint().to_owned(),
            model: spec.target.model().to_owned(),
            stream: spec.work.stream,
            workload: spec.work.workload.name().to_owned(),
            workload_options: self.workload_options(),
            osl: match spec.work.endpoint {
                Endpoint::Embeddings => 0,
                _ => spec.osl.get(),
            },
            ignore_eos: self.template.ignores_eos(),
            extra_body: spec.extra_body.clone(),
            seed: spec.seed,
            request_timeout_ns: duration_ns(spec.timeouts.total),
            stop_when: spec.work.stop_when.clone(),
            retries: spec.work.retries,
        }
    }

    /// Seed of a level's arrivals.
    pub fn level_seed(&self, index: u32) -> u64 {
        workload::mix(self.spec.seed ^ workload::mix(u64::from(index) ^ 0x6172_7269_7661_6c73))
    }

    /// The same plan with synthetic prompts made to measure.
    #[must_use]
    pub fn calibrated(mut self, calibration: Calibration) -> Self {
        if let Workload::Synthetic(synthetic) = &mut self.spec.work.workload {
            synthetic.calibration = calibration;
        }
        self
    }

    /// Settings of the prompt source.
    fn workload_options(&self) -> Map<String, Value> {
        let mut options = Map::new();
        let work = &self.spec.work;
        match &work.workload {
            Workload::Translation => {}
            Workload::Synthetic(synthetic) => {
                if let Some(trace) = &synthetic.recorded {
                    options.insert("recorded_requests".to_owned(), trace.requests.len().into());
                }
                options.insert("isl".to_owned(), synthetic.isl.mean.into());
                options.insert("isl_stddev".to_owned(), synthetic.isl.stddev.into());
                options.insert("shared_prefix_tokens".to_owned(), synthetic.shared_prefix.into());
                options.insert("tokens_per_word".to_owned(), synthetic.calibration.per_word.into());
                options.insert("overhead_tokens".to_owned(), synthetic.calibration.overhead.into());
            }
            Workload::Dataset(own) => {
                options.insert("prompts".to_owned(), own.entries.len().into());
            }
        }
        if work.osl_stddev > 0.0 {
            options.insert("osl_stddev".to_owned(), work.osl_stddev.into());
        }
        if let Some(Conversations { turns, think_ms }) = work.conversations {
            for (name, figure) in [
                ("session_turns", f64::from(turns.mean)),
                ("session_turns_stddev", turns.stddev),
                ("think_time_ms", f64::from(think_ms.mean)),
                ("think_time_stddev_ms", think_ms.stddev),
            ] {
                options.insert(name.to_owned(), figure.into());
            }
        }
        options
    }

    fn arrivals_record(&self) -> Vec<Option<records::Arrivals>> {
        let all: Vec<_> =
            (0..).zip(&self.spec.levels).map(|(index, level)| level.arrivals_record(self.level_seed(index))).collect();
        if all.iter().all(Option::is_none) { Vec::new() } else { all }
    }

    fn durations_record(&self) -> Vec<u64> {
        let ns = |level: &Level| level.volume.time().map_or(0, duration_ns);
        let all: Vec<_> = self.spec.levels.iter().map(ns).collect();
        if all.iter().all(|ns| *ns == 0) { Vec::new() } else { all }
    }

    pub(crate) fn template(&self) -> &BodyTemplate {
        &self.template
    }
}

/// Conversations are turns of a chat, one after the other.
fn conversations_fit(spec: &LoadSpec) -> Result<(), PlanError> {
    let misfit = |reason| Err(PlanError::NoConversation { reason });
    if !matches!(spec.work.endpoint, Endpoint::Chat | Endpoint::Responses) {
        return misfit("this API takes one text and no history");
    }
    if spec.levels.iter().any(|level| level.closed_slots() == 0) {
        return misfit("a schedule does not wait for the answer that the next turn repeats");
    }
    match &spec.work.workload {
        Workload::Dataset(own) if own.has_messages() => {
            misfit("the dataset holds whole chats; its turns would have to be single prompts")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn spec() -> LoadSpec {
        let second = Duration::from_secs(1);
        let levels = vec![Level::closed(NonZeroU32::MIN, NonZeroU64::MIN, 3)];
        let target = Target::new("http://h:1", "m", None, &[]).unwrap();
        LoadSpec {
            length_control: LengthControl::IgnoreEosAndMinTokens,
            timeouts: Timeouts { total: 2 * second, ..Timeouts::default() },
            ..LoadSpec::new(target, levels, NonZeroU32::new(200).unwrap())
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
        overruled.extra_body.insert("ignore_eos".to_owned(), Value::Bool(false));
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
        assert_eq!(error, PlanError::ZeroDeadline { which: "between tokens" });
    }

    #[test]
    fn threads_grow_with_slots_up_to_the_processors() {
        let count = |threads: Threads, slots, processors| {
            threads.count(NonZeroU32::new(slots).unwrap(), NonZeroUsize::new(processors).unwrap())
        };
        let auto = |slots, processors| count(Threads::Auto, slots, processors);
        assert_eq!([auto(1, 8), auto(256, 8), auto(257, 8), auto(4096, 8)], [1, 1, 2, 8]);
        let four = Threads::Exactly(NonZeroUsize::new(4).unwrap());
        assert_eq!([count(four, 8, 2), count(four, 3, 2)], [4, 3]);
    }
}
