//! Logs that `nvidia-smi --query-gpu=… --format=csv -lms 500` or `amd-smi metric --csv` wrote during a run: from columns
//! to the fields of [`records::GpuSample`]. Pure.
//!
//! Columns are known by their names, in any order and number; units stand in the header or behind the value. Both tools
//! stamp with the wall clock. `nvidia-smi` gives local time without saying which, so the caller says how far it is from UTC.
//! `power.draw` is an average over one second on Ampere (except GA100) and later, and instantaneous before; the log does
//! not tell which GPU it was, so it counts as the average.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::DateTime, tz::Offset as UtcOffset};
use records::{GpuDevice, GpuLine, Offset};
use thiserror::Error;

use crate::{
    exporter::scraped_gpu::ScrapedGpu,
    metric::{self, GpuMetric, MIB, whole},
    plausibility::{self, Bounds},
};

/// A log that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SmiLog {
    /// Devices and their samples, stamped as offsets of the run.
    pub lines: Vec<GpuLine>,
    /// Rows that were no reading: torn ones, and those before the run began.
    pub skipped_rows: u64,
    /// Values that cannot be, and were left out.
    pub implausible: u64,
}

/// Why a log cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SmiLogError {
    /// No header with a time and at least one metric.
    #[error(
        "the log has no header with `timestamp` and a known metric\nhint: make it with nvidia-smi --query-gpu=timestamp,uuid,power.draw.instant,utilization.gpu,memory.used --format=csv -lms 500, or amd-smi metric --csv"
    )]
    NoHeader,
    /// No row could be read.
    #[error("the log holds no reading in the time of the run\nhint: check its time zone")]
    NoReading,
}

/// Reads a log. `epoch_unix_ns` is the wall-clock time of the run's epoch, `utc_offset_s` how far the log's clock is ahead
/// of UTC where its times do not say so themselves (32400 in Korea).
pub fn read(text: &str, epoch_unix_ns: u64, utc_offset_s: i32) -> Result<SmiLog, SmiLogError> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let mut rows = reader.records().filter_map(Result::ok);
    let header = rows.by_ref().find(|row| row.iter().any(|cell| cell == "timestamp"));
    let header: Vec<Column> = header.ok_or(SmiLogError::NoHeader)?.iter().map(column).collect();
    if !header.iter().any(|column| matches!(column, Column::Metric(..))) {
        return Err(SmiLogError::NoHeader);
    }
    let zone = UtcOffset::from_seconds(utc_offset_s).unwrap_or(UtcOffset::UTC);
    let mut log = SmiLog::default();
    let mut bounds: BTreeMap<String, Bounds> = BTreeMap::new();
    for cells in rows.filter(|row| row.iter().all(|cell| cell != "timestamp")) {
        let reading = (cells.len() == header.len()).then(|| reading(&header, &cells, epoch_unix_ns, zone)).flatten();
        let Some(mut row) = reading else {
            log.skipped_rows += 1;
            continue;
        };
        let known = bounds.entry(row.device.uuid.clone()).or_insert_with(|| {
            log.lines.push(GpuLine::Device(row.device.clone()));
            Bounds { power_limit_mw: row.device.power_limit_mw, memory_total_bytes: row.device.memory_total_bytes }
        });
        log.implausible += plausibility::strip(&mut row.sample, *known).len() as u64;
        log.lines.push(GpuLine::Sample(row.sample));
    }
    if bounds.is_empty() {
        return Err(SmiLogError::NoReading);
    }
    Ok(log)
}

enum Column {
    Time,
    Uuid,
    Index,
    Name,
    Metric(&'static GpuMetric, String),
    MemoryTotal,
    PowerLimit,
    Bits,
    Unknown,
}

/// The column under a heading, without its unit.
fn column(heading: &str) -> Column {
    let name = heading.split('[').next().unwrap_or_default().trim();
    match name {
        "timestamp" => Column::Time,
        "uuid" | "gpu_uuid" => Column::Uuid,
        "index" | "gpu" => Column::Index,
        "name" | "gpu_name" => Column::Name,
        "clocks_throttle_reasons.active" | "clocks_event_reasons.active" => Column::Bits,
        "memory.total" | "total_vram" | "vram_total_mib" => Column::MemoryTotal,
        "power.limit" | "enforced.power.limit" => Column::PowerLimit,
        _ => metric::find(|metric| metric.smi, name)
            .map_or(Column::Unknown, |metric| Column::Metric(metric, name.to_owned())),
    }
}

fn reading(header: &[Column], cells: &csv::StringRecord, epoch_unix_ns: u64, zone: UtcOffset) -> Option<ScrapedGpu> {
    let mut row = ScrapedGpu::default();
    let mut index = None;
    let mut since_epoch = None;
    for (column, cell) in header.iter().zip(cells) {
        match column {
            Column::Time => since_epoch = Some(unix_ns(cell, zone)?.checked_sub(epoch_unix_ns)?),
            Column::Uuid => cell.clone_into(&mut row.device.uuid),
            Column::Index => index = Some(cell),
            Column::Name => cell.clone_into(&mut row.device.name),
            Column::Bits => {
                row.sample.throttle_bits = u64::from_str_radix(cell.trim_start_matches("0x"), 16).ok();
            }
            Column::Metric(metric, name) => {
                if let Some(value) = number(cell) {
                    metric.read(metric.smi, name, value, &mut row.sample);
                }
            }
            Column::MemoryTotal => row.device.memory_total_bytes = number(cell).and_then(|mib| whole(mib * MIB)),
            Column::PowerLimit => row.device.power_limit_mw = number(cell).and_then(|watts| whole(watts * 1e3)),
            Column::Unknown => {}
        }
    }
    row.sample.t_ns = Offset(since_epoch?);
    complete(&mut row.device, index);
    row.sample.uuid.clone_from(&row.device.uuid);
    Some(row)
}

/// The number in a cell; absent where the cell is `[N/A]` or `[Not Supported]`.
fn number(cell: &str) -> Option<f64> {
    cell.split_whitespace().next()?.parse().ok()
}

fn complete(device: &mut GpuDevice, index: Option<&str>) {
    if device.uuid.is_empty() {
        device.uuid = format!("index {}", index.unwrap_or("0"));
    }
    if device.name.is_empty() {
        "GPU".clone_into(&mut device.name);
    }
    "smi log".clone_into(&mut device.source);
    device.memory_api = Some("nvidia_smi".to_owned());
}

/// `2026/06/30 19:00:00.123`, ISO 8601 with or without an offset, or seconds or milliseconds since 1970.
fn unix_ns(cell: &str, zone: UtcOffset) -> Option<u64> {
    if let Ok(number) = cell.parse::<f64>() {
        return whole(if number < 1e11 { number * 1e9 } else { number * 1e6 });
    }
    let stamp = cell.parse::<Timestamp>().ok().or_else(|| {
        let local: DateTime = cell.replace('/', "-").parse().ok()?;
        zone.to_timestamp(local).ok()
    })?;
    u64::try_from(stamp.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use records::GpuSample;

    use super::*;

    fn samples(log: &SmiLog) -> Vec<&GpuSample> {
        let lines = log.lines.iter();
        lines.filter_map(sample).collect()
    }

    fn sample(line: &GpuLine) -> Option<&GpuSample> {
        match line {
            GpuLine::Sample(sample) => Some(sample),
            _ => None,
        }
    }

    /// 2026-06-30 19:00:00 in Korea (`date -d '2026-06-30 19:00:00 +0900' +%s`).
    const EPOCH: u64 = 1_782_813_600_000_000_000;

    #[test]
    fn a_log_of_nvidia_smi() {
        let text = "timestamp, index, uuid, utilization.gpu [%], memory.used [MiB], memory.total [MiB], power.draw [W], power.draw.instant [W], clocks_event_reasons.active, temperature.memory\n\
            2026/06/30 19:00:00.500, 0, GPU-one, 87 %, 1234 MiB, 24576 MiB, 201.50 W, 250.25 W, 0x0000000000000004, N/A\n\
            2026/06/30 19:00:01.000, 0, GPU-one, 4294967295 %, 1234 MiB, 24576 MiB, [Not Supported], 251.00 W, 0x0000000000000000, N/A\n\
            2026/06/30 19:00:15.000, 90 %\n";
        let log = read(text, EPOCH, 9 * 3600).unwrap();
        assert_eq!((log.skipped_rows, log.implausible, log.lines.len()), (1, 1, 3));
        let GpuLine::Device(device) = &log.lines[0] else { panic!("{log:?}") };
        assert_eq!((device.uuid.as_str(), device.memory_total_bytes), ("GPU-one", Some(24_576 << 20)));
        let samples = samples(&log);
        let first = GpuSample {
            t_ns: Offset(500_000_000),
            uuid: "GPU-one".to_owned(),
            gpu_util_percent: Some(87),
            memory_used_bytes: Some(1_234 << 20),
            power_average_mw: Some(201_500),
            power_instant_mw: Some(250_250),
            throttle_bits: Some(4),
            ..GpuSample::default()
        };
        assert_eq!(samples[0], &first);
        assert_eq!((samples[1].gpu_util_percent, samples[1].power_average_mw), (None, None));
    }

    #[test]
    fn a_log_of_amd_smi_with_its_preamble_repeated_header_and_lists() {
        let text = "'CTRL' + 'C' to stop watching output:\n\
            timestamp,gpu,socket_power,gfx_activity,vcn_activity,total_energy_consumption\n\
            1782813600,0,400,97,\"['0', 'N/A']\",178319501.7\n\
            timestamp,gpu,socket_power,gfx_activity,vcn_activity,total_energy_consumption\n\
            1782813601,0,N/A,98,\"['0', 'N/A']\",178319901.7\n\
            1782813602,0,4";
        let log = read(text, EPOCH, 0).unwrap();
        assert_eq!(log.skipped_rows, 1);
        let samples = samples(&log);
        assert_eq!(samples.len(), 2);
        assert_eq!((samples[0].t_ns, samples[0].uuid.as_str()), (Offset(0), "index 0"));
        assert_eq!((samples[0].power_instant_mw, samples[1].power_instant_mw), (Some(400_000), None));
        assert_eq!(samples[1].energy_mj, Some(178_319_901_700));
    }

    #[test]
    fn times_of_all_kinds_are_one_moment() {
        let zone = UtcOffset::from_seconds(32_400).unwrap();
        for cell in [
            "2026/06/30 19:00:00.000",
            "2026-06-30T10:00:00Z",
            "2026-06-30T19:00:00+09:00",
            "1782813600",
            "1782813600000",
        ] {
            assert_eq!(unix_ns(cell, zone), Some(EPOCH), "{cell}");
        }
        assert_eq!(unix_ns("yesterday", zone), None);
    }

    #[test]
    fn what_is_no_log_of_the_run_is_said() {
        assert_eq!(read("a,b\n1,2\n", EPOCH, 0), Err(SmiLogError::NoHeader));
        assert_eq!(read("timestamp,weather\n1782813600,fine\n", EPOCH, 0), Err(SmiLogError::NoHeader));
        let before = "timestamp,gpu,socket_power\n1782813599,0,400\n";
        assert_eq!(read(before, EPOCH, 0), Err(SmiLogError::NoReading));
    }
}
