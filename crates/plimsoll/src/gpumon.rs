//! `plimsoll gpumon`: GPUs and engine live in the terminal, served to a client elsewhere, recorded, or read from a log
//! afterwards.

mod import;
mod table;

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bench::{GpuSources, Secrets, gpu_sources, server_source, settings::TelemetrySettings};
use clap::Args;
use gpumon::{Agent, Line, Period, ReplaySource, Sampler, SamplerReport, Source, capabilities};
use records::{Clock, GpuLine, JsonlWriter};
use serde::Serialize;

use self::table::Board;
use crate::{
    args::TelemetryArgs,
    exit::{self, Exit, WithExit as _},
    interrupt::Interrupt,
    output,
    progress::log,
};

/// How often the table is drawn anew on a terminal.
const REDRAW: Duration = Duration::from_millis(500);
/// How often it is printed where nothing can be drawn anew.
const PRINT: Duration = Duration::from_secs(10);
/// How often readings are taken from the sampler.
const TAKE: Duration = Duration::from_millis(50);

/// What to do with the readings.
#[derive(Debug, Args)]
pub struct GpumonArgs {
    #[command(flatten)]
    telemetry: TelemetryArgs,
    /// Time between readings
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    interval_ms: u64,
    /// End after this long [default: at Ctrl-C]
    #[arg(long, value_name = "S")]
    duration_seconds: Option<u64>,
    /// Answer on this address, such as 0.0.0.0:9400; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    serve: Option<std::net::SocketAddr>,
    /// Append every reading to this file, as JSON Lines
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Play a file that was recorded, or the gpu.jsonl of a run, instead of reading GPUs
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gpu_telemetry", "gpu_uuid"])]
    replay: Option<PathBuf>,
    /// Add a log that nvidia-smi or amd-smi wrote as CSV during the run to that run's GPU readings, and end
    #[arg(long, value_name = "CSV", requires = "into")]
    import: Option<PathBuf>,
    /// The run folder for --import
    #[arg(long, value_name = "RUN", requires = "import")]
    into: Option<PathBuf>,
    /// How far the clock in the log is ahead of UTC, such as 9 for Korea
    #[arg(long, value_name = "HOURS", default_value_t = 0.0, requires = "import", allow_negative_numbers = true)]
    utc_offset_hours: f64,
    /// Print one JSON document on stdout, as soon as it runs, and nothing else there
    #[arg(long)]
    json: bool,
}

/// What runs, said once at the start.
#[derive(Debug, Serialize)]
struct Running {
    /// Address of the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// What is read.
    sources: Vec<String>,
    /// What is not there.
    notes: Vec<String>,
}

pub(crate) fn run(args: &GpumonArgs) -> anyhow::Result<Exit> {
    if let (Some(log), Some(run)) = (&args.import, &args.into) {
        return import::run(log, run, args.utc_offset_hours, args.json);
    }
    let telemetry = TelemetrySettings::from(&args.telemetry);
    let secrets = args.telemetry.add_to(Secrets::default())?;
    let GpuSources { mut sources, notes } = match &args.replay {
        Some(file) => GpuSources { sources: vec![replay(file)?], notes: Vec::new() },
        None => gpu_sources(&telemetry, &secrets)?,
    };
    let engine = server_source(&telemetry, &secrets, None)?;
    sources.extend(engine.map(|source| Box::new(source) as Box<dyn Source>));
    if sources.is_empty() {
        let why = notes.join("; ");
        return Err(exit::error(
            Exit::Usage,
            format!(
                "there is nothing to watch: {why}\nhint: name an exporter with --gpu-telemetry, or an engine with --server-metrics"
            ),
        ));
    }
    let interrupt = Interrupt::install()?;
    let epoch = Instant::now();
    let agent = args.serve.map(|address| {
        Agent::start(address, Clock::new(epoch)).with_context(|| format!("listen on {address}")).exit(Exit::Usage)
    });
    let agent = agent.transpose()?;
    let running = Running {
        url: agent.as_ref().map(|agent| format!("http://{}", agent.address())),
        sources: sources.iter().map(|source| source.name().to_owned()).collect(),
        notes,
    };
    let watch = Watch {
        agent,
        file: args.record.as_deref().map(record).transpose()?,
        board: Board::default(),
        screen: (!args.json).then(Screen::new),
    };
    announce(args.json, &running)?;
    let period = Period::try_from(Duration::from_millis(args.interval_ms)).exit(Exit::Usage)?;
    let sampler = Sampler::start(sources, period, epoch).context("start the telemetry thread")?;
    let end = args.duration_seconds.map(|seconds| epoch + Duration::from_secs(seconds));
    watch.until(end, sampler, epoch, &interrupt)?;
    Ok(if interrupt.requested() && end.is_some() { Exit::Interrupted } else { Exit::Ok })
}

fn announce(json: bool, running: &Running) -> anyhow::Result<()> {
    if json {
        return output::emit(true, running, |_| String::new());
    }
    log(&format!("reading {}", running.sources.join(", ")));
    for note in &running.notes {
        log(note);
    }
    if let Some(url) = &running.url {
        log(&format!(
            "serving at {url}: /metrics in DCGM's names, and everything to --gpu-telemetry {url}\nno authentication: whoever reaches this port can read it"
        ));
    }
    Ok(())
}

fn replay(path: &Path) -> anyhow::Result<Box<dyn Source>> {
    let name = path.display().to_string();
    let source = File::open(path).and_then(|file| ReplaySource::from_jsonl(&name, BufReader::new(file)));
    Ok(Box::new(source.with_context(|| format!("read {name}")).exit(Exit::Usage)?))
}

fn record(path: &Path) -> anyhow::Result<JsonlWriter<BufWriter<File>>> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.with_context(|| format!("write {}", path.display())).exit(Exit::Usage)?;
    Ok(JsonlWriter::new(BufWriter::new(file)))
}

/// Where readings go.
struct Watch {
    agent: Option<Agent>,
    file: Option<JsonlWriter<BufWriter<File>>>,
    board: Board,
    screen: Option<Screen>,
}

impl Watch {
    fn until(
        mut self,
        end: Option<Instant>,
        sampler: Sampler,
        epoch: Instant,
        interrupt: &Interrupt,
    ) -> anyhow::Result<()> {
        while !interrupt.requested() && end.is_none_or(|end| Instant::now() < end) {
            self.take(sampler.drain())?;
            if let Some(screen) = &mut self.screen {
                screen.show(&self.board)?;
            }
            thread::sleep(TAKE);
        }
        let report = sampler.stop();
        let cost = cost(&report, epoch.elapsed());
        self.take(report.lines)?;
        if let Some(screen) = &mut self.screen {
            screen.show_last(&self.board)?;
        }
        log(&cost);
        Ok(())
    }

    fn take(&mut self, lines: Vec<Line>) -> anyhow::Result<()> {
        if let Some(agent) = &self.agent {
            agent.publish(&lines);
        }
        for line in &lines {
            match line {
                Line::Note(note) => log(note),
                Line::Gpu(GpuLine::Device(device)) => log(&capabilities(device)),
                _ => {}
            }
            self.board.update(line);
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        for line in lines {
            match line {
                Line::Gpu(line) => file.append(&line),
                Line::Server(sample) => file.append(&sample),
                Line::Note(_) => Ok(()),
            }
            .context("write the recording")?;
        }
        file.flush().context("write the recording")
    }
}

/// What watching itself cost.
fn cost(report: &SamplerReport, lasted: Duration) -> String {
    let share = report.read_ns as f64 / lasted.as_nanos().max(1) as f64;
    format!(
        "{} readings, {} missed; reading took {:.3} % of the time of one thread",
        report.ticks,
        report.missed,
        100.0 * share
    )
}

/// The terminal: drawn anew in place, or printed now and then where that cannot be.
struct Screen {
    in_place: bool,
    due: Instant,
    lines: usize,
}

impl Screen {
    fn new() -> Self {
        Self { in_place: io::stdout().is_terminal(), due: Instant::now() + REDRAW, lines: 0 }
    }

    fn show(&mut self, board: &Board) -> anyhow::Result<()> {
        if Instant::now() < self.due {
            return Ok(());
        }
        self.due = Instant::now() + if self.in_place { REDRAW } else { PRINT };
        self.show_last(board)
    }

    fn show_last(&mut self, board: &Board) -> anyhow::Result<()> {
        let table = board.table();
        let mut text = String::new();
        if self.in_place && self.lines > 0 {
            // Up to the first line of the last table, and everything below it away.
            text = format!("\u{1b}[{}A\u{1b}[J", self.lines);
        }
        self.lines = table.lines().count();
        text.push_str(&table);
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.context("write to stdout"),
        }
    }
}
