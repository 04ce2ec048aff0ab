//! The agent's `/metrics`: the latest readings in the names and units of dcgm-exporter. Pure.

use std::{collections::BTreeMap, fmt::Write as _};

use records::{GpuSample, GpuState};

use super::Gpu;

const MIB: f64 = 1_048_576.0;

/// A metric: name, whether it counts, what it is, and where it comes from.
struct Metric {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&Gpu) -> Option<f64>,
}

const fn gauge(name: &'static str, help: &'static str, value: fn(&Gpu) -> Option<f64>) -> Metric {
    Metric { name, kind: "gauge", help, value }
}

const fn counter(name: &'static str, help: &'static str, value: fn(&Gpu) -> Option<f64>) -> Metric {
    Metric { name, kind: "counter", help, value }
}

fn sample(gpu: &Gpu, figure: fn(&GpuSample) -> Option<f64>) -> Option<f64> {
    figure(gpu.sample.as_ref()?)
}

fn state(gpu: &Gpu, figure: fn(&GpuState) -> Option<f64>) -> Option<f64> {
    figure(gpu.state.as_ref()?)
}

fn whole(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

#[rustfmt::skip]
const METRICS: &[Metric] = &[
    gauge("DCGM_FI_DEV_SM_CLOCK", "SM clock frequency (in MHz).", |g| sample(g, |s| s.sm_clock_mhz.map(f64::from))),
    gauge("DCGM_FI_DEV_MEM_CLOCK", "Memory clock frequency (in MHz).", |g| sample(g, |s| s.memory_clock_mhz.map(f64::from))),
    gauge("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", "Why clocks are held back (bits).", |g| sample(g, |s| whole(s.throttle_bits))),
    gauge("DCGM_FI_DEV_MEMORY_TEMP", "Memory temperature (in C).", |g| sample(g, |s| s.memory_temperature_c.map(f64::from))),
    gauge("DCGM_FI_DEV_GPU_TEMP", "GPU temperature (in C).", |g| sample(g, |s| s.temperature_c.map(f64::from))),
    gauge("DCGM_FI_DEV_POWER_USAGE", "Power draw, averaged by the driver (in W).", |g| sample(g, |s| whole(s.power_average_mw).map(|mw| mw / 1e3))),
    gauge("DCGM_FI_DEV_POWER_USAGE_INSTANT", "Power draw at this instant (in W).", |g| sample(g, |s| whole(s.power_instant_mw).map(|mw| mw / 1e3))),
    gauge("DCGM_FI_DEV_ENFORCED_POWER_LIMIT", "Power limit in force (in W).", |g| {
        let limit = g.state.as_ref().and_then(|s| s.power_limit_mw).or(g.device.power_limit_mw);
        whole(limit).map(|mw| mw / 1e3)
    }),
    counter("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "Total energy consumption since the driver was loaded (in mJ).", |g| sample(g, |s| whole(s.energy_mj))),
    counter("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "Total number of PCIe retries.", |g| state(g, |s| whole(s.pcie_replays))),
    gauge("DCGM_FI_DEV_GPU_UTIL", "GPU utilization (in %).", |g| sample(g, |s| s.gpu_util_percent.map(f64::from))),
    gauge("DCGM_FI_DEV_MEM_COPY_UTIL", "Memory utilization (in %).", |g| sample(g, |s| s.memory_util_percent.map(f64::from))),
    gauge("DCGM_FI_DEV_XID_ERRORS", "Value of the last XID error.", |g| whole(g.last_xid)),
    counter("DCGM_FI_DEV_POWER_VIOLATION", "Time held back by the power limit (in ns).", |g| sample(g, |s| whole(s.power_violation_ns))),
    counter("DCGM_FI_DEV_THERMAL_VIOLATION", "Time held back by heat (in ns).", |g| sample(g, |s| whole(s.thermal_violation_ns))),
    gauge("DCGM_FI_DEV_FB_TOTAL", "Framebuffer memory (in MiB).", |g| whole(g.device.memory_total_bytes).map(|b| b / MIB)),
    gauge("DCGM_FI_DEV_FB_FREE", "Framebuffer memory free (in MiB).", |g| sample(g, |s| whole(s.memory_free_bytes).map(|b| b / MIB))),
    gauge("DCGM_FI_DEV_FB_USED", "Framebuffer memory used (in MiB).", |g| sample(g, |s| whole(s.memory_used_bytes).map(|b| b / MIB))),
    gauge("DCGM_FI_DEV_FB_RESERVED", "Framebuffer memory reserved (in MiB).", |g| sample(g, |s| whole(s.memory_reserved_bytes).map(|b| b / MIB))),
    counter("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "Memory errors that could not be corrected.", |g| state(g, |s| whole(s.ecc_uncorrected))),
    gauge("DCGM_FI_PROF_SM_ACTIVE", "Ratio of cycles with a warp on a multiprocessor.", |g| sample(g, |s| s.sm_active_percent.map(|p| p / 100.0))),
    gauge("DCGM_FI_PROF_SM_OCCUPANCY", "Ratio of resident warps.", |g| sample(g, |s| s.sm_occupancy_percent.map(|p| p / 100.0))),
    gauge("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "Ratio of cycles with a tensor pipe active.", |g| sample(g, |s| s.tensor_active_percent.map(|p| p / 100.0))),
    gauge("DCGM_FI_PROF_DRAM_ACTIVE", "Ratio of the memory's bandwidth in use.", |g| sample(g, |s| s.dram_active_percent.map(|p| p / 100.0))),
    gauge("DCGM_FI_PROF_PCIE_TX_BYTES", "Sent over PCIe (in bytes per second).", |g| sample(g, |s| s.pcie_tx_bytes_per_s)),
    gauge("DCGM_FI_PROF_PCIE_RX_BYTES", "Received over PCIe (in bytes per second).", |g| sample(g, |s| s.pcie_rx_bytes_per_s)),
    gauge("DCGM_FI_PROF_NVLINK_TX_BYTES", "Sent over NVLink (in bytes per second).", |g| sample(g, |s| s.nvlink_tx_bytes_per_s)),
    gauge("DCGM_FI_PROF_NVLINK_RX_BYTES", "Received over NVLink (in bytes per second).", |g| sample(g, |s| s.nvlink_rx_bytes_per_s)),
];

/// The page. A metric that no GPU gives is not on it.
pub(super) fn render(gpus: &BTreeMap<String, Gpu>) -> String {
    let mut page = String::new();
    for metric in METRICS {
        let mut lines = String::new();
        for (index, (uuid, gpu)) in gpus.iter().enumerate() {
            if let Some(value) = (metric.value)(gpu) {
                write!(lines, "{}", line(metric.name, index, uuid, gpu, value)).unwrap_or_default();
            }
        }
        if !lines.is_empty() {
            let Metric { name, kind, help, .. } = metric;
            write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}").unwrap_or_default();
        }
    }
    page
}

fn line(name: &str, index: usize, uuid: &str, gpu: &Gpu, value: f64) -> String {
    let model = escaped(&gpu.device.name);
    let host = gpu.device.host.as_deref().map_or_else(String::new, |host| format!(",Hostname=\"{}\"", escaped(host)));
    format!(
        "{name}{{gpu=\"{index}\",UUID=\"{}\",device=\"nvidia{index}\",modelName=\"{model}\"{host}}} {value}\n",
        escaped(uuid)
    )
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
