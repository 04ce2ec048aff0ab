//! What the GPUs did in a level's window.
//!
//! Gauges are means and maxima over the samples in the window. Energy is the difference of the driver's counter, which
//! is read at other moments than the window's borders and therefore interpolated there. A figure that stands for all
//! GPUs together is absent when one of them does not give it: a sum over some of them would be no sum.

use std::collections::BTreeMap;

use records::{GpuLine, GpuSample};
use stats::Span;

use crate::{
    GpuLevel,
    distribution::{mean, ratio},
};

/// Longest time between two readings of the energy counter over which it is interpolated, in nanoseconds. The power of
/// a GPU changes within it; `InferenceX` discards windows with larger gaps than 3 s.
pub(crate) const ENERGY_GAP_MAX_NS: u64 = 3_000_000_000;

/// The GPUs' account of the window, in which `output_tokens` arrived; `None` when no sample lies in it.
pub(crate) fn gpu_level(
    window: Span,
    output_tokens: Option<f64>,
    lines: &[GpuLine],
) -> Option<GpuLevel> {
    let devices = devices(window, lines);
    let all =
        |figure: &dyn Fn(&Device) -> Option<f64>| devices.iter().map(figure).sum::<Option<f64>>();
    if devices.is_empty() {
        return None;
    }
    let energy_j = all(&|device| energy_j(&device.readings, window));
    let memory: Option<u64> = devices
        .iter()
        .map(|device| {
            device
                .inside
                .iter()
                .filter_map(|s| s.memory_used_bytes)
                .max()
        })
        .try_fold(0_u64, |sum, largest| Some(sum.saturating_add(largest?)));
    let utilisation = all(&|device| device.mean(|s| s.gpu_util_percent.map(f64::from)));
    Some(GpuLevel {
        gpus: u32::try_from(devices.len()).unwrap_or(u32::MAX),
        samples: devices
            .iter()
            .map(|device| device.inside.len() as u64)
            .sum(),
        memory_used_bytes_max: memory,
        gpu_util_percent_mean: utilisation.map(|sum| sum / devices.len() as f64),
        power_w_mean: all(&|device| device.mean(power_w)),
        temperature_c_max: devices
            .iter()
            .flat_map(|device| device.inside.iter().filter_map(|s| s.temperature_c))
            .max(),
        energy_j,
        j_per_output_token: energy_j
            .zip(output_tokens)
            .and_then(|(energy, tokens)| ratio(energy, tokens)),
    })
}

/// One GPU's samples.
#[derive(Default)]
struct Device<'a> {
    /// Those in the window.
    inside: Vec<&'a GpuSample>,
    /// Time in nanoseconds and energy in millijoules of every sample that has it, in order of time.
    readings: Vec<(u64, u64)>,
}

impl Device<'_> {
    fn mean(&self, figure: impl Fn(&GpuSample) -> Option<f64>) -> Option<f64> {
        mean(self.inside.iter().copied().filter_map(figure))
    }
}

/// The GPUs with a sample in the window.
fn devices<'a>(window: Span, lines: &'a [GpuLine]) -> Vec<Device<'a>> {
    let mut by_uuid: BTreeMap<&str, Device<'a>> = BTreeMap::new();
    for line in lines {
        if let GpuLine::Sample(sample) = line {
            let device = by_uuid.entry(&sample.uuid).or_default();
            if (window.start()..window.end()).contains(&sample.t_ns.0) {
                device.inside.push(sample);
            }
            if let Some(energy_mj) = sample.energy_mj {
                device.readings.push((sample.t_ns.0, energy_mj));
            }
        }
    }
    let mut devices: Vec<Device> = by_uuid.into_values().collect();
    devices.retain(|device| !device.inside.is_empty());
    for device in &mut devices {
        device.readings.sort_unstable();
    }
    devices
}

/// Power at the instant where the driver gives it: its one-second average still tells of the second before the window.
fn power_w(sample: &GpuSample) -> Option<f64> {
    let milliwatts = sample.power_instant_mw.or(sample.power_average_mw)?;
    Some(milliwatts as f64 / 1e3)
}

/// Growth of the counter over exactly the window; `None` when readings on both sides of each border are missing or too
/// far apart, or when the counter was set back.
fn energy_j(readings: &[(u64, u64)], window: Span) -> Option<f64> {
    let start = counter_at(readings, window.start())?;
    let end = counter_at(readings, window.end())?;
    Some((end - start) / 1e3).filter(|joules| *joules >= 0.0)
}

/// The counter at a moment, linear between the readings around it, in millijoules.
fn counter_at(readings: &[(u64, u64)], at: u64) -> Option<f64> {
    let next = readings.partition_point(|&(t, _)| t < at);
    let &(after_t, after) = readings.get(next)?;
    if after_t == at {
        return Some(after as f64);
    }
    let &(before_t, before) = readings.get(next.checked_sub(1)?)?;
    let gap = after_t - before_t;
    let share = (at - before_t) as f64 / gap as f64;
    (gap <= ENERGY_GAP_MAX_NS).then_some(before as f64 + share * (after as f64 - before as f64))
}
