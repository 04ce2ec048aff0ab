//! How the multiprocessors, tensor cores, memory and links are used: GPU performance monitoring (GPM, Hopper and later).
//!
//! A metric is computed between two samples of the device's counters at least 100 ms apart; each reading takes one and
//! keeps it for the next. On a GPU divided by MIG each instance has samples of its own.

use nvml_wrapper::{
    Device,
    error::NvmlError,
    gpm::{GpmSample, gpm_metrics_get},
};
use records::{GpuSample, Offset};

use super::raw::{KeptSample, Session};
use crate::metric::METRICS;

/// Samples closer than this give noise (`nvml.h`).
const SAMPLE_INTERVAL_MIN: std::time::Duration = std::time::Duration::from_millis(100);

/// The last sample of a device, or why there is none.
#[derive(Debug, Default)]
pub(super) enum Profile {
    /// Nothing was sampled yet.
    #[default]
    Fresh,
    /// This was, at that time.
    Sampled(KeptSample, Offset),
    /// The device has no GPM.
    Unsupported,
}

impl Profile {
    /// For a device that has GPM, or not.
    pub(super) fn new(device: &Device<'_>) -> Self {
        match device.gpm_support() {
            Ok(true) => Self::Fresh,
            _ => Self::Unsupported,
        }
    }

    /// Adds the metrics since the last reading to `sample`; none at the first one, or when it is too close.
    pub(super) fn read<'nvml>(
        &mut self,
        session: &'nvml Session,
        now: Offset,
        take: impl FnOnce() -> Result<GpmSample<'nvml>, NvmlError>,
        sample: &mut GpuSample,
    ) {
        let before = match std::mem::take(self) {
            Self::Unsupported => {
                *self = Self::Unsupported;
                return;
            }
            Self::Sampled(kept, at) if now - at < SAMPLE_INTERVAL_MIN => {
                *self = Self::Sampled(kept, at);
                return;
            }
            Self::Sampled(kept, _) => session.sample(kept),
            Self::Fresh => None,
        };
        match take() {
            Ok(after) => {
                if let Some(before) = before {
                    between(session, &before, &after, sample);
                }
                *self = Self::Sampled(session.keep_sample(after), now);
            }
            Err(NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_)) => {
                *self = Self::Unsupported;
            }
            // It failed this time: the next reading begins anew.
            Err(_) => {}
        }
    }
}

fn between(session: &Session, before: &GpmSample<'_>, after: &GpmSample<'_>, sample: &mut GpuSample) {
    let (metrics, ids): (Vec<_>, Vec<_>) =
        METRICS.iter().filter_map(|metric| metric.gpm.map(|(id, factor)| ((metric, factor), id))).unzip();
    let Ok(results) = gpm_metrics_get(session.nvml(), before, after, &ids) else {
        return;
    };
    for ((metric, factor), result) in metrics.into_iter().zip(results) {
        if let Ok(read) = result
            && read.value.is_finite()
        {
            (metric.set)(sample, Some(factor * read.value));
        }
    }
}
