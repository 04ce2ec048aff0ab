//! The metrics of AMD's device-metrics-exporter: from names to the fields of [`records::GpuSample`]. Pure.
//!
//! Names follow the list of metrics in that project's documentation, with and without the prefix `amd_` that newer
//! versions put before them. AMD's activities are not NVIDIA's metrics of similar names: `gfx` is the graphics engine, `umc`
//! the memory controller. Energy counts microjoules, memory "MB" of 2²⁰ bytes. Sensors belong to a whole GPU and read 0
//! on every partition but the first, so they are taken from the first only.

use records::GpuDevice;

use super::row::{Row, Rows, celsius, whole, whole_u32};
use crate::prometheus::{Sample, Scrape};

const MIB: f64 = 1_048_576.0;

/// Puts a value into a row.
type Set = fn(&mut Row, f64);

/// Metrics of the whole GPU.
#[rustfmt::skip]
const SENSORS: &[(&str, Set)] = &[
    ("gpu_package_power", |r, v| r.sample.power_instant_mw = whole(v * 1e3)),
    ("gpu_power_usage", |r, v| r.sample.power_instant_mw = r.sample.power_instant_mw.or(whole(v * 1e3))),
    ("gpu_average_package_power", |r, v| r.sample.power_average_mw = whole(v * 1e3)),
    ("gpu_energy_consumed", |r, v| r.sample.energy_mj = whole(v / 1e3)),
    ("gpu_junction_temperature", |r, v| r.sample.temperature_c = celsius(v)),
    ("gpu_memory_temperature", |r, v| r.sample.memory_temperature_c = celsius(v).filter(|c| *c != 0)),
    ("gpu_ecc_uncorrect_total", |r, v| r.state.ecc_uncorrected = whole(v)),
    ("pcie_replay_count", |r, v| r.state.pcie_replays = whole(v)),
];

/// Metrics of a partition.
#[rustfmt::skip]
const OWN: &[(&str, Set)] = &[
    ("gpu_gfx_activity", |r, v| r.sample.gpu_util_percent = whole_u32(v)),
    ("gpu_umc_activity", |r, v| r.sample.memory_util_percent = whole_u32(v)),
    ("gpu_used_vram", |r, v| r.sample.memory_used_bytes = whole(v * MIB)),
    ("gpu_free_vram", |r, v| r.sample.memory_free_bytes = whole(v * MIB)),
    ("gpu_total_vram", |r, v| r.device.memory_total_bytes = whole(v * MIB)),
];

fn plain_name<'n>(sample: &Sample<'n>) -> &'n str {
    sample.name.strip_prefix("amd_").unwrap_or(sample.name)
}

/// Whether the scrape comes from this exporter.
pub(crate) fn recognise(scrape: &Scrape<'_>) -> bool {
    scrape.samples.iter().any(|sample| {
        matches!(plain_name(sample), "gpu_gfx_activity" | "gpu_package_power" | "gpu_used_vram" | "gpu_power_usage")
            && sample.label("gpu_id").is_some()
    })
}

/// The GPUs of the scrape.
pub(crate) fn rows(scrape: &Scrape<'_>) -> Rows {
    let mut rows = Rows::default();
    for sample in scrape.samples.iter().filter(|sample| sample.value.is_finite()) {
        let Some(gpu) = sample.label("gpu_id") else {
            continue;
        };
        let partition = sample.label("gpu_partition_id").or(sample.label("partition_id")).unwrap_or("0");
        let name = plain_name(sample);
        let by_name =
            |table: &'static [(&str, Set)]| table.iter().find(|(known, _)| *known == name).map(|(_, set)| *set);
        let set = match (by_name(SENSORS), by_name(OWN), name) {
            (Some(set), _, _) if partition == "0" => set,
            (None, Some(set), _) => set,
            (_, _, "gpu_clock") if partition == "0" => match clock(sample) {
                Some(set) => set,
                None => continue,
            },
            _ => continue,
        };
        set(row(&mut rows, sample, gpu, partition), sample.value);
    }
    rows
}

/// The system clock is given once for each compute die, the memory clock once; the first of either is taken.
fn clock(sample: &Sample<'_>) -> Option<Set> {
    match sample.label("clock_type")? {
        "GPU_CLOCK_TYPE_SYSTEM" | "system" => Some(|row, value| {
            row.sample.sm_clock_mhz = row.sample.sm_clock_mhz.or(whole_u32(value));
        }),
        "GPU_CLOCK_TYPE_MEMORY" | "memory" => Some(|row, value| {
            row.sample.memory_clock_mhz = row.sample.memory_clock_mhz.or(whole_u32(value));
        }),
        _ => None,
    }
}

fn row<'r>(rows: &'r mut Rows, sample: &Sample<'_>, gpu: &str, partition: &str) -> &'r mut Row {
    let serial = sample.label("serial_number").filter(|serial| !serial.is_empty());
    let host = sample.label("hostname").or(sample.label("Hostname"));
    // The id is a number within its host; the serial number tells GPUs of several hosts apart.
    let whole_gpu = format!("AMD-{}-{gpu}", serial.or(host).unwrap_or("host"));
    let describe = |device: &mut GpuDevice| {
        let model = sample.label("card_model").or(sample.label("card_series"));
        model.filter(|model| !model.is_empty()).unwrap_or("AMD GPU").clone_into(&mut device.name);
        device.host = host.map(str::to_owned);
        device.memory_api = Some("amd_vram".to_owned());
    };
    if partition == "0" {
        return rows.of(&whole_gpu, describe);
    }
    rows.of(&format!("{whole_gpu}/p{partition}"), |device| {
        describe(device);
        device.parent = Some(whole_gpu.clone());
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::parse;

    /// Labels and units as the exporter's documentation gives them; the values are made up.
    const MI300X: &str = concat!(
        "gpu_package_power{card_model=\"102-G30213-0C\",gpu_id=\"7\",gpu_partition_id=\"0\",hostname=\"n1\",serial_number=\"692\"} 743\n",
        "gpu_power_usage{card_model=\"102-G30213-0C\",gpu_id=\"7\",gpu_partition_id=\"0\",hostname=\"n1\",serial_number=\"692\"} 740\n",
        "gpu_energy_consumed{card_model=\"102-G30213-0C\",gpu_id=\"7\",gpu_partition_id=\"0\",hostname=\"n1\",serial_number=\"692\"} 178319501700\n",
        "gpu_gfx_activity{card_model=\"102-G30213-0C\",gpu_id=\"7\",gpu_partition_id=\"0\",hostname=\"n1\",serial_number=\"692\"} 97\n",
        "gpu_umc_activity{card_model=\"102-G30213-0C\",gpu_id=\"7\",gpu_partition_id=\"0\",hostname=\"n1\",serial_number=\"692\"} 41\n",
        "gpu_used_vram{card_model=\"102-G30213-0C\",gpu_id=\"7\",gpu_partition_id=\"0\",hostname=\"n1\",serial_number=\"692\"} 180000\n",
        "gpu_total_vram{card_model=\"102-G30213-0C\",gpu_id=\"7\",gpu_partition_id=\"0\",hostname=\"n1\",serial_number=\"692\"} 196592\n",
        "gpu_junction_temperature{card_model=\"102-G30213-0C\",gpu_id=\"7\",gpu_partition_id=\"0\",hostname=\"n1\",serial_number=\"692\"} 71\n",
        "gpu_clock{clock_index=\"0\",clock_type=\"GPU_CLOCK_TYPE_SYSTEM\",gpu_id=\"7\",gpu_partition_id=\"0\",hostname=\"n1\",serial_number=\"692\"} 2100\n",
        "gpu_clock{clock_index=\"1\",clock_type=\"GPU_CLOCK_TYPE_SYSTEM\",gpu_id=\"7\",gpu_partition_id=\"0\",hostname=\"n1\",serial_number=\"692\"} 132\n",
        "gpu_clock{clock_index=\"8\",clock_type=\"GPU_CLOCK_TYPE_MEMORY\",gpu_id=\"7\",gpu_partition_id=\"0\",hostname=\"n1\",serial_number=\"692\"} 1300\n",
    );

    #[test]
    fn an_instinct_card() {
        let scrape = parse(MI300X);
        assert!(recognise(&scrape));
        let [row] = <[Row; 1]>::try_from(rows(&scrape).into_rows()).unwrap();
        assert_eq!((row.device.uuid.as_str(), row.device.name.as_str()), ("AMD-692-7", "102-G30213-0C"));
        assert_eq!(row.device.memory_total_bytes, Some(196_592 << 20));
        assert_eq!(row.sample.power_instant_mw, Some(743_000), "package power goes before power usage");
        assert_eq!(row.sample.energy_mj, Some(178_319_502), "178,319,501.7 mJ");
        assert_eq!((row.sample.gpu_util_percent, row.sample.memory_util_percent), (Some(97), Some(41)));
        assert_eq!((row.sample.sm_clock_mhz, row.sample.memory_clock_mhz), (Some(2100), Some(1300)));
        assert_eq!(row.sample.temperature_c, Some(71));
    }

    #[test]
    fn the_prefix_of_newer_versions_and_their_clock_names() {
        let newer = format!("amd_{}", MI300X.trim_end().replace('\n', "\namd_"))
            .replace("GPU_CLOCK_TYPE_SYSTEM", "system")
            .replace("GPU_CLOCK_TYPE_MEMORY", "memory");
        assert_eq!(rows(&parse(&newer)).into_rows(), rows(&parse(MI300X)).into_rows());
    }

    #[test]
    fn a_partition_has_memory_and_no_sensors() {
        let text = format!(
            "{MI300X}gpu_package_power{{gpu_id=\"7\",gpu_partition_id=\"1\",serial_number=\"692\"}} 0\n\
             gpu_used_vram{{gpu_id=\"7\",gpu_partition_id=\"1\",serial_number=\"692\"}} 5\n"
        );
        let rows = rows(&parse(&text)).into_rows();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].sample.power_instant_mw, Some(743_000));
        assert_eq!(rows[1].device.parent.as_deref(), Some("AMD-692-7"));
        assert_eq!((rows[1].sample.power_instant_mw, rows[1].sample.memory_used_bytes), (None, Some(5 << 20)));
    }

    #[test]
    fn other_metrics_are_not_taken_for_it() {
        assert!(!recognise(&parse("gpu_used_vram 1\nnode_gpu{gpu_id=\"1\"} 2\n")));
    }
}
