//! What a scrape says of one GPU, while it is put together from the lines of many metrics. Pure.

use std::collections::BTreeMap;

use records::{GpuDevice, GpuSample, GpuState};

/// Everything that a scrape says of one GPU, or of a part of one. Times are not set yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) device: GpuDevice,
    pub(crate) sample: GpuSample,
    pub(crate) state: GpuState,
    /// The last XID that the driver reported, which an exporter repeats for ever; 0 for none.
    pub(crate) last_xid: Option<u64>,
}

/// The GPUs of a scrape, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    by_uuid: BTreeMap<String, Row>,
    /// Values that stand for "there is none".
    pub(crate) blanks: u64,
}

impl Rows {
    /// The row of a GPU, made when it is new.
    pub(crate) fn of(&mut self, uuid: &str, describe: impl FnOnce(&mut GpuDevice)) -> &mut Row {
        self.by_uuid.entry(uuid.to_owned()).or_insert_with(|| {
            let mut row = Row::default();
            uuid.clone_into(&mut row.device.uuid);
            uuid.clone_into(&mut row.sample.uuid);
            uuid.clone_into(&mut row.state.uuid);
            describe(&mut row.device);
            row
        })
    }

    pub(crate) fn into_rows(self) -> Vec<Row> {
        self.by_uuid.into_values().collect()
    }
}

/// A value as a whole number, where it is one that a `u64` holds; exporters print counters as floating point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked, and the fraction is below any unit that we keep"
)]
pub(crate) fn whole(value: f64) -> Option<u64> {
    (0.0..1.8e19).contains(&value).then(|| value.round() as u64)
}

/// The same, in 32 bits; what does not fit becomes the largest value, which the plausibility filter drops.
pub(crate) fn whole_u32(value: f64) -> Option<u32> {
    whole(value).map(|value| u32::try_from(value).unwrap_or(u32::MAX))
}

/// A temperature. What does not fit becomes the largest value, which the plausibility filter drops.
#[expect(clippy::cast_possible_truncation, reason = "casts of floating point to integers saturate")]
pub(crate) fn celsius(value: f64) -> Option<i32> {
    value.is_finite().then(|| value.round() as i32)
}
