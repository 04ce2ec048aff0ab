//! The client's account of a level held against the server's, request by request.

use std::{
    collections::HashMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use loadgen::{
    LoadPlan,
    workload::{Prompt, PromptId},
};
use records::{Outcome, RequestRecord, Stage};

use super::server::{ITL, Running, Sent, TTFT, UnixClock};
use crate::exit::{self, Exit};

/// The server's process. Dropped, it is killed; should we be killed, it sees its standard input end.
pub(super) struct Server {
    process: Child,
    pub(super) url: String,
    pub(super) model: String,
}

impl Server {
    pub(super) fn start() -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let mut process = Command::new(program)
            .args(["overhead", "--serve"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the server of known times")?;
        let mut document = String::new();
        let mut lines = BufReader::new(process.stdout.take().context("read what the server says")?);
        while !document.trim_end().ends_with('}') {
            if lines.read_line(&mut document).context("read what the server says")? == 0 {
                return Err(exit::error(Exit::Server, "the server did not start"));
            }
        }
        let Running { url, model } = serde_json::from_str(&document).context("understand the server")?;
        Ok(Self { process, url, model })
    }

    /// What the server really did since it was last asked.
    pub(super) fn truth(&self) -> anyhow::Result<Vec<Sent>> {
        let body = self.get("/truth").context("ask the server what it did")?;
        serde_json::from_slice(&body).context("understand what the server did")
    }

    fn get(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: truth\r\n\r\n")?;
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            drop(self.process.wait());
        }
    }
}

/// What the records of a level say, beside what was true.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) ttft_errors_ms: Vec<f64>,
    pub(super) gap_errors_ms: Vec<f64>,
    /// Of each request.
    pub(super) mean_gaps_ms: Vec<f64>,
    pub(super) true_mean_gaps_ms: Vec<f64>,
    /// From the client's stamp of sending to the server's of reading.
    pub(super) read_ms: Vec<f64>,
    /// Of each token, by how much it was sent too late.
    pub(super) late_ms: Vec<f64>,
    pub(super) failed: u64,
    pub(super) events: u64,
}

impl Seen {
    /// `clock` is that of the records.
    pub(super) fn gather(records: &[RequestRecord], truth: &[Sent], plan: &LoadPlan, clock: UnixClock) -> Self {
        let osl = plan.spec().osl.get() as usize;
        let whole = truth.iter().filter(|sent| sent.tokens_unix_ns.len() == osl);
        let by_number: HashMap<u64, &Sent> = whole.map(|sent| (sent.number, sent)).collect();
        let mut seen = Self::default();
        for record in records {
            seen.events += record.chunks.count;
            if record.stage != Stage::Measured {
                continue;
            }
            let completed =
                matches!(record.outcome, Outcome::Completed { .. }) && record.chunks.since_sent_ns.len() == osl;
            match number(plan, record).and_then(|number| by_number.get(&number)) {
                Some(sent) if completed => seen.request(record, sent, clock),
                _ => seen.failed += 1,
            }
        }
        seen
    }

    fn request(&mut self, record: &RequestRecord, sent: &Sent, clock: UnixClock) {
        let begin = clock.after(record.sent_ns.0);
        let ms = |unix_ns: u64| (i128::from(unix_ns) - i128::from(begin)) as f64 / 1e6;
        let truth: Vec<f64> = sent.tokens_unix_ns.iter().map(|ns| ms(*ns)).collect();
        let measured = record.chunks.since_sent_ns.iter();
        let measured: Vec<f64> = measured.map(|ns| *ns as f64 / 1e6).collect();
        let read = ms(sent.read_unix_ns);
        self.read_ms.push(read);
        self.ttft_errors_ms.push(measured[0] - truth[0]);
        let pairs = measured.windows(2).zip(truth.windows(2));
        self.gap_errors_ms.extend(pairs.map(|(measured, truth)| measured[1] - measured[0] - truth[1] + truth[0]));
        let mean_gap = |stamps: &[f64]| (stamps[stamps.len() - 1] - stamps[0]) / (stamps.len() - 1) as f64;
        self.mean_gaps_ms.push(mean_gap(&measured));
        self.true_mean_gaps_ms.push(mean_gap(&truth));
        let (ttft, itl) = (1e3 * TTFT.as_secs_f64(), 1e3 * ITL.as_secs_f64());
        let late = (0..).zip(&truth);
        self.late_ms.extend(late.map(|(k, at)| at - read - ttft - itl * f64::from(k)));
    }
}

/// The number that the prompt of a record begins with.
fn number(plan: &LoadPlan, record: &RequestRecord) -> Option<u64> {
    let id = PromptId { seed: plan.spec().seed, level: record.level, request: record.request };
    match plan.spec().work.workload.entry(id, record.request).prompt {
        Prompt::Text(text) => text.split(' ').next()?.parse().ok(),
        Prompt::Messages(_) => None,
    }
}
