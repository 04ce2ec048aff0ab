//! A server of a few lines: it reads a request and lets the test write whatever bytes it wants.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use loadgen::{
    Event, LengthControl, Level, LoadError, LoadPlan, LoadSpec, RunEnd, StopHandle, Target, Threads, Timeouts, Work,
};
use records::RequestRecord;
use socket2::{Domain, Socket, Type};

/// A request as the server read it, and the way back.
pub(crate) struct Request<'a> {
    /// Head, lines ending in CRLF.
    pub(crate) head: String,
    pub(crate) body: serde_json::Value,
    pub(crate) out: &'a mut TcpStream,
}

impl Request<'_> {
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A client that has gone away is what some tests are about.
        drop(self.out.write_all(bytes.as_ref()));
    }

    /// Whether the client was still there.
    pub(crate) fn try_send(&mut self, bytes: &str) -> bool {
        self.out.write_all(bytes.as_bytes()).is_ok()
    }

    pub(crate) fn prompt(&self) -> &str {
        self.body["messages"][0]["content"].as_str().unwrap()
    }

    /// Ends the connection.
    pub(crate) fn hang_up(&mut self) {
        drop(self.out.shutdown(Shutdown::Both));
    }

    /// Waits until the client ends the connection.
    pub(crate) fn wait_for_hang_up(&mut self) {
        drop(self.out.read_to_end(&mut Vec::new()));
    }
}

/// Starts a server whose connections each have a thread; `answer` is called for every request. Gives its base URL.
pub(crate) fn serve(answer: impl Fn(Request<'_>) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || serve_one(stream.unwrap(), &*answer));
        }
    });
    url
}

fn serve_one(mut out: TcpStream, answer: &dyn Fn(Request<'_>)) {
    let mut reader = BufReader::new(out.try_clone().unwrap());
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |l| l.parse().unwrap());
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let body = serde_json::from_slice(&body).unwrap();
        answer(Request { head, body, out: &mut out });
    }
}

/// An address that nobody listens at, and what keeps others from it meanwhile.
pub(crate) fn nowhere() -> (String, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (format!("http://{address}"), socket)
}

pub(crate) const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
pub(crate) const STREAM_END: &str = "0\r\n\r\n";

/// One HTTP chunk with one event.
pub(crate) fn event(data: &str) -> String {
    format!("{:x}\r\ndata: {data}\n\n\r\n", data.len() + 8)
}

pub(crate) fn token() -> String {
    event(r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#)
}

/// A whole, good response with two tokens.
pub(crate) fn good_response() -> String {
    let finish = event(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#);
    let usage = event(r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#);
    let done = event("[DONE]");
    [STREAM_HEAD, &token(), &token(), &finish, &usage, &done, STREAM_END].concat()
}

pub(crate) fn level(concurrency: u32, warmup_requests: u64, requests: u64) -> Level {
    Level::closed(NonZeroU32::new(concurrency).unwrap(), NonZeroU64::new(requests).unwrap(), warmup_requests)
}

/// A plan with deadlines so long that they only end a test that has failed.
pub(crate) fn spec(url: &str, levels: &[Level]) -> LoadSpec {
    let long = Duration::from_secs(20);
    LoadSpec {
        target: Target::new(url, "tiny", None, &[]).unwrap(),
        replicas: Vec::new(),
        levels: levels.to_vec(),
        work: Work::default(),
        osl: NonZeroU32::new(2).unwrap(),
        warmup_osl: NonZeroU32::MIN,
        length_control: LengthControl::MaxTokensOnly,
        extra_body: serde_json::Map::new(),
        seed: 1,
        timeouts: Timeouts { connect: long, first_byte: long, between_tokens: long, total: long },
        drain: long,
        threads: Threads::Auto,
    }
}

/// Runs to the end and gives all events.
pub(crate) fn run(spec: LoadSpec) -> (Vec<Event>, Result<RunEnd, LoadError>) {
    let mut events = Vec::new();
    let plan = LoadPlan::new(spec).unwrap();
    let end = loadgen::run(&plan, Instant::now(), &StopHandle::new(), &mut |event| {
        events.push(event);
        Ok(())
    });
    (events, end)
}

pub(crate) fn requests(events: &[Event]) -> Vec<RequestRecord> {
    let record = |event: &Event| match event {
        Event::Request(record) => Some(record.clone()),
        _ => None,
    };
    events.iter().filter_map(record).collect()
}
