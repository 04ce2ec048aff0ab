//! Ctrl-C and SIGTERM. Once asks for an orderly end; twice ends at once.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;

use crate::progress::log;

/// Whether the user asked to stop.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Begins to listen; once in the life of a process.
    pub fn install() -> anyhow::Result<Self> {
        Self::install_with(|| {})
    }

    /// Begins to listen, and calls `then` on the first request, on a thread of its own.
    pub fn install_with(then: impl Fn() + Send + 'static) -> anyhow::Result<Self> {
        let requested = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&requested);
        ctrlc::set_handler(move || {
            if seen.swap(true, Ordering::SeqCst) {
                exit_now();
            }
            log("stopping … (again to stop at once)");
            then();
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(Self(requested))
    }

    /// Whether it was asked for.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[expect(clippy::exit, reason = "the second Ctrl-C means now; what was measured is on disk")]
fn exit_now() -> ! {
    process::exit(130)
}
