//! Runs the real binary, and the simulated server as a second process.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Once, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag::register_conditional_shutdown,
};

/// Longest time that anything here may take before the test gives up; it bounds a hang and measures nothing.
const PATIENCE: Duration = Duration::from_mins(2);

/// The binary, away from the settings of whoever runs the tests.
pub(crate) fn xtask(args: &[&str]) -> Command {
    handle_signals();
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(args).env_remove("OPENAI_API_KEY").stdin(Stdio::null());
    command
}

/// Makes signals have an effect on the programs that are started here, even if these tests run as a background job of a
/// shell, which ignores some: in a child, an ignored signal stays ignored, and a handled one has its default effect again.
fn handle_signals() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            register_conditional_shutdown(signal, 130, Arc::new(AtomicBool::new(true))).expect("a handler");
        }
    });
}

pub(crate) fn run(args: &[&str]) -> Output {
    xtask(args).output().expect("the binary runs")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8 on stdout")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8 on stderr")
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("one JSON document on stdout: {e}\n{}\n{}", stdout(output), stderr(output)))
}

/// A simulated server as a process of its own; dropped, it is killed.
pub(crate) struct Sim {
    process: Child,
    pub(crate) url: String,
}

impl Sim {
    pub(crate) fn start(extra: &[&str]) -> Self {
        let mut process = xtask(&["sim", "--port", "0", "--json"])
            .args(extra)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the simulated server starts");
        let mut document = String::new();
        let mut lines = BufReader::new(process.stdout.take().expect("piped"));
        while !document.trim_end().ends_with('}') {
            assert!(lines.read_line(&mut document).expect("UTF-8") > 0, "it says where it is: {document}");
        }
        let said: Value = serde_json::from_str(&document).expect("JSON");
        Self { process, url: said["url"].as_str().expect("a URL").to_owned() }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.process.kill().expect("it was running or has ended");
        self.process.wait().expect("it ends");
    }
}

/// Waits until `path` has content: the run has begun to write.
pub(crate) fn wait_for_content(path: &Path) {
    wait_until(|| path.metadata().is_ok_and(|m| m.len() > 0), &format!("content in {}", path.display()));
}

pub(crate) fn wait_until(condition: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "still waiting for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()).status();
    assert!(sent.expect("kill runs").success());
}

/// All files below a folder, by their path within it.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder").map(|e| e.expect("an entry").path()) {
            let list = if entry.is_dir() { &mut folders } else { &mut found };
            list.push(entry);
        }
    }
    found.sort();
    found.into_iter().map(|f| f.strip_prefix(folder).expect("below").to_owned()).collect()
}
