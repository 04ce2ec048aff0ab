//! A server as a child process: started on a loopback port, awaited until it answers, stopped with us.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use gpumon::{Access, BaseUrl};
use records::EngineFacts;

use crate::{
    exit::{self, Exit},
    interrupt::Interrupt,
};

/// Loading a small model takes a second; a loaded machine may need many.
const READY_WITHIN: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(100);

/// The child. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Server {
    name: &'static str,
    child: Child,
    port: u16,
    log: PathBuf,
    interrupt: Interrupt,
}

impl Server {
    /// Starts `command` with `--host 127.0.0.1 --port P`; port 0 takes a free one. Its output goes to `log`.
    pub(super) fn spawn(
        name: &'static str,
        mut command: Command,
        port: u16,
        log: PathBuf,
    ) -> anyhow::Result<Self> {
        let port = free_port(port)?;
        let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let interrupt = Interrupt::install()?;
        let child = command
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            // A group of its own: Ctrl-C reaches us, and we stop the server.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("share the log")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self {
            name,
            child,
            port,
            log,
            interrupt,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until it lists its models.
    pub(super) fn wait_until_ready(&mut self) -> anyhow::Result<EngineFacts> {
        let base = BaseUrl::parse(&self.url())?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let facts = gpumon::describe::engine_facts(&base, &Access::default());
            if let Some(facts) = facts.ok().filter(|facts| !facts.models.is_empty()) {
                return Ok(facts);
            }
            if let Some(status) = self.child.try_wait().context("watch the server")? {
                return Err(self.gone(&format!("ended with {status} before it answered")));
            }
            if self.interrupt.requested() {
                return Err(exit::error(Exit::Interrupted, "interrupted"));
            }
            if Instant::now() > deadline {
                return Err(self.gone(&format!(
                    "did not answer within {} s",
                    READY_WITHIN.as_secs()
                )));
            }
            thread::sleep(POLL);
        }
    }

    /// Waits for Ctrl-C, then stops it.
    pub(super) fn wait_until_stopped(mut self) -> anyhow::Result<()> {
        loop {
            if self.interrupt.requested() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().context("watch the server")? {
                return Err(self.gone(&format!("ended with {status}")));
            }
            thread::sleep(POLL);
        }
    }

    fn gone(&self, what: &str) -> anyhow::Error {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(10)..].join("\n");
        let name = self.name;
        exit::error(
            Exit::Server,
            format!("{name} {what}; the end of {}:\n{tail}", self.log.display()),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill, and nothing to say.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

fn free_port(port: u16) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|e| {
        exit::error(
            Exit::Usage,
            format!(
                "listen on port {port}: {e}\nhint: choose another with --port; 0 takes a free one"
            ),
        )
    })?;
    Ok(listener.local_addr().context("read the port")?.port())
}
