//! The figures of one level, against arithmetic by hand.

use analysis::{Invalid, LevelSummary, RequestCounts, summarise};
use records::{ClientLoad, ConnectPhase, Offset, Outcome, Phase, RequestRecord, RunData, Stage};

use crate::build::{MS, failed, one_level, request};

fn level(run: &RunData) -> LevelSummary {
    let mut levels = summarise(run, None, None).levels;
    assert_eq!(levels.len(), 1);
    levels.remove(0)
}

#[track_caller]
fn assert_close(ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() < 1e-9 * theirs.abs().max(1.0), "{ours} {theirs}");
}

/// Window 1 s to 3 s. A warm-up request from 0 to 2 s whose 10 tokens come every 100 ms from 1.1 s on, a measured one
/// from 1 s to 3 s with 11 tokens from 2 s on, a cool-down one from 2 s to 4 s with 11 tokens from 3 s on.
fn three() -> Vec<RequestRecord> {
    vec![
        RequestRecord { stage: Stage::Warmup, ..request(0, 1100 * MS, 2000 * MS, 10) },
        RequestRecord { intended_ns: Offset(990 * MS), ..request(1000 * MS, 1000 * MS, 2000 * MS, 11) },
        RequestRecord { stage: Stage::Cooldown, ..request(2000 * MS, 1000 * MS, 2000 * MS, 11) },
    ]
}

#[test]
fn the_servers_output_is_that_of_all_requests_in_the_window() {
    let level = level(&one_level(three(), (1000 * MS, 3000 * MS)));
    // 10 of the warm-up request, all 11 of the measured one, and the first of the cool-down one at exactly 3 s.
    assert_close(level.output_tok_s.unwrap(), 22.0 / 2.0);
    // Open for 1 s, 2 s and 1 s of 2 s.
    assert_close(level.in_flight_mean, 2.0);
    assert_close(level.window_s, 2.0);
    assert_close(level.requests_per_s, 0.5);
    let counts = RequestCounts { measured: 1, completed: 1, warmup: 1, cooldown: 1, ..RequestCounts::default() };
    assert_eq!(level.requests, counts);
}

#[test]
fn latencies_are_those_of_measured_requests() {
    let level = level(&one_level(three(), (1000 * MS, 3000 * MS)));
    assert_eq!(level.ttft_ms.unwrap().n, 1);
    assert_close(level.ttft_ms.unwrap().mean.value, 1000.0);
    assert_close(level.e2el_ms.unwrap().mean.value, 2000.0);
    // Sent 10 ms later than intended.
    assert_close(level.e2el_from_intended_ms.unwrap().mean.value, 2010.0);
    // (2000 − 1000) / (11 − 1), and the same between chunks; 11 / 2 s.
    assert_close(level.tpot_ms.unwrap().mean.value, 100.0);
    let icl = level.icl_ms.unwrap();
    assert_eq!((icl.n, icl.mean.low, icl.mean.high), (10, None, None));
    assert_close(icl.max, 100.0);
    assert_close(level.per_request_tok_s.unwrap().mean.value, 5.5);
    assert_close(level.output_tokens.unwrap().mean.value, 11.0);
    assert_close(level.prompt_tokens.unwrap().mean.value, 60.0);
    assert_eq!(level.ttft_ms.unwrap().mean.low, None);
}

#[test]
fn tokens_go_with_the_chunks_that_brought_them() {
    // Four tokens at 1 s, six at 3 s; by the usage, one more than the chunks account for: it came with the last.
    let mut record = request(0, 1000 * MS, 3000 * MS, 2);
    record.chunks.tokens = vec![4, 6];
    record.output_tokens.as_mut().unwrap().count = 11;
    let within = |start, end| {
        let level = level(&one_level(vec![record.clone()], (start * MS, end * MS)));
        level.output_tok_s.unwrap() * level.window_s
    };
    assert_close(within(500, 2000), 4.0);
    assert_close(within(2000, 4000), 7.0);
    assert_close(within(500, 4000), 11.0);
}

#[test]
fn tokens_whose_stamps_were_not_kept_are_spread_between_those_that_were() {
    // Ten tokens in ten chunks; kept are 1 s, 2 s and the last at 6 s. Seven came between 2 s and 6 s.
    let mut record = request(0, 1000 * MS, 6000 * MS, 10);
    record.chunks.since_sent_ns = vec![1000 * MS, 2000 * MS, 6000 * MS];
    let level = |window| level(&one_level(vec![record.clone()], window));
    let first_half = level((0, 4000 * MS));
    assert_close(first_half.output_tok_s.unwrap(), (2.0 + 3.5) / 4.0);
    let all = level((0, 8000 * MS));
    assert_close(all.output_tok_s.unwrap(), 10.0 / 8.0);
    // The stretch without stamps is no gap between neighbours.
    let icl = all.icl_ms.unwrap();
    assert_eq!(icl.n, 1);
    assert_close(icl.max, 1000.0);
}

#[test]
fn failures_count_and_are_named() {
    let status = |status, body: &str| Outcome::HttpStatus { status, body: body.to_owned() };
    let refused = Outcome::ConnectFailed { phase: ConnectPhase::Connect, message: "connection refused".to_owned() };
    let at = |outcome| failed(100 * MS, 200 * MS, outcome);
    let requests = vec![
        request(0, 100 * MS, 1000 * MS, 10),
        at(status(503, "overloaded")),
        at(refused),
        at(status(503, "still overloaded")),
        at(Outcome::Cancelled),
        RequestRecord { stage: Stage::Warmup, ..at(Outcome::NoTokens) },
    ];
    let level = level(&one_level(requests, (0, 1000 * MS)));
    let counts =
        RequestCounts { measured: 5, completed: 1, failed: 3, cancelled: 1, warmup: 1, cooldown: 0, retries: 0 };
    assert_eq!(level.requests, counts);
    let named: Vec<(&str, u64, Option<&str>)> =
        level.failures.iter().map(|f| (f.kind.as_str(), f.count, f.example.as_deref())).collect();
    let expected = [
        ("http_status/503", 2, Some("overloaded")),
        ("connect_failed/connect", 1, Some("connection refused")),
        ("warmup/no_tokens", 1, None),
    ];
    assert_eq!(named, expected);
    // 1 of 4; scipy: binomtest(1, 4).proportion_ci(0.95, "wilson").
    let rate = level.success_rate.unwrap();
    assert_close(rate.value, 0.25);
    assert_close(rate.low.unwrap(), 0.045_587_260_809_700_55);
    assert_close(rate.high.unwrap(), 0.699_358_157_417_598_1);
    assert_eq!(level.e2el_ms.unwrap().n, 1);
    // One was given up, so fewer than planned ended.
    assert_eq!(level.invalid, [Invalid::Stopped]);
}

fn with_client(load: ClientLoad) -> LevelSummary {
    let mut run = one_level(vec![request(0, 100 * MS, 1000 * MS, 10)], (0, 1000 * MS));
    let client = Some(load);
    run.phases[0] = Phase { client, ..run.phases[0].clone() };
    level(&run)
}

#[test]
fn a_busy_or_late_client_makes_the_level_invalid() {
    let idle = ClientLoad {
        cpu_ns: 1500 * MS,
        threads: 2,
        lag_max_ns: 9 * MS,
        lag_p99_ns: 5 * MS,
        lag_samples: 1000,
        unstamped_reads: None,
    };
    // 1.5 s of 2 × 1 s; 5 ms is a twentieth of 100 ms, and not more.
    let level = with_client(idle);
    assert_eq!(level.invalid, []);
    assert_close(level.client.unwrap().cpu_percent, 75.0);
    assert_close(level.client.unwrap().lag_max_ms, 9.0);
    let busy = with_client(ClientLoad { cpu_ns: 1600 * MS, ..idle });
    assert_eq!(busy.invalid, [Invalid::ClientBusy { cpu_percent: 80.0 }]);
    let late = with_client(ClientLoad { lag_p99_ns: 6 * MS, ..idle });
    assert_eq!(late.invalid, [Invalid::ClientLate { lag_p99_ms: 6.0 }]);
    // Stamps are the kernel's: 6 ms delay the next request by less than a twentieth of 1 s, and nothing of one in flight,
    // as long as the next chunk, 100 ms later, has not come.
    let stamped = |lag_p99_ns| ClientLoad { lag_p99_ns, unstamped_reads: Some(0), ..idle };
    assert_eq!(with_client(stamped(6 * MS)).invalid, []);
    assert_eq!(with_client(stamped(50 * MS)).invalid, []);
    let late = with_client(stamped(51 * MS));
    assert_eq!(late.invalid, [Invalid::ClientLate { lag_p99_ms: 51.0 }]);
    let not_all = with_client(ClientLoad { unstamped_reads: Some(1), ..stamped(6 * MS) });
    assert_eq!(not_all.invalid, [Invalid::ClientLate { lag_p99_ms: 6.0 }]);
    let unknown = with_client(ClientLoad::default());
    assert_eq!((unknown.invalid.len(), unknown.client), (0, None));
}

#[test]
fn short_outputs_are_counted() {
    let mut short = request(0, 100 * MS, 1000 * MS, 10);
    short.asked_output_tokens = 11;
    let level = level(&one_level(vec![short, request(0, 100 * MS, 1000 * MS, 10)], (0, 1000 * MS)));
    assert_eq!(level.short_outputs, 1);
}

#[test]
fn an_open_loop_says_what_was_asked_and_what_was_sent() {
    // Five requests from 1 s to 3 s: four gaps in two seconds. The third left 15 ms late.
    let sent = [1000, 1500, 2015, 2400, 3000];
    let requests = sent.iter().map(|&at| RequestRecord {
        intended_ns: Offset(if at == 2015 { 2000 } else { at } * MS),
        ..request(at * MS, 100 * MS, 400 * MS, 4)
    });
    let mut run = one_level(requests.collect(), (1000 * MS, 3400 * MS));
    assert_eq!(level(&run).request_rate, None);
    run.manifest.plan.levels = vec![0];
    run.manifest.plan.arrivals = vec![Some(records::Arrivals {
        per_second: Some(2.5),
        burstiness: Some(1.0),
        ramp: None,
        stages: Vec::new(),
        recorded: false,
        most_in_flight: 64,
    })];
    let rate = level(&run).request_rate.unwrap();
    assert_close(rate.planned_per_s.unwrap(), 2.5);
    assert_close(rate.sent_per_s.unwrap(), 2.0);
    assert_close(rate.send_lag_max_ms, 15.0);
    assert_eq!((rate.planned_until_per_s, rate.most_in_flight), (None, 64));
}
