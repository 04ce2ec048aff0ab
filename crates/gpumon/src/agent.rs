//! The agent: serves what is sampled here to a client elsewhere.
//!
//! `/metrics` is Prometheus text in DCGM's names, for any tool that knows dcgm-exporter; `/v1/lines` is every line of
//! `gpu.jsonl` since the last one that the asker has, stamped on the agent's clock, for our own client
//! ([`AgentSource`]), which learns from `/v1/time` how that clock lies to its own. There is no authentication and
//! nothing to change: it answers GET and nothing else. Listen on an address that only the client can reach.

mod client;
mod page;
mod wire;

use std::time::Instant;

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use records::{Clock, GpuDevice, GpuLine, GpuSample, GpuState};

pub use self::client::{AgentSource, is_agent};
use self::wire::{AGENT, Batch, Time};
use crate::Line;

/// Lines kept for clients: one minute of eight GPUs at ten readings a second, and their slow state.
const LINES_MAX: usize = 6_000;
/// Connections served at the same time; further ones are refused.
const CONNECTIONS_MAX: usize = 16;
/// Deadline for reading a request and for writing its response.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(2);
/// Largest request.
const REQUEST_MAX_BYTES: usize = 8 * 1024;

/// A running agent. Dropping it closes its port.
#[derive(Debug)]
pub struct Agent {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    /// Tells one life of the agent from the next.
    instance: u64,
    board: Mutex<Board>,
    stopped: AtomicBool,
    connections: AtomicUsize,
}

/// What is known now, and what was said lately.
#[derive(Debug, Default)]
struct Board {
    gpus: BTreeMap<String, Gpu>,
    lines: VecDeque<GpuLine>,
    /// Number of the line after the last one.
    next: u64,
}

/// The latest of one GPU.
#[derive(Clone, Debug, Default)]
struct Gpu {
    device: GpuDevice,
    sample: Option<GpuSample>,
    state: Option<GpuState>,
    last_xid: Option<u64>,
}

impl Agent {
    /// Begins to answer on `listen`; port 0 takes a free one. Stamps of what is published are on `clock`.
    ///
    /// # Errors
    /// The address cannot be listened on, or no thread could be started.
    pub fn start(listen: SocketAddr, clock: Clock) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let shared = Arc::new(Shared {
            clock,
            instance: unix_ns(),
            board: Mutex::default(),
            stopped: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
        });
        let answering = Arc::clone(&shared);
        let address = listener.local_addr()?;
        let thread = thread::Builder::new().name("agent".to_owned()).spawn(move || accept(&listener, &answering))?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes lines known to whoever asks.
    pub fn publish<'l>(&self, lines: impl IntoIterator<Item = &'l Line>) {
        let mut board = self.shared.board();
        for line in lines {
            if let Line::Gpu(line) = line {
                board.publish(line);
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection; if that fails it is not waiting.
        TcpStream::connect_timeout(&self.address, EXCHANGE_TIMEOUT).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn publish(&mut self, line: &GpuLine) {
        match line {
            GpuLine::Device(device) => self.gpu(&device.uuid).device = device.clone(),
            GpuLine::Sample(sample) => self.gpu(&sample.uuid).sample = Some(sample.clone()),
            GpuLine::State(state) => self.gpu(&state.uuid).state = Some(state.clone()),
            GpuLine::Xid { uuid: Some(uuid), code, .. } => self.gpu(uuid).last_xid = Some(*code),
            // A GPU that is lost has no latest reading any more.
            GpuLine::Gap { reason, .. } => {
                for (uuid, gpu) in &mut self.gpus {
                    if reason.starts_with(uuid.as_str()) {
                        gpu.sample = None;
                    }
                }
            }
            _ => {}
        }
        self.lines.push_back(line.clone());
        self.next += 1;
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
    }

    fn gpu(&mut self, uuid: &str) -> &mut Gpu {
        self.gpus.entry(uuid.to_owned()).or_default()
    }

    /// The lines from number `after` on, and how many of them are not kept any more. Without a number, the devices.
    fn since(&self, after: Option<u64>) -> (Vec<GpuLine>, u64) {
        let Some(after) = after.filter(|after| *after <= self.next) else {
            let devices = self.gpus.values().map(|gpu| GpuLine::Device(gpu.device.clone()));
            return (devices.collect(), 0);
        };
        let first = self.next - self.lines.len() as u64;
        let skip = usize::try_from(after.saturating_sub(first)).unwrap_or(usize::MAX);
        (self.lines.iter().skip(skip).cloned().collect(), first.saturating_sub(after))
    }
}

fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        if shared.connections.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS_MAX {
            shared.connections.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let answering = Arc::clone(shared);
        let answered = thread::Builder::new().name("agent answer".to_owned()).spawn(move || {
            // Ignore clients that disconnect or time out.
            converse(connection, &answering).ok();
            answering.connections.fetch_sub(1, Ordering::SeqCst);
        });
        if answered.is_err() {
            shared.connections.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn converse(mut connection: TcpStream, shared: &Shared) -> io::Result<()> {
    connection.set_read_timeout(Some(EXCHANGE_TIMEOUT))?;
    connection.set_write_timeout(Some(EXCHANGE_TIMEOUT))?;
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_MAX_BYTES {
        match connection.read(&mut piece)? {
            0 => return Ok(()),
            n => request.extend_from_slice(&piece[..n]),
        }
    }
    let (status, kind, body) = answer(&String::from_utf8_lossy(&request), shared);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes())?;
    connection.write_all(body.as_bytes())
}

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

fn answer(request: &str, shared: &Shared) -> (&'static str, &'static str, String) {
    let mut words = request.split_whitespace();
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    if method != Some("GET") {
        return ("405 Method Not Allowed", TEXT, "only GET\n".to_owned());
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let document = match path {
        "/" => {
            return ("200 OK", TEXT, format!("{AGENT}: /metrics, /v1/time, /v1/lines\n"));
        }
        "/metrics" => return ("200 OK", TEXT, page::render(&shared.board().gpus)),
        "/v1/time" => serde_json::to_string(&shared.time()),
        "/v1/lines" => {
            let after = query.strip_prefix("after=").and_then(|number| number.parse().ok());
            let board = shared.board();
            let (lines, lost) = board.since(after);
            serde_json::to_string(&Batch { time: shared.time(), next: board.next, lost, lines })
        }
        _ => return ("404 Not Found", TEXT, "not here\n".to_owned()),
    };
    match document {
        Ok(document) => ("200 OK", JSON, document),
        Err(error) => ("500 Internal Server Error", TEXT, format!("{error}\n")),
    }
}

impl Shared {
    fn time(&self) -> Time {
        Time {
            agent: AGENT.to_owned(),
            instance: self.instance,
            t_ns: self.clock.at(Instant::now()),
            unix_ns: unix_ns(),
        }
    }
}
