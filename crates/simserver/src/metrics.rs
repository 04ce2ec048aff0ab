//! What `/metrics` says: the counters, gauges and histograms of vLLM 0.11.2 that tools read, with its names, labels and buckets.
//!
//! Times are the engine's own, counted from the arrival of a request to the scheduled end of a step; how late the machine was in
//! keeping that schedule is in `simserver:lateness_seconds`, which vLLM does not have. The families of Python's own process and of the
//! HTTP framework are left out. As vLLM does, an aborted request counts in no `request_success_total`.

use std::fmt::Write as _;
use std::time::Duration;

use crate::engine::{EngineStats, FinishReason, PrefixCounts, StepResult, Token};
use crate::profile::{KvCache, Profile};

const REQUEST_SECONDS: [f64; 21] = [
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
];
const TTFT_SECONDS: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
];
const ITL_SECONDS: [f64; 19] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
];

/// Everything counted since the server started.
#[derive(Debug)]
pub(crate) struct Telemetry {
    stats: EngineStats,
    prompt_tokens: u64,
    generation_tokens: u64,
    preemptions: u64,
    prefix: PrefixCounts,
    stopped: u64,
    cut: u64,
    ttft: Histogram,
    itl: Histogram,
    e2e: Histogram,
    queue: Histogram,
}

impl Telemetry {
    pub(crate) fn new() -> Self {
        Self {
            stats: EngineStats::default(),
            prompt_tokens: 0,
            generation_tokens: 0,
            preemptions: 0,
            prefix: PrefixCounts::default(),
            stopped: 0,
            cut: 0,
            ttft: Histogram::new(&TTFT_SECONDS),
            itl: Histogram::new(&ITL_SECONDS),
            e2e: Histogram::new(&REQUEST_SECONDS),
            queue: Histogram::new(&REQUEST_SECONDS),
        }
    }

    /// Counts a step that has ended.
    pub(crate) fn observe_step(&mut self, step: &StepResult) {
        self.stats = step.stats;
        self.preemptions += u64::from(step.preempted);
        self.prefix.queries += step.prefix.queries;
        self.prefix.hits += step.prefix.hits;
        for token in &step.tokens {
            self.observe_token(token);
        }
    }

    /// Sets the gauges outside of a step, when requests were aborted.
    pub(crate) fn set_stats(&mut self, stats: EngineStats) {
        self.stats = stats;
    }

    fn observe_token(&mut self, token: &Token) {
        self.generation_tokens += 1;
        if token.index == 1 {
            self.prompt_tokens += u64::from(token.prompt_tokens);
            self.ttft.observe(token.elapsed);
        } else {
            self.itl.observe(token.elapsed);
        }
        if let Some(end) = token.end {
            match end.reason {
                FinishReason::Stop | FinishReason::StopString => self.stopped += 1,
                FinishReason::Length => self.cut += 1,
            }
            self.e2e.observe(end.e2e);
            self.queue.observe(end.queued);
        }
    }
}

/// How late tokens were handed to their connections, over the last 4,096 of them.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    recent: Vec<Duration>,
    next: usize,
    max: Duration,
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
    fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.recent.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted
            .get(rank.wrapping_sub(1))
            .copied()
            .unwrap_or_default()
    }
}

/// Renders the exposition. `created` is when the counters began, in seconds since 1970.
pub(crate) fn render(
    telemetry: &Telemetry,
    lateness: &Lateness,
    profile: &Profile,
    created: f64,
) -> String {
    let mut page = Page {
        text: String::with_capacity(24 * 1024),
        model: escape(profile.served_model()),
        created,
    };
    let stats = telemetry.stats;
    page.gauge(
        "num_requests_running",
        "Number of requests in model execution batches.",
        stats.running as f64,
    );
    page.gauge(
        "num_requests_waiting",
        "Number of requests waiting to be processed.",
        stats.waiting as f64,
    );
    page.gauge(
        "kv_cache_usage_perc",
        "KV-cache usage. 1 means 100 percent usage.",
        stats.kv_usage,
    );
    counters(&mut page, telemetry);
    page.histogram(
        "time_to_first_token_seconds",
        "Histogram of time to first token in seconds.",
        &telemetry.ttft,
    );
    page.histogram(
        "inter_token_latency_seconds",
        "Histogram of inter-token latency in seconds.",
        &telemetry.itl,
    );
    page.histogram(
        "e2e_request_latency_seconds",
        "Histogram of e2e request latency in seconds.",
        &telemetry.e2e,
    );
    page.histogram(
        "request_queue_time_seconds",
        "Histogram of time spent in WAITING phase for request.",
        &telemetry.queue,
    );
    page.cache_config(&profile.figures.kv_cache);
    page.lateness(lateness, profile.name());
    page.text
}

fn counters(page: &mut Page, telemetry: &Telemetry) {
    page.counter(
        "prefix_cache_queries",
        "Prefix cache queries, in terms of number of queried tokens.",
        &[("", telemetry.prefix.queries)],
    );
    page.counter(
        "prefix_cache_hits",
        "Prefix cache hits, in terms of number of cached tokens.",
        &[("", telemetry.prefix.hits)],
    );
    page.counter(
        "num_preemptions",
        "Cumulative number of preemption from the engine.",
        &[("", telemetry.preemptions)],
    );
    page.counter(
        "prompt_tokens",
        "Number of prefill tokens processed.",
        &[("", telemetry.prompt_tokens)],
    );
    page.counter(
        "generation_tokens",
        "Number of generation tokens processed.",
        &[("", telemetry.generation_tokens)],
    );
    page.counter(
        "request_success",
        "Count of successfully processed requests.",
        &[
            ("finished_reason=\"stop\",", telemetry.stopped),
            ("finished_reason=\"length\",", telemetry.cut),
            ("finished_reason=\"abort\",", 0),
        ],
    );
}

#[derive(Debug)]
struct Histogram {
    bounds: &'static [f64],
    /// One per bound and one above the last.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        }
    }

    fn observe(&mut self, value: Duration) {
        let seconds = value.as_secs_f64();
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[bucket] += 1;
        self.sum += seconds;
    }
}

struct Page {
    text: String,
    model: String,
    created: f64,
}

impl Page {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _infallible = self.text.write_fmt(line);
        self.text.push('\n');
    }

    fn family(&mut self, name: &str, help: &str, kind: &str) {
        self.line(format_args!("# HELP vllm:{name} {help}"));
        self.line(format_args!("# TYPE vllm:{name} {kind}"));
    }

    /// `extra` is a label with its comma, or empty; labels stand in alphabetical order.
    fn sample(&mut self, name: &str, extra: &str, value: f64) {
        let Self { text, model, .. } = self;
        let _infallible = writeln!(
            text,
            "vllm:{name}{{engine=\"0\",{extra}model_name=\"{model}\"}} {value:?}"
        );
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, help, "gauge");
        self.sample(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, samples: &[(&str, u64)]) {
        let total = format!("{name}_total");
        self.family(&total, help, "counter");
        for (extra, value) in samples {
            self.sample(&total, extra, *value as f64);
        }
        let created = format!("{name}_created");
        self.family(&created, help, "gauge");
        for (extra, _) in samples {
            self.sample(&created, extra, self.created);
        }
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, help, "histogram");
        let bucket = format!("{name}_bucket");
        let mut cumulative = 0;
        for (index, count) in histogram.counts.iter().enumerate() {
            cumulative += count;
            let extra = match histogram.bounds.get(index) {
                Some(bound) => format!("le=\"{bound:?}\","),
                None => "le=\"+Inf\",".to_owned(),
            };
            self.sample(&bucket, &extra, cumulative as f64);
        }
        self.sample(&format!("{name}_count"), "", cumulative as f64);
        self.sample(&format!("{name}_sum"), "", histogram.sum);
        let created = format!("{name}_created");
        self.family(&created, help, "gauge");
        self.sample(&created, "", self.created);
    }

    fn cache_config(&mut self, kv: &KvCache) {
        self.family(
            "cache_config_info",
            "Information of the LLMEngine CacheConfig",
            "gauge",
        );
        let KvCache {
            block_size,
            num_gpu_blocks,
            ..
        } = kv;
        let caching = if kv.enable_prefix_caching {
            "True"
        } else {
            "False"
        };
        self.line(format_args!(
            "vllm:cache_config_info{{block_size=\"{block_size}\",cache_dtype=\"auto\",enable_prefix_caching=\"{caching}\",engine=\"0\",gpu_memory_utilization=\"0.9\",num_gpu_blocks=\"{num_gpu_blocks}\"}} 1.0"
        ));
    }

    fn lateness(&mut self, lateness: &Lateness, profile: &str) {
        let profile = escape(profile);
        self.line(format_args!(
            "# HELP simserver:lateness_seconds How late tokens were handed to their connections: 99th percentile of the last 4096, and maximum since the start."
        ));
        self.line(format_args!("# TYPE simserver:lateness_seconds gauge"));
        for (statistic, value) in [("p99", lateness.percentile(99)), ("max", lateness.max)] {
            self.line(format_args!(
                "simserver:lateness_seconds{{profile=\"{profile}\",statistic=\"{statistic}\"}} {:?}",
                value.as_secs_f64()
            ));
        }
    }
}

fn escape(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
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
        let mut histogram = Histogram::new(&ITL_SECONDS);
        histogram.observe(Duration::from_millis(25));
        histogram.observe(Duration::from_secs(100));
        assert_eq!(histogram.counts[1], 1);
        assert_eq!(histogram.counts[19], 1);
    }
}
