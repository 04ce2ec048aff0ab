//! The agent's `/metrics`: the latest readings in the names and units of dcgm-exporter. Pure.

use std::{collections::BTreeMap, fmt::Write as _};

use records::GpuState;

use super::Gpu;
use crate::metric::{METRICS, MIB};

/// A value that is no metric of a sample: name, description, and where it comes from.
type Other = (&'static str, &'static str, fn(&Gpu) -> Option<f64>);

#[rustfmt::skip]
const OTHERS: [Other; 5] = [
    ("DEV_ENFORCED_POWER_LIMIT", "Power limit in force (in W).", |g| {
        whole(g.state.as_ref().and_then(|s| s.power_limit_mw).or(g.device.power_limit_mw)).map(|mw| mw / 1e3)
    }),
    ("DEV_PCIE_REPLAY_COUNTER", "Total number of PCIe retries.", |g| state(g, |s| s.pcie_replays)),
    ("DEV_XID_ERRORS", "Value of the last XID error.", |g| whole(g.last_xid)),
    ("DEV_FB_TOTAL", "Framebuffer memory (in MiB).", |g| whole(g.device.memory_total_bytes).map(|b| b / MIB)),
    ("DEV_ECC_DBE_VOL_TOTAL", "Total memory errors that could not be corrected.", |g| state(g, |s| s.ecc_uncorrected)),
];

fn state(gpu: &Gpu, figure: fn(&GpuState) -> Option<u64>) -> Option<f64> {
    whole(figure(gpu.state.as_ref()?))
}

fn whole(value: Option<u64>) -> Option<f64> {
    value.map(|value| value as f64)
}

/// The page. A metric that no GPU gives is not on it.
pub(super) fn render(gpus: &BTreeMap<String, Gpu>) -> String {
    let mut page = String::new();
    for metric in METRICS {
        if let Some(name) = metric.dcgm.names.first() {
            let value = |gpu: &Gpu| Some((metric.get)(gpu.sample.as_ref()?)? / metric.dcgm.factor);
            write_metric(&mut page, gpus, name, metric.help, value);
        }
    }
    for (name, help, value) in OTHERS {
        write_metric(&mut page, gpus, name, help, value);
    }
    page
}

fn write_metric(
    page: &mut String,
    gpus: &BTreeMap<String, Gpu>,
    name: &str,
    help: &str,
    value: impl Fn(&Gpu) -> Option<f64>,
) {
    let name = format!("DCGM_FI_{name}");
    let values = gpus.iter().enumerate().filter_map(|(index, (uuid, gpu))| Some((index, uuid, gpu, value(gpu)?)));
    let lines: String = values.map(|(index, uuid, gpu, value)| line(&name, index, uuid, gpu, value)).collect();
    if !lines.is_empty() {
        let kind = if help.starts_with("Total") { "counter" } else { "gauge" };
        write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}").unwrap_or_default();
    }
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
