//! The three runs that the tests report on, from summaries in `fixtures/report/`, with raw records to match.
//!
//! `summary_rtx3090.json` carries the figures of the reference report of 2025-11-26 (google/gemma-3-12b-it, 4-bit
//! bitsandbytes, vLLM 0.11.2, RTX 3090); its note says which of the others are made up.

use std::time::Duration;

use analysis::{LevelSummary, Summary};
use records::{
    ClockAnchor, Connection, Engine, GpuDevice, GpuLine, GpuSample, Manifest, Offset, Outcome, Phase, PhaseKind, Plan,
    RequestRecord, RunData, SCHEMA_VERSION, ServerCounters, ServerSample, Stage, Target, Tool,
};

/// The reference report's run.
pub(crate) fn rtx3090() -> (RunData, Summary) {
    run(include_str!("../../../../fixtures/report/summary_rtx3090.json"))
}

/// llama.cpp: no capacity, no sizing, no GPU, but percentiles.
pub(crate) fn llama_cpp() -> (RunData, Summary) {
    run(include_str!("../../../../fixtures/report/summary_llama_cpp.json"))
}

/// A simulated run that lost its server.
pub(crate) fn partial() -> (RunData, Summary) {
    run(include_str!("../../../../fixtures/report/summary_partial.json"))
}

fn run(json: &str) -> (RunData, Summary) {
    let mut summary: Summary = serde_json::from_str(json).expect("fixture follows the contract");
    // What to buy is computed, not recorded.
    summary.sizing = summary
        .sizing
        .and_then(|sizing| analysis::sizing_section(&sizing.model, Some("0.11.2"), &analysis::reference_target()));
    (raw(&summary), summary)
}

/// Raw records that could lie behind a summary: every level a closed loop with a fixed pattern of latencies.
pub(crate) fn raw(summary: &Summary) -> RunData {
    let mut data = RunData {
        manifest: manifest(summary),
        requests: Vec::new(),
        phases: Vec::new(),
        gpu: Vec::new(),
        server: Vec::new(),
        skipped: Vec::new(),
    };
    for name in &summary.run.gpus {
        data.gpu.push(GpuLine::Device(GpuDevice {
            uuid: format!("GPU-{name}"),
            name: name.clone(),
            source: "nvml".into(),
            ..GpuDevice::default()
        }));
    }
    let mut now = 2.0;
    for level in &summary.levels {
        let end = requests_of(level, now, &mut data.requests);
        telemetry_of(level, (now, end), summary, &mut data);
        for (kind, from, to) in [(PhaseKind::Warmup, now, now + 0.1), (PhaseKind::Measure, now + 0.1, end)] {
            data.phases.push(Phase {
                kind,
                level: Some(level.level),
                start_ns: at(from),
                end_ns: at(to),
                client: None,
                ended_by: None,
            });
        }
        now = end + 3.0;
    }
    data
}

fn at(seconds: f64) -> Offset {
    Offset::from_duration(Duration::from_secs_f64(seconds))
}

fn requests_of(level: &LevelSummary, from: f64, requests: &mut Vec<RequestRecord>) -> f64 {
    let mut end = from + 1.0;
    let e2el = level.e2el_ms.map_or(500.0, |d| d.mean.value) / 1000.0;
    let ttft = level.ttft_ms.map_or(100.0, |d| d.mean.value) / 1000.0;
    let each = level.requests.measured.div_ceil(u64::from(level.concurrency));
    let first = requests.len() as u64;
    for slot in 0..level.concurrency {
        let mut sent = from + 0.1 + f64::from(slot) * 0.002;
        for index in 0..each {
            let number = first + u64::from(slot) * each + index;
            // A fixed pattern between -1 and 1 that is no straight line.
            let wave = ((number * 37 % 101) as f64 / 50.0 - 1.0).powi(3);
            let latency = e2el * (1.0 + 0.05 * wave);
            let completed = level.requests.completed > 0;
            requests.push(RequestRecord {
                request: number,
                level: level.level,
                stage: Stage::Measured,
                slot,
                turn: None,
                retry: 0,
                intended_ns: at(sent),
                sent_ns: at(sent),
                connection: Connection::Reused,
                head_ns: None,
                chunks: records::Chunks {
                    count: 2,
                    since_sent_ns: [ttft * (1.0 + 0.2 * wave), latency].map(|s| at(s).0).to_vec(),
                    tokens: Vec::new(),
                },
                first_output_ns: None,
                finished_ns: at(sent + latency),
                asked_output_tokens: 101,
                prompt_tokens: None,
                cached_prompt_tokens: None,
                output_tokens: None,
                server_timings: None,
                outcome: if completed {
                    Outcome::Completed { finish_reason: Some("length".into()) }
                } else {
                    Outcome::NoTokens
                },
            });
            sent += latency;
            end = f64::max(end, sent);
        }
    }
    end
}

fn telemetry_of(level: &LevelSummary, (from, to): (f64, f64), summary: &Summary, data: &mut RunData) {
    let mut t = from;
    while t < to {
        let part = (t - from) / (to - from);
        if let Some(server) = level.server {
            let steady = (part * 8.0).min(1.0).min((1.0 - part) * 12.0);
            data.server.push(ServerSample {
                t_ns: at(t),
                rtt_ns: 1_000_000,
                engine: Engine::Vllm,
                running: server.running_mean.map(|mean| (mean * steady).round()),
                waiting: server.waiting_mean,
                kv_usage: server.kv_usage_max.map(|max| max * steady * (0.85 + 0.15 * (t * 0.7).sin())),
                counters: ServerCounters::default(),
                detail: records::ServerDetail::default(),
            });
        }
        for name in summary.run.gpus.iter().filter(|_| level.gpu.is_some()) {
            let gpu = level.gpu.unwrap_or_default();
            data.gpu.push(GpuLine::Sample(GpuSample {
                t_ns: at(t),
                uuid: format!("GPU-{name}"),
                gpu_util_percent: Some(if part < 0.02 { 12 } else { 97 }),
                power_average_mw: gpu.power_w_mean.map(|w| at(w * (0.97 + 0.03 * (t * 1.3).sin())).0 / 1_000_000),
                memory_used_bytes: gpu.memory_used_bytes_max,
                ..GpuSample::default()
            }));
        }
        t += 0.5;
    }
}

fn manifest(summary: &Summary) -> Manifest {
    let run = &summary.run;
    let target = match &run.simulated_profile {
        Some(profile) => Target::Simulated { url: run.url.clone(), profile: profile.clone() },
        None => Target::Server { url: run.url.clone() },
    };
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: run.run_id.clone(),
        tool: Tool { name: "plimsoll".into(), version: "0.1.0".into(), git_revision: None, profile: "release".into() },
        argv: run.argv.clone(),
        settings: None,
        search: None,
        target,
        plan: Plan {
            levels: summary.levels.iter().map(|level| level.concurrency).collect(),
            requests: summary.levels.iter().map(|level| level.requests.measured).collect(),
            arrivals: Vec::new(),
            durations_ns: Vec::new(),
            warmup_requests: summary.levels.iter().map(|level| level.requests.warmup).collect(),
            endpoint: "/v1/chat/completions".into(),
            model: run.model.clone(),
            stream: true,
            workload: run.workload.clone(),
            workload_options: serde_json::Map::new(),
            osl: run.osl,
            ignore_eos: true,
            extra_body: serde_json::Map::new(),
            seed: run.seed,
            request_timeout_ns: 300_000_000_000,
            stop_when: None,
            retries: 0,
        },
        host: records::Host::default(),
        engine: records::EngineFacts::default(),
        started: ClockAnchor { offset_ns: Offset::ZERO, unix_ns: run.started_unix_s * 1_000_000_000 },
        ended: None,
        end: None,
        resumed: Vec::new(),
        notes: run.notes.clone(),
        judgement: records::Judgement::default(),
    }
}
