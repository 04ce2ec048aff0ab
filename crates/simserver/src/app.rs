//! State that all connections of one server share.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;
use tokio::sync::Notify;

use crate::driver::Command;
use crate::fault::{Fault, FaultPlan};
use crate::frames::ResponseId;
use crate::metrics::MetricNames;
use crate::profile::Profile;
use crate::telemetry::{Lateness, Telemetry};

/// When the server is to die.
pub(crate) struct Death {
    /// Responses that it still begins.
    pub(crate) after: Option<u64>,
    pub(crate) begun: AtomicU64,
    /// Ends the server.
    pub(crate) shutdown: Arc<Notify>,
}

impl Death {
    /// Lets a response begin, or ends the server; then nothing of the response is sent.
    pub(crate) async fn spare(&self) {
        let Some(after) = self.after else { return };
        if self.begun.fetch_add(1, Ordering::Relaxed) >= after {
            self.shutdown.notify_one();
            pending::<()>().await;
        }
    }
}

/// What all connections share.
pub(crate) struct App {
    pub(crate) profile: Profile,
    pub(crate) commands: Sender<Command>,
    pub(crate) telemetry: Arc<Mutex<Telemetry>>,
    pub(crate) lateness: Arc<Mutex<Lateness>>,
    pub(crate) ids: Mutex<Pcg64>,
    pub(crate) epoch: Instant,
    /// Wall-clock time at the epoch, seconds since 1970.
    pub(crate) created: f64,
    /// Requests of the engine, several where a generation has several choices.
    pub(crate) requests: AtomicU64,
    pub(crate) generations: AtomicU64,
    pub(crate) faults: FaultPlan,
    /// How often each fault has struck.
    pub(crate) struck: Mutex<BTreeMap<&'static str, u64>>,
    pub(crate) metric_names: MetricNames,
    pub(crate) death: Death,
}

impl App {
    pub(crate) fn count_faults(&self, faults: &[Fault]) {
        if faults.is_empty() {
            return;
        }
        let mut struck = self.struck.lock().unwrap_or_else(PoisonError::into_inner);
        for fault in faults {
            *struck.entry(fault.name()).or_default() += 1;
        }
    }

    /// A new name for a response.
    pub(crate) fn response_id(&self) -> ResponseId {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ResponseId {
            hex: format!("{:016x}{:016x}", ids.next_u64(), ids.next_u64()),
            created: SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
        }
    }
}
