//! The metrics of AMD's device-metrics-exporter: from names to the fields of [`records::GpuSample`]. Pure.
//!
//! Names follow the list of metrics in that project's documentation, with and without the prefix `amd_` that newer
//! versions put before them. AMD's activities are not NVIDIA's metrics of similar names: `gfx` is the graphics engine, `umc`
//! the memory controller. Energy counts microjoules, memory "MB" of 2²⁰ bytes. Sensors belong to a whole GPU and read 0
//! on every partition but the first, so they are taken from the first only.

use records::{GpuDevice, GpuSample};

use super::scraped_gpu::{ScrapedGpu, ScrapedGpus};
use crate::{
    metric::{self, MIB, Scope, whole},
    prometheus::{Sample, Scrape},
};

/// Puts a value into a row.
type Set = fn(&mut ScrapedGpu, f64);

/// Values that are no metric of a sample: name, scope, and where the value goes.
const OTHERS: &[(&str, Scope, Set)] = &[
    ("gpu_ecc_uncorrect_total", Scope::Gpu, |r, v| r.state.ecc_uncorrected = whole(v)),
    ("pcie_replay_count", Scope::Gpu, |r, v| r.state.pcie_replays = whole(v)),
    ("gpu_total_vram", Scope::Instance, |r, v| r.device.memory_total_bytes = whole(v * MIB)),
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
pub(crate) fn rows(scrape: &Scrape<'_>) -> ScrapedGpus {
    let mut rows = ScrapedGpus::default();
    for sample in scrape.samples.iter().filter(|sample| sample.value.is_finite()) {
        let Some(gpu) = sample.label("gpu_id") else {
            continue;
        };
        let partition = sample.label("gpu_partition_id").or(sample.label("partition_id")).unwrap_or("0");
        let name = plain_name(sample);
        let is_read = |scope| scope == Scope::Instance || partition == "0";
        if let Some(metric) = metric::find(|metric| metric.amd, name).filter(|metric| is_read(metric.scope)) {
            let row = row(&mut rows, sample, gpu, partition);
            metric.read(metric.amd, name, sample.value, &mut row.sample);
        } else if let Some((_, _, set)) = OTHERS.iter().find(|(known, scope, _)| *known == name && is_read(*scope)) {
            set(row(&mut rows, sample, gpu, partition), sample.value);
        } else if let Some(field) = clock(sample).filter(|_| name == "gpu_clock" && partition == "0") {
            let clock = field(&mut row(&mut rows, sample, gpu, partition).sample);
            *clock = clock.or(whole(sample.value).and_then(|mhz| u32::try_from(mhz).ok()));
        }
    }
    rows
}

/// The system clock is given once for each compute die, the memory clock once; the first of either is taken.
fn clock(sample: &Sample<'_>) -> Option<fn(&mut GpuSample) -> &mut Option<u32>> {
    match sample.label("clock_type")? {
        "GPU_CLOCK_TYPE_SYSTEM" | "system" => Some(|sample| &mut sample.sm_clock_mhz),
        "GPU_CLOCK_TYPE_MEMORY" | "memory" => Some(|sample| &mut sample.memory_clock_mhz),
        _ => None,
    }
}

fn row<'r>(rows: &'r mut ScrapedGpus, sample: &Sample<'_>, gpu: &str, partition: &str) -> &'r mut ScrapedGpu {
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
        return rows.entry(&whole_gpu, describe);
    }
    rows.entry(&format!("{whole_gpu}/p{partition}"), |device| {
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
        let [row] = <[ScrapedGpu; 1]>::try_from(rows(&scrape).into_rows()).unwrap();
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
