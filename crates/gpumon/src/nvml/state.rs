//! The slow rate: what changes seldom, or costs too much to be asked at every tick.

use std::time::Duration;

use nvml_wrapper::{
    Device,
    enum_wrappers::device::{Clock, EccCounter, MemoryError},
    structs::device::FieldId,
    sys_exports::field_id::NVML_FI_DEV_REMAPPED_UNC,
};
use records::{GpuState, Offset};

use super::reading::whole_field;

/// Time between two readings of the state.
pub(super) const STATE_INTERVAL: Duration = Duration::from_secs(5);

/// Asks for the state once. What is refused is absent. Times and id are not set yet.
pub(super) fn read(device: &Device<'_>) -> GpuState {
    let milliwatts = |limit: u32| Some(u64::from(limit)).filter(|limit| *limit > 0);
    let fields = device.field_values_for(&[FieldId(NVML_FI_DEV_REMAPPED_UNC)]);
    GpuState {
        power_limit_mw: device.enforced_power_limit().ok().and_then(milliwatts),
        power_limit_default_mw: device.power_management_limit_default().ok().and_then(milliwatts),
        sm_clock_max_mhz: device.max_clock_info(Clock::SM).ok(),
        pcie_generation: device.current_pcie_link_gen().ok(),
        pcie_width: device.current_pcie_link_width().ok(),
        pcie_replays: device.pcie_replay_counter().ok().map(u64::from),
        ecc_uncorrected: device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile).ok(),
        remapped_rows: fields.ok().and_then(|fields| whole_field(fields.into_iter().next()?).ok()),
        ..GpuState::default()
    }
}

/// When the state is read next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Due(Option<Offset>);

impl Due {
    /// Whether it is time; if so, the next time is in [`STATE_INTERVAL`].
    pub(super) fn is_now(&mut self, now: Offset) -> bool {
        let due = self.0.is_none_or(|at| now >= at);
        if due {
            self.0 = Some(now + STATE_INTERVAL);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_rate_is_once_in_five_seconds() {
        let mut due = Due::default();
        let read = (0..25_u64).filter(|half| due.is_now(Offset(half * 500_000_000)));
        assert_eq!(read.collect::<Vec<_>>(), [0, 10, 20]);
    }
}
