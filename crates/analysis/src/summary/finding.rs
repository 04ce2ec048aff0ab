//! What stands out.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The figures are not what they seem.
    Problem,
    /// Worth knowing before acting on the figures.
    Warning,
    /// What the figures say.
    Insight,
    /// What could not be told, for want of telemetry or of requests.
    Note,
}

/// Something that stands out, with its evidence. `report` turns it into prose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub what: FindingKind,
}

impl Finding {
    /// Creates a finding of the given severity.
    pub(crate) fn new(severity: Severity, what: FindingKind) -> Self {
        Self { severity, what }
    }
}

/// Kinds of findings, each with the figures that prove it.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// Aggregate throughput fell from one level to the next higher one.
    ThroughputCliff {
        /// Lower level.
        from: u32,
        /// Higher level.
        to: u32,
        /// Aggregate output throughput at the lower level.
        from_tok_s: f64,
        /// And at the higher.
        to_tok_s: f64,
    },
    /// The level at which the whole server gives most is not the one at which one request is fastest: a report that
    /// calls per-request speed "throughput" recommends the wrong one.
    AggregateVersusPerRequest {
        /// Level of the largest aggregate.
        aggregate_at: u32,
        /// Its aggregate.
        aggregate_tok_s: f64,
        /// Level of the fastest single request.
        per_request_at: u32,
        /// Aggregate there.
        aggregate_there_tok_s: f64,
    },
    /// Throughput still grew at the largest level: the true maximum may lie higher.
    StillGrowing {
        /// The largest level.
        concurrency: u32,
        /// Aggregate growth from the level before, in percent.
        growth_percent: f64,
    },
    /// More requests ran together than the engine's "maximum concurrency" says, because they are shorter.
    BeyondPrintedConcurrency {
        /// Largest stable level.
        concurrency: u32,
        /// The engine's figure.
        printed: f64,
        /// Tokens per request that the engine's figure assumes.
        assumed_tokens: u64,
        /// Mean tokens per request of this run (prompt and output).
        actual_tokens: f64,
    },
    /// Requests ended with other output lengths than asked.
    OutputLength {
        /// Level.
        concurrency: u32,
        /// Tokens asked.
        asked: u32,
        /// Mean tokens received.
        mean: f64,
        /// Requests with fewer than asked.
        short: u64,
        /// Completed requests.
        completed: u64,
    },
    /// Requests failed.
    Failures {
        /// Level.
        concurrency: u32,
        /// How many.
        failed: u64,
        /// Of how many measured.
        measured: u64,
        /// The most frequent kind, as in [`super::FailureCount`].
        failure: String,
        /// First message of that kind.
        example: Option<String>,
    },
    /// The client, not the server, may have been the limit at a level.
    ClientLimited {
        /// Level.
        concurrency: u32,
    },
    /// Part of the prompts came from the prefix cache although they were made disjoint: a chat template, or an earlier
    /// run with the same seed.
    PrefixCacheHits {
        /// Level.
        concurrency: u32,
        /// Share of prompt tokens, 0 to 1.
        hit_rate: f64,
    },
    /// Requests waited in the server's queue.
    Queueing {
        /// Level.
        concurrency: u32,
        /// Mean number waiting.
        waiting_mean: f64,
    },
    /// Most of the time to the first token was waiting, not work.
    TtftQueued {
        /// Level.
        concurrency: u32,
        /// Where requests waited: in the `server`'s queue, or in the `client` for a free slot or connection.
        place: String,
        /// Mean wait in milliseconds.
        wait_ms: f64,
        /// Mean TTFT in milliseconds; where the client waited, that wait included.
        ttft_ms: f64,
    },
    /// The KV cache had no room for one more request of the mean size, and nothing was thrown back yet.
    KvPressure {
        /// Level.
        concurrency: u32,
        /// Largest share in use, 0 to 1.
        usage: f64,
        /// Mean number of requests that shared it.
        running: f64,
    },
    /// The GPUs' clocks were held back.
    Throttled {
        /// Level.
        concurrency: u32,
        /// `power` or `thermal`.
        cause: String,
        /// Share of the window, 0 to 1.
        share: f64,
        /// Mean clock in percent of the largest, where it is known.
        clock_percent: Option<f64>,
    },
    /// The engine threw requests back for want of KV blocks.
    Preemptions {
        /// Level.
        concurrency: u32,
        /// How many.
        count: f64,
    },
    /// Client and server disagree on a count or a time by more than the tolerance.
    Disagreement {
        /// Level.
        concurrency: u32,
        /// `ttft`, `e2el`, `output_tokens` or `prompt_tokens`.
        metric: String,
        /// The client's figure.
        client: f64,
        /// The server's.
        server: f64,
    },
    /// A GPU's energy counter and the integral of its power differ by more than 5 %: the joules of the level are in doubt.
    EnergyMismatch {
        /// Level.
        concurrency: u32,
        /// Energy of the window in joules, by the counter of the GPU where they differ most.
        counter_j: f64,
        /// By the integral of its instant power.
        integral_j: f64,
    },
    /// The sample is too small for percentiles at some levels.
    FewSamples {
        /// Levels concerned.
        concurrencies: Vec<u32>,
        /// Smallest sample.
        n: u64,
    },
    /// Throughput does not follow one law: the levels below `from` are in a regime of their own.
    RegimeChange {
        /// Levels of the other regime.
        before: Vec<u32>,
        /// Smallest level of the regime that the law describes.
        from: u32,
        /// Throughput at the largest level before it.
        measured_tok_s: f64,
        /// What the law of the larger levels would give there.
        law_tok_s: f64,
    },
    /// A level had not settled when it ended.
    NotSettled {
        /// Level.
        concurrency: u32,
        /// Completed requests.
        n: u64,
    },
    /// A few requests are far slower than the rest.
    LongTail {
        /// Level.
        concurrency: u32,
        /// `ttft` or `e2el`.
        metric: String,
        /// Median in milliseconds.
        p50: f64,
        /// 99th percentile in milliseconds.
        p99: f64,
    },
    /// Requests were so much alike that a level says little more than its waves.
    InStep {
        /// Levels concerned.
        concurrencies: Vec<u32>,
        /// Smallest ratio of effective to measured requests.
        share: f64,
    },
    /// The run did not reach its planned end.
    Incomplete {
        /// As in [`super::RunFacts::incomplete_reason`].
        reason: String,
    },
    /// The program was built without optimisation.
    DebugBuild,
    /// No GPU could be sampled.
    NoGpuTelemetry,
    /// The server's `/metrics` could not be read.
    NoServerMetrics,
}
