//! A server as a child process: started on a loopback port, awaited until it answers, stopped with us and with all
//! processes that it started.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use gpumon::{Access, telemetry_url};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use records::EngineFacts;

use plimsoll::{
    exit::{self, Exit},
    interrupt::Interrupt,
};

/// vLLM takes a quarter of a minute; a loaded machine may need many times that.
const READY_WITHIN: Duration = Duration::from_mins(3);
/// Time to end in an orderly way.
const STOP_WITHIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

/// A child in a process group of its own: Ctrl-C reaches us alone, and we stop the child. Dropping it stops all its
/// processes, with a request first.
#[derive(Debug)]
pub(super) struct Group {
    child: Child,
}

impl Group {
    pub(super) fn spawn(mut command: Command) -> std::io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        Ok(Self { child })
    }

    /// How the child ended, if it has.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().context("watch the child")
    }

    /// Sends a signal to all of them, or only asks; whether there is anyone left.
    fn signal(&self, signal: Option<Signal>) -> bool {
        let leader = i32::try_from(self.child.id()).ok();
        leader.is_some_and(|id| killpg(Pid::from_raw(id), signal).is_ok())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let until = Instant::now() + STOP_WITHIN;
        let mut left = self.signal(Some(Signal::SIGTERM));
        while left && Instant::now() < until {
            thread::sleep(POLL / 4);
            // A child that has ended stays in its group until it is waited for.
            drop(self.child.try_wait());
            left = self.signal(None);
        }
        if left {
            self.signal(Some(Signal::SIGKILL));
        }
        drop(self.child.wait());
    }
}

/// An engine's process ended before it had answered a request: the build may not run on this processor.
#[derive(Debug)]
pub(super) struct Died(String);

impl Died {
    pub(super) fn new(how: impl Into<String>) -> Self {
        Self(how.into())
    }
}

impl std::fmt::Display for Died {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Died {}

/// The server. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Server {
    name: &'static str,
    child: Group,
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
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let port = free_port(port)?;
        let output = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        command
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("share the log")?)
            .stderr(output);
        let child = Group::spawn(command).with_context(|| format!("start {name}"))?;
        Ok(Self { name, child, port, log, interrupt: interrupt.clone() })
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    /// What the server says about itself, once it has answered.
    pub(super) fn facts(&self) -> anyhow::Result<EngineFacts> {
        Ok(gpumon::describe::engine_facts(&telemetry_url(&self.url())?, &Access::default())?)
    }

    /// Waits until it has generated some tokens: the code that a processor lacks may not run before.
    ///
    /// # Errors
    /// [`Died`] if its process ends before.
    pub(super) fn wait_until_it_generates(&mut self, model: &str) -> anyhow::Result<()> {
        self.wait_until_ready()?;
        let body = serde_json::json!({ "model": model, "prompt": "A harbour is", "max_tokens": 4 });
        let agent =
            ureq::Agent::new_with_config(ureq::config::Config::builder().timeout_global(Some(READY_WITHIN)).build());
        let answer = agent
            .post(format!("{}/v1/completions", self.url()))
            .header("content-type", "application/json")
            .send(body.to_string());
        let Err(error) = answer else { return Ok(()) };
        // A process that dies closes its sockets a moment before it can be waited for.
        let until = Instant::now() + STOP_WITHIN;
        while Instant::now() < until {
            if let Some(status) = self.child.ended()? {
                return Err(self.died(status).into());
            }
            thread::sleep(POLL);
        }
        Err(self.gone(&format!("did not answer a first request: {error}")))
    }

    /// Waits until it lists its models.
    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let base = telemetry_url(&self.url())?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let facts = gpumon::describe::engine_facts(&base, &Access::default());
            if facts.is_ok_and(|facts| !facts.models.is_empty()) {
                return Ok(());
            }
            if let Some(status) = self.child.ended()? {
                return Err(self.died(status).into());
            }
            if self.interrupt.requested() {
                return Err(exit::error(Exit::Interrupted, "interrupted"));
            }
            if Instant::now() > deadline {
                return Err(self.gone(&format!("did not answer within {} s", READY_WITHIN.as_secs())));
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
            if let Some(status) = self.child.ended()? {
                return Err(self.gone(&format!("ended with {status}")));
            }
            thread::sleep(POLL);
        }
    }

    fn died(&self, status: ExitStatus) -> Died {
        Died::new(self.with_log(&format!("ended with {status} before it had answered a request")))
    }

    fn gone(&self, what: &str) -> anyhow::Error {
        exit::error(Exit::Server, self.with_log(what))
    }

    fn with_log(&self, what: &str) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(10)..].join("\n");
        let name = self.name;
        format!("{name} {what}; the end of {}:\n{tail}", self.log.display())
    }
}

fn free_port(port: u16) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|e| {
        exit::error(
            Exit::Usage,
            format!("listen on port {port}: {e}\nhint: choose another with --port; 0 takes a free one"),
        )
    })?;
    Ok(listener.local_addr().context("read the port")?.port())
}
