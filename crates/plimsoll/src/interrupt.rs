//! Ctrl-C and SIGTERM. Once asks for an orderly end; twice ends at once.

use std::{
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;

use crate::progress::log;

type Then = Box<dyn Fn() + Send>;

/// What is to be done on the first request: that of the measurement that runs now.
static THEN: Mutex<Option<Then>> = Mutex::new(None);
/// One handler for the life of the process.
static REQUESTED: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);

/// Whether the user asked to stop.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Begins to listen.
    pub fn install() -> anyhow::Result<Self> {
        Self::install_with(|| {})
    }

    /// Begins to listen, and calls `then` on the first request, on a thread of its own. A later call in the same process,
    /// for the next of several measurements, takes the place of the earlier; at once when the request has been made.
    pub fn install_with(then: impl Fn() + Send + 'static) -> anyhow::Result<Self> {
        let mut installed = REQUESTED.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = THEN.lock().unwrap_or_else(PoisonError::into_inner);
        let requested = match &*installed {
            Some(requested) => Arc::clone(requested),
            None => listen()?,
        };
        *installed = Some(Arc::clone(&requested));
        if requested.load(Ordering::SeqCst) {
            then();
        }
        *current = Some(Box::new(then));
        Ok(Self(requested))
    }

    /// Whether it was asked for.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

fn listen() -> anyhow::Result<Arc<AtomicBool>> {
    let requested = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&requested);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::SeqCst) {
            exit_now();
        }
        log("stopping … (again to stop at once)");
        if let Some(then) = &*THEN.lock().unwrap_or_else(PoisonError::into_inner) {
            then();
        }
    })
    .context("listen for Ctrl-C")?;
    Ok(requested)
}

#[expect(clippy::exit, reason = "the second Ctrl-C means now; what was measured is on disk")]
fn exit_now() -> ! {
    process::exit(130)
}
