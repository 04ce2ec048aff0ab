//! Other APIs than chat, conversations, retries and a server that hangs, on the real binary.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::binary::{Sim, json, run, stderr};

/// A run of one level against a simulated server: its exit code, the level's summary, the manifest and the records.
struct Ran {
    code: Option<i32>,
    level: Value,
    summary: Value,
    manifest: Value,
    records: Vec<Value>,
    report: [String; 2],
}

impl Ran {
    fn new(server: &[&str], flags: &[&str]) -> Self {
        let sim = Sim::start(server);
        let results = tempfile::tempdir().expect("a folder");
        let folder = results.path().to_str().expect("UTF-8");
        let fixed = ["all", "--url", &sim.url, "--json", "--run-id", "e", "--result-dir", folder];
        let output = run(&[&fixed[..], flags].concat());
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 5)), "{}", stderr(&output));
        let run_dir = results.path().join("e");
        let korean = run(&["report", run_dir.to_str().expect("UTF-8"), "--lang", "ko"]);
        assert_eq!(korean.status.code(), Some(0), "{}", stderr(&korean));
        let summary = json(&output)["summary"].clone();
        Self {
            code,
            level: summary["levels"][0].clone(),
            summary,
            manifest: serde_json::from_str(&read(&run_dir, "manifest.json")).expect("JSON"),
            records: read(&run_dir, "requests.jsonl")
                .lines()
                .map(|line| serde_json::from_str(line).expect("JSON"))
                .collect(),
            report: ["report.md", "report.ko.md"].map(|name| read(&run_dir, name)),
        }
    }

    fn measured(&self) -> Vec<&Value> {
        let measured = |record: &&Value| record["stage"] == "measured";
        self.records.iter().filter(measured).collect()
    }

    fn finding(&self, kind: &str) -> bool {
        let findings = self.summary["findings"].as_array().expect("findings");
        findings.iter().any(|finding| finding["kind"] == kind)
    }
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).expect("a file")
}

#[test]
fn the_responses_api_is_measured_streamed_and_in_one_piece() {
    let flags = ["--endpoint-type", "responses", "--osl", "10", "--request-count", "8", "--concurrency", "4"];
    let streamed = Ran::new(&["--profile", "fixed"], &flags);
    assert_eq!(streamed.manifest["plan"]["endpoint"], "/v1/responses");
    assert_eq!(streamed.manifest["plan"]["ignore_eos"], false);
    let level = &streamed.level;
    assert_eq!(level["requests"]["completed"], 8, "{level}");
    // The profile's first token comes after 100 ms; the events before it come at once and are no tokens.
    let ttft = &level["ttft_ms"];
    assert!(ttft["min"].as_f64() >= Some(100.0), "{ttft}");
    for record in streamed.measured() {
        let tokens = &record["output_tokens"];
        assert_eq!(tokens["source"], "usage");
        assert_eq!(tokens["count"], record["chunks"]["count"], "{record}");
        assert!(record["prompt_tokens"].as_u64() > Some(20), "{record}");
    }
    assert!(!streamed.finding("disagreement"), "{}", streamed.summary["findings"]);

    let whole = Ran::new(&["--profile", "fixed"], &[&flags[..], &["--streaming=false"]].concat());
    assert_eq!(whole.level["requests"]["completed"], 8, "{}", whole.level);
    assert!(whole.level["ttft_ms"].is_null());
    assert!(whole.level["e2el_ms"]["min"].as_f64() >= Some(100.0));
}

#[test]
fn embeddings_have_an_end_and_no_tokens() {
    let flags = ["--endpoint-type", "embeddings", "--isl", "300", "--request-count", "8", "--concurrency", "4"];
    let ran = Ran::new(&["--profile", "h100-llama3.1-8b-fp16"], &flags);
    let (plan, level) = (&ran.manifest["plan"], &ran.level);
    assert_eq!(
        (&plan["endpoint"], &plan["stream"], &plan["osl"]),
        (&"/v1/embeddings".into(), &false.into(), &0.into())
    );
    assert_eq!((&level["requests"]["completed"], &level["requests"]["failed"]), (&8.into(), &0.into()));
    for absent in ["ttft_ms", "tpot_ms", "output_tokens", "output_tok_s", "per_request_tok_s"] {
        assert!(level[absent].is_null(), "{absent}: {level}");
    }
    let prompt = level["prompt_tokens"]["mean"]["value"].as_f64().expect("counted");
    assert!((prompt - 300.0).abs() < 10.0, "{prompt}");
    assert!(level["e2el_ms"]["mean"]["value"].as_f64() > Some(0.0));
    for kind in ["output_length", "disagreement", "failures"] {
        assert!(!ran.finding(kind), "{kind}: {}", ran.summary["findings"]);
    }
    assert!(ran.records.iter().all(|record| record["asked_output_tokens"] == 0));
}

#[test]
fn conversations_carry_their_history_and_find_it_in_the_prefix_cache() {
    let ran = Ran::new(
        &["--profile", "h100-llama3.1-8b-fp16"],
        &[
            "--session-turns",
            "3",
            "--think-time",
            "20",
            "--isl",
            "200",
            "--osl",
            "16",
            "--concurrency",
            "4",
            "--request-count",
            "24",
        ],
    );
    let options = &ran.manifest["plan"]["workload_options"];
    assert_eq!((&options["session_turns"], &options["think_time_ms"]), (&3.0.into(), &20.0.into()));
    assert_eq!(ran.level["requests"]["completed"], 24, "{}", ran.level);
    let turns = ran.level["turns"].as_array().expect("turns");
    let prompt: Vec<f64> = turns.iter().map(|t| t["prompt_tokens_mean"].as_f64().expect("counted")).collect();
    assert_eq!(turns.iter().map(|t| t["completed"].as_u64()).collect::<Vec<_>>(), [Some(8); 3]);
    // Each turn adds a question of about 200 tokens and an answer of 16 words.
    for pair in prompt.windows(2) {
        let more = pair[1] - pair[0];
        assert!((190.0..270.0).contains(&more), "{prompt:?}");
    }
    // What turns 2 and 3 repeat of questions is 200 and 400 of some 1,300 prompt tokens a conversation.
    let hits = ran.level["server"]["prefix_hit_rate"].as_f64().expect("a rate");
    assert!((0.1..0.6).contains(&hits), "{hits}");
    assert!(!ran.finding("prefix_cache_hits"), "the user asked for it");
    let by_session = |record: &&Value| record["turn"]["number"].as_u64();
    assert!(ran.measured().iter().all(|record| by_session(record) < Some(3)));
    assert!(ran.report[0].contains("Turn") && ran.report[1].contains("턴"));
}

#[test]
fn as_many_requests_are_in_flight_as_users_are_not_thinking() {
    // A request takes 100 + 9 × 10 ms, and a user thinks as long three times in a conversation of four turns: of 7 such
    // spells 4 are requests (the interactive response time law).
    let ran = Ran::new(
        &["--profile", "fixed"],
        &["--session-turns", "4", "--think-time", "190", "--osl", "10", "--concurrency", "7", "--request-count", "168"],
    );
    let in_flight = ran.level["in_flight_mean"].as_f64().expect("a mean");
    assert!((in_flight - 4.0).abs() < 0.4, "{in_flight}");
    // At either end of the window some users are at conversations that do not count: a conversation's time in all.
    let [rate, window] = ["requests_per_s", "window_s"].map(|name| ran.level[name].as_f64().expect("a figure"));
    let law = 4.0 / 0.19;
    let ends = 7.0 * 0.19 / window;
    assert!(rate < 1.02 * law && rate > (0.97 - ends) * law, "{rate}");
}

#[test]
fn what_has_no_turns_says_so() {
    let open = run(&["all", "--dry-run", "--session-turns", "3", "--request-rate", "2"]);
    assert_eq!(open.status.code(), Some(2));
    let texts = run(&["all", "--dry-run", "--session-turns", "3", "--endpoint-type", "completions"]);
    assert_eq!(texts.status.code(), Some(2));
    assert!(stderr(&texts).contains("hint: use the chat or responses API"), "{}", stderr(&texts));
}

#[test]
fn retries_are_records_and_failures_stay_counted() {
    let flags = ["--osl", "4", "--concurrency", "2", "--request-count", "12"];
    let server = ["--profile", "fixed", "--fault", "error-in-200,after=2@0.4", "--fault-seed", "3"];
    let without = Ran::new(&server, &flags);
    let failed = |ran: &Ran| ran.level["requests"]["failed"].as_u64().expect("a count");
    assert!(failed(&without) > 0 && without.level["requests"]["retries"].is_null(), "{}", without.level);
    assert_eq!(without.level["requests"]["measured"], 12);

    let with = Ran::new(&server, &[&flags[..], &["--retries", "6"]].concat());
    let requests = &with.level["requests"];
    assert_eq!(requests["completed"], 12, "each got through in the end: {requests}");
    assert_eq!(requests["failed"], requests["retries"], "{requests}");
    assert!(failed(&with) > 0);
    let rate = with.level["success_rate"]["value"].as_f64().expect("a rate");
    assert!(rate < 1.0, "{rate}");
    let attempts = with.measured().len() as u64;
    assert_eq!(requests["measured"], attempts);
    assert_eq!(with.manifest["plan"]["retries"], 6);
    assert!(with.report[0].contains("Retries of a failed request"));
    assert!(with.report[1].contains("실패한 요청의 재시도 횟수"));
}

#[test]
fn a_rate_moves_in_steps_and_every_step_is_told() {
    // 100 ms and 3 × 10 ms a request: far below what the server holds, so that what was asked is what came.
    let flags = ["--stages", "3s@4,2s@20,3s@4", "--burstiness", "inf", "--osl", "4", "--warmup-request-count", "4"];
    let ran = Ran::new(&["--profile", "fixed"], &flags);
    let stages = ran.level["stages"].as_array().expect("stages");
    let figures = |name: &str| stages.iter().map(|s| s[name].as_f64().expect("a figure")).collect::<Vec<_>>();
    assert_eq!(figures("planned_per_s"), [4.0, 20.0, 4.0]);
    assert_eq!(figures("requests"), [12.0, 40.0, 12.0]);
    assert_eq!(figures("completed"), [12.0, 40.0, 12.0]);
    for (seconds, length) in figures("seconds").into_iter().zip([3.0, 2.0, 3.0]) {
        assert!((seconds - length).abs() < 0.01, "{stages:?}");
    }
    // 4 tokens a request; what a step leaves unanswered arrives in the next.
    let output = figures("output_tok_s");
    assert!((output[0] - 16.0).abs() < 1.5 && (output[1] - 80.0).abs() < 10.0, "{output:?}");
    assert!(figures("output_tok_s")[2] < 25.0, "{output:?}");
    assert!(ran.report[0].contains("4.00 → 20.0 → 4.00") && ran.report[1].contains("부하 구간"));

    let dry = run(&["all", "--dry-run", "--stages", "60s@2,1m@5"]);
    assert_eq!(dry.status.code(), Some(0), "{}", stderr(&dry));
    let refused = run(&["all", "--dry-run", "--stages", "60s"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_server_that_hangs_ends_nobodys_patience_but_its_own() {
    // Every request but those that ask for one token (warm-up, the first probe) stalls for longer than anyone waits: each has its deadline, and the run its end.
    let flags = [
        "--request-timeout-seconds",
        "1",
        "--concurrency",
        "2",
        "--request-count",
        "4",
        "--warmup-request-count",
        "2",
        "--osl",
        "4",
    ];
    let begin = Instant::now();
    let ran = Ran::new(&["--profile", "fixed", "--fault", "stall=3600s,after=2"], &flags);
    assert_eq!(ran.level["requests"]["measured"], 4);
    let kinds = ran.level["failures"].to_string();
    assert!(kinds.contains("timed_out/total"), "{kinds}");
    assert!(begin.elapsed() < Duration::from_mins(1), "{:?}", begin.elapsed());
    assert_eq!(ran.code, Some(5), "nothing completed");
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let results = tempfile::tempdir().expect("a folder");
    let folder = results.path().to_str().expect("UTF-8");
    let begin = Instant::now();
    let output = run(&["bench", "--url", &url, "--request-timeout-seconds", "1", "--result-dir", folder]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("hint: "), "{}", stderr(&output));
    assert!(begin.elapsed() < Duration::from_mins(1), "{:?}", begin.elapsed());
}
