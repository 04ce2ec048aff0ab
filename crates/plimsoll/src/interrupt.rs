//! SIGINT (Ctrl-C), SIGTERM and SIGHUP. The first asks for an orderly end; the second ends at once.
//!
//! A signal that was ignored when the program started stays ignored, so that `nohup` and background jobs of a shell keep
//! their meaning.

use std::{
    fs, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::Context as _;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::progress::log;

/// Whether the user asked to stop.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Begins to listen; once in the life of a process.
    ///
    /// # Errors
    /// The system refuses the handler or its thread.
    pub fn install() -> anyhow::Result<Self> {
        Self::install_with(|| {})
    }

    /// Begins to listen, and calls `then` on the first signal, on a thread of its own.
    ///
    /// # Errors
    /// The system refuses the handler or its thread.
    pub fn install_with(then: impl Fn() + Send + 'static) -> anyhow::Result<Self> {
        let requested = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&requested);
        let ignored = ignored_at_start();
        let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
        let mut signals = Signals::new(wanted).context("cannot listen for signals")?;
        let listen = move || {
            for _ in signals.forever() {
                if seen.swap(true, Ordering::SeqCst) {
                    exit_now();
                }
                // The work is stopped first: nothing that happens to the terminal may keep it from that.
                then();
                log("stopping … (again to stop at once)");
            }
        };
        thread::Builder::new().name("signals".into()).spawn(listen).context("cannot listen for signals")?;
        Ok(Self(requested))
    }

    /// Whether it was asked for.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// The signals that this process ignores, as a mask whose lowest bit is signal 1. Linux lists it; elsewhere none is taken
/// for ignored.
fn ignored_at_start() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[expect(clippy::exit, reason = "the second signal means now; what was measured is on disk")]
fn exit_now() -> ! {
    process::exit(130)
}
