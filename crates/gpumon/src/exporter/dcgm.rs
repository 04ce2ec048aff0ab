//! The metrics of NVIDIA's dcgm-exporter: from names to the fields of [`records::GpuSample`]. Pure.
//!
//! Names of the metrics are in [`METRICS`](crate::METRICS). The label of the host is `Hostname` in older exporters and `hostname`
//! in newer ones. Older exporters print DCGM's blank values, which mean "there is none".
//!
//! Under MIG the exporter gives one line for each GPU instance, with the whole GPU's power and energy repeated in each:
//! those are taken once, for the GPU, and what is an instance's own goes to a device of its own.

use records::{GpuDevice, GpuSample};

use super::scraped_gpu::{ScrapedGpu, ScrapedGpus};
use crate::{
    metric::{self, MIB, Scope, whole},
    prometheus::{Sample, Scrape},
};

const PREFIX: &str = "DCGM_FI_";

/// Puts a value into a row.
type Set = fn(&mut ScrapedGpu, f64);

/// Fields that are no metric of a sample: names, scope under MIG, and where the value goes.
#[rustfmt::skip]
const OTHERS: &[(&[&str], Scope, Set)] = &[
    (&["DEV_ENFORCED_POWER_LIMIT", "DEV_BOARD_POWER_LIMIT_ENFORCED_WATTS"], Scope::Gpu, power_limit), // 164
    (&["DEV_PCIE_REPLAY_COUNTER", "DEV_PCIE_REPLAY_TOTAL"], Scope::Gpu, |r, v| r.state.pcie_replays = whole(v)), // 202
    (&["DEV_GPU_UTIL_RATIO"], Scope::Instance, utilisation), // 203 in 4.6, 1613 from 4.7 on
    (&["DEV_XID_ERRORS", "DEV_XID_ERROR"], Scope::Gpu, |r, v| r.last_xid = whole(v)), // 230
    (&["DEV_FB_TOTAL"], Scope::Instance, |r, v| r.device.memory_total_bytes = whole(v * MIB)), // 250
    (&["DEV_ECC_DBE_VOL_TOTAL"], Scope::Gpu, |r, v| r.state.ecc_uncorrected = whole(v)), // 311
    (&["DEV_UNCORRECTABLE_REMAPPED_ROWS", "DEV_ROW_REMAP_UNCORRECTABLE_TOTAL"], Scope::Gpu, |r, v| r.state.remapped_rows = whole(v)), // 393
];

fn power_limit(row: &mut ScrapedGpu, value: f64) {
    row.device.power_limit_mw = whole(value * 1e3);
    row.state.power_limit_mw = row.device.power_limit_mw;
}

/// One name for two things: percent in DCGM 4.6, a ratio from 4.7 on. 1 may be either, and is left out.
fn utilisation(row: &mut ScrapedGpu, value: f64) {
    let percent = match value {
        v if v > 1.0 => v,
        v if v < 1.0 => 100.0 * v,
        _ => return,
    };
    if let Some(metric) = metric::find(|metric| metric.dcgm, "DEV_GPU_UTIL") {
        (metric.set)(&mut row.sample, Some(percent));
    }
}

/// DCGM's marks for "blank", "not found", "not supported" and "no permission", of 32-bit, 64-bit and floating-point
/// fields (`dcgm_structs.h`). The 64-bit ones are read as floating point, which rounds them to 2⁶³.
fn is_blank(value: f64) -> bool {
    let near = |blank: f64| (blank..blank + 16.0).contains(&value);
    !value.is_finite() || value >= 9.223_372_036_854e18 || near(140_737_488_355_328.0) || near(2_147_483_632.0)
}

/// Whether the scrape comes from this exporter, or from one that speaks its names.
pub(crate) fn recognise(scrape: &Scrape<'_>) -> bool {
    scrape.samples.iter().any(|sample| sample.name.starts_with(PREFIX))
}

/// The GPUs of the scrape.
pub(crate) fn rows(scrape: &Scrape<'_>) -> ScrapedGpus {
    let mut rows = ScrapedGpus::default();
    for sample in &scrape.samples {
        let Some(name) = sample.name.strip_prefix(PREFIX) else {
            continue;
        };
        let metric = metric::find(|metric| metric.dcgm, name);
        let other = OTHERS.iter().find(|(names, ..)| names.contains(&name));
        let Some(scope) = metric.map(|metric| metric.scope).or(other.map(|(_, scope, _)| *scope)) else {
            continue;
        };
        let Some(uuid) = any_label(sample, &["UUID", "uuid", "gpu_uuid"]) else {
            continue;
        };
        if is_blank(sample.value) {
            rows.blanks += 1;
            continue;
        }
        let instance = any_label(sample, &["GPU_I_ID"]).filter(|_| scope == Scope::Instance);
        let row = match instance {
            Some(id) => rows.entry(&format!("{uuid}/GI-{id}"), |device| {
                describe(device, sample);
                let profile = any_label(sample, &["GPU_I_PROFILE"]).unwrap_or("MIG");
                device.name = format!("{} {profile}", device.name);
                device.parent = Some(uuid.to_owned());
            }),
            None => rows.entry(uuid, |device| describe(device, sample)),
        };
        match (metric, other) {
            (Some(metric), _) => metric.read(metric.dcgm, name, sample.value, &mut row.sample),
            (None, Some((_, _, set))) => set(row, sample.value),
            (None, None) => {}
        }
    }
    rows
}

fn describe(device: &mut GpuDevice, sample: &Sample<'_>) {
    let label = |names: &[&str]| any_label(sample, names).map(str::to_owned);
    device.name = label(&["modelName", "model_name"]).unwrap_or_else(|| "NVIDIA GPU".to_owned());
    device.host = label(&["Hostname", "hostname"]);
    device.driver = label(&["DCGM_FI_DRIVER_VERSION"]);
    device.memory_api = Some("dcgm".to_owned());
}

fn any_label<'s>(sample: &'s Sample<'_>, names: &[&str]) -> Option<&'s str> {
    let value = names.iter().find_map(|name| sample.label(name));
    value.filter(|value| !value.is_empty())
}

/// Memory of the device, which most exporters do not give: its parts together, where all are there.
pub(crate) fn memory_total(sample: &GpuSample) -> Option<u64> {
    let parts = [sample.memory_used_bytes?, sample.memory_free_bytes?];
    let reserved = sample.memory_reserved_bytes.unwrap_or(0);
    Some(parts.iter().sum::<u64>().saturating_add(reserved))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::parse;

    fn read(text: &str) -> Vec<ScrapedGpu> {
        rows(&parse(text)).into_rows()
    }

    /// Lines in the form of a dcgm-exporter on an RTX 4070 with driver 580.159.03, as published with an issue.
    #[test]
    fn a_geforce_card_as_its_exporter_shows_it() {
        let labels = r#"{DCGM_FI_DRIVER_VERSION="580.159.03",Hostname="e104",UUID="GPU-02e7ad33",device="nvidia0",gpu="0",modelName="NVIDIA GeForce RTX 4070",pci_bus_id="00000000:08:00.0"}"#;
        let text = [
            ("DEV_MEMORY_TEMP", "0"),
            ("DEV_GPU_TEMP", "48"),
            ("DEV_POWER_USAGE", "8.61"),
            ("DEV_TOTAL_ENERGY_CONSUMPTION", "32972735665"),
            ("DEV_PCIE_REPLAY_COUNTER", "200"),
            ("DEV_GPU_UTIL", "55"),
            ("DEV_FB_FREE", "11000"),
            ("DEV_FB_USED", "1000"),
        ]
        .map(|(name, value)| format!("DCGM_FI_{name}{labels} {value}\n"))
        .concat();
        let [row] = <[ScrapedGpu; 1]>::try_from(read(&text)).unwrap();
        assert_eq!(row.device.name, "NVIDIA GeForce RTX 4070");
        assert_eq!(row.device.host.as_deref(), Some("e104"));
        assert_eq!(row.device.driver.as_deref(), Some("580.159.03"));
        assert_eq!(row.sample.uuid, "GPU-02e7ad33");
        assert_eq!(row.sample.memory_temperature_c, None, "no sensor there");
        assert_eq!(row.sample.temperature_c, Some(48));
        assert_eq!(row.sample.power_average_mw, Some(8_610));
        assert_eq!(row.sample.power_instant_mw, None, "an average is no instant");
        assert_eq!(row.sample.energy_mj, Some(32_972_735_665));
        assert_eq!(row.sample.gpu_util_percent, Some(55));
        assert_eq!(row.sample.memory_used_bytes, Some(1000 << 20));
        assert_eq!(row.state.pcie_replays, Some(200));
        assert_eq!(memory_total(&row.sample), Some(12_000 << 20));
    }

    #[test]
    fn both_generations_of_names_are_one_thing() {
        for (old, new, value) in [
            ("DEV_POWER_USAGE", "DEV_BOARD_POWER_WATTS", "311.5"),
            ("DEV_POWER_USAGE_INSTANT", "DEV_BOARD_POWER_RAW_WATTS", "402.25"),
            ("DEV_GPU_TEMP", "DEV_GPU_TEMP_CELSIUS", "61"),
            ("DEV_MEMORY_TEMP", "DEV_MEMORY_TEMP_CELSIUS", "77"),
            ("DEV_GPU_UTIL", "DEV_GPU_UTIL_RATIO", "97"),
            ("DEV_XID_ERRORS", "DEV_XID_ERROR", "79"),
            ("PROF_GR_ENGINE_ACTIVE", "PROF_GR_ENGINE_UTIL_RATIO", "0.93"),
            ("PROF_SM_ACTIVE", "PROF_SM_UTIL_RATIO", "0.81"),
            ("PROF_PIPE_TENSOR_ACTIVE", "PROF_TENSOR_UTIL_RATIO", "0.2"),
            ("PROF_DRAM_ACTIVE", "PROF_DRAM_UTIL_RATIO", "0.61"),
            ("DEV_ENFORCED_POWER_LIMIT", "DEV_BOARD_POWER_LIMIT_ENFORCED_WATTS", "700"),
        ] {
            let line = |name| read(&format!("DCGM_FI_{name}{{UUID=\"GPU-1\"}} {value}\n"));
            assert_eq!(line(old), line(new), "{old}");
            let nothing = read("DCGM_FI_DEV_FB_USED{UUID=\"GPU-1\"} -1\n");
            assert_ne!(line(old), nothing, "{old} sets something");
        }
    }

    #[test]
    fn both_labels_of_the_host_are_read_and_spaces_before_labels_too() {
        for label in ["Hostname", "hostname"] {
            let rows = read(&format!("DCGM_FI_DEV_SM_CLOCK{{gpu=\"0\", UUID=\"GPU-1\", {label}=\"node-3\"}} 139\n"));
            assert_eq!(rows[0].device.host.as_deref(), Some("node-3"));
            assert_eq!(rows[0].sample.sm_clock_mhz, Some(139));
        }
    }

    /// `dcgm_structs.h`: `DCGM_INT32_BLANK` 0x7ffffff0, `DCGM_INT64_BLANK` 0x7ffffffffffffff0, `DCGM_FP64_BLANK`
    /// 140737488355328.0, with 1, 2 and 3 added for the reason. The exporter's README shows 9223372036854775794.
    #[test]
    fn blanks_are_counted_and_mean_nothing() {
        for blank in ["9223372036854775794", "140737488355330", "2147483634", "NaN"] {
            let rows = rows(&parse(&format!("DCGM_FI_DEV_MEMORY_TEMP{{gpu=\"0\", UUID=\"GPU-604ac76c\"}} {blank}\n")));
            assert_eq!((rows.blanks, rows.into_rows()), (1, vec![]), "{blank}");
        }
    }

    /// An A800 in three instances: the exporter repeats the GPU's energy in each line (published with an issue).
    #[test]
    fn under_mig_energy_is_the_gpus_and_memory_the_instances() {
        let line = |name: &str, id: u32, value: &str| {
            format!(
                "DCGM_FI_{name}{{gpu=\"0\",UUID=\"GPU-1f02\",modelName=\"NVIDIA A800-SXM4-80GB\",GPU_I_PROFILE=\"2g.20gb\",GPU_I_ID=\"{id}\"}} {value}\n"
            )
        };
        let mut text = String::new();
        for id in [3, 5, 6] {
            text += &line("DEV_TOTAL_ENERGY_CONSUMPTION", id, "257858316");
            text += &line("DEV_FB_USED", id, &(100 * id).to_string());
            text += &line("PROF_DRAM_ACTIVE", id, "0.5");
        }
        let rows = read(&text);
        let energies: Vec<_> = rows.iter().map(|row| row.sample.energy_mj).collect();
        assert_eq!(energies, [Some(257_858_316), None, None, None]);
        assert_eq!(rows[0].device.parent, None);
        assert_eq!(rows[1].device.parent.as_deref(), Some("GPU-1f02"));
        assert_eq!(rows[1].device.uuid, "GPU-1f02/GI-3");
        assert_eq!(rows[1].device.name, "NVIDIA A800-SXM4-80GB 2g.20gb");
        assert_eq!(rows[3].sample.memory_used_bytes, Some(600 << 20));
        assert_eq!(rows[3].sample.dram_active_percent, Some(50.0));
    }

    #[test]
    fn a_utilisation_ratio_of_newer_versions_is_a_ratio() {
        let read = |value: &str| {
            read(&format!("DCGM_FI_DEV_GPU_UTIL_RATIO{{UUID=\"GPU-1\"}} {value}\n"))[0].sample.gpu_util_percent
        };
        assert_eq!((read("0"), read("0.97"), read("97"), read("1")), (Some(0), Some(97), Some(97), None));
    }
}
