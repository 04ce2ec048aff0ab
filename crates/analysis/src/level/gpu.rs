//! What the GPUs did in a level's window.
//!
//! Gauges are time-weighted means, and maxima over the samples in the window. Energy is the difference of the driver's
//! counter over exactly the window (`series`). A figure that stands for all GPUs together is absent when one of them does
//! not give it: a sum over some of them would be no sum. Parts of a GPU (MIG) are not counted beside the whole.

use std::collections::BTreeMap;

use records::{GpuLine, GpuSample};
use stats::Span;

use crate::{
    GpuLevel,
    distribution::ratio,
    level::energy::{GpuSeries, whole_gpus},
    level::readings::Gauge,
};

/// The GPUs' account of the window, in which `output_tokens` arrived; `None` when no sample lies in it.
pub(crate) fn gpu_level(window: Span, output_tokens: Option<f64>, lines: &[GpuLine]) -> Option<GpuLevel> {
    let devices = devices(window, lines);
    let all = |figure: &dyn Fn(&Device) -> Option<f64>| devices.iter().map(figure).sum::<Option<f64>>();
    if devices.is_empty() {
        return None;
    }
    let energy_j = all(&|device| device.whole.counter_j(window).ok());
    let memory: Option<u64> = devices
        .iter()
        .map(|device| device.inside.iter().filter_map(|s| s.memory_used_bytes).max())
        .try_fold(0_u64, |sum, largest| Some(sum.saturating_add(largest?)));
    let utilisation = all(&|device| device.util.mean(window));
    Some(GpuLevel {
        gpus: u32::try_from(devices.len()).unwrap_or(u32::MAX),
        samples: devices.iter().map(|device| device.inside.len() as u64).sum(),
        memory_used_bytes_max: memory,
        gpu_util_percent_mean: utilisation.map(|sum| sum / devices.len() as f64),
        power_w_mean: all(&|device| device.whole.gauge_w(window)),
        temperature_c_max: devices.iter().flat_map(|device| device.inside.iter().filter_map(|s| s.temperature_c)).max(),
        energy_j,
        j_per_output_token: energy_j.zip(output_tokens).and_then(|(energy, tokens)| ratio(energy, tokens)),
    })
}

/// One GPU's samples.
struct Device<'a> {
    /// Those in the window.
    inside: Vec<&'a GpuSample>,
    util: Gauge,
    whole: GpuSeries,
}

/// The GPUs with a sample in the window.
fn devices(window: Span, lines: &[GpuLine]) -> Vec<Device<'_>> {
    let mut by_uuid: BTreeMap<&str, Vec<&GpuSample>> = BTreeMap::new();
    for line in lines {
        if let GpuLine::Sample(sample) = line {
            by_uuid.entry(&sample.uuid).or_default().push(sample);
        }
    }
    let device = |whole: GpuSeries| {
        let samples = by_uuid.get(whole.uuid.as_str())?;
        let within = |sample: &&&GpuSample| (window.start()..window.end()).contains(&sample.t_ns.0);
        let inside: Vec<&GpuSample> = samples.iter().filter(within).copied().collect();
        let util = |s: &&GpuSample| Some((s.t_ns.0, f64::from(s.gpu_util_percent?)));
        (!inside.is_empty()).then(|| Device { inside, util: Gauge::new(samples.iter().filter_map(util)), whole })
    };
    whole_gpus(lines).into_iter().filter_map(device).collect()
}
