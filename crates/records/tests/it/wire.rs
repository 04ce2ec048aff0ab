//! One line per record kind, as it stands on disk. A change here is a change of the schema: old folders must stay readable.

use records::{
    Arrivals, Chunks, ClientLoad, ConnectPhase, Connection, Engine, GpuDevice, GpuLine, GpuSample, GpuState,
    HistogramTotals, Offset, Outcome, Phase, PhaseKind, RateStage, RequestRecord, ServerCounters, ServerDetail,
    ServerSample, ServerTimings, SourceClock, Stage, TimeoutPhase, TokenCount, TokenSource, Turn,
};

pub(crate) fn completed_request() -> RequestRecord {
    RequestRecord {
        request: 17,
        level: 2,
        stage: Stage::Measured,
        slot: 3,
        turn: None,
        retry: 0,
        intended_ns: Offset(1_000_000_000),
        sent_ns: Offset(1_000_050_000),
        connection: Connection::Reused,
        head_ns: Some(Offset(1_080_000_000)),
        chunks: Chunks { count: 3, since_sent_ns: vec![84_000_000, 101_500_000, 119_000_000], tokens: vec![] },
        first_output_ns: Some(Offset(1_084_050_000)),
        finished_ns: Offset(1_119_100_000),
        asked_output_tokens: 3,
        prompt_tokens: Some(40),
        cached_prompt_tokens: Some(0),
        output_tokens: Some(TokenCount { count: 3, source: TokenSource::Usage }),
        server_timings: Some(ServerTimings {
            prompt_tokens: 40,
            prompt_ns: 80_000_000,
            output_tokens: 3,
            output_ns: 35_000_000,
        }),
        outcome: Outcome::Completed { finish_reason: Some("length".into()) },
    }
}

fn line(record: &impl serde::Serialize) -> String {
    serde_json::to_string(record).expect("every record is JSON")
}

#[test]
fn a_completed_request() {
    insta::assert_snapshot!(line(&completed_request()));
}

#[test]
fn every_outcome() {
    let outcomes = [
        Outcome::Completed { finish_reason: None },
        Outcome::ConnectFailed { phase: ConnectPhase::Dns, message: "no such host".into() },
        Outcome::TimedOut { phase: TimeoutPhase::FirstByte },
        Outcome::HttpStatus { status: 503, body: "overloaded".into() },
        Outcome::Cut { message: "connection reset".into() },
        Outcome::ErrorInStream { message: "out of memory".into() },
        Outcome::Malformed { message: "expected JSON".into() },
        Outcome::NoTokens,
        Outcome::Cancelled,
    ];
    insta::assert_snapshot!(outcomes.iter().map(line).collect::<Vec<_>>().join("\n"));
}

#[test]
fn connections() {
    let connections = [Connection::New { connect_ns: 150_000 }, Connection::Reused, Connection::None];
    insta::assert_snapshot!(connections.iter().map(line).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_phase() {
    let client =
        ClientLoad { cpu_ns: 12, threads: 1, lag_max_ns: 9, lag_p99_ns: 8, lag_samples: 100, unstamped_reads: Some(0) };
    let phase = Phase {
        kind: PhaseKind::Measure,
        level: Some(0),
        start_ns: Offset(1),
        end_ns: Offset(2),
        client: Some(client),
        ended_by: None,
    };
    insta::assert_snapshot!(line(&phase));
}

#[test]
fn gpu_lines() {
    let lines = [
        GpuLine::Device(GpuDevice {
            uuid: "GPU-1".into(),
            name: "NVIDIA GeForce RTX 3090".into(),
            source: "nvml".into(),
            driver: Some("580.95".into()),
            memory_total_bytes: Some(25_769_803_776),
            power_limit_mw: Some(350_000),
            unsupported: vec!["energy_mj".into()],
            ..GpuDevice::default()
        }),
        GpuLine::Sample(GpuSample {
            t_ns: Offset(5),
            read_ns: 6,
            uuid: "GPU-1".into(),
            gpu_util_percent: Some(97),
            memory_used_bytes: Some(24_534_581_248),
            power_instant_mw: Some(341_000),
            ..GpuSample::default()
        }),
        GpuLine::Gap { t_ns: Offset(7), reason: "GPU is lost".into() },
    ];
    insta::assert_snapshot!(lines.iter().map(line).collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_server_sample() {
    let sample = ServerSample {
        t_ns: Offset(5),
        rtt_ns: 900_000,
        engine: Engine::Vllm,
        running: Some(16.0),
        waiting: Some(0.0),
        kv_usage: Some(0.022),
        counters: ServerCounters {
            output_tokens: Some(18_945.0),
            ttft: Some(HistogramTotals { sum_seconds: 12.5, count: 330.0 }),
            ..ServerCounters::default()
        },
        detail: ServerDetail::default(),
    };
    insta::assert_snapshot!(line(&sample));
}

#[test]
fn what_only_some_gpus_and_engines_tell() {
    let lines = [
        GpuLine::State(GpuState {
            t_ns: Offset(5),
            read_ns: 6,
            uuid: "GPU-1".into(),
            power_limit_mw: Some(350_000),
            pcie_width: Some(16),
            ..GpuState::default()
        }),
        GpuLine::Xid { t_ns: Offset(7), uuid: Some("GPU-1".into()), code: 79 },
        GpuLine::Clock(SourceClock {
            t_ns: Offset(8),
            source: "http://gpu-host:9400".into(),
            add_ns: -1_500_000_000,
            rtt_min_ns: 400_000,
            exchanges: 9,
        }),
        GpuLine::Sample(GpuSample {
            t_ns: Offset(9),
            read_ns: 6,
            uuid: "GPU-1".into(),
            rtt_ns: Some(400_000),
            dram_active_percent: Some(61.5),
            ..GpuSample::default()
        }),
    ];
    insta::assert_snapshot!(lines.iter().map(line).collect::<Vec<_>>().join("\n"));

    let detailed = r#"{"t_ns":5,"rtt_ns":9,"engine":"vllm","counters":{},"waiting_by_reason":{"capacity":3.0},"kv_cache_size_tokens":28064,"engines":[{"engine":"1","running":2.0}]}"#;
    let sample: ServerSample = serde_json::from_str(detailed).unwrap();
    let capacity = sample.detail.waiting_by_reason.get("capacity").copied();
    assert_eq!(capacity, Some(3.0));
    assert_eq!(sample.detail.engines[0].running, Some(2.0));
    assert_eq!(line(&sample), detailed);
}

#[test]
fn derived_times_follow_the_definitions() {
    let request = completed_request();
    let ms = |d: Option<std::time::Duration>| d.map(|d| d.as_secs_f64() * 1e3);
    // t1 − t0, tN − t0, (E2EL − TTFT)/(n − 1), by hand.
    assert_eq!(ms(request.ttft()), Some(84.0));
    assert_eq!(ms(request.e2el()), Some(119.0));
    assert_eq!(ms(request.tpot()), Some(17.5));
    assert_eq!(request.send_lag().as_micros(), 50);

    let mut one_token = completed_request();
    one_token.output_tokens = Some(TokenCount { count: 1, source: TokenSource::Usage });
    assert_eq!(one_token.tpot(), None);

    let mut cut = completed_request();
    cut.outcome = Outcome::Cut { message: String::new() };
    assert_eq!(cut.e2el(), None, "a response that broke off has no end-to-end latency");
    assert!(cut.ttft().is_some());
}

#[test]
fn a_turn_that_was_sent_again() {
    let record = RequestRecord { turn: Some(Turn { session: 12, number: 1, of: 3 }), retry: 2, ..completed_request() };
    let line = line(&record);
    let told = r#""slot":3,"turn":{"session":12,"number":1,"of":3},"retry":2,"intended_ns""#;
    assert!(line.contains(told), "{line}");
    assert_eq!(serde_json::from_str::<RequestRecord>(&line).expect("read back"), record);
}

#[test]
fn a_rate_that_moves_in_steps() {
    let arrivals = Arrivals {
        per_second: Some(2.0),
        burstiness: Some(1.0),
        ramp: None,
        stages: vec![RateStage { per_second: 2.0, until_ns: 60_000_000_000 }],
        recorded: false,
        most_in_flight: 64,
    };
    assert_eq!(
        line(&arrivals),
        r#"{"per_second":2.0,"burstiness":1.0,"stages":[{"per_second":2.0,"until_ns":60000000000}],"most_in_flight":64}"#
    );
    let steady = r#"{"per_second":2.0,"burstiness":1.0,"most_in_flight":64}"#;
    let read: Arrivals = serde_json::from_str(steady).expect("as it was written before");
    assert_eq!((line(&read).as_str(), read.stages.len()), (steady, 0));
}

#[test]
fn engines_keep_their_names_on_disk() {
    for (engine, id, label) in [
        (Engine::Vllm, "vllm", "vLLM"),
        (Engine::LlamaCpp, "llama.cpp", "llama.cpp"),
        (Engine::Sglang, "sglang", "SGLang"),
        (Engine::Other("my-proxy".into()), "my-proxy", "my-proxy"),
    ] {
        assert_eq!((engine.to_string().as_str(), engine.label()), (id, label));
        assert_eq!(line(&engine), format!("{id:?}"));
        assert_eq!(serde_json::from_str::<Engine>(&line(&engine)).unwrap(), engine);
    }
    // Both spellings of llama.cpp that folders hold.
    assert_eq!(
        (Engine::from("llama_cpp".to_owned()), Engine::from("llama-server".to_owned())),
        (Engine::LlamaCpp, Engine::LlamaCpp)
    );
    let sample = r#"{"t_ns":5,"rtt_ns":9,"engine":"llama_cpp","counters":{}}"#;
    let read: ServerSample = serde_json::from_str(sample).unwrap();
    assert_eq!((&read.engine, line(&read).as_str()), (&Engine::LlamaCpp, sample));
}
