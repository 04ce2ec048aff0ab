//! `plimsoll overhead`: the client's own error, measured against a server whose schedule is known.
//!
//! The server (`server`), in a process of its own, sends the first token after 100 ms, then one every 10 ms, whatever the
//! load, and tells when it really did. What a record says beyond that is error, the client's and the kernel's (`truth`);
//! what the server was late by is not, and stands beside it. The load is the closed loop of a measurement with records
//! written to disk; streams of a wave are in step, which is the hardest case: all tokens arrive at once.

mod server;
mod truth;

mod beside_sampler;

use std::{
    fs,
    io::{BufReader, BufWriter},
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bench::host;
use clap::Args;
use loadgen::{
    Event, LengthControl, Level, LoadPlan, LoadSpec, RunEnd, StopHandle, Target, Threads, Timeouts, Work,
    workload::{Dataset, Entry, Prompt, Workload},
};
use records::{Host, JsonlWriter, PhaseKind, RequestRecord, Tool, read_lines};
use serde::{Deserialize, Serialize};
use stats::{Quantile, Sample, quantile};

use crate::{
    exit::{self, Exit, WithExit as _},
    interrupt::Interrupt,
    output,
    progress::log,
};

use server::{ITL, TTFT, UnixClock};
use truth::{Seen, Server};

/// Output tokens of a request.
const OSL: u32 = 100;
/// Version of the file.
const VERSION: u32 = 2;

/// Flags of `overhead`.
#[derive(Debug, Args)]
pub struct OverheadArgs {
    /// Streams at once, level by level
    #[arg(long, visible_alias = "concurrency", value_delimiter = ',', value_name = "N,…",
        default_values_t = [1, 16, 64, 256, 1000, 4000], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    streams: Vec<u32>,
    /// Be the server of known times, until standard input ends
    #[arg(long, hide = true)]
    serve: bool,
    /// Measure each number of streams so many times without and with a sampler that reads this machine's GPUs ten times a
    /// second, in turn, and print the ratio of the errors
    #[arg(long, value_name = "ROUNDS", num_args = 0..=1, default_missing_value = "5", value_parser = clap::value_parser!(u32).range(1..=100))]
    beside_sampler: Option<u32>,
    /// Folder in which overhead-HOST.json is written
    #[arg(long, default_value = "results", value_name = "DIR")]
    result_dir: PathBuf,
    /// Print one JSON document on stdout and nothing else there
    #[arg(long)]
    json: bool,
}

/// The client's own error on one machine.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Overhead {
    version: u32,
    pub(crate) host_name: String,
    host: Host,
    tool: Tool,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    measured_unix_ns: u64,
    /// The server's schedule: milliseconds.
    ttft_ms: f64,
    itl_ms: f64,
    osl: u32,
    pub(crate) levels: Vec<Row>,
}

/// The error at one number of streams. Times are measured − true, by the server's own stamps.
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
    /// Mean gap / true mean gap − 1.
    pub(crate) itl_bias: f64,
    /// Processor time of the whole process for each token.
    cpu_us_per_event: f64,
    /// Growth of the process's memory for each stream; absent where it is lost in the rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes_per_stream: Option<u64>,
    /// The process's memory.
    memory_bytes: u64,
    /// From the client's stamp of sending to the server's of having read the request, 99th percentile: no part of the
    /// errors above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_read_p99_ms: Option<f64>,
    /// What the server sent its tokens too late by, 99th percentile: no part of the errors above.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_late_p99_ms: Option<f64>,
}

pub(crate) fn run(args: &OverheadArgs) -> anyhow::Result<Exit> {
    if args.serve {
        return server::serve();
    }
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
        ttft_ms: 1e3 * TTFT.as_secs_f64(),
        itl_ms: 1e3 * ITL.as_secs_f64(),
        osl: OSL,
        levels,
    };
    let path = file(&args.result_dir, &overhead.host_name);
    fs::create_dir_all(&args.result_dir)
        .and_then(|()| fs::write(&path, serde_json::to_string_pretty(&overhead)? + "\n"))
        .with_context(|| format!("write {}", path.display()))?;
    output::emit(args.json, &overhead, |overhead| format!("{}\n\n  {}", table(overhead), path.display()))?;
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
    let day = jiff::Timestamp::from_nanosecond(i128::from(overhead.measured_unix_ns)).ok()?.strftime("%Y-%m-%d");
    Some(format!(
        "the client's own error on this machine (plimsoll overhead, {day}, against a server of known times on the same machine): {}",
        rows.join("; ")
    ))
}

fn file(result_dir: &Path, host_name: &str) -> PathBuf {
    result_dir.join(format!("overhead-{host_name}.json"))
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let safe: String =
        name.trim().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    if safe.is_empty() { "unknown".to_owned() } else { safe }
}

/// Requests of a level: several waves of a small one, so that the percentiles have something to stand on.
fn requests(streams: u32) -> u64 {
    let streams = u64::from(streams);
    (2 * streams).max((8 * streams).min(512))
}

/// Prompts that begin with their number, by which the server's account and ours come together.
fn numbered(streams: u32) -> Workload {
    // Warm-up, measured requests, and one after that for each stream.
    let count = requests(streams) + 2 * u64::from(streams);
    let entry = |number| Entry { prompt: Prompt::Text(format!("{number} {TEXT}")), output_tokens: None };
    Workload::Dataset(Dataset { name: "numbered".to_owned(), entries: (1..=count).map(entry).collect() })
}

/// The rest of a prompt: as long as a sentence to be translated.
const TEXT: &str = "Translate into Korean: the load line on a ship's hull shows how deep it may lie in the water, and whoever loads it beyond that line does so at the risk of everyone aboard.";

fn plan(server: &Server, streams: u32) -> anyhow::Result<LoadPlan> {
    let minute = Duration::from_mins(1);
    let slots = NonZeroU32::new(streams).context("--streams is at least 1")?;
    let measured = NonZeroU64::new(requests(streams)).unwrap_or(NonZeroU64::MIN);
    LoadPlan::new(LoadSpec {
        target: Target::new(&server.url, &server.model, None, &[]).exit(Exit::Usage)?,
        replicas: Vec::new(),
        levels: vec![Level::closed(slots, measured, u64::from(streams))],
        work: Work { workload: numbered(streams), ..Work::default() },
        osl: NonZeroU32::new(OSL).unwrap_or(NonZeroU32::MIN),
        warmup_osl: NonZeroU32::new(OSL / 10).unwrap_or(NonZeroU32::MIN),
        length_control: LengthControl::IgnoreEosAndMinTokens,
        extra_body: serde_json::Map::new(),
        seed: host::unix_ns(),
        timeouts: Timeouts { connect: minute, first_byte: minute, between_tokens: minute, total: 5 * minute },
        drain: minute,
        threads: Threads::Auto,
    })
    .exit(Exit::Usage)
}

fn measure(server: &Server, streams: u32, stop: &StopHandle) -> anyhow::Result<Row> {
    let plan = plan(server, streams)?;
    let path = std::env::temp_dir().join(format!("plimsoll-overhead-{}.jsonl", std::process::id()));
    let file = fs::File::create(&path).with_context(|| format!("create {}", path.display()))?;
    let mut written = JsonlWriter::new(BufWriter::new(file));
    let mut used = Used::default();
    server.truth()?;
    let (memory, cpu) = (memory_bytes().unwrap_or(0), cpu_seconds().unwrap_or(0.0));
    let epoch = Instant::now();
    let clock = UnixClock::new(epoch);
    let end = loadgen::run(&plan, epoch, stop, &mut |event| {
        match event {
            Event::Request(record) => {
                written.append(&record)?;
            }
            Event::Progress(progress) => {
                used.in_flight_max = used.in_flight_max.max(progress.in_flight);
                used.memory_bytes = used.memory_bytes.max(memory_bytes().unwrap_or(0));
            }
            Event::Phase(phase) if phase.kind == PhaseKind::Measure => written.flush()?,
            _ => {}
        }
        Ok(())
    });
    used.cpu_seconds = cpu_seconds().unwrap_or(0.0) - cpu;
    used.memory_grown = used.memory_bytes.saturating_sub(memory);
    // Read back only now: figures kept meanwhile would count as the client's memory.
    written.flush().with_context(|| format!("write {}", path.display()))?;
    let file = fs::File::open(&path).with_context(|| format!("read {}", path.display()))?;
    let records: Vec<RequestRecord> = read_lines(BufReader::new(file))?.records;
    fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
    match end? {
        RunEnd::Completed => {
            let seen = Seen::gather(&records, &server.truth()?, &plan, clock);
            row(streams, seen, &used)
        }
        RunEnd::Interrupted => Err(exit::error(Exit::Interrupted, "interrupted")),
        RunEnd::ServerLost { message } => Err(exit::error(Exit::Server, message)),
    }
}

/// What a level cost the client.
#[derive(Default)]
struct Used {
    cpu_seconds: f64,
    in_flight_max: u64,
    memory_bytes: u64,
    memory_grown: u64,
}

fn row(streams: u32, seen: Seen, used: &Used) -> anyhow::Result<Row> {
    let sample = |values: Vec<f64>| {
        Sample::new(values).map_err(|_| {
            let message = format!("no request of {streams} streams completed");
            exit::error(Exit::Invalid, message)
        })
    };
    let distances = seen.gap_errors_ms.iter().map(|error| error.abs());
    let distances = sample(distances.collect())?;
    let ttft = sample(seen.ttft_errors_ms)?;
    let gaps = sample(seen.gap_errors_ms)?;
    let (mean, true_mean) = (sample(seen.mean_gaps_ms)?, sample(seen.true_mean_gaps_ms)?);
    let (late, read) = (sample(seen.late_ms)?, sample(seen.read_ms)?);
    let at = |sample: &Sample, q: f64| Quantile::new(q).map_or(f64::NAN, |q| quantile(sample, q));
    Ok(Row {
        streams,
        requests: ttft.n() + seen.failed,
        failed: seen.failed,
        in_flight_max: used.in_flight_max,
        ttft_error_p50_ms: at(&ttft, 0.5),
        ttft_error_p99_ms: at(&ttft, 0.99),
        gap_error_p50_ms: at(&gaps, 0.5),
        gap_error_p99_ms: at(&distances, 0.99),
        itl_bias: mean.mean() / true_mean.mean() - 1.0,
        cpu_us_per_event: 1e6 * used.cpu_seconds / seen.events as f64,
        memory_bytes_per_stream: (streams >= MEMORY_FROM).then(|| used.memory_grown / u64::from(streams)),
        memory_bytes: used.memory_bytes,
        request_read_p99_ms: Some(at(&read, 0.99)),
        server_late_p99_ms: Some(at(&late, 0.99)),
    })
}

/// Streams from which on their memory stands out from the rest of the process.
const MEMORY_FROM: u32 = 256;

fn table(overhead: &Overhead) -> String {
    let mut lines = vec![
        format!(
            "error of the client on {} against a server of known times (measured − true by the server's own stamps; what the server was late by is beside them)\n",
            overhead.host_name
        ),
        format!(
            "{:>8} {:>9} {:>7} {:>18} {:>18} {:>9} {:>10} {:>11} {:>12} {:>12}",
            "streams",
            "in flight",
            "failed",
            "TTFT p50/p99 ms",
            "gap p50/p99 ms",
            "ITL bias",
            "CPU/event",
            "KiB/stream",
            "request read",
            "server late"
        ),
    ];
    for row in &overhead.levels {
        let ttft = format!("{:.2} / {:.2}", row.ttft_error_p50_ms, row.ttft_error_p99_ms);
        let gap = format!("{:.2} / {:.2}", row.gap_error_p50_ms, row.gap_error_p99_ms);
        let memory =
            row.memory_bytes_per_stream.map_or_else(|| "–".to_owned(), |b| format!("{:.1}", b as f64 / 1024.0));
        let ms = |ms: Option<f64>| ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.2} ms"));
        let (read, late) = (ms(row.request_read_p99_ms), ms(row.server_late_p99_ms));
        let bias = format!("{:+.3} %", 100.0 * row.itl_bias);
        let cpu = format!("{:.1} µs", row.cpu_us_per_event);
        lines.push(format!(
            "{:>8} {:>9} {:>7} {ttft:>18} {gap:>18} {bias:>9} {cpu:>10} {memory:>11} {read:>12} {late:>12}",
            row.streams, row.in_flight_max, row.failed
        ));
    }
    lines.join("\n")
}

/// Resident memory of this process.
fn memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
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
