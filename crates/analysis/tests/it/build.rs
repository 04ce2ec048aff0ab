//! Records for tests: a closed loop whose requests all take as long as they are told.

use records::{
    Chunks, ClockAnchor, Connection, EndReason, EngineFacts, Host, Manifest, Offset, Outcome, Phase, PhaseKind, Plan,
    RequestRecord, RunData, SCHEMA_VERSION, Stage, Target, TokenCount, TokenSource, Tool,
};

pub(crate) const MS: u64 = 1_000_000;

/// A level at which every request is alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level {
    pub(crate) concurrency: u32,
    /// Measured requests of each slot, after one for warm-up.
    pub(crate) rounds: u64,
    pub(crate) ttft_ns: u64,
    pub(crate) e2el_ns: u64,
    pub(crate) tokens: u64,
}

pub(crate) fn manifest(levels: &[(u32, u64)], osl: u32) -> Manifest {
    let anchor = ClockAnchor { offset_ns: Offset::ZERO, unix_ns: 1_764_143_690_000_000_000 };
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: "test".to_owned(),
        tool: Tool {
            name: "plimsoll".to_owned(),
            version: "0.1.0".to_owned(),
            git_revision: None,
            profile: "release".to_owned(),
        },
        argv: vec!["plimsoll".to_owned(), "bench".to_owned()],
        settings: None,
        search: None,
        target: Target::Server { url: "http://server.example:8000".to_owned() },
        plan: Plan {
            levels: levels.iter().map(|level| level.0).collect(),
            requests: levels.iter().map(|level| level.1).collect(),
            arrivals: Vec::new(),
            durations_ns: Vec::new(),
            warmup_requests: levels.iter().map(|level| u64::from(level.0)).collect(),
            endpoint: "/v1/chat/completions".to_owned(),
            model: "google/gemma-3-12b-it".to_owned(),
            stream: true,
            workload: "translation".to_owned(),
            workload_options: serde_json::Map::new(),
            osl,
            ignore_eos: false,
            extra_body: serde_json::Map::new(),
            seed: 42,
            request_timeout_ns: 60_000 * MS,
            stop_when: None,
            retries: 0,
        },
        host: Host {
            os: "linux x86_64".to_owned(),
            cpu_model: Some("a processor".to_owned()),
            cpus: Some(2),
            memory_bytes: Some(8 << 30),
        },
        engine: EngineFacts::default(),
        started: anchor,
        ended: Some(anchor),
        end: Some(EndReason::Completed),
        resumed: Vec::new(),
        notes: Vec::new(),
        judgement: records::Judgement::default(),
    }
}

/// A completed request whose tokens arrive one by one, evenly from `ttft_ns` to `e2el_ns`.
pub(crate) fn request(sent_ns: u64, ttft_ns: u64, e2el_ns: u64, tokens: u64) -> RequestRecord {
    let gaps = (tokens - 1).max(1);
    let arrival = |i: u64| ttft_ns + (e2el_ns - ttft_ns) * i / gaps;
    RequestRecord {
        request: 0,
        level: 0,
        stage: Stage::Measured,
        slot: 0,
        turn: None,
        retry: 0,
        intended_ns: Offset(sent_ns),
        sent_ns: Offset(sent_ns),
        connection: Connection::Reused,
        head_ns: Some(Offset(sent_ns)),
        chunks: Chunks { count: tokens, since_sent_ns: (0..tokens).map(arrival).collect(), tokens: Vec::new() },
        first_output_ns: None,
        finished_ns: Offset(sent_ns + e2el_ns),
        asked_output_tokens: u32::try_from(tokens).unwrap(),
        prompt_tokens: Some(60),
        cached_prompt_tokens: None,
        output_tokens: Some(TokenCount { count: tokens, source: TokenSource::Usage }),
        server_timings: None,
        outcome: Outcome::Completed { finish_reason: Some("length".to_owned()) },
    }
}

/// A request that failed before its first token.
pub(crate) fn failed(sent_ns: u64, finished_ns: u64, outcome: Outcome) -> RequestRecord {
    RequestRecord {
        finished_ns: Offset(finished_ns),
        chunks: Chunks::default(),
        head_ns: None,
        output_tokens: None,
        prompt_tokens: None,
        outcome,
        ..request(sent_ns, 1, 1, 1)
    }
}

pub(crate) fn phase(kind: PhaseKind, level: u32, start_ns: u64, end_ns: u64) -> Phase {
    Phase { kind, level: Some(level), start_ns: Offset(start_ns), end_ns: Offset(end_ns), client: None, ended_by: None }
}

/// A finished run of one level from records, with the measuring window given.
pub(crate) fn one_level(requests: Vec<RequestRecord>, window_ns: (u64, u64)) -> RunData {
    let measured = requests.iter().filter(|r| r.stage == Stage::Measured);
    let planned = measured.count() as u64;
    RunData {
        manifest: manifest(&[(1, planned)], 10),
        phases: vec![phase(PhaseKind::Measure, 0, window_ns.0, window_ns.1)],
        requests,
        gpu: Vec::new(),
        server: Vec::new(),
        skipped: Vec::new(),
    }
}

/// A finished run: at each level every slot sends `1 + rounds` requests back to back, the first for warm-up; a second of
/// rest between levels.
pub(crate) fn closed_loop(levels: &[Level]) -> RunData {
    let plan: Vec<(u32, u64)> =
        levels.iter().map(|level| (level.concurrency, level.rounds * u64::from(level.concurrency))).collect();
    let osl = u32::try_from(levels[0].tokens).unwrap();
    let mut run = RunData {
        manifest: manifest(&plan, osl),
        requests: Vec::new(),
        phases: Vec::new(),
        gpu: Vec::new(),
        server: Vec::new(),
        skipped: Vec::new(),
    };
    let mut now = 0;
    for (index, level) in (0..).zip(levels) {
        now += 1000 * MS;
        let start = now;
        for round in 0..=level.rounds {
            for slot in 0..level.concurrency {
                run.requests.push(RequestRecord {
                    request: run.requests.len() as u64,
                    level: index,
                    stage: if round == 0 { Stage::Warmup } else { Stage::Measured },
                    slot,
                    ..request(now, level.ttft_ns, level.e2el_ns, level.tokens)
                });
            }
            now += level.e2el_ns;
        }
        let warm = start + level.e2el_ns;
        run.phases.push(phase(PhaseKind::Warmup, index, start, warm));
        run.phases.push(phase(PhaseKind::Measure, index, warm, now));
        run.phases.push(phase(PhaseKind::Drain, index, now, now));
    }
    run
}
