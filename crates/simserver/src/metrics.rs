//! What `/metrics` looks like: every family of vLLM 0.11.2 for a text model, with its names, labels, buckets and order.
//!
//! How late the machine was is in `simserver:lateness_seconds`, and what faults have struck in `simserver:faults_total`; vLLM has
//! neither. The families of Python's own process and of the HTTP framework are left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::profile::{KvCache, Profile};
use crate::telemetry::{Histogram, Lateness, Telemetry};

/// Names of metrics that changed between versions of vLLM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricNames {
    /// Those of 0.11.2: `kv_cache_usage_perc`, `prefix_cache_queries_total`, `inter_token_latency_seconds`, and beside the last its
    /// deprecated name `time_per_output_token_seconds`.
    #[default]
    Current,
    /// Those up to 0.9.1: `gpu_cache_usage_perc`, `gpu_prefix_cache_queries_total`, `gpu_prefix_cache_hits_total`,
    /// `time_per_output_token_seconds`.
    Old,
}

/// All that the page is made of.
#[derive(Debug)]
pub(crate) struct Exposition<'a> {
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) lateness: &'a Lateness,
    /// How often each fault has struck.
    pub(crate) faults: &'a BTreeMap<&'static str, u64>,
    pub(crate) profile: &'a Profile,
    pub(crate) names: MetricNames,
    /// When the counters began, in seconds since 1970.
    pub(crate) created: f64,
}

/// Help text of the two families that count prompt tokens.
const PREFILL_HELP: &str = "Number of prefill tokens processed.";
const GENERATION_HELP: &str = "Number of generation tokens processed.";

impl Exposition<'_> {
    /// The page.
    pub(crate) fn render(&self) -> String {
        let mut page = Page {
            text: String::with_capacity(64 * 1024),
            model: escape(self.profile.served_model()),
            created: self.created,
        };
        self.gauges(&mut page);
        self.counters(&mut page);
        self.histograms(&mut page);
        self.request_histograms(&mut page);
        page.cache_config(&self.profile.figures.kv_cache);
        page.own(self.lateness, self.faults, self.profile.name());
        page.text
    }

    fn is_old(&self) -> bool {
        self.names == MetricNames::Old
    }

    fn gauges(&self, page: &mut Page) {
        let gauges = self.telemetry.stats;
        page.gauge("num_requests_running", "Number of requests in model execution batches.", gauges.running as f64);
        page.gauge("num_requests_waiting", "Number of requests waiting to be processed.", gauges.waiting as f64);
        if self.is_old() {
            page.gauge("gpu_cache_usage_perc", "GPU KV-cache usage. 1 means 100 percent usage.", gauges.kv_usage);
            return;
        }
        page.family(
            "engine_sleep_state",
            "Engine sleep state; awake = 0 means engine is sleeping; awake = 1 means engine is awake; weights_offloaded = 1 means sleep level 1; discard_all = 1 means sleep level 2.",
            "gauge",
        );
        for (state, value) in [("awake", 1.0), ("weights_offloaded", 0.0), ("discard_all", 0.0)] {
            let label = format!(",sleep_state=\"{state}\"");
            page.sample_after("engine_sleep_state", &label, value);
        }
        page.gauge("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", gauges.kv_usage);
    }

    fn counters(&self, page: &mut Page) {
        let telemetry = self.telemetry;
        let prefix = telemetry.prefix;
        if self.is_old() {
            page.counter(
                "gpu_prefix_cache_queries",
                "GPU prefix cache queries, in terms of number of queried blocks.",
                &[("", prefix.queries)],
            );
            page.counter(
                "gpu_prefix_cache_hits",
                "GPU prefix cache hits, in terms of number of cached blocks.",
                &[("", prefix.hits)],
            );
        } else {
            for (name, help, value) in [
                ("prefix_cache_queries", "Prefix cache queries, in terms of number of queried tokens.", prefix.queries),
                ("prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens.", prefix.hits),
                (
                    "external_prefix_cache_queries",
                    "External prefix cache queries from KV connector cross-instance cache sharing, in terms of number of queried tokens.",
                    0,
                ),
                (
                    "external_prefix_cache_hits",
                    "External prefix cache hits from KV connector cross-instance cache sharing, in terms of number of cached tokens.",
                    0,
                ),
                ("mm_cache_queries", "Multi-modal cache queries, in terms of number of queried items.", 0),
                ("mm_cache_hits", "Multi-modal cache hits, in terms of number of cached items.", 0),
            ] {
                page.counter(name, help, &[("", value)]);
            }
        }
        self.work_counters(page);
    }

    fn work_counters(&self, page: &mut Page) {
        let telemetry = self.telemetry;
        for (name, help, value) in [
            ("num_preemptions", "Cumulative number of preemption from the engine.", telemetry.preemptions),
            ("prompt_tokens", PREFILL_HELP, telemetry.prompt_tokens),
            ("generation_tokens", GENERATION_HELP, telemetry.generation_tokens),
        ] {
            page.counter(name, help, &[("", value)]);
        }
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

    fn histograms(&self, page: &mut Page) {
        let telemetry = self.telemetry;
        let finished = &telemetry.finished;
        let mut list = vec![
            ("request_prompt_tokens", PREFILL_HELP, &finished.prompt_tokens),
            ("request_generation_tokens", GENERATION_HELP, &finished.generation_tokens),
            ("iteration_tokens_total", "Histogram of number of tokens per engine_step.", &telemetry.step_tokens),
            (
                "request_max_num_generation_tokens",
                "Histogram of maximum number of requested generation tokens.",
                &finished.longest_choice,
            ),
            ("request_params_n", "Histogram of the n request parameter.", &finished.choices),
            ("request_params_max_tokens", "Histogram of the max_tokens request parameter.", &finished.max_tokens),
            ("time_to_first_token_seconds", "Histogram of time to first token in seconds.", &telemetry.ttft),
        ];
        if self.is_old() {
            list.push((
                "time_per_output_token_seconds",
                "Histogram of time per output token in seconds.",
                &telemetry.itl,
            ));
        } else {
            list.extend([
                ("time_per_output_token_seconds", "Histogram of time per output token in seconds.DEPRECATED: Use vllm:inter_token_latency_seconds instead.", &telemetry.itl),
                ("inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", &telemetry.itl),
                ("request_time_per_output_token_seconds", "Histogram of time_per_output_token_seconds per request.", &finished.tpot),
            ]);
        }
        for (name, help, histogram) in list {
            page.histogram(name, help, histogram);
        }
    }

    fn request_histograms(&self, page: &mut Page) {
        let finished = &self.telemetry.finished;
        for (name, help, histogram) in [
            ("e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", &finished.e2e),
            ("request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", &finished.queue),
            (
                "request_inference_time_seconds",
                "Histogram of time spent in RUNNING phase for request.",
                &finished.inference,
            ),
            (
                "request_prefill_time_seconds",
                "Histogram of time spent in PREFILL phase for request.",
                &finished.prefill,
            ),
            ("request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", &finished.decode),
        ] {
            page.histogram(name, help, histogram);
        }
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
        let _infallible = writeln!(text, "vllm:{name}{{engine=\"0\",{extra}model_name=\"{model}\"}} {value:?}");
    }

    /// `extra` is a label that stands behind the model's, with its comma.
    fn sample_after(&mut self, name: &str, extra: &str, value: f64) {
        let Self { text, model, .. } = self;
        let _infallible = writeln!(text, "vllm:{name}{{engine=\"0\",model_name=\"{model}\"{extra}}} {value:?}");
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
        self.family("cache_config_info", "Information of the LLMEngine CacheConfig", "gauge");
        let KvCache { block_size, num_gpu_blocks, .. } = kv;
        let caching = if kv.enable_prefix_caching { "True" } else { "False" };
        self.line(format_args!(
            "vllm:cache_config_info{{block_size=\"{block_size}\",cache_dtype=\"auto\",enable_prefix_caching=\"{caching}\",engine=\"0\",gpu_memory_utilization=\"0.9\",num_gpu_blocks=\"{num_gpu_blocks}\"}} 1.0"
        ));
    }

    fn own(&mut self, lateness: &Lateness, faults: &BTreeMap<&'static str, u64>, profile: &str) {
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
        self.line(format_args!("# HELP simserver:faults_total Faults that have struck requests or connections."));
        self.line(format_args!("# TYPE simserver:faults_total counter"));
        for (fault, count) in faults {
            self.line(format_args!("simserver:faults_total{{fault=\"{fault}\",profile=\"{profile}\"}} {count}.0"));
        }
    }
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
