//! A server of known times, to audit clients with: first token 100 ms after a request was read, then one every 10 ms,
//! each written to the socket by the thread that waited for its time, and stamped before the write. What it was late by
//! is therefore known and not counted as the client's.
//!
//! Answers are shaped as vLLM's. A prompt begins with a number, by which `GET /truth` tells when its request was read and
//! its tokens were sent; it forgets them then. Everything else is not found.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bench::host;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};

use crate::{exit::Exit, output};

/// Its schedule.
pub(super) const TTFT: Duration = Duration::from_millis(100);
pub(super) const ITL: Duration = Duration::from_millis(10);

/// Name of its model.
pub(super) const MODEL: &str = "plimsoll/fixed";

/// Until a socket that took nothing is tried again.
const RETRY: Duration = Duration::from_micros(200);

/// Longest request head or body that it reads.
const MOST_READ: usize = 1 << 20;

/// What one request really got. Nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sent {
    /// The number at the beginning of the prompt.
    pub(super) number: u64,
    /// When the request had been read.
    pub(super) read_unix_ns: u64,
    /// When each token was handed to the kernel.
    pub(super) tokens_unix_ns: Vec<u64>,
}

/// Where the server is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Running {
    pub(super) url: String,
    pub(super) model: String,
}

/// Offsets from one monotonic zero, as Unix time.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnixClock {
    zero: Instant,
    unix_ns: u64,
}

impl UnixClock {
    pub(super) fn new(zero: Instant) -> Self {
        let unix_ns = host::unix_ns() - nanoseconds(zero.elapsed());
        Self { zero, unix_ns }
    }

    pub(super) fn at(self, instant: Instant) -> u64 {
        self.after(nanoseconds(instant.saturating_duration_since(self.zero)))
    }

    pub(super) fn after(self, offset_ns: u64) -> u64 {
        self.unix_ns + offset_ns
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A request whose tokens are to be sent.
struct Stream {
    socket: Arc<TcpStream>,
    number: u64,
    read: Instant,
    tokens: usize,
    sent: Vec<Instant>,
}

type Log = Arc<Mutex<Vec<Sent>>>;

/// Serves until standard input ends, which it does when whoever started the server is gone.
pub(super) fn serve() -> anyhow::Result<Exit> {
    let listener = std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .context("listen on the loopback interface")?;
    listener.set_nonblocking(true).context("listen")?;
    let running =
        Running { url: format!("http://{}", listener.local_addr().context("listen")?), model: MODEL.to_owned() };
    let clock = UnixClock::new(Instant::now());
    let log = Log::default();
    let (sender, receiver) = mpsc::channel();
    let written = Arc::clone(&log);
    thread::Builder::new()
        .name("pace".to_owned())
        .spawn(move || pace(&receiver, clock, &written))
        .context("start a thread")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start an event loop")?;
    thread::Builder::new()
        .name("read".to_owned())
        .spawn(move || runtime.block_on(accept(listener, &sender, &log)))
        .context("start a thread")?;
    output::emit(true, &running, |running| running.url.clone())?;
    io::stdin().read_to_end(&mut Vec::new()).context("wait for the end of standard input")?;
    Ok(Exit::Ok)
}

async fn accept(listener: std::net::TcpListener, streams: &mpsc::Sender<Stream>, log: &Log) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let socket = listener.accept().await?.0;
        socket.set_nodelay(true)?;
        let (streams, log) = (streams.clone(), Arc::clone(log));
        tokio::spawn(async move { converse(Arc::new(socket), &streams, &log).await });
    }
}

/// Reads requests until the client hangs up. A client waits for its answer before it asks again.
async fn converse(socket: Arc<TcpStream>, streams: &mpsc::Sender<Stream>, log: &Log) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let (head, body) = request(&socket, &mut bytes).await?;
        let read = Instant::now();
        if head.starts_with("POST ") {
            let (number, tokens) = ask(&body)?;
            let stream = Stream { socket: Arc::clone(&socket), number, read, tokens, sent: Vec::with_capacity(tokens) };
            streams.send(stream).map_err(io::Error::other)?;
            continue;
        }
        let page = match head.split(' ').nth(1) {
            Some("/v1/models") => {
                format!(r#"{{"object":"list","data":[{{"id":"{MODEL}","object":"model"}}]}}"#)
            }
            Some("/truth") => {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                serde_json::to_string(&std::mem::take(&mut *log))?
            }
            _ => String::new(),
        };
        let status = if page.is_empty() { "404 Not Found" } else { "200 OK" };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{page}",
            page.len()
        );
        let mut rest = answer.as_bytes();
        while !rest.is_empty() {
            socket.writable().await?;
            match socket.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The next request: its head, and its body.
async fn request(socket: &TcpStream, bytes: &mut Vec<u8>) -> io::Result<(String, Vec<u8>)> {
    loop {
        let text = String::from_utf8_lossy(bytes);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                let is_length = name.eq_ignore_ascii_case("content-length");
                is_length.then(|| value.trim().parse::<usize>().ok()).flatten()
            });
            let end = head.len() + 4 + length.unwrap_or(0);
            if bytes.len() >= end {
                let head = head.to_owned();
                let body = bytes[head.len() + 4..end].to_vec();
                bytes.drain(..end);
                return Ok((head, body));
            }
        }
        socket.readable().await?;
        match socket.try_read_buf(bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) if bytes.len() > MOST_READ => return Err(io::ErrorKind::InvalidData.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Number of the prompt, 0 when it has none, and how many tokens are asked for.
fn ask(body: &[u8]) -> io::Result<(u64, usize)> {
    let body: serde_json::Value = serde_json::from_slice(body)?;
    let prompt = body["messages"][0]["content"].as_str().unwrap_or_default();
    let number = prompt.split(' ').next().and_then(|word| word.parse().ok());
    let tokens = body["max_tokens"].as_u64().unwrap_or(16).max(1);
    Ok((number.unwrap_or(0), usize::try_from(tokens).unwrap_or(16)))
}

/// Sends every token when it is due, until nobody asks any more.
fn pace(streams: &mpsc::Receiver<Stream>, clock: UnixClock, log: &Log) {
    let answer = Answer::new();
    let mut due: BTreeMap<(Instant, u64), Stream> = BTreeMap::new();
    let mut order = 0;
    loop {
        let left = due
            .first_key_value()
            .map_or(Duration::from_secs(1), |((at, _), _)| at.saturating_duration_since(Instant::now()));
        // Requests wait for nothing but a token that is due.
        let next = match left {
            Duration::ZERO => streams.try_recv().ok(),
            left => match streams.recv_timeout(left) {
                Ok(stream) => Some(stream),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            },
        };
        for stream in next.into_iter().chain(streams.try_iter()) {
            order += 1;
            due.insert((stream.read + TTFT, order), stream);
        }
        let now = Instant::now();
        while let Some(first) = due.first_entry()
            && first.key().0 <= now
        {
            let ((at, order), mut stream) = first.remove_entry();
            match send(&mut stream, &answer) {
                Ok(true) => {}
                Ok(false) => {
                    due.insert((now + RETRY, order), stream);
                    continue;
                }
                Err(_) => continue,
            }
            if stream.sent.len() < stream.tokens {
                due.insert((at + ITL, order), stream);
            } else {
                let sent = Sent {
                    number: stream.number,
                    read_unix_ns: clock.at(stream.read),
                    tokens_unix_ns: stream.sent.iter().map(|at| clock.at(*at)).collect(),
                };
                log.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
            }
        }
    }
}

/// Sends the next token of a stream; false when the socket takes nothing yet. A client that is gone is given up.
fn send(stream: &mut Stream, answer: &Answer) -> io::Result<bool> {
    let number = stream.sent.len();
    let bytes = answer.part(number, stream.tokens);
    let at = Instant::now();
    let written = match stream.socket.try_write(&bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        written => written?,
    };
    if written < bytes.len() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    stream.sent.push(at);
    Ok(true)
}

/// The bytes of answers.
struct Answer {
    first: Vec<u8>,
    tokens: Vec<Vec<u8>>,
}

/// What is said, in turn. One has to be escaped, as about one token in twenty has.
const WORDS: [&str; 20] = [
    " the", " ship", " is", " safe", ".", "\\n", " Its", " load", " line", " shows", " how", " deep", " it", " may",
    " lie", " in", " the", " water", ",", " 바다",
];

impl Answer {
    fn new() -> Self {
        let token = |word: &&str| {
            event(&format!(
                r#"{{"index":0,"delta":{{"content":"{word}"}},"logprobs":null,"finish_reason":null,"token_ids":null}}"#
            ))
        };
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
        let role =
            event(r#"{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}"#);
        Self { first: [head.as_bytes(), &role].concat(), tokens: WORDS.iter().map(token).collect() }
    }

    /// What is written with the token of this number, of so many.
    fn part(&self, number: usize, tokens: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024);
        if number == 0 {
            bytes.extend_from_slice(&self.first);
        }
        if number + 1 < tokens {
            bytes.extend_from_slice(&self.tokens[number % self.tokens.len()]);
            return bytes;
        }
        bytes.extend_from_slice(&event(
            r#"{"index":0,"delta":{"content":" end"},"logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null}"#,
        ));
        let total = 20 + tokens;
        let usage = format!(
            r#"{},"choices":[],"usage":{{"prompt_tokens":20,"total_tokens":{total},"completion_tokens":{tokens}}}}}"#,
            common()
        );
        bytes.extend_from_slice(&chunk(&usage));
        bytes.extend_from_slice(&chunk("[DONE]"));
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }
}

/// What all events of a stream begin with.
fn common() -> String {
    format!(
        r#"{{"id":"chatcmpl-5f0c7e4a1b2d4c6e8f90a1b2c3d4e5f6","object":"chat.completion.chunk","created":1764000000,"model":"{MODEL}""#
    )
}

fn event(choice: &str) -> Vec<u8> {
    chunk(&format!(r#"{},"choices":[{choice}]}}"#, common()))
}

/// An event in a chunk of its own.
fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\ndata: {data}\n\n\r\n", data.len() + 8).into_bytes()
}
