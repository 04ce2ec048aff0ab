//! Installing an engine into `target/engines/`, once, with pip.
//!
//! pip fetches the packages, because it knows the user's mirrors, proxies and certificates. An engine is installed beside
//! its final place and moved there when it is whole, so that an interrupted installation is never taken for one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::process::Group;
use plimsoll::{
    exit::{self, Exit},
    interrupt::Interrupt,
    progress::log,
};

/// What else a user can do.
pub(super) const BY_HAND: &str = "hint: start any OpenAI-compatible server by hand and pass its address with --url";
const NEEDS_PIP: &str = "hint: install Python 3 with pip (on Debian: apt-get install python3-pip), or start any OpenAI-compatible server by hand and pass its address with --url";
const POLL: Duration = Duration::from_millis(100);
/// Time between two lines about how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(10);
const MEGABYTE: u64 = 1_000_000;
/// Folder within the partial installation for what the installer puts aside; removed before the move.
const SCRATCH: &str = ".scratch";

/// What is to be installed.
#[derive(Debug)]
pub(super) struct Install<'a> {
    /// For people.
    pub(super) what: &'a str,
    /// Name of the folder under `target/engines/`.
    pub(super) folder: &'a str,
    /// Files without which it is not whole.
    pub(super) proof: &'a [&'a str],
    /// What an installation writes in all, downloads and unpacked: the measure of progress.
    pub(super) megabytes: u64,
}

/// Whether every package needs the hash that its lock file gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hashes {
    Required,
    /// Versions only: their wheels differ from one Python to the next.
    None,
}

/// Cargo's target folder: where things that can be made again may lie.
fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")), PathBuf::from)
}

/// The folder that holds all engines.
pub(super) fn engines_dir() -> PathBuf {
    target_dir().join("engines")
}

/// The folder of the engine, after `steps` have filled it if it was not there.
pub(super) fn once(
    install: &Install<'_>,
    interrupt: &Interrupt,
    steps: impl FnOnce(&Path, &Watch<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let engines = engines_dir();
    let home = engines.join(install.folder);
    if install.proof.iter().all(|file| home.join(file).is_file()) {
        return Ok(home);
    }
    let partial = engines.join(format!("{}.partial-{}", install.folder, std::process::id()));
    fs::create_dir_all(partial.join(SCRATCH)).with_context(|| format!("create {}", partial.display()))?;
    log(&format!("installing {} into target/engines …", install.what));
    let watch = Watch { install, folder: &partial, began: Instant::now(), interrupt };
    let done = steps(&partial, &watch).and_then(|()| {
        fs::remove_dir_all(partial.join(SCRATCH)).context("remove what the installer put aside")?;
        if home.exists() {
            fs::remove_dir_all(&home).with_context(|| format!("remove {}", home.display()))?;
        }
        fs::rename(&partial, &home).with_context(|| format!("rename {}", partial.display()))
    });
    if done.is_err() && partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("remove {}", partial.display()))?;
    }
    done?;
    Ok(home)
}

/// `pip install` of what the locks name, into the environment of `python` or wherever more arguments say.
///
/// # Errors
/// The locks could not be written down.
pub(super) fn pip(python: Option<&Path>, hashes: Hashes, partial: &Path, locks: &[&str]) -> anyhow::Result<Command> {
    let scratch = partial.join(SCRATCH);
    let lock = scratch.join("requirements.lock");
    fs::write(&lock, locks.concat()).with_context(|| format!("write {}", lock.display()))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip"]);
    if let Some(python) = python {
        pip.arg("--python").arg(python);
    }
    pip.args(["install", "--quiet", "--no-deps", "--no-cache-dir"]);
    pip.args(["--no-compile", "--only-binary", ":all:"]);
    pip.args(["--disable-pip-version-check", "--root-user-action", "ignore"]);
    if hashes == Hashes::Required {
        pip.arg("--require-hashes");
    }
    pip.arg("--requirement").arg(&lock).env("TMPDIR", scratch);
    Ok(pip)
}

/// Runs the steps of an installation, tells how far it is, and stops it when the user says so.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    install: &'a Install<'a>,
    folder: &'a Path,
    began: Instant,
    interrupt: &'a Interrupt,
}

impl Watch<'_> {
    /// Runs one step to its end.
    ///
    /// # Errors
    /// It could not be started ([`Exit::Usage`]), it failed (with the end of what it said), or the user interrupted it.
    pub(super) fn run(&self, mut step: Command) -> anyhow::Result<()> {
        let said = self.folder.join(SCRATCH).join("said.txt");
        let output = fs::File::create(&said).with_context(|| format!("create {}", said.display()))?;
        let program = step.get_program().to_string_lossy().into_owned();
        step.stdin(Stdio::null()).stdout(output.try_clone().context("share the log")?).stderr(output);
        let mut group =
            Group::spawn(step).map_err(|e| exit::error(Exit::Usage, format!("run {program}: {e}\n{NEEDS_PIP}")))?;
        let mut told = Instant::now();
        let status = loop {
            if let Some(status) = group.ended()? {
                break status;
            }
            if self.interrupt.requested() {
                return Err(exit::error(Exit::Interrupted, "interrupted"));
            }
            if told.elapsed() >= TOLD_EVERY {
                told = Instant::now();
                let written = bytes_under(self.folder) / MEGABYTE;
                log(&progress(self.install.megabytes, written, self.began.elapsed()));
            }
            thread::sleep(POLL);
        };
        if status.success() {
            return Ok(());
        }
        let said = fs::read_to_string(&said).unwrap_or_default();
        let lines: Vec<_> = said.trim().lines().collect();
        let tail = lines[lines.len().saturating_sub(10)..].join("\n");
        let what = self.install.what;
        Err(exit::error(Exit::Usage, format!("install {what}: {tail}\n{NEEDS_PIP}")))
    }
}

/// How far an installation is that writes `expected` megabytes in all.
fn progress(expected: u64, written: u64, elapsed: Duration) -> String {
    let left = expected.saturating_sub(written) as f64 / (written.max(1) as f64);
    let eta = elapsed.mul_f64(left).as_secs();
    let seconds = elapsed.as_secs();
    format!("{seconds:>4} s: {written} of about {expected} MB written | ETA {eta} s")
}

/// Size of all files in a folder; what vanishes meanwhile counts as nothing.
fn bytes_under(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let size = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_under(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |file| file.len()),
        _ => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_what_is_done_in_proportion() {
        let a_quarter = progress(4000, 1000, Duration::from_secs(20));
        assert!(a_quarter.ends_with("1000 of about 4000 MB written | ETA 60 s"), "{a_quarter}");
        let more_than_expected = progress(4000, 4100, Duration::from_secs(90));
        assert!(more_than_expected.ends_with("ETA 0 s"), "{more_than_expected}");
    }

    #[test]
    fn files_in_folders_are_counted_and_links_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("x"), [0; 1000]).unwrap();
        fs::write(folder.path().join("y"), [0; 24]).unwrap();
        std::os::unix::fs::symlink(&inner, folder.path().join("again")).unwrap();
        assert_eq!(bytes_under(folder.path()), 1024);
        assert_eq!(bytes_under(&folder.path().join("nothing")), 0);
    }
}
