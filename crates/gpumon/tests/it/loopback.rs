//! A server on the loopback interface that answers what a test tells it to, one connection at a time.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use gpumon::BaseUrl;

pub(crate) const VLLM_LOAD: &str =
    include_str!("../../../../fixtures/prometheus/vllm-0.11.2-load-16.txt");
pub(crate) const LLAMA: &str = include_str!("../../../../fixtures/prometheus/llamacpp-b10434.txt");

/// What a path answers; any other answers 404.
#[derive(Clone, Default)]
pub(crate) struct Pages(BTreeMap<String, (u16, String)>);

impl Pages {
    pub(crate) fn with(mut self, path: &str, status: u16, body: &str) -> Self {
        self.0.insert(path.to_owned(), (status, body.to_owned()));
        self
    }
}

/// A request as it came: its first line and its headers.
pub(crate) type Head = Vec<String>;

pub(crate) struct Loopback {
    pub(crate) address: SocketAddr,
    /// The head of every request, before it is answered.
    pub(crate) seen: mpsc::Receiver<Head>,
    thread: JoinHandle<()>,
}

impl Loopback {
    pub(crate) fn start(pages: Pages) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), pages, None)
    }

    /// Answers each request only after something has been sent to the gate.
    pub(crate) fn start_gated(pages: Pages) -> (Self, mpsc::Sender<()>) {
        let (gate, opened) = mpsc::channel();
        let server = Self::start_at("127.0.0.1:0".parse().unwrap(), pages, Some(opened));
        (server, gate)
    }

    pub(crate) fn start_at(
        address: SocketAddr,
        pages: Pages,
        gate: Option<mpsc::Receiver<()>>,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, seen) = mpsc::channel();
        let thread = thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let head = read_head(&connection);
                let path = head.first().and_then(|line| line.split(' ').nth(1));
                let path = path.unwrap_or_default().to_owned();
                if path == "/stop" {
                    return;
                }
                // The test may have stopped listening to what was seen.
                tell.send(head).ok();
                if let Some(gate) = &gate {
                    gate.recv().ok();
                }
                let (status, body) = pages.0.get(&path).cloned().unwrap_or((404, String::new()));
                let length = body.len();
                // A client that gave up meanwhile is its own affair.
                write!(
                    connection,
                    "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                )
                .ok();
            }
        });
        Self {
            address,
            seen,
            thread,
        }
    }

    pub(crate) fn url(&self) -> BaseUrl {
        BaseUrl::parse(&format!("http://{}", self.address)).unwrap()
    }

    /// Ends the server: afterwards nothing listens at its address.
    pub(crate) fn stop(self) -> SocketAddr {
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.write_all(b"GET /stop HTTP/1.1\r\n\r\n").unwrap();
        self.thread.join().unwrap();
        self.address
    }
}

fn read_head(connection: &TcpStream) -> Head {
    let lines = BufReader::new(connection).lines();
    lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect()
}
