//! What the client costs as a process: `cargo xtask bench` with its records on disk, against the floor (`loadgen`'s
//! example `floor`) in the same run, in turns. Prints processor time for each token, memory, and the time from the start
//! of the process to its first request. `.ci/client-cost` builds what it needs and runs it.
//!
//! `cargo run --release -p xtask --example whole_process -- [STREAMS] [ROUNDS]`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring example, not part of the program")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use serde_json::Value;

/// Requests of a stream, one after the other, and tokens of each.
const WAVES: u32 = 8;
const TOKENS: u32 = 100;

/// The server of known times, a process of its own.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(xtask: &Path) -> Self {
        let mut process = Command::new(xtask)
            .args(["overhead", "--serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut said = String::new();
        while !said.trim_end().ends_with('}') {
            assert!(lines.read_line(&mut said).unwrap() > 0, "it starts");
        }
        let said: Value = serde_json::from_str(&said).unwrap();
        let url = said["url"].as_str().unwrap().to_owned();
        Self { process, url }
    }

    fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Tokens sent since it was last asked, and when the first request had been read.
    fn truth(&self) -> (u64, u64) {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.write_all(b"GET /truth HTTP/1.1\r\n\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let sent: Vec<Value> = serde_json::from_slice(&body).unwrap();
        let tokens = |one: &Value| one["tokens_unix_ns"].as_array().unwrap().len() as u64;
        let first = sent.iter().filter_map(|one| one["read_unix_ns"].as_u64());
        (sent.iter().map(tokens).sum(), first.min().unwrap_or(0))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// What one process cost.
struct Cost {
    us_per_token: f64,
    peak_mb: f64,
    first_request_s: f64,
}

/// Runs a client to its end.
fn cost(server: &Server, command: &mut Command) -> Cost {
    server.truth();
    let cpu = cpu_of_children();
    let begin = SystemTime::now();
    let begin = begin.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut client = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut peak_kb = 0;
    let status = loop {
        if let Some(status) = client.try_wait().unwrap() {
            break status;
        }
        peak_kb = peak_kb.max(peak_of(client.id()).unwrap_or(0));
        thread::sleep(Duration::from_millis(20));
    };
    // 5: the machine was so busy that the client was late, and it says so.
    assert!(matches!(status.code(), Some(0 | 5)), "{status}");
    let cpu = cpu_of_children() - cpu;
    let (tokens, first_ns) = server.truth();
    Cost {
        us_per_token: 1e6 * cpu / tokens as f64,
        peak_mb: peak_kb as f64 / 1e3,
        first_request_s: first_ns as f64 / 1e9 - begin.as_secs_f64(),
    }
}

/// Peak of a process's resident memory, in KiB.
fn peak_of(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Seconds of processor time that ended children took; the server is not among them. Exact to a tick of 10 ms.
fn cpu_of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(')').unwrap().1;
    let fields = fields.split_ascii_whitespace().skip(13).take(2);
    fields.map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

fn median(costs: &[Cost], what: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(what).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let numbers: Vec<u32> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let streams = numbers.first().copied().unwrap_or(64);
    let rounds = numbers.get(1).copied().unwrap_or(3);
    // This program lies in target/PROFILE/examples, beside the floor and below the command.
    let examples = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let (xtask, floor): (PathBuf, PathBuf) = (examples.join("../xtask"), examples.join("floor"));
    let server = Server::start(&xtask);
    let results = std::env::temp_dir().join(format!("plimsoll-whole-process-{}", std::process::id()));
    let (mut ours, mut floors) = (Vec::new(), Vec::new());
    println!("{streams} streams × {WAVES} requests × {TOKENS} tokens, client and server on one machine");
    for round in 1..=rounds {
        let mut command = Command::new(&floor);
        command.args([server.address(), "plimsoll/fixed", &streams.to_string()]);
        command.args([TOKENS.to_string(), WAVES.to_string()]);
        floors.push(cost(&server, &mut command));
        let mut command = Command::new(&xtask);
        command.args(["bench", "--url", &server.url, "--json", "--warmup-request-count", "0"]);
        command.args(["--concurrency", &streams.to_string(), "--osl", &TOKENS.to_string()]);
        command.args(["--request-count", &(streams * WAVES).to_string()]);
        command.arg("--result-dir").arg(&results);
        command.args(["--run-id", &format!("round-{round}")]);
        ours.push(cost(&server, &mut command));
        let (floor, our) = (&floors[floors.len() - 1], &ours[ours.len() - 1]);
        println!(
            "round {round}: floor {:.2} µs a token, ours {:.2} µs ({:.2} ×), {:.1} MB, first request after {:.3} s",
            floor.us_per_token,
            our.us_per_token,
            our.us_per_token / floor.us_per_token,
            our.peak_mb,
            our.first_request_s
        );
    }
    fs::remove_dir_all(&results).unwrap();
    let ratio = median(&ours, |c| c.us_per_token) / median(&floors, |c| c.us_per_token);
    let memory = median(&ours, |c| c.peak_mb);
    let first = median(&ours, |c| c.first_request_s);
    for (what, value, unit, most) in [
        ("processor time over the floor's", ratio, "×", 1.5),
        ("memory at its peak", memory, "MB", 40.0),
        ("start to first request", first, "s", 0.1),
    ] {
        let verdict = if value <= most { "met" } else { "missed" };
        println!("{what}: {value:.3} {unit} (wanted: at most {most}): {verdict}");
    }
}
