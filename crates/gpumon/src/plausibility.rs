//! Values that cannot be: drivers and exporters have reported a utilisation of 4294967295 % and a temperature of
//! 644245923 °C (NVIDIA/DCGM issue 199, NVIDIA/dcgm-exporter issue 312). Pure.

use records::GpuSample;

/// What the device is known to hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) power_limit_mw: Option<u64>,
    pub(crate) memory_total_bytes: Option<u64>,
}

/// A value that was taken out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) metric: &'static str,
    pub(crate) value: String,
}

impl Dropped {
    /// One sentence for the run's notes.
    pub(crate) fn note(&self, uuid: &str) -> String {
        format!("{uuid} reports {} = {}, which cannot be; such values are left out", self.metric, self.value)
    }
}

/// Takes implausible values out of a sample: utilisation above 100 %, temperature outside −10 to 150 °C, power above three
/// times the enforced limit, memory above the device's total, and all-ones anywhere, the mark of "no value".
pub(crate) fn strip(sample: &mut GpuSample, bounds: Bounds) -> Vec<Dropped> {
    let mut dropped = Vec::new();
    let power = bounds.power_limit_mw.map_or(BLANK, |limit| limit.saturating_mul(3).min(BLANK));
    let memory = bounds.memory_total_bytes.unwrap_or(u64::MAX - 1);
    let clock = u32::MAX - 1;

    let s = sample;
    keep(&mut dropped, "gpu_util_percent", &mut s.gpu_util_percent, |v| v <= 100);
    keep(&mut dropped, "memory_util_percent", &mut s.memory_util_percent, |v| v <= 100);
    keep(&mut dropped, "memory_used_bytes", &mut s.memory_used_bytes, |v| v <= memory);
    keep(&mut dropped, "memory_reserved_bytes", &mut s.memory_reserved_bytes, |v| v <= memory);
    keep(&mut dropped, "power_average_mw", &mut s.power_average_mw, |v| v <= power);
    keep(&mut dropped, "power_instant_mw", &mut s.power_instant_mw, |v| v <= power);
    keep(&mut dropped, "energy_mj", &mut s.energy_mj, |v| v < u64::MAX);
    keep(&mut dropped, "temperature_c", &mut s.temperature_c, |v| (-10..=150).contains(&v));
    keep(&mut dropped, "sm_clock_mhz", &mut s.sm_clock_mhz, |v| v <= clock);
    keep(&mut dropped, "memory_clock_mhz", &mut s.memory_clock_mhz, |v| v <= clock);
    keep(&mut dropped, "throttle_bits", &mut s.throttle_bits, |v| v < u64::MAX);
    strip_more(s, memory, &mut dropped);
    dropped
}

/// The metrics that only some sources give. Profiling counters may exceed their full scale by rounding.
fn strip_more(s: &mut GpuSample, memory: u64, dropped: &mut Vec<Dropped>) {
    let free = &mut s.memory_free_bytes;
    keep(dropped, "memory_free_bytes", free, |v| v <= memory);
    let celsius = &mut s.memory_temperature_c;
    keep(dropped, "memory_temperature_c", celsius, |v| (-10..=150).contains(&v));
    for (metric, percent) in [
        ("engine_active_percent", &mut s.engine_active_percent),
        ("sm_active_percent", &mut s.sm_active_percent),
        ("sm_occupancy_percent", &mut s.sm_occupancy_percent),
        ("tensor_active_percent", &mut s.tensor_active_percent),
        ("dram_active_percent", &mut s.dram_active_percent),
    ] {
        keep(dropped, metric, percent, |v| (0.0..=101.0).contains(&v));
    }
    for (metric, rate) in [
        ("pcie_rx_bytes_per_s", &mut s.pcie_rx_bytes_per_s),
        ("pcie_tx_bytes_per_s", &mut s.pcie_tx_bytes_per_s),
        ("nvlink_rx_bytes_per_s", &mut s.nvlink_rx_bytes_per_s),
        ("nvlink_tx_bytes_per_s", &mut s.nvlink_tx_bytes_per_s),
    ] {
        keep(dropped, metric, rate, |v| (0.0..FASTEST_LINK).contains(&v));
    }
}

/// Ten times what the fastest GPU's links carry (NVLink 5: 1.8 TB/s).
const FASTEST_LINK: f64 = 1.8e13;

/// The largest 32-bit value that is not all ones: NVML gives power in 32 bits.
const BLANK: u64 = u32::MAX as u64 - 1;

fn keep<T: Copy + ToString>(
    dropped: &mut Vec<Dropped>,
    metric: &'static str,
    value: &mut Option<T>,
    plausible: impl Fn(T) -> bool,
) {
    if let Some(odd) = value.take_if(|v| !plausible(*v)) {
        dropped.push(Dropped { metric, value: odd.to_string() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_seen_in_the_wild_are_dropped_and_named() {
        let mut sample = GpuSample {
            gpu_util_percent: Some(u32::MAX),
            temperature_c: Some(644_245_923),
            power_average_mw: Some(2_100_001),
            power_instant_mw: Some(2_100_000),
            memory_used_bytes: Some(81),
            ..GpuSample::default()
        };
        let dropped = strip(&mut sample, Bounds { power_limit_mw: Some(700_000), memory_total_bytes: Some(80) });
        let named: Vec<_> = dropped.iter().map(|d| (d.metric, d.value.as_str())).collect();
        assert_eq!(
            named,
            [
                ("gpu_util_percent", "4294967295"),
                ("memory_used_bytes", "81"),
                ("power_average_mw", "2100001"),
                ("temperature_c", "644245923"),
            ]
        );
        let expected = GpuSample { power_instant_mw: Some(2_100_000), ..GpuSample::default() };
        assert_eq!(sample, expected);
    }

    #[test]
    fn plausible_extremes_stay() {
        let sample = GpuSample {
            gpu_util_percent: Some(100),
            memory_util_percent: Some(0),
            memory_used_bytes: Some(0),
            power_average_mw: Some(1_400_000),
            energy_mj: Some(u64::from(u32::MAX) + 1),
            temperature_c: Some(-10),
            sm_clock_mhz: Some(0),
            throttle_bits: Some(0),
            ..GpuSample::default()
        };
        let mut kept = sample.clone();
        assert_eq!(strip(&mut kept, Bounds::default()), []);
        assert_eq!(kept, sample);
    }

    #[test]
    fn all_ones_is_no_value_even_without_bounds() {
        let mut sample = GpuSample {
            memory_reserved_bytes: Some(u64::MAX),
            power_instant_mw: Some(u64::from(u32::MAX)),
            energy_mj: Some(u64::MAX),
            memory_clock_mhz: Some(u32::MAX),
            throttle_bits: Some(u64::MAX),
            ..GpuSample::default()
        };
        assert_eq!(strip(&mut sample, Bounds::default()).len(), 5);
        assert_eq!(sample, GpuSample::default());
    }
}
