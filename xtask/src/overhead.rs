//! `cargo xtask overhead`: the client's own error, measured against a server whose schedule is known.
//!
//! The server is the simulated one with the profile `fixed` (first token after 100 ms, then one every 10 ms, whatever
//! the load), in a process of its own. Whatever a record says beyond that schedule is error: the client's, the kernel's,
//! and the server's own lateness, which it tells and which stands beside it. So the figures are upper bounds of the
//! client's error. The load is the closed loop of a measurement with records written to disk; streams of a wave are in
//! step, which is the hardest case: all tokens arrive at once.

mod beside_sampler;

use std::{
    fs,
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    net::TcpStream,
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use loadgen::{
    Event, LengthControl, Level, LoadPlan, LoadSpec, RunEnd, StopHandle, Target, Threads, Timeouts,
    Work,
};
use records::{Host, JsonlWriter, Outcome, PhaseKind, RequestRecord, Stage, Tool, read_lines};
use serde::{Deserialize, Serialize};
use stats::{Quantile, Sample, quantile};

use crate::{
    cli::OverheadArgs,
    exit::{self, Exit, WithExit as _},
    host,
    interrupt::Interrupt,
    output,
    progress::log,
};

/// Timing profile of the server.
const PROFILE: &str = "fixed";
/// Its schedule (`crates/simserver/profiles/fixed.toml`).
const TTFT_MS: f64 = 100.0;
const ITL_MS: f64 = 10.0;
/// Output tokens of a request.
const OSL: u32 = 100;
/// Version of the file.
const VERSION: u32 = 1;

/// The client's own error on one machine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Overhead {
    version: u32,
    pub(crate) host_name: String,
    host: Host,
    tool: Tool,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    measured_unix_ns: u64,
    /// What was true: milliseconds.
    ttft_ms: f64,
    itl_ms: f64,
    osl: u32,
    pub(crate) levels: Vec<Row>,
}

/// The error at one number of streams. Times are measured − true.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) streams: u32,
    requests: u64,
    failed: u64,
    /// Largest number of requests that were in flight at once.
    in_flight_max: u64,
    pub(crate) ttft_error_p50_ms: f64,
    pub(crate) ttft_error_p99_ms: f64,
    gap_error_p50_ms: f64,
    /// Of the distance from the true gap, either way.
    gap_error_p99_ms: f64,
    /// Mean gap / true gap − 1.
    pub(crate) itl_bias: f64,
    /// Processor time of the whole process for each token.
    cpu_us_per_event: f64,
    /// Growth of the process's memory for each stream; absent where it is lost in the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes_per_stream: Option<u64>,
    /// The process's memory.
    memory_bytes: u64,
    /// What the server says of itself: 99th percentile of its last 4096 tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_late_p99_ms: Option<f64>,
}

pub(crate) fn run(args: &OverheadArgs) -> anyhow::Result<Exit> {
    let stop = StopHandle::default();
    let on_interrupt = stop.clone();
    let _interrupt = Interrupt::install_with(move || on_interrupt.stop())?;
    let server = Server::start()?;
    if let Some(rounds) = args.beside_sampler {
        return beside_sampler::run(args, rounds, &server, &stop);
    }
    let mut levels = Vec::new();
    for &streams in &args.streams {
        log(&format!("{streams} streams …"));
        levels.push(measure(&server, streams, &stop)?);
    }
    let overhead = Overhead {
        version: VERSION,
        host_name: host_name(),
        host: host::host(),
        tool: host::tool(),
        measured_unix_ns: host::unix_ns(),
        ttft_ms: TTFT_MS,
        itl_ms: ITL_MS,
        osl: OSL,
        levels,
    };
    let path = file(&args.result_dir, &overhead.host_name);
    fs::create_dir_all(&args.result_dir)
        .and_then(|()| fs::write(&path, serde_json::to_string_pretty(&overhead)? + "\n"))
        .with_context(|| format!("write {}", path.display()))?;
    output::emit(args.json, &overhead, |overhead| {
        format!("{}\n\n  {}", table(overhead), path.display())
    })?;
    Ok(Exit::Ok)
}

/// One sentence about the client on this machine for a run's notes, when it was measured before with the same build.
pub(crate) fn note(result_dir: &Path) -> Option<String> {
    let text = fs::read_to_string(file(result_dir, &host_name())).ok()?;
    let overhead: Overhead = serde_json::from_str(&text).ok()?;
    let rows: Vec<_> = overhead
        .levels
        .iter()
        .map(|row| {
            format!(
                "{} streams: TTFT {:+.2} ms (p50), {:+.2} ms (p99), ITL {:+.2} %",
                row.streams,
                row.ttft_error_p50_ms,
                row.ttft_error_p99_ms,
                100.0 * row.itl_bias
            )
        })
        .collect();
    let day = jiff::Timestamp::from_nanosecond(i128::from(overhead.measured_unix_ns))
        .ok()?
        .strftime("%Y-%m-%d");
    Some(format!(
        "the client's own error on this machine (cargo xtask overhead, {day}, against a server of known times on the same machine; upper bounds): {}",
        rows.join("; ")
    ))
}

fn file(result_dir: &Path, host_name: &str) -> PathBuf {
    result_dir.join(format!("overhead-{host_name}.json"))
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let safe: String = name
        .trim()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    if safe.is_empty() {
        "unknown".to_owned()
    } else {
        safe
    }
}

/// The server's process. Dropped, it is killed.
struct Server {
    process: Child,
    url: String,
    model: String,
}

#[derive(Deserialize)]
struct Running {
    url: String,
    model: String,
}

impl Server {
    fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let mut process = Command::new(program)
            .args(["sim", "--profile", PROFILE, "--port", "0", "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the simulated server")?;
        let mut document = String::new();
        let mut lines = BufReader::new(process.stdout.take().context("read what the server says")?);
        while !document.trim_end().ends_with('}') {
            if lines
                .read_line(&mut document)
                .context("read what the server says")?
                == 0
            {
                return Err(exit::error(
                    Exit::Server,
                    "the simulated server did not start",
                ));
            }
        }
        let Running { url, model } =
            serde_json::from_str(&document).context("understand the server")?;
        Ok(Self {
            process,
            url,
            model,
        })
    }

    /// HTTP/1.0, so that the end of the connection is the end of the page.
    fn metrics(&self) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: simserver\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }

    fn lateness_p99_ms(&self) -> Option<f64> {
        let page = self.metrics().ok()?;
        let line = page
            .lines()
            .find(|l| l.starts_with("simserver:lateness_seconds") && l.contains("p99"))?;
        line.rsplit(' ')
            .next()?
            .parse::<f64>()
            .ok()
            .map(|s| s * 1e3)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            drop(self.process.wait());
        }
    }
}

/// Requests of a level: several waves of a small one, so that the percentiles have something to stand on.
fn requests(streams: u32) -> u64 {
    let streams = u64::from(streams);
    (2 * streams).max((8 * streams).min(512))
}

fn plan(server: &Server, streams: u32) -> anyhow::Result<LoadPlan> {
    let minute = Duration::from_mins(1);
    let slots = NonZeroU32::new(streams).context("--streams is at least 1")?;
    let measured = NonZeroU64::new(requests(streams)).unwrap_or(NonZeroU64::MIN);
    LoadPlan::new(LoadSpec {
        target: Target::new(&server.url, &server.model, None, &[]).exit(Exit::Usage)?,
        replicas: Vec::new(),
        levels: vec![Level::closed(slots, measured, u64::from(streams))],
        work: Work::default(),
        osl: NonZeroU32::new(OSL).unwrap_or(NonZeroU32::MIN),
        warmup_osl: NonZeroU32::new(OSL / 10).unwrap_or(NonZeroU32::MIN),
        length_control: LengthControl::IgnoreEosAndMinTokens,
        extra_body: serde_json::Map::new(),
        seed: host::unix_ns(),
        timeouts: Timeouts {
            connect: minute,
            first_byte: minute,
            between_tokens: minute,
            total: 5 * minute,
        },
        drain: minute,
        threads: Threads::Auto,
    })
    .exit(Exit::Usage)
}

/// What the events of a level add up to.
#[derive(Default)]
struct Seen {
    ttft_errors: Vec<f64>,
    gap_errors: Vec<f64>,
    mean_gaps: Vec<f64>,
    failed: u64,
    events: u64,
    in_flight_max: u64,
    memory_bytes: u64,
}

impl Seen {
    fn request(&mut self, record: &RequestRecord) {
        self.events += record.chunks.count;
        if record.stage != Stage::Measured {
            return;
        }
        if !matches!(record.outcome, Outcome::Completed { .. })
            || record.chunks.count != u64::from(OSL)
        {
            self.failed += 1;
            return;
        }
        let ms: Vec<f64> = record
            .chunks
            .since_sent_ns
            .iter()
            .map(|ns| *ns as f64 / 1e6)
            .collect();
        self.ttft_errors.push(ms[0] - TTFT_MS);
        self.gap_errors
            .extend(ms.windows(2).map(|pair| pair[1] - pair[0] - ITL_MS));
        self.mean_gaps
            .push((ms[ms.len() - 1] - ms[0]) / (ms.len() - 1) as f64);
    }
}

fn measure(server: &Server, streams: u32, stop: &StopHandle) -> anyhow::Result<Row> {
    let plan = plan(server, streams)?;
    let path = std::env::temp_dir().join(format!("plimsoll-overhead-{}.jsonl", std::process::id()));
    let file = fs::File::create(&path).with_context(|| format!("create {}", path.display()))?;
    let mut written = JsonlWriter::new(BufWriter::new(file));
    let mut seen = Seen::default();
    let (memory, cpu) = (memory_bytes().unwrap_or(0), cpu_seconds().unwrap_or(0.0));
    let end = loadgen::run(&plan, Instant::now(), stop, &mut |event| {
        match event {
            Event::Request(record) => {
                written.append(&record)?;
            }
            Event::Progress(progress) => {
                seen.in_flight_max = seen.in_flight_max.max(progress.in_flight);
                seen.memory_bytes = seen.memory_bytes.max(memory_bytes().unwrap_or(0));
            }
            Event::Phase(phase) if phase.kind == PhaseKind::Measure => written.flush()?,
            _ => {}
        }
        Ok(())
    });
    let cpu = cpu_seconds().unwrap_or(0.0) - cpu;
    // Read back only now: figures kept meanwhile would count as the client's memory.
    written
        .flush()
        .with_context(|| format!("write {}", path.display()))?;
    let file = fs::File::open(&path).with_context(|| format!("read {}", path.display()))?;
    let records: Vec<RequestRecord> = read_lines(BufReader::new(file))?.records;
    for record in &records {
        seen.request(record);
    }
    fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    match end? {
        RunEnd::Completed => row(streams, &mut seen, cpu, memory, server.lateness_p99_ms()),
        RunEnd::Interrupted => Err(exit::error(Exit::Interrupted, "interrupted")),
        RunEnd::ServerLost { message } => Err(exit::error(Exit::Server, message)),
    }
}

fn row(
    streams: u32,
    seen: &mut Seen,
    cpu: f64,
    memory_before: u64,
    server_late_p99_ms: Option<f64>,
) -> anyhow::Result<Row> {
    let none = || {
        exit::error(
            Exit::Invalid,
            format!("no request of {streams} streams completed"),
        )
    };
    let sample = |values: &mut Vec<f64>| Sample::new(std::mem::take(values)).map_err(|_| none());
    let ttft = sample(&mut seen.ttft_errors)?;
    let gaps = sample(&mut seen.gap_errors)?;
    let means = sample(&mut seen.mean_gaps)?;
    let distances =
        Sample::new(gaps.sorted().iter().map(|e| e.abs()).collect()).map_err(|_| none())?;
    let at = |sample: &Sample, q: f64| Quantile::new(q).map_or(f64::NAN, |q| quantile(sample, q));
    let grown = seen.memory_bytes.saturating_sub(memory_before) / u64::from(streams);
    Ok(Row {
        streams,
        requests: ttft.n() + seen.failed,
        failed: seen.failed,
        in_flight_max: seen.in_flight_max,
        ttft_error_p50_ms: at(&ttft, 0.5),
        ttft_error_p99_ms: at(&ttft, 0.99),
        gap_error_p50_ms: at(&gaps, 0.5),
        gap_error_p99_ms: at(&distances, 0.99),
        itl_bias: means.mean() / ITL_MS - 1.0,
        cpu_us_per_event: 1e6 * cpu / seen.events as f64,
        memory_bytes_per_stream: (streams >= MEMORY_FROM).then_some(grown),
        memory_bytes: seen.memory_bytes,
        server_late_p99_ms,
    })
}

/// Streams from which on their memory stands out from the rest of the process.
const MEMORY_FROM: u32 = 256;

fn table(overhead: &Overhead) -> String {
    let mut lines = vec![
        format!(
            "error of the client on {} against a server of known times (measured − true; upper bounds: the server's own lateness is in them)\n",
            overhead.host_name
        ),
        format!(
            "{:>8} {:>9} {:>7} {:>18} {:>18} {:>9} {:>10} {:>11} {:>12}",
            "streams",
            "in flight",
            "failed",
            "TTFT p50/p99 ms",
            "gap p50/p99 ms",
            "ITL bias",
            "CPU/event",
            "KiB/stream",
            "server late"
        ),
    ];
    for row in &overhead.levels {
        let ttft = format!(
            "{:.2} / {:.2}",
            row.ttft_error_p50_ms, row.ttft_error_p99_ms
        );
        let gap = format!("{:.2} / {:.2}", row.gap_error_p50_ms, row.gap_error_p99_ms);
        let memory = row
            .memory_bytes_per_stream
            .map_or_else(|| "–".to_owned(), |b| format!("{:.1}", b as f64 / 1024.0));
        let late = row
            .server_late_p99_ms
            .map_or_else(|| "–".to_owned(), |ms| format!("{ms:.2} ms"));
        let bias = format!("{:+.3} %", 100.0 * row.itl_bias);
        let cpu = format!("{:.1} µs", row.cpu_us_per_event);
        lines.push(format!(
            "{:>8} {:>9} {:>7} {ttft:>18} {gap:>18} {bias:>9} {cpu:>10} {memory:>11} {late:>12}",
            row.streams, row.in_flight_max, row.failed
        ));
    }
    lines.join("\n")
}

/// Resident memory of this process.
fn memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_ascii_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}

/// Processor time of this process, in user and kernel mode, exact to a clock tick of 10 ms.
fn cpu_seconds() -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in parentheses, may hold spaces; user time is the 14th field, kernel time the 15th.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let ticks = fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}
