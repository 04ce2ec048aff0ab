//! Values that cannot be: drivers and exporters have reported a utilisation of 4294967295 % and a temperature of
//! 644245923 °C (NVIDIA/DCGM issue 199, NVIDIA/dcgm-exporter issue 312). Pure.

use records::GpuSample;

use crate::metric::{METRICS, Range};

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

/// Takes implausible values out of a sample, by the range of each metric. All-ones is the mark of "no value" anywhere.
pub(crate) fn strip(sample: &mut GpuSample, bounds: Bounds) -> Vec<Dropped> {
    let mut dropped = Vec::new();
    for metric in METRICS {
        if let Some(value) = (metric.get)(sample).filter(|value| !is_plausible(metric.range, *value, bounds)) {
            (metric.set)(sample, None);
            dropped.push(Dropped { metric: metric.name, value: value.to_string() });
        }
    }
    dropped
}

fn is_plausible(range: Range, value: f64, bounds: Bounds) -> bool {
    match range {
        Range::Percent => (0.0..=100.0).contains(&value),
        Range::ProfiledPercent => (0.0..=101.0).contains(&value),
        Range::Memory => value <= bounds.memory_total_bytes.map_or(U64_MAX, |total| total as f64) && value < U64_MAX,
        Range::Power => value <= bounds.power_limit_mw.map_or(U32_MAX, |limit| 3.0 * limit as f64) && value < U32_MAX,
        Range::Celsius => (-10.0..=150.0).contains(&value),
        Range::Clock => value < U32_MAX,
        Range::Counter => value < U64_MAX,
        Range::Rate => (0.0..RATE_MAX).contains(&value),
    }
}

/// Ten times what the fastest GPU's links carry (NVLink 5: 1.8 TB/s).
const RATE_MAX: f64 = 1.8e13;

/// All ones in 32 bits; NVML gives power and clocks in 32 bits.
const U32_MAX: f64 = u32::MAX as f64;

/// All ones in 64 bits, which floating point rounds to 2⁶⁴.
const U64_MAX: f64 = u64::MAX as f64;

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
