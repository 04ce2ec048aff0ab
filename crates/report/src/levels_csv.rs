//! `levels.csv`: one row a level, every main figure at full precision, for spreadsheets and scripts.
//!
//! The header is stable: columns are added at the end only. An empty cell was not measured. All cells are numbers or
//! fixed words, so nothing needs quoting. `runs.csv` is the same of several runs together.

use analysis::{
    Distribution, Estimate, Invalid, LevelFigure, LevelSummary, METRICS, OverRuns, Statistic, Summary, Unit,
};

/// Name of a column and how to read it.
type Column = (&'static str, fn(&LevelSummary) -> Option<f64>);

fn mean(d: Option<Distribution>) -> Option<f64> {
    Some(d?.mean.value)
}

fn mean_low(d: Option<Distribution>) -> Option<f64> {
    d?.mean.low
}

fn mean_high(d: Option<Distribution>) -> Option<f64> {
    d?.mean.high
}

fn value(estimate: Option<Estimate>) -> Option<f64> {
    Some(estimate?.value)
}

const COLUMNS: [Column; 55] = [
    ("level", |l| Some(f64::from(l.level))),
    ("concurrency", |l| Some(f64::from(l.concurrency))),
    ("measured", |l| Some(l.requests.measured as f64)),
    ("completed", |l| Some(l.requests.completed as f64)),
    ("failed", |l| Some(l.requests.failed as f64)),
    ("cancelled", |l| Some(l.requests.cancelled as f64)),
    ("success_rate", |l| value(l.success_rate)),
    ("success_rate_low", |l| l.success_rate?.low),
    ("success_rate_high", |l| l.success_rate?.high),
    ("window_s", |l| Some(l.window_s)),
    ("in_flight_mean", |l| Some(l.in_flight_mean)),
    ("output_tok_s", |l| l.output_tok_s),
    ("requests_per_s", |l| Some(l.requests_per_s)),
    ("per_request_tok_s_mean", |l| mean(l.per_request_tok_s)),
    ("per_request_tok_s_low", |l| mean_low(l.per_request_tok_s)),
    ("per_request_tok_s_high", |l| mean_high(l.per_request_tok_s)),
    ("ttft_ms_mean", |l| mean(l.ttft_ms)),
    ("ttft_ms_low", |l| mean_low(l.ttft_ms)),
    ("ttft_ms_high", |l| mean_high(l.ttft_ms)),
    ("ttft_ms_p50", |l| value(l.ttft_ms?.p50)),
    ("ttft_ms_p95", |l| value(l.ttft_ms?.p95)),
    ("ttft_ms_p99", |l| value(l.ttft_ms?.p99)),
    ("e2el_ms_mean", |l| mean(l.e2el_ms)),
    ("e2el_ms_low", |l| mean_low(l.e2el_ms)),
    ("e2el_ms_high", |l| mean_high(l.e2el_ms)),
    ("e2el_ms_min", |l| Some(l.e2el_ms?.min)),
    ("e2el_ms_max", |l| Some(l.e2el_ms?.max)),
    ("e2el_ms_p50", |l| value(l.e2el_ms?.p50)),
    ("e2el_ms_p95", |l| value(l.e2el_ms?.p95)),
    ("e2el_ms_p99", |l| value(l.e2el_ms?.p99)),
    ("e2el_from_intended_ms_mean", |l| mean(l.e2el_from_intended_ms)),
    ("tpot_ms_mean", |l| mean(l.tpot_ms)),
    ("icl_ms_mean", |l| mean(l.icl_ms)),
    ("prompt_tokens_mean", |l| mean(l.prompt_tokens)),
    ("output_tokens_mean", |l| mean(l.output_tokens)),
    ("short_outputs", |l| Some(l.short_outputs as f64)),
    ("server_running_mean", |l| l.server?.running_mean),
    ("server_waiting_mean", |l| l.server?.waiting_mean),
    ("kv_usage_max", |l| l.server?.kv_usage_max),
    ("preemptions", |l| l.server?.preemptions),
    ("gpu_memory_used_bytes_max", |l| Some(l.gpu?.memory_used_bytes_max? as f64)),
    ("gpu_util_percent_mean", |l| l.gpu?.gpu_util_percent_mean),
    ("gpu_power_w_mean", |l| l.gpu?.power_w_mean),
    ("gpu_energy_j", |l| l.gpu?.energy_j),
    ("gpu_j_per_output_token", |l| l.gpu?.j_per_output_token),
    ("client_cpu_percent", |l| Some(l.client?.cpu_percent)),
    ("client_lag_p99_ms", |l| Some(l.client?.lag_p99_ms)),
    ("tokens_per_chunk", |l| l.tokens_per_chunk),
    ("request_rate_planned", |l| l.request_rate?.planned_per_s),
    ("request_rate_planned_until", |l| l.request_rate?.planned_until_per_s),
    ("request_rate_sent", |l| l.request_rate?.sent_per_s),
    ("send_lag_max_ms", |l| Some(l.request_rate?.send_lag_max_ms)),
    ("ttfo_ms_mean", |l| mean(l.ttfo_ms)),
    ("itl_ms_mean", |l| mean(l.itl_ms)),
    ("retries", |l| Some(l.requests.retries as f64)),
];

/// Metrics of requests that have no column above: a mean each, so that a new metric is in the file by itself.
fn more() -> impl Iterator<Item = (String, LevelFigure)> {
    METRICS.iter().filter(|row| row.is_of_requests()).filter_map(|row| {
        let id = row.metric.id();
        let name = if row.unit == Unit::Ms { format!("{id}_ms_mean") } else { format!("{id}_mean") };
        let is_there = COLUMNS.iter().any(|(known, _)| *known == name);
        (!is_there).then_some((name, LevelFigure { metric: row.metric, statistic: Statistic::Mean }))
    })
}

/// The whole file. The first three columns say what a row is worth even when it is cut out and pasted elsewhere.
pub(crate) fn render(summary: &Summary) -> String {
    let names: Vec<String> =
        COLUMNS.iter().map(|(name, _)| (*name).to_owned()).chain(more().map(|(name, _)| name)).collect();
    let mut text = format!("simulated,complete,invalid,{}\n", names.join(","));
    for level in &summary.levels {
        let invalid: Vec<&str> = level.invalid.iter().map(word).collect();
        let mut cells =
            vec![summary.run.simulated_profile.is_some().to_string(), level.complete.to_string(), invalid.join(";")];
        let columns = COLUMNS.iter().map(|(_, read)| read(level));
        cells.extend(columns.chain(more().map(|(_, figure)| value(figure.value(level)))).map(|figure| {
            let figure = figure.filter(|figure| figure.is_finite());
            figure.map_or_else(String::new, |figure| figure.to_string())
        }));
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}

/// `runs.csv`: one row a level and figure.
pub(crate) fn over_runs(over: &OverRuns) -> String {
    let mut text =
        "simulated,concurrency,request_rate,runs,invalid_runs,metric,n,mean,low,high,stddev,min,max\n".to_owned();
    let cell = |figure: Option<f64>| figure.map_or_else(String::new, |x| x.to_string());
    for level in &over.levels {
        for of in &level.figures {
            let cells = [
                over.simulated_profile.is_some().to_string(),
                level.concurrency.to_string(),
                cell(level.request_rate),
                level.runs.to_string(),
                level.invalid_runs.to_string(),
                of.metric.clone(),
                of.n.to_string(),
                of.mean.value.to_string(),
                cell(of.mean.low),
                cell(of.mean.high),
                cell(of.stddev),
                of.min.to_string(),
                of.max.to_string(),
            ];
            text.push_str(&cells.join(","));
            text.push('\n');
        }
    }
    text
}

fn word(invalid: &Invalid) -> &'static str {
    match invalid {
        Invalid::NothingCompleted => "nothing_completed",
        Invalid::ClientBusy { .. } => "client_busy",
        Invalid::ClientLate { .. } => "client_late",
        Invalid::Stopped => "stopped",
        _ => "other",
    }
}
