//! The metrics that a GPU supports, as a sentence. Pure.

use records::GpuDevice;

use crate::metric::METRICS;

/// `NVIDIA H100 (GPU-…): 9 of 11 metrics available, missing energy_mj, throttle_bits (not supported)`.
pub fn capabilities(device: &GpuDevice) -> String {
    let GpuDevice { name, uuid, unsupported, .. } = device;
    let common = METRICS.iter().filter(|metric| metric.is_common).count();
    if unsupported.is_empty() {
        return format!("{name} ({uuid}): all {common} metrics available");
    }
    format!(
        "{name} ({uuid}): {} of {common} metrics available, missing {} (not supported)",
        common.saturating_sub(unsupported.len()),
        unsupported.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let device = |unsupported: &[&str]| GpuDevice {
            uuid: "GPU-1".into(),
            name: "Tesla T4".into(),
            unsupported: unsupported.iter().map(|&name| name.to_owned()).collect(),
            ..GpuDevice::default()
        };
        assert_eq!(capabilities(&device(&[])), "Tesla T4 (GPU-1): all 11 metrics available");
        assert_eq!(
            capabilities(&device(&["energy_mj", "throttle_bits"])),
            "Tesla T4 (GPU-1): 9 of 11 metrics available, missing energy_mj, throttle_bits (not supported)"
        );
    }
}
