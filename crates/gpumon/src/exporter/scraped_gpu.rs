//! What a scrape says of one GPU, while it is put together from the lines of many metrics. Pure.

use std::collections::BTreeMap;

use records::{GpuDevice, GpuSample, GpuState};

/// Everything that a scrape says of one GPU, or of a part of one. Times are not set yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ScrapedGpu {
    pub(crate) device: GpuDevice,
    pub(crate) sample: GpuSample,
    pub(crate) state: GpuState,
    /// The last XID that the driver reported, which an exporter repeats for ever; 0 for none.
    pub(crate) last_xid: Option<u64>,
}

/// The GPUs of a scrape, by their ids.
#[derive(Debug, Default)]
pub(crate) struct ScrapedGpus {
    by_uuid: BTreeMap<String, ScrapedGpu>,
    /// Values that stand for "there is none".
    pub(crate) blanks: u64,
}

impl ScrapedGpus {
    /// The row of a GPU, made when it is new.
    pub(crate) fn entry(&mut self, uuid: &str, describe: impl FnOnce(&mut GpuDevice)) -> &mut ScrapedGpu {
        self.by_uuid.entry(uuid.to_owned()).or_insert_with(|| {
            let mut row = ScrapedGpu::default();
            uuid.clone_into(&mut row.device.uuid);
            uuid.clone_into(&mut row.sample.uuid);
            uuid.clone_into(&mut row.state.uuid);
            describe(&mut row.device);
            row
        })
    }

    pub(crate) fn into_rows(self) -> Vec<ScrapedGpu> {
        self.by_uuid.into_values().collect()
    }
}
