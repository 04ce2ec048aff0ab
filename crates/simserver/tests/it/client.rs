//! A client of a few lines over a plain socket, and the captures to hold its bytes against.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;

use simserver::{LinearProfile, Profile, SimConfig, SimServer};

/// A response as it came off the socket, HTTP chunks apart.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) chunks: Vec<String>,
}

impl Reply {
    pub(crate) fn body(&self) -> String {
        self.chunks.concat()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A keep-alive connection.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(server: &SimServer) -> Self {
        let address = server.url().replace("http://", "");
        Self(BufReader::new(TcpStream::connect(address).expect("the server listens")))
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, body: &str) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).expect("sent");
    }

    /// One line with its end; empty when the server has closed the connection.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).map_or_else(|_| String::new(), |_| line)
    }

    pub(crate) fn receive(&mut self) -> Reply {
        let status = self.line().trim_end().to_owned();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut reply = Reply { status, headers, chunks: Vec::new() };
        if let Some(length) = reply.header("content-length") {
            let length = length.parse().expect("a length");
            reply.chunks.push(self.exactly(length));
        } else {
            loop {
                let size = usize::from_str_radix(self.line().trim_end(), 16).expect("a chunk size");
                let chunk = self.exactly(size);
                assert_eq!(self.line(), "\r\n");
                if size == 0 {
                    break;
                }
                reply.chunks.push(chunk);
            }
        }
        reply
    }

    fn exactly(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).expect("the whole body");
        String::from_utf8(bytes).expect("UTF-8")
    }
}

pub(crate) fn ask(server: &SimServer, method: &str, path: &str, body: &str) -> Reply {
    let mut connection = Connection::open(server);
    connection.send(method, path, body);
    connection.receive()
}

/// The captured server's name and context; steps of one millisecond, EOS as soon as it is allowed.
pub(crate) fn quick_profile() -> Profile {
    quick().build().expect("a valid profile")
}

fn quick() -> LinearProfile {
    LinearProfile {
        name: "quick",
        served_model: "smollm2-135m",
        seed: 3,
        eos_mean_tokens: 1.0,
        max_model_len: 2048,
        max_num_batched_tokens: 2048,
        block_size: 128,
        num_gpu_blocks: 728,
        base_ms: 1.0,
        ..LinearProfile::default()
    }
}

pub(crate) fn quick_server() -> SimServer {
    SimServer::start(SimConfig::new(quick_profile())).expect("a free port")
}

/// A server of the same with a prefix cache, and with outputs that hardly ever end before their `max_tokens`.
pub(crate) fn talkative_server() -> SimServer {
    let talkative = LinearProfile { eos_mean_tokens: 1e9, enable_prefix_caching: true, ..quick() };
    let profile = talkative.build().expect("a valid profile");
    SimServer::start(SimConfig::new(profile)).expect("a free port")
}

/// A chat of 37 tokens, as the captures have: 108 bytes make 27, the template adds 10.
pub(crate) fn chat(rest: &str) -> String {
    let content = "x".repeat(108);
    format!(r#"{{"model":"smollm2-135m","messages":[{{"role":"user","content":"{content}"}}]{rest}}}"#)
}

/// A completion of 4 tokens, as the captures have.
pub(crate) fn completion(rest: &str) -> String {
    format!(r#"{{"model":"smollm2-135m","prompt":"Once upon a time"{rest}}}"#)
}

/// Head lines and body of a capture.
pub(crate) fn capture(name: &str) -> (Vec<String>, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/vllm-0.11.2").join(name);
    let text = std::fs::read_to_string(path).expect("a capture");
    match text.split_once("\r\n\r\n") {
        Some((head, body)) => (head.lines().map(str::to_owned).collect(), body.to_owned()),
        None => (Vec::new(), text),
    }
}
