//! A server on the loopback interface that answers what a test tells it to, one connection at a time.

use gpumon::telemetry_url;
use records::ServerUrl;
use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

pub(crate) const VLLM_LOAD: &str = include_str!("../../../../fixtures/prometheus/vllm-0.11.2-load-16.txt");
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
    url: ServerUrl,
    /// The head of every request, before it is answered.
    pub(crate) seen: mpsc::Receiver<Head>,
    dead: Arc<AtomicBool>,
    pages: Arc<Mutex<Pages>>,
}

impl Loopback {
    pub(crate) fn start(pages: Pages) -> Self {
        Self::start_with(pages, None)
    }

    /// Answers each request only after something has been sent to the gate.
    pub(crate) fn start_gated(pages: Pages) -> (Self, mpsc::Sender<()>) {
        let (gate, opened) = mpsc::channel();
        (Self::start_with(pages, Some(opened)), gate)
    }

    fn start_with(pages: Pages, gate: Option<mpsc::Receiver<()>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, seen) = mpsc::channel();
        let dead = Arc::new(AtomicBool::new(false));
        let died = Arc::clone(&dead);
        let pages = Arc::new(Mutex::new(pages));
        let shown = Arc::clone(&pages);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let connection = connection.unwrap();
                if died.load(Ordering::SeqCst) {
                    continue;
                }
                let head = read_head(&connection);
                let path = head.first().and_then(|line| line.split(' ').nth(1));
                let page = path.and_then(|path| {
                    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                    shown.0.get(path).cloned()
                });
                // The test may have stopped listening to what was seen, and the client to what is answered.
                tell.send(head).ok();
                if let Some(gate) = &gate {
                    gate.recv().ok();
                }
                answer(&connection, page.unwrap_or((404, String::new()))).ok();
            }
        });
        Self { url: telemetry_url(&url).unwrap(), seen, dead, pages }
    }

    /// Answers something else from now on.
    pub(crate) fn set_page(&self, path: &str, body: &str) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        *pages = std::mem::take(&mut *pages).with(path, 200, body);
    }

    pub(crate) fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// From now on every connection is cut without an answer, or (`false`) is answered again. The port stays taken, so
    /// that no server of another test can get it.
    pub(crate) fn set_dead(&self, dead: bool) {
        self.dead.store(dead, Ordering::SeqCst);
    }
}

/// An address at which nothing listens: the port of tcpmux, which is never handed out to a test.
pub(crate) fn nobody() -> ServerUrl {
    telemetry_url("http://127.0.0.1:1").unwrap()
}

fn answer(mut connection: &TcpStream, (status, body): (u16, String)) -> io::Result<()> {
    let length = body.len();
    write!(connection, "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

pub(crate) fn read_head(connection: &TcpStream) -> Head {
    let lines = BufReader::new(connection).lines();
    lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect()
}
