//! The live table: the latest of each GPU and of the engine. What is not supported is a dash, never a 0.

use std::collections::BTreeMap;

use gpumon::{Line, METRICS};
use records::{GpuDevice, GpuLine, GpuSample, GpuState, ServerSample, units::GIB};

/// The latest readings.
#[derive(Debug, Default)]
pub(super) struct Board {
    gpus: BTreeMap<String, Gpu>,
    server: Option<ServerSample>,
}

#[derive(Debug, Default)]
struct Gpu {
    device: GpuDevice,
    sample: GpuSample,
    state: GpuState,
    xids: Vec<u64>,
}

const ABSENT: &str = "–";

impl Board {
    pub(super) fn update(&mut self, line: &Line) {
        match line {
            Line::Gpu(GpuLine::Device(device)) => self.gpu(&device.uuid).device = device.clone(),
            Line::Gpu(GpuLine::Sample(sample)) => self.gpu(&sample.uuid).sample = sample.clone(),
            Line::Gpu(GpuLine::State(state)) => self.gpu(&state.uuid).state = state.clone(),
            Line::Gpu(GpuLine::Xid { uuid: Some(uuid), code, .. }) => self.gpu(uuid).xids.push(*code),
            Line::Server(sample) => self.server = Some(sample.clone()),
            _ => {}
        }
    }

    fn gpu(&mut self, uuid: &str) -> &mut Gpu {
        self.gpus.entry(uuid.to_owned()).or_default()
    }

    /// The table, and a line for the engine.
    pub(super) fn table(&self) -> String {
        let live = METRICS.iter().filter_map(|metric| metric.live.map(|(heading, _)| heading));
        let heads = ["GPU", "id"].into_iter().chain(live).chain(["memory GiB", "limit W", "throttled", "read ms"]);
        let mut rows = vec![heads.map(str::to_owned).collect()];
        rows.extend(self.gpus.values().map(Gpu::row));
        let mut text = String::new();
        if !self.gpus.is_empty() {
            text.push_str(&aligned(&rows));
        }
        if let Some(server) = &self.server {
            text.push_str(&engine_line(server));
        }
        text
    }
}

impl Gpu {
    fn row(&self) -> Vec<String> {
        let Self { device, sample, state, xids } = self;
        let limit = state.power_limit_mw.or(device.power_limit_mw);
        let mut throttled = sample.throttle_bits.map_or_else(|| ABSENT.to_owned(), throttle);
        for xid in xids {
            throttled = format!("{throttled} XID {xid}");
        }
        let mut row =
            vec![device.name.trim_start_matches("NVIDIA ").to_owned(), device.uuid.chars().take(12).collect()];
        row.extend(METRICS.iter().filter_map(|metric| {
            let (_, factor) = metric.live?;
            Some(tenth((metric.get)(sample).map(|value| value * factor)))
        }));
        row.extend([
            memory(sample.memory_used_bytes, device.memory_total_bytes),
            tenth(limit.map(|mw| mw as f64 / 1e3)),
            throttled,
            format!("{:.2}", sample.read_ns as f64 / 1e6),
        ]);
        row
    }
}

/// NVML's reasons (`nvmlClocksEventReasons` in `nvml.h`), the harmless ones left out.
fn throttle(bits: u64) -> String {
    let reasons = [
        (0x4, "power cap"),
        (0x8, "hardware"),
        (0x20, "heat (software)"),
        (0x40, "heat (hardware)"),
        (0x80, "power brake"),
    ];
    let set: Vec<&str> = reasons.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, reason)| *reason).collect();
    if set.is_empty() { "no".to_owned() } else { set.join(", ") }
}

fn whole<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| value.to_string())
}

fn tenth(value: Option<f64>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), |value| format!("{value:.1}"))
}

fn memory(used: Option<u64>, total: Option<u64>) -> String {
    let gib = |bytes: u64| bytes as f64 / GIB as f64;
    match (used, total) {
        (Some(used), Some(total)) => format!("{:.1}/{:.1}", gib(used), gib(total)),
        (Some(used), None) => format!("{:.1}", gib(used)),
        _ => ABSENT.to_owned(),
    }
}

fn engine_line(server: &ServerSample) -> String {
    format!(
        "engine: running {}, waiting {}, KV cache {} %, output tokens {}, preemptions {}\n",
        whole(server.running),
        whole(server.waiting),
        tenth(server.kv_usage.map(|share| 100.0 * share)),
        whole(server.counters.output_tokens),
        whole(server.counters.preemptions)
    )
}

/// Columns as wide as their widest cell; the first two to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(
                |(column, (cell, &width))| {
                    if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use records::Offset;

    use super::*;

    #[test]
    fn what_is_not_supported_is_a_dash_and_columns_line_up() {
        let mut board = Board::default();
        for uuid in ["GPU-604ac76c-d9cf", "GPU-2"] {
            board.update(&Line::Gpu(GpuLine::Device(GpuDevice {
                uuid: uuid.to_owned(),
                name: "NVIDIA H100".to_owned(),
                memory_total_bytes: Some(80 << 30),
                ..GpuDevice::default()
            })));
        }
        board.update(&Line::Gpu(GpuLine::Sample(GpuSample {
            t_ns: Offset(1),
            read_ns: 210_000,
            uuid: "GPU-2".to_owned(),
            gpu_util_percent: Some(97),
            memory_used_bytes: Some(71 << 30),
            power_instant_mw: Some(612_345),
            throttle_bits: Some(0x4),
            ..GpuSample::default()
        })));
        let table = board.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["H100", "GPU-2", "97.0", "–", "612.3", "–", "–", "–", "–", "71.0/80.0", "–", "power", "cap", "0.21"]
        );
        assert!(lines[2].contains("GPU-604ac76c"), "{table}");
        let ends: Vec<usize> = lines.iter().map(|line| line.chars().count()).collect();
        assert!(ends.iter().all(|end| *end == ends[0]), "{table}");
    }
}
